//! Soft rules: they never veto and never cost anything, they decide where there is a choice, and those that are not met are
//! counted.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/clusters.rs"]
#[expect(dead_code, reason = "laws of whole plans use the rest")]
mod clusters;
#[path = "common/plans.rs"]
mod plans;
#[path = "common/program.rs"]
mod program;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clusters::{Case, Random, any_case, for_each_case, holds};
use mini_karpenter::check::check_plan;
use mini_karpenter::feasibility::Unmet;
use mini_karpenter::model::{
    AffinityTerm, LabelSelector, Labels, NodeSelectorTerm, Operator, Phase, Placement, Pod, PodName, Preferences,
    Requirement, Resources, SchedulingState, SpreadConstraint, Taint, TaintEffect, Toleration, TolerationMatch,
    Weighted, key,
};
use mini_karpenter::provision::{Plan, Verdict};
use plans::{options, plan_of};
use program::run;
use serde_json::Value;

const CASES: u64 = 600;

const KEYS: [&str; 3] = [key::ZONE, key::HOSTNAME, "team"];

fn selector(random: &mut Random) -> LabelSelector {
    match random.below(10) {
        0 => LabelSelector::Nothing,
        1 => LabelSelector::Matching(Vec::new()),
        2 => LabelSelector::Matching(vec![Requirement {
            key: "app".to_owned(),
            operator: Operator::Exists,
            values: Vec::new(),
        }]),
        _ => LabelSelector::Matching(vec![Requirement::equals("app", *random.pick(&["web", "db"]))]),
    }
}

fn term(random: &mut Random) -> AffinityTerm {
    AffinityTerm {
        topology_key: (*random.pick(&KEYS)).to_owned(),
        selector: selector(random),
        namespaces: BTreeSet::from([(*random.pick(&["x", "x", "y"])).to_owned()]),
        namespace_selector: LabelSelector::Nothing,
    }
}

fn spread(random: &mut Random) -> SpreadConstraint {
    SpreadConstraint {
        topology_key: (*random.pick(&KEYS)).to_owned(),
        max_skew: 1 + u32::from(random.chance(20)),
        min_domains: 1,
        selector: selector(random),
        honors_node_affinity: random.chance(70),
        honors_node_taints: random.chance(30),
    }
}

fn some<T>(random: &mut Random, percent: u64, make: impl Fn(&mut Random) -> T) -> Vec<T> {
    (0..2).filter(|_| random.chance(percent)).collect::<Vec<_>>().into_iter().map(|_| make(random)).collect()
}

fn weighted<T>(random: &mut Random, percent: u64, make: impl Fn(&mut Random) -> T) -> Vec<Weighted<T>> {
    some(random, percent, |random| {
        let weight = u32::try_from(random.between(1, 100)).unwrap();
        Weighted { weight, term: make(random) }
    })
}

fn preferred_node(random: &mut Random) -> NodeSelectorTerm {
    let (key, value) = *random.pick(&[(key::ZONE, "us-east-1b"), ("team", "a"), (key::INSTANCE_TYPE, "t1")]);
    NodeSelectorTerm { labels: vec![Requirement::equals(key, value)], fields: Vec::new() }
}

/// A cluster whose pods have labels, some of them hard rules about others, and many of them soft rules.
fn soft_case(random: &mut Random) -> Case {
    let mut case = any_case(random);
    let sizes: [Resources; 2] = [case.pods.first(), case.pods.last()]
        .map(|pod| Resources { extended: BTreeMap::new(), ..pod.map(|pod| pod.requests.clone()).unwrap_or_default() });
    let few_sizes = random.chance(70);
    for pod in &mut case.pods {
        let pod = Arc::make_mut(pod);
        if few_sizes {
            pod.requests = random.pick(&sizes).clone();
        }
        pod.labels.insert("app".to_owned(), (*random.pick(&["web", "web", "db"])).to_owned());
        if random.chance(60) {
            pod.placement.node_affinity = None;
            pod.placement.node_selector = Labels::new();
        }
        if random.chance(25) {
            pod.neighbours.spread = some(random, 40, spread);
            pod.neighbours.anti_affinity = some(random, 30, term);
            pod.neighbours.affinity = some(random, 15, term);
        }
        if random.chance(80) {
            pod.preferences = Some(Arc::new(Preferences {
                node_affinity: weighted(random, 25, preferred_node),
                affinity: weighted(random, 20, term),
                anti_affinity: weighted(random, 40, term),
                spread: some(random, 40, spread),
            }));
        }
    }
    case
}

fn without_preferences(case: &Case) -> Case {
    let mut case = case.clone();
    case.pods.iter_mut().for_each(|pod| Arc::make_mut(pod).preferences = None);
    for node in &mut case.nodes {
        Arc::make_mut(node).taints.retain(|taint| taint.effect != TaintEffect::PreferNoSchedule);
    }
    case
}

/// Each pod with its verdict in a word, and each node with all but the pods that it is for.
fn outcome(plan: &Plan) -> (Vec<(PodName, &'static str)>, Vec<[String; 5]>) {
    let word = |verdict: &Verdict| match verdict {
        Verdict::Planned { .. } => "planned",
        Verdict::FitsExisting { .. } => "fitsExisting",
        Verdict::Unplaceable(_) => "unplaceable",
        Verdict::Ignored(_) => "ignored",
    };
    let pods = plan.pods.iter().map(|planned| (planned.pod.name.clone(), word(&planned.verdict)));
    let nodes = plan.nodes.iter().map(|node| {
        let price = format!("{:?}", node.price_per_hour);
        [&node.name, &node.instance_type, &node.zone, &node.capacity_type, &price].map(Clone::clone)
    });
    (pods.collect(), nodes.collect())
}

#[test]
fn soft_rules_never_veto_and_never_cost_anything() {
    let (mut moved, mut met, mut worse) = (0, 0, 0);
    for_each_case(CASES, soft_case, |case, random| {
        let (with, without) = (plan_of(case), plan_of(&without_preferences(case)));
        let mut complaints = Vec::new();
        if outcome(&with) != outcome(&without) {
            complaints.push(format!("{:#?} with, {:#?} without", outcome(&with), outcome(&without)));
        }
        let found = check_plan(&case.snapshot(), &case.catalog, &options(case), &with);
        complaints.extend(found.iter().map(ToString::to_string));
        if plan_of(&case.shuffled(random)) != with {
            complaints.push("another order of objects makes another plan".to_owned());
        }
        let verdicts = |plan: &Plan| plan.pods.iter().map(|planned| planned.verdict.clone()).collect::<Vec<_>>();
        moved += usize::from(verdicts(&with) != verdicts(&without));
        let (weight, before) = (recount(case, &with).weight, recount(case, &without).weight);
        met += usize::from(weight < before);
        worse += usize::from(weight > before);
        complaints
    });
    assert!(moved > 35 && met > 35, "the cases say little: {moved} plans differ, and {met} meet more");
    assert!(worse * 20 < met, "{worse} plans meet less, and {met} more");
}

#[test]
fn what_is_not_met_is_what_a_slow_count_finds() {
    let mut kinds = [0; 5];
    for_each_case(CASES, soft_case, |case, _| {
        let plan = plan_of(case);
        let slow = recount(case, &plan);
        kinds.iter_mut().zip(plan.unmet.kinds()).for_each(|(sum, (_, count))| *sum += count);
        let same = slow == plan.unmet;
        if same { Vec::new() } else { vec![format!("{:?}, and not {slow:?}", plan.unmet)] }
    });
    assert!(kinds.iter().all(|count| *count > 20), "the cases say little: {kinds:?}");
}

/// A node as it is in the end.
struct Place {
    name: Option<String>,
    labels: Labels,
    taints: Vec<Taint>,
}

/// Every soft rule stated once more, slowly, over the pods where they are in the end.
fn recount(case: &Case, plan: &Plan) -> Unmet {
    let mut places: Vec<Place> = case
        .nodes
        .iter()
        .map(|node| Place { name: Some(node.name.clone()), labels: node.labels.clone(), taints: node.taints.clone() })
        .collect();
    let mut numbers: BTreeMap<&str, usize> =
        case.nodes.iter().enumerate().map(|(number, node)| (node.name.as_str(), number)).collect();
    for node in &plan.nodes {
        let kind = case.catalog.node_type(&node.instance_type).unwrap();
        let offering = kind
            .offerings
            .iter()
            .find(|offering| offering.zone == node.zone && offering.capacity_type == node.capacity_type);
        let mut labels = kind.labels_as(offering.unwrap());
        labels.extend(plan.pools[&node.pool].labels.clone());
        labels.insert(key::HOSTNAME.to_owned(), format!("({})", node.name));
        numbers.insert(&node.name, places.len());
        places.push(Place { name: None, labels, taints: Vec::new() });
    }
    let of_plan: BTreeMap<&PodName, usize> = plan
        .pods
        .iter()
        .filter_map(|planned| match &planned.verdict {
            Verdict::Planned { node, .. } | Verdict::FitsExisting { node } => {
                Some((&planned.pod.name, numbers[node.as_str()]))
            }
            Verdict::Unplaceable(_) | Verdict::Ignored(_) => None,
        })
        .collect();
    let bound = |pod: &Pod| match &pod.scheduling {
        SchedulingState::Bound(node) | SchedulingState::Nominated(node) if pod.phase != Phase::Finished => {
            numbers.get(node.as_str()).copied()
        }
        _ => None,
    };
    let there: Vec<(&Pod, usize)> = case
        .pods
        .iter()
        .filter_map(|pod| Some((&**pod, of_plan.get(&pod.name).copied().or_else(|| bound(pod))?)))
        .collect();
    let new = there.iter().filter(|(pod, _)| of_plan.contains_key(&pod.name));
    new.map(|(pod, place)| unmet(pod, *place, &places, &there)).sum()
}

fn unmet(pod: &Pod, place: usize, places: &[Place], there: &[(&Pod, usize)]) -> Unmet {
    let node = &places[place];
    let preferences = pod.preferences.as_deref().cloned().unwrap_or_default();
    let mut unmet = Unmet::default();
    for Weighted { weight, term } in &preferences.node_affinity {
        if !term.labels.iter().all(|each| matches(each, &node.labels)) {
            unmet.node_affinity += 1;
            unmet.weight += weight;
        }
    }
    let is_near = |term: &AffinityTerm| {
        let here = node.labels.get(&term.topology_key);
        let finds = |other: &Pod| {
            other.name != pod.name
                && term.namespaces.contains(&other.name.namespace)
                && selects(&term.selector, &other.labels)
        };
        here.is_some()
            && there.iter().any(|(other, place)| finds(other) && places[*place].labels.get(&term.topology_key) == here)
    };
    for Weighted { weight, .. } in preferences.affinity.iter().filter(|each| !is_near(&each.term)) {
        unmet.pod_affinity += 1;
        unmet.weight += weight;
    }
    for Weighted { weight, .. } in preferences.anti_affinity.iter().filter(|each| is_near(&each.term)) {
        unmet.pod_anti_affinity += 1;
        unmet.weight += weight;
    }
    for constraint in &preferences.spread {
        if !is_even(constraint, pod, &preferences, place, places, there) {
            unmet.schedule_anyway += 1;
            unmet.weight += 50;
        }
    }
    let soft = node.taints.iter().filter(|taint| taint.effect == TaintEffect::PreferNoSchedule);
    for _ in soft.filter(|taint| !tolerates(&pod.placement.tolerations, taint)) {
        unmet.prefer_no_schedule += 1;
        unmet.weight += 50;
    }
    unmet
}

fn is_even(
    constraint: &SpreadConstraint,
    pod: &Pod,
    preferences: &Preferences,
    place: usize,
    places: &[Place],
    there: &[(&Pod, usize)],
) -> bool {
    let counts = |place: &Place| {
        let tolerated = place
            .taints
            .iter()
            .all(|taint| taint.effect == TaintEffect::PreferNoSchedule || tolerates(&pod.placement.tolerations, taint));
        preferences.spread.iter().all(|each| place.labels.contains_key(&each.topology_key))
            && (!constraint.honors_node_affinity || suits(&pod.placement, place))
            && (!constraint.honors_node_taints || tolerated)
    };
    if !counts(&places[place]) {
        return false;
    }
    let domain = |place: &Place| place.labels[&constraint.topology_key].clone();
    let mut pods: BTreeMap<String, u32> =
        places.iter().filter(|place| counts(place)).map(|place| (domain(place), 0)).collect();
    let everything = matches!(&constraint.selector, LabelSelector::Matching(all) if all.is_empty());
    for (other, place) in there {
        let found = !everything
            && !other.deleting
            && other.name.namespace == pod.name.namespace
            && selects(&constraint.selector, &other.labels);
        if found && counts(&places[*place]) {
            *pods.get_mut(&domain(&places[*place])).unwrap() += 1;
        }
    }
    pods[&domain(&places[place])] - pods.values().min().unwrap() <= constraint.max_skew
}

fn matches(requirement: &Requirement, labels: &Labels) -> bool {
    holds(requirement, labels.get(&requirement.key).map(String::as_str))
}

fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    match selector {
        LabelSelector::Nothing => false,
        LabelSelector::Matching(all) => all.iter().all(|each| matches(each, labels)),
    }
}

fn suits(placement: &Placement, place: &Place) -> bool {
    let named = |field: &Requirement| {
        let same = place.name.as_deref() == field.values.first().map(String::as_str);
        same == (field.operator == Operator::In)
    };
    let term_suits = |term: &NodeSelectorTerm| {
        !(term.labels.is_empty() && term.fields.is_empty())
            && term.labels.iter().all(|each| matches(each, &place.labels))
            && term.fields.iter().all(named)
    };
    placement.node_selector.iter().all(|(key, value)| place.labels.get(key) == Some(value))
        && placement.node_affinity.as_ref().is_none_or(|terms| terms.iter().any(term_suits))
}

fn tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|each| {
        each.effect.is_none_or(|effect| effect == taint.effect)
            && (each.key.is_empty() || each.key == taint.key)
            && (each.value == TolerationMatch::Exists || each.value == TolerationMatch::Equal(taint.value.clone()))
    })
}

// Through the program

fn node(name: &str, zone: &str, more: &str) -> String {
    format!(
        "---\nkind: Node\nmetadata: {{name: {name}, labels: {{kubernetes.io/hostname: {name}, \
         topology.kubernetes.io/zone: {zone}}}}}\nspec: {{{more}}}\nstatus: {{allocatable: {{cpu: 4, memory: 32Gi, pods: \
         50}}}}\n"
    )
}

/// A Deployment in a file; `spec` are more fields of its pods.
fn deployment(app: &str, replicas: usize, cpu: &str, spec: &str) -> String {
    format!(
        "---\nkind: Deployment\nmetadata: {{name: {app}}}\nspec: {{replicas: {replicas}, template: {{metadata: {{labels: \
         {{app: {app}}}}}, spec: {{{spec} containers: [{{name: c, resources: {{requests: {{cpu: {cpu}, memory: \
         100Mi}}}}}}]}}}}}}\n"
    )
}

fn wish(kind: &str, app: &str, key: &str) -> String {
    let term = format!("{{topologyKey: {key}, labelSelector: {{matchLabels: {{app: {app}}}}}}}");
    format!(
        "affinity: {{{kind}: {{preferredDuringSchedulingIgnoredDuringExecution: [{{weight: 100, podAffinityTerm: \
         {term}}}]}}}},"
    )
}

fn spread_anyway(app: &str, key: &str) -> String {
    format!(
        "topologySpreadConstraints: [{{maxSkew: 1, topologyKey: {key}, whenUnsatisfiable: ScheduleAnyway, labelSelector: \
         {{matchLabels: {{app: {app}}}}}}}],"
    )
}

fn output(objects: &[String], form: &[&str]) -> String {
    let arguments = [&["plan", "-f", "-", "--catalog", "generic"][..], form].concat();
    let outcome = run(&arguments, &[], &objects.concat());
    assert!(matches!(outcome.status, Some(0 | 3)) && !outcome.stderr.contains("bug"), "{outcome:?}");
    outcome.stdout
}

fn document(objects: &[String]) -> Value {
    serde_json::from_str(&output(objects, &["-o", "json"])).unwrap()
}

/// The nodes that pods are said to fit, in the order of their names.
fn nodes_of(document: &Value) -> Vec<&str> {
    document["pods"].as_array().unwrap().iter().map(|pod| pod["node"].as_str().unwrap_or("none")).collect()
}

#[test]
fn of_two_equal_nodes_the_preferred_one_takes_the_pod() {
    let nodes = [node("n1", "a", ""), node("n2", "b", "")];
    let fits = |spec: &str| {
        let plan = document(&[&nodes[..], &[deployment("web", 1, "1", spec)]].concat());
        assert_eq!(plan["totals"]["softRulesViolated"], Value::Null, "{plan:#}");
        nodes_of(&plan).join(" ")
    };
    assert_eq!(fits(""), "n1");
    let in_b = "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: \
                {matchExpressions: [{key: topology.kubernetes.io/zone, operator: In, values: [b]}]}}]}},";
    assert_eq!(fits(in_b), "n2");
    let tainted = node("n1", "a", "taints: [{key: old, effect: PreferNoSchedule}]");
    let plan = document(&[tainted, node("n2", "b", ""), deployment("web", 1, "1", "")]);
    assert_eq!(nodes_of(&plan), ["n2"]);
}

#[test]
fn replicas_spread_over_the_nodes_that_there_are() {
    let nodes = [node("n1", "a", ""), node("n2", "b", "")];
    for spec in [wish("podAntiAffinity", "web", key::HOSTNAME), spread_anyway("web", key::ZONE)] {
        let plan = document(&[&nodes[..], &[deployment("web", 2, "1", &spec)]].concat());
        let mut on = nodes_of(&plan);
        on.sort_unstable();
        assert_eq!(on, ["n1", "n2"], "{spec}");
    }
    let near = wish("podAffinity", "db", key::HOSTNAME);
    let db = deployment("db", 1, "3", "nodeSelector: {kubernetes.io/hostname: n2},");
    let plan = document(&[&nodes[..], &[db, deployment("web", 1, "1", &near)]].concat());
    assert_eq!(nodes_of(&plan), ["n2", "n2"]);
}

#[test]
fn what_cannot_be_met_is_counted_by_kind() {
    let apart = wish("podAntiAffinity", "web", key::HOSTNAME);
    let spec = apart + &spread_anyway("web", key::ZONE) + "nodeSelector: {topology.kubernetes.io/zone: a},";
    let tainted = node("n1", "a", "taints: [{key: old, effect: PreferNoSchedule}]");
    let objects = [tainted, node("n2", "b", ""), deployment("web", 3, "1", &spec)];
    // Zone b is none of those that the pods may be in, so that they are spread as evenly as can be.
    let expected = serde_json::json!({"preferredPodAntiAffinity": 3, "preferNoSchedule": 3});
    assert_eq!(document(&objects)["totals"]["softRulesViolated"], expected);
    let everywhere = spec_in_a_over_all_zones();
    let plan = document(&[node("n1", "a", ""), node("n2", "b", ""), deployment("web", 3, "1", &everywhere)]);
    assert_eq!(plan["totals"]["softRulesViolated"], serde_json::json!({"scheduleAnyway": 3}));
    let table = output(&objects, &[]);
    assert!(table.contains("\nPreferences not met: 3 preferredPodAntiAffinity, 3 preferNoSchedule\n"), "{table}");
    let maps = output(&objects, &["-o", "configmaps"]);
    assert!(maps.contains("\"softRulesViolated\": {"), "{maps}");
}

fn spec_in_a_over_all_zones() -> String {
    spread_anyway("web", key::ZONE).replace("maxSkew: 1,", "maxSkew: 1, nodeAffinityPolicy: Ignore,")
        + "nodeSelector: {topology.kubernetes.io/zone: a},"
}

#[test]
fn equal_pods_on_new_nodes_exchange_them() {
    // Nodes are bought for four pods each; which of them come together is open.
    let apart = |app: &str| wish("podAntiAffinity", app, key::HOSTNAME);
    let objects: Vec<String> =
        ["a", "b", "c", "d", "e"].map(|app| deployment(app, 4, "3", &apart(app))).into_iter().collect();
    let plain: Vec<String> = ["a", "b", "c", "d", "e"].map(|app| deployment(app, 4, "3", "")).into_iter().collect();
    let (soft, hard) = (document(&objects), document(&plain));
    assert_eq!(soft["totals"]["costPerHour"], hard["totals"]["costPerHour"]);
    assert!(soft["nodes"].as_array().unwrap().len() > 1, "{soft:#}");
    let unmet = soft["totals"]["softRulesViolated"]["preferredPodAntiAffinity"].as_u64().unwrap_or(0);
    assert!(unmet < 20, "{soft:#}");
}
