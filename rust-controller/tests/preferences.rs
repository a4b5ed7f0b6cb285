//! Laws of soft rules, on random clusters: they never veto and never cost anything, they decide where there is a choice, and
//! those that are not met are counted.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/clusters.rs"]
#[expect(dead_code, reason = "laws of whole plans use the rest")]
mod clusters;
#[path = "common/plans.rs"]
mod plans;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clusters::{Case, Random, any_case, for_each_case, holds};
use mini_karpenter::check::check_plan;
use mini_karpenter::feasibility::Unmet;
use mini_karpenter::model::{
    AffinityTerm, LabelSelector, Labels, NodeSelectorTerm, Offering, Operator, Phase, Placement, Pod, PodName,
    Preferences, Requirement, Resources, SchedulingState, SpreadConstraint, Taint, TaintEffect, Toleration,
    TolerationMatch, Weighted, key,
};
use mini_karpenter::provision::{Plan, Verdict, plan_within};
use mini_karpenter::units::Money;
use plans::{options, plan_of};

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
        namespaces: BTreeSet::from([(*random.pick(&["x", "x", "y", "kube-system"])).to_owned()]),
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

/// A cluster whose pods have labels, some of them hard rules about others, and many of them soft rules. In half of them zones
/// are at one price.
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
    if random.chance(50) {
        offer_at_one_price(&mut case);
    }
    case
}

/// Every type is to be had in every zone, and its price follows from its cores.
fn offer_at_one_price(case: &mut Case) {
    for kind in &mut case.catalog.types {
        let price = Money::nanos(kind.allocatable.cpu.get().div_ceil(1000) * 50_000_000);
        let offering = |zone: &str, capacity_type: &str| Offering {
            zone: zone.to_owned(),
            capacity_type: capacity_type.to_owned(),
            price_per_hour: Some(price),
        };
        let in_zone = |zone| [offering(zone, "on-demand"), offering(zone, "spot")];
        kind.offerings = ["us-east-1a", "us-east-1b", "us-east-1c"].into_iter().flat_map(in_zone).collect();
    }
}

fn without_preferences(case: &Case) -> Case {
    let mut case = case.clone();
    case.pods.iter_mut().for_each(|pod| Arc::make_mut(pod).preferences = None);
    for node in &mut case.nodes {
        Arc::make_mut(node).taints.retain(|taint| taint.effect != TaintEffect::PreferNoSchedule);
    }
    case
}

/// Each pod with its verdict in a word, and each node with its price.
type Outcome = (Vec<(PodName, &'static str)>, Vec<Priced>);

type Priced = (String, Option<Money>);

fn outcome(plan: &Plan) -> Outcome {
    let word = |verdict: &Verdict| match verdict {
        Verdict::Planned { .. } => "planned",
        Verdict::FitsExisting { .. } => "fitsExisting",
        Verdict::Unplaceable(_) => "unplaceable",
        Verdict::Ignored(_) => "ignored",
    };
    let pods = plan.pods.iter().map(|planned| (planned.pod.name.clone(), word(&planned.verdict)));
    let nodes = plan.nodes.iter().map(|node| (node.name.clone(), node.price_per_hour));
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

/// Planned nodes are launched otherwise at the end, unless the time is up by then: the same plan without that.
#[test]
fn nodes_launched_otherwise_cost_the_same_and_meet_no_less() {
    let (mut elsewhere, mut met) = (0, 0);
    for_each_case(2 * CASES, soft_case, |case, _| {
        let snapshot = case.snapshot();
        let asked = Cell::new(0);
        let plan_until = |last: usize| {
            asked.set(0);
            let time_is_up = || asked.replace(asked.get() + 1) + 1 >= last;
            plan_within(&snapshot, &case.catalog, &options(case), &time_is_up)
        };
        let with = plan_until(usize::MAX);
        let cares = |pod: &Pod| pod.preferences.is_some();
        let is_planned = |verdict: &Verdict| matches!(verdict, Verdict::Planned { .. });
        if !with.pods.iter().any(|planned| is_planned(&planned.verdict) && cares(&planned.pod)) {
            return Vec::new();
        }
        let without = plan_until(asked.get());
        let (after, before) = (recount(case, &with).weight, recount(case, &without).weight);
        elsewhere += usize::from(launches_of(&with) != launches_of(&without));
        met += usize::from(after < before);
        let mut complaints: Vec<String> =
            check_plan(&snapshot, &case.catalog, &options(case), &with).iter().map(ToString::to_string).collect();
        if outcome(&with) != outcome(&without) || after > before {
            complaints.push(format!("{after} and {:#?}, {before} and {:#?}", outcome(&with), outcome(&without)));
        }
        complaints
    });
    assert!(elsewhere > 25 && met > 25, "the cases say little: {elsewhere} plans differ, and {met} meet more");
}

/// Each node's type, zone and capacity type.
fn launches_of(plan: &Plan) -> Vec<[&String; 3]> {
    plan.nodes.iter().map(|node| [&node.instance_type, &node.zone, &node.capacity_type]).collect()
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
    let sets = daemon_sets(&case.pods);
    let mut daemons: Vec<(&Pod, usize)> = Vec::new();
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
        let place = Place { name: None, labels, taints: Vec::new() };
        daemons.extend(sets.iter().filter(|pod| suits(&pod.placement, &place)).map(|pod| (pod, places.len())));
        places.push(place);
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
        .chain(daemons)
        .collect();
    let new = there.iter().filter(|(pod, _)| of_plan.contains_key(&pod.name));
    new.map(|(pod, place)| unmet(pod, *place, &places, &there)).sum()
}

/// The first pod of each `DaemonSet`, as if it were for any node.
fn daemon_sets(pods: &[Arc<Pod>]) -> Vec<Pod> {
    let mut sets: BTreeMap<(&str, &str), &Pod> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| pod.is_daemon() && !pod.deleting) {
        let first = sets.entry((&pod.name.namespace, &pod.owner.as_ref().unwrap().name)).or_insert(pod);
        if pod.name < first.name {
            *first = pod;
        }
    }
    let for_any_node = |pod: &Pod| {
        let mut pod = pod.clone();
        let terms = pod.placement.node_affinity.iter_mut().flatten();
        terms.for_each(|term| term.fields.clear());
        let empty = NodeSelectorTerm::default();
        pod.placement.node_affinity = pod.placement.node_affinity.filter(|terms| !terms.contains(&empty));
        pod
    };
    sets.into_values().map(for_any_node).collect()
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
