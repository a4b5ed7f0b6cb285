//! Laws of plans, on random small clusters: what a plan says is what a slow and obvious restatement of the rules says.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/clusters.rs"]
mod clusters;
#[path = "common/plans.rs"]
mod plans;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use clusters::{
    Amounts, Case, accepts, amounts_of, any_case, for_each_case, free_on, has_room, holds, labels_suit, subtract,
};
use mini_karpenter::catalog::builtin;
use mini_karpenter::check::check_plan;
use mini_karpenter::document::{Cost, PlanOutcome, config_maps_yaml, json, node_pools_yaml, plan_config_maps};
use mini_karpenter::lower::parse_manifest;
use mini_karpenter::model::{
    Labels, NodeSelectorTerm, NodeType, Offering, Operator, Phase, Placement, Pod, PodName, Preferences, Requirement,
    SchedulingState, Weighted, key,
};
use mini_karpenter::provision::{self, Options, Plan, Verdict, plan};
use mini_karpenter::units::{Money, Quantity};
use plans::{options, plan_of};
use serde_json::Value;

const CASES: u64 = 450;

/// What the plan says of a pod.
fn verdict_of<'a>(plan: &'a Plan, pod: &PodName) -> Option<&'a Verdict> {
    plan.pods.iter().find(|planned| planned.pod.name == *pod).map(|planned| &planned.verdict)
}

fn is_unschedulable(pod: &Pod) -> bool {
    let by_daemon_set = pod.owner.as_ref().is_some_and(|owner| owner.kind == "DaemonSet");
    let refused = pod.scheduling == SchedulingState::Unschedulable;
    pod.phase == Phase::Pending && refused && !pod.deleting && !by_daemon_set
}

/// The case with this pod as the only one that is unschedulable.
fn alone(case: &Case, pod: &Pod) -> Case {
    let mut case = case.clone();
    case.pods.retain(|other| other.name == pod.name || !is_unschedulable(other));
    case
}

#[test]
fn the_checker_finds_nothing() {
    for_each_case(CASES, any_case, |case, _| {
        let found = check_plan(&case.snapshot(), &case.catalog, &options(case), &plan_of(case));
        found.iter().map(ToString::to_string).collect()
    });
}

/// With soft rules as well, for which pods change their nodes.
#[test]
fn the_checker_finds_nothing_where_each_zone_is_to_have_nodes() {
    for_each_case(CASES, any_case, |case, random| {
        let zone = *random.pick(&["us-east-1a", "us-east-1b"]);
        let wish = Preferences {
            node_affinity: vec![Weighted { weight: 1, term: zone_term(zone) }],
            ..Preferences::default()
        };
        let mut case = case.clone();
        for pod in case.pods.iter_mut().filter(|_| random.chance(30)) {
            Arc::make_mut(pod).preferences = Some(Arc::new(wish.clone()));
        }
        let options = Options { min_nodes_per_zone: 1 + random.below(3), ..options(&case) };
        let plan = plan(&case.snapshot(), &case.catalog, &options);
        check_plan(&case.snapshot(), &case.catalog, &options, &plan).iter().map(ToString::to_string).collect()
    });
}

fn zone_term(zone: &str) -> NodeSelectorTerm {
    NodeSelectorTerm { labels: vec![Requirement::equals(key::ZONE, zone)], fields: Vec::new() }
}

#[test]
fn every_pending_pod_has_one_verdict_and_the_unschedulable_ones_are_planned_for() {
    for_each_case(CASES, any_case, |case, _| {
        let plan = plan_of(case);
        let mut complaints = Vec::new();
        let pending: BTreeSet<&PodName> =
            case.pods.iter().filter(|pod| pod.phase == Phase::Pending).map(|pod| &pod.name).collect();
        let judged: Vec<&PodName> = plan.pods.iter().map(|planned| &planned.pod.name).collect();
        if judged != pending.into_iter().collect::<Vec<_>>() {
            complaints.push(format!("verdicts for {judged:?}"));
        }
        for planned in &plan.pods {
            if is_unschedulable(&planned.pod) == matches!(planned.verdict, Verdict::Ignored(_)) {
                complaints.push(format!("{}: {:?}", planned.pod.name, planned.verdict));
            }
        }
        complaints
    });
}

#[test]
fn a_pod_alone_fits_existing_nodes_exactly_where_a_node_admits_it() {
    for_each_case(CASES, any_case, |case, _| {
        let mut complaints = Vec::new();
        for pod in case.pods.iter().filter(|pod| is_unschedulable(pod)) {
            let plan = plan_of(&alone(case, pod));
            let admitting: BTreeSet<&str> = case
                .nodes
                .iter()
                .filter(|node| !node.deleting)
                .filter(|node| accepts(node, pod) && has_room(&free_on(node, &case.pods), &pod.requests))
                .map(|node| node.name.as_str())
                .collect();
            let agrees = match verdict_of(&plan, &pod.name) {
                Some(Verdict::FitsExisting { node }) => admitting.contains(node.as_str()),
                _ => admitting.is_empty(),
            };
            if !agrees {
                complaints.push(format!("{} fits {admitting:?}: {:?}", pod.name, verdict_of(&plan, &pod.name)));
            }
        }
        complaints
    });
}

/// A way to launch a node for a pod.
struct Way<'a> {
    kind: &'a NodeType,
    offering: &'a Offering,
    waste: f64,
}

impl Way<'_> {
    /// A price that is not known comes after all others.
    fn price(&self) -> (bool, Option<Money>) {
        (self.offering.price_per_hour.is_none(), self.offering.price_per_hour)
    }
}

const WELL_KNOWN: [&str; 7] = [
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "karpenter.sh/capacity-type",
    "node.kubernetes.io/windows-build",
];

const OLD_KEYS: [(&str, &str); 5] = [
    ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
    ("beta.kubernetes.io/os", "kubernetes.io/os"),
    ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
];

/// The name of a node that does not exist yet: none that a pod could ask for.
const NEW_NODE: &str = "a-node-that-nobody-knows-yet";
const NEW_POOL: &str = "a-pool-that-nobody-knows-yet";

fn is_decided_by_the_type(case: &Case, key: &str) -> bool {
    WELL_KNOWN.contains(&key)
        || OLD_KEYS.iter().any(|(old, _)| *old == key)
        || key.starts_with("karpenter.k8s.aws/")
        || case.catalog.types.iter().any(|kind| kind.labels.contains_key(key))
}

fn is_restricted(key: &str) -> bool {
    let domain = key.split('/').next().filter(|_| key.contains('/')).unwrap_or("");
    ["kubernetes.io", "k8s.io", "karpenter.sh"]
        .iter()
        .any(|restricted| domain == *restricted || domain.ends_with(&format!(".{restricted}")))
}

/// Labels of a node of this type as it joins, but for those that its `NodePool` gives it.
fn joined(kind: &NodeType, offering: &Offering) -> Labels {
    let mut labels = kind.labels.clone();
    let mut set = |key: &str, value: &str| labels.insert(key.to_owned(), value.to_owned());
    set("kubernetes.io/hostname", NEW_NODE);
    set("karpenter.sh/nodepool", NEW_POOL);
    set("node.kubernetes.io/instance-type", &kind.name);
    set("topology.kubernetes.io/zone", &offering.zone);
    set("karpenter.sh/capacity-type", &offering.capacity_type);
    for (old, stable) in OLD_KEYS {
        if let Some(value) = labels.get(stable).cloned() {
            labels.insert(old.to_owned(), value);
        }
    }
    labels
}

fn allowed(case: &Case) -> Vec<(&NodeType, &Offering)> {
    let types = case.catalog.types.iter().filter(|kind| !case.excluded_types.contains(&kind.name));
    let offerings = types.flat_map(|kind| kind.offerings.iter().map(move |offering| (kind, offering)));
    offerings.filter(|(_, offering)| case.capacity_types.contains(&offering.capacity_type)).collect()
}

/// Alternatives of a placement, each as all its requirements on labels and on the name.
fn alternatives(placement: &Placement) -> Vec<NodeSelectorTerm> {
    let selected = || {
        placement.node_selector.iter().map(|(key, value)| Requirement {
            key: key.clone(),
            operator: Operator::In,
            values: vec![value.clone()],
        })
    };
    let Some(terms) = &placement.node_affinity else {
        return vec![NodeSelectorTerm { labels: selected().collect(), fields: Vec::new() }];
    };
    let terms = terms.iter().filter(|term| !(term.labels.is_empty() && term.fields.is_empty()));
    terms
        .map(|term| NodeSelectorTerm {
            labels: selected().chain(term.labels.iter().cloned()).collect(),
            fields: term.fields.clone(),
        })
        .collect()
}

/// Labels that a `NodePool` must add so that all requirements on labels of one's own hold; `None` where no labels do.
/// Only a label that must be there is added. Which of several values it has makes no difference here.
fn own_labels(case: &Case, requirements: &[Requirement]) -> Option<Labels> {
    let mut values: Vec<String> = (-20..20).map(|number: i32| number.to_string()).collect();
    values.extend(requirements.iter().flat_map(|requirement| requirement.values.iter().cloned()));
    values.push("something-else".to_owned());
    let mut labels = Labels::new();
    for requirement in requirements {
        let key = &requirement.key;
        if is_decided_by_the_type(case, key) || [key::HOSTNAME, key::NODE_POOL].contains(&key.as_str()) {
            continue;
        }
        let all_hold = |value: Option<&str>| {
            requirements.iter().filter(|other| other.key == *key).all(|requirement| holds(requirement, value))
        };
        if all_hold(None) {
            continue;
        }
        let value = values.iter().find(|value| !value.starts_with('-') && all_hold(Some(value)))?;
        if is_restricted(key) {
            return None;
        }
        labels.insert(key.clone(), value.clone());
    }
    Some(labels)
}

/// Unless the pod says something about the architecture or the system, that of most nodes, and Linux.
fn suits_defaults(case: &Case, requirements: &[Requirement], labels: &Labels) -> bool {
    let unsaid = |keys: [&str; 2]| requirements.iter().all(|requirement| !keys.contains(&requirement.key.as_str()));
    let count = |arch: &str| case.nodes.iter().filter(|node| node.labels["kubernetes.io/arch"] == arch).count();
    let most = if count("arm64") > count("amd64") { "arm64" } else { "amd64" };
    let arch = &labels["kubernetes.io/arch"];
    let of_most = if case.arch.is_empty() { arch == most } else { case.arch.contains(arch) };
    (of_most || !unsaid(["kubernetes.io/arch", "beta.kubernetes.io/arch"]))
        && (labels["kubernetes.io/os"] == "linux" || !unsaid(["kubernetes.io/os", "beta.kubernetes.io/os"]))
}

/// One pod of each `DaemonSet`, without the name of the node that it was pinned to.
fn daemons(case: &Case) -> Vec<Pod> {
    let mut of_set: BTreeMap<String, Pod> = BTreeMap::new();
    for pod in case.pods.iter().filter(|pod| !pod.deleting) {
        let Some(owner) = pod.owner.as_ref().filter(|owner| owner.kind == "DaemonSet") else { continue };
        let mut template = Pod::clone(pod);
        let pinned = template.placement.node_affinity.as_mut().unwrap().first_mut().unwrap();
        pinned.fields.clear();
        if pinned.labels.is_empty() {
            template.placement.node_affinity = None;
        }
        of_set.insert(owner.name.clone(), template);
    }
    of_set.into_values().collect()
}

/// What daemon pods would take on such a node.
fn taken_by_daemons(case: &Case, labels: &Labels) -> Vec<Pod> {
    daemons(case).into_iter().filter(|daemon| labels_suit(&daemon.placement, NEW_NODE, labels)).collect()
}

/// Every node that could be launched for the pod.
fn ways<'a>(case: &'a Case, pod: &Pod) -> Vec<Way<'a>> {
    let mut ways = Vec::new();
    for term in alternatives(&pod.placement) {
        let Some(own) = own_labels(case, &term.labels) else { continue };
        for (kind, offering) in allowed(case) {
            let mut labels = joined(kind, offering);
            labels.extend(own.clone());
            let placement = Placement { node_affinity: Some(vec![term.clone()]), ..Placement::default() };
            let suits = term == NodeSelectorTerm::default() || labels_suit(&placement, NEW_NODE, &labels);
            if !suits || !suits_defaults(case, &term.labels, &labels) {
                continue;
            }
            let mut free = amounts_of(&kind.allocatable);
            for daemon in taken_by_daemons(case, &labels) {
                subtract(&mut free, &daemon.requests);
            }
            if has_room(&free, &pod.requests) {
                subtract(&mut free, &pod.requests);
                ways.push(Way { kind, offering, waste: waste(kind, &free) });
            }
        }
    }
    ways
}

/// The documented formula: the mean over CPU, memory and each extended resource of what is left of it.
fn waste(kind: &NodeType, left: &Amounts) -> f64 {
    let allocatable = amounts_of(&kind.allocatable);
    let counted = allocatable
        .iter()
        .filter(|(name, amount)| **amount > 0 && !["pods", "ephemeral-storage"].contains(&name.as_str()));
    #[expect(clippy::cast_precision_loss, reason = "small amounts")]
    let shares: Vec<f64> = counted.map(|(name, amount)| left[name].max(0) as f64 / *amount as f64).collect();
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let count = shares.len() as f64;
    shares.iter().sum::<f64>() / count
}

/// Waste is counted in whole millionths.
const ROUNDING: f64 = 2e-6;

#[test]
fn a_pod_is_unplaceable_exactly_where_no_type_in_any_offering_admits_it() {
    let (mut placed, mut unplaceable) = (0, 0);
    for_each_case(CASES, any_case, |case, _| {
        let mut complaints = Vec::new();
        for planned in &plan_of(case).pods {
            let ways = ways(case, &planned.pod);
            let agrees = match &planned.verdict {
                Verdict::Planned { .. } => !ways.is_empty(),
                Verdict::Unplaceable(_) => ways.is_empty(),
                Verdict::FitsExisting { .. } | Verdict::Ignored(_) => true,
            };
            placed += u32::from(matches!(planned.verdict, Verdict::Planned { .. }));
            unplaceable += u32::from(matches!(planned.verdict, Verdict::Unplaceable(_)));
            if !agrees {
                let types: Vec<_> = ways.iter().map(|way| (&way.kind.name, way.offering)).collect();
                complaints.push(format!("{}: {:?}, could be {types:?}", planned.pod.name, planned.verdict));
            }
        }
        complaints
    });
    assert!(placed > 300 && unplaceable > 300, "the cases say little: {placed} placed, {unplaceable} not");
}

#[test]
fn the_type_is_the_one_with_the_least_waste_then_the_least_price_then_the_first_name() {
    for_each_case(CASES, any_case, |case, _| {
        let mut complaints = Vec::new();
        let (snapshot, options) = (case.snapshot(), options(case));
        let plan = plan_of(case);
        let planned = plan.pods.iter().filter(|planned| matches!(planned.verdict, Verdict::Planned { .. }));
        let choices =
            provision::alone(&snapshot, &case.catalog, &options, planned.clone().map(|planned| &*planned.pod));
        for planned in planned {
            let best = &choices[&planned.pod.name].best;
            let mut complain = |why: String| {
                let (name, kind, zone) = (&planned.pod.name, &best.instance_type, &best.zone);
                complaints.push(format!("{name} on {kind} in {zone}: {why}"));
            };
            let ways = ways(case, &planned.pod);
            let same = |way: &&Way<'_>| {
                (&way.kind.name, &way.offering.zone, &way.offering.capacity_type)
                    == (&best.instance_type, &best.zone, &best.capacity_type)
            };
            let chosen = ways.iter().filter(same).min_by(|left, right| left.waste.total_cmp(&right.waste));
            let Some(chosen) = chosen else {
                complain("does not fit".to_owned());
                continue;
            };
            #[expect(clippy::cast_precision_loss, reason = "at most a million")]
            let said = best.score.waste_millionths as f64 / 1e6;
            if (said - chosen.waste).abs() > ROUNDING {
                complain(format!("says {said} waste, and it is {}", chosen.waste));
            }
            for other in &ways {
                let order = |way: &Way<'_>| (way.price(), way.kind.name.clone(), way.offering.zone.clone());
                let equal = (other.waste - chosen.waste).abs() < 1e-12;
                if other.waste < chosen.waste - ROUNDING || (equal && order(other) < order(chosen)) {
                    complain(format!("{} in {} is better", other.kind.name, other.offering.zone));
                }
            }
        }
        complaints
    });
}

#[test]
fn a_planned_node_holds_its_pods_and_the_daemon_pods_that_come() {
    for_each_case(CASES, any_case, |case, _| {
        let plan = plan_of(case);
        let mut complaints = Vec::new();
        for node in &plan.nodes {
            let kind = case.catalog.types.iter().find(|kind| kind.name == node.instance_type).unwrap();
            let same =
                |offering: &&Offering| offering.zone == node.zone && offering.capacity_type == node.capacity_type;
            let mut labels = joined(kind, kind.offerings.iter().find(same).unwrap());
            labels.extend(plan.pools[&node.pool].labels.clone());
            let mut free = amounts_of(&kind.allocatable);
            for daemon in taken_by_daemons(case, &labels) {
                subtract(&mut free, &daemon.requests);
            }
            for name in &node.pods {
                let pod = case.pods.iter().find(|pod| pod.name == *name).unwrap();
                if !labels_suit(&pod.placement, NEW_NODE, &labels) || !has_room(&free, &pod.requests) {
                    complaints.push(format!("{name} does not run on {}", node.name));
                }
                subtract(&mut free, &pod.requests);
            }
        }
        complaints
    });
}

fn documents(case: &Case) -> (String, String) {
    let (snapshot, options) = (case.snapshot(), options(case));
    let plan = plan(&snapshot, &case.catalog, &options);
    let outcome = PlanOutcome {
        plan: &plan,
        catalog: &case.catalog,
        allocatable_seen: &[],
        options: &options,
        alone: provision::alone(&snapshot, &case.catalog, &options, plan.pods.iter().map(|planned| &*planned.pod)),
        skipped: snapshot.skipped(),
        unread_kinds: Vec::new(),
        cost_now: Cost::now(&snapshot, &case.catalog),
    };
    let maps = plan_config_maps(&outcome, usize::MAX);
    (json(&outcome.document(Duration::ZERO)), config_maps_yaml(&maps, "aula07"))
}

#[test]
fn the_same_objects_in_any_order_give_the_same_bytes() {
    for_each_case(CASES / 3, any_case, |case, random| {
        let expected = documents(case);
        let agree = (0..3).all(|_| documents(&case.shuffled(random)) == expected);
        if agree { Vec::new() } else { vec!["another order, another document".to_owned()] }
    });
}

#[test]
fn without_one_pod_no_other_planned_pod_becomes_unplaceable() {
    for_each_case(CASES / 3, any_case, |case, _| {
        let before = plan_of(case);
        let mut complaints = Vec::new();
        for removed in 0..case.pods.len() {
            let mut fewer = case.clone();
            let gone: Arc<Pod> = fewer.pods.remove(removed);
            let after = plan_of(&fewer);
            for planned in before.pods.iter().filter(|planned| matches!(planned.verdict, Verdict::Planned { .. })) {
                if matches!(verdict_of(&after, &planned.pod.name), Some(Verdict::Unplaceable(_))) {
                    complaints.push(format!("without {}, {} is unplaceable", gone.name, planned.pod.name));
                }
            }
        }
        complaints
    });
}

#[test]
fn the_lower_bound_is_below_the_cost_and_its_certificate_verifies() {
    let mut bounds = 0;
    for_each_case(CASES, any_case, |case, _| {
        let document: Value = serde_json::from_str(&documents(case).0).unwrap();
        let mut complaints = Vec::new();
        let Some(lower) = document["totals"]["lowerBoundPerHour"].as_f64() else {
            if !document["certificate"].is_null() {
                complaints.push("a certificate without a bound".to_owned());
            }
            return complaints;
        };
        bounds += 1;
        let cost = document["totals"]["costPerHour"].as_f64();
        if cost.is_some_and(|cost| lower > cost) {
            complaints.push(format!("the bound {lower} is above the cost {cost:?}"));
        }
        let certificate = &document["certificate"];
        let per_node = certificate["perNode"].as_f64().unwrap();
        let value_of = |amounts: &Amounts| -> f64 {
            let per_resource = certificate["perResource"].as_object().unwrap();
            let worth = |(name, price): (&String, &Value)| {
                #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
                let amount = amounts.get(name).copied().unwrap_or(0) as f64;
                price.as_f64().unwrap() * if name == "cpu" { amount / 1000.0 } else { amount }
            };
            per_resource.iter().map(worth).sum()
        };
        let may_hold =
            |kind: &NodeType| certificate["nodeTypes"].as_array().unwrap().iter().any(|name| *name == *kind.name);
        let surcharges: Vec<&Value> = certificate["surcharges"].as_array().into_iter().flatten().collect();
        for (kind, offering) in allowed(case).into_iter().filter(|(kind, _)| may_hold(kind)) {
            let price = offering.price_per_hour.map(Money::units);
            let mut room = amounts_of(&kind.allocatable);
            for daemon in taken_by_daemons(case, &joined(kind, offering)) {
                subtract(&mut room, &daemon.requests);
            }
            let large: f64 = surcharges.iter().map(|surcharge| most_value(surcharge, &room)).sum();
            let value = value_of(&room) + per_node + large;
            if price.is_none_or(|price| value > price) {
                complaints.push(format!("{} in {}: {value} is above {price:?}", kind.name, offering.zone));
            }
        }
        let planned = document["pods"].as_array().unwrap().iter().filter(|pod| pod["verdict"] == "planned");
        let pod = |entry: &Value| case.pods.iter().find(|pod| entry["pod"] == pod.name.to_string()).unwrap();
        let planned: Vec<&Arc<Pod>> = planned.map(pod).collect();
        let mut demand = Amounts::new();
        for (name, amount) in planned.iter().flat_map(|pod| amounts_of(&pod.requests)) {
            *demand.entry(name).or_default() += amount;
        }
        let fewest_nodes = match certificate["apartBy"].as_str() {
            Some(label) => values_asked_for(&planned, label),
            None if demand.is_empty() => 0,
            None => 1,
        };
        if certificate["fewestNodes"] != fewest_nodes {
            complaints.push(format!("{fewest_nodes} nodes are needed, and its certificate says {certificate}"));
        }
        let fewest_nodes = f64::from(fewest_nodes);
        let of_large = |surcharge: &&Value| surcharge["perPod"].as_f64().unwrap() * surcharge["pods"].as_f64().unwrap();
        let dual = value_of(&demand) + per_node * fewest_nodes + surcharges.iter().map(of_large).sum::<f64>();
        if lower > dual + 1e-12 || lower < dual * (1.0 - 1e-6) {
            complaints.push(format!("the bound is {lower}, and its certificate says {dual}"));
        }
        complaints
    });
    assert!(bounds > 100, "the cases say little: {bounds} bounds");
}

/// How many values pods ask for of a node label.
fn values_asked_for(pods: &[&Arc<Pod>], label: &str) -> u32 {
    let of_term = |pod: &Pod| match pod.placement.node_affinity.as_deref() {
        Some([term]) => {
            let asked = term
                .labels
                .iter()
                .find(|asked| asked.key == label && asked.operator == Operator::In && asked.values.len() == 1);
            asked.map(|asked| asked.values[0].clone())
        }
        _ => None,
    };
    let value = |pod: &&Arc<Pod>| pod.placement.node_selector.get(label).cloned().or_else(|| of_term(pod));
    let values: BTreeSet<String> = pods.iter().filter_map(value).collect();
    u32::try_from(values.len()).unwrap()
}

/// What a node with this room offers of large pods, at their price.
fn most_value(surcharge: &Value, room: &Amounts) -> f64 {
    let fitting = |(resource, at_least): (&String, &Value)| {
        let at_least: Quantity = at_least.as_str().unwrap().parse().unwrap();
        let at_least = if resource == "cpu" { at_least.thousandths() } else { at_least.units() };
        room.get(resource).map_or(0, |room| (*room).max(0) / i128::from(at_least))
    };
    let fitting = surcharge["atLeast"].as_object().unwrap().iter().map(fitting).min().unwrap();
    let most = if surcharge["apartLike"].is_null() { fitting } else { fitting.min(1) };
    #[expect(clippy::cast_precision_loss, reason = "a handful of pods")]
    let most = most as f64;
    surcharge["perPod"].as_f64().unwrap() * most
}

#[test]
fn a_node_pool_makes_the_planned_nodes_and_says_nothing_that_karpenter_refuses() {
    for_each_case(CASES, any_case, |case, _| {
        let plan = plan_of(case);
        let document: Value = serde_json::from_str(&documents(case).0).unwrap();
        let pools = document["nodePools"].as_array().unwrap();
        let mut complaints = Vec::new();
        for pool in pools {
            let template = &pool["spec"]["template"];
            for key in template["metadata"]["labels"].as_object().into_iter().flat_map(serde_json::Map::keys) {
                if is_restricted(key) || is_decided_by_the_type(case, key) {
                    complaints.push(format!("{} sets the label {key}", pool["metadata"]["name"]));
                }
            }
        }
        for node in &plan.nodes {
            let Some(pool) = pools.iter().find(|pool| pool["metadata"]["name"] == node.pool) else {
                complaints.push(format!("{} has no NodePool", node.name));
                continue;
            };
            let kind = case.catalog.types.iter().find(|kind| kind.name == node.instance_type).unwrap();
            let same =
                |offering: &&Offering| offering.zone == node.zone && offering.capacity_type == node.capacity_type;
            let labels = joined(kind, kind.offerings.iter().find(same).unwrap());
            for each in pool["spec"]["template"]["spec"]["requirements"].as_array().unwrap() {
                let requirement = requirement_of(each);
                let known = is_decided_by_the_type(case, &requirement.key)
                    && OLD_KEYS.iter().all(|(old, _)| *old != requirement.key);
                if !known || !holds(&requirement, labels.get(&requirement.key).map(String::as_str)) {
                    complaints.push(format!("{} does not come from its NodePool: {each}", node.name));
                }
            }
        }
        complaints
    });
}

fn requirement_of(value: &Value) -> Requirement {
    let operator = match value["operator"].as_str().unwrap() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::Gt,
        "Lt" => Operator::Lt,
        other => panic!("operator {other}"),
    };
    let values = value["values"].as_array().into_iter().flatten().map(|value| value.as_str().unwrap().to_owned());
    Requirement { key: value["key"].as_str().unwrap().to_owned(), operator, values: values.collect() }
}

fn in_its_own_words(text: &str) -> Case {
    let manifest = parse_manifest(text).unwrap();
    Case {
        catalog: builtin("generic").unwrap(),
        capacity_types: BTreeSet::from(["on-demand".to_owned()]),
        arch: BTreeSet::new(),
        excluded_types: Vec::new(),
        nodes: manifest.nodes,
        pods: manifest.pods,
    }
}

fn pod_with(name: &str, spec: &str) -> String {
    format!("---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: c}}], {spec}}}\n")
}

fn affinity(term: &str) -> String {
    format!(
        "affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{term}]}}}}}}"
    )
}

/// Verdicts as words, by pod name.
fn words(case: &Case) -> Vec<String> {
    let word = |verdict: &Verdict| match verdict {
        Verdict::Planned { .. } => "planned",
        Verdict::FitsExisting { .. } => "fitsExisting",
        Verdict::Unplaceable(_) => "unplaceable",
        Verdict::Ignored(_) => "ignored",
    };
    plan_of(case).pods.iter().map(|planned| format!("{} {}", planned.pod.name, word(&planned.verdict))).collect()
}

/// A pod that asks for what no plan can promise is unplaceable, or fine; it never takes the whole plan with it.
#[test]
fn no_pod_can_make_a_plan_that_does_not_pass_its_check() {
    let other_name = affinity("{matchFields: [{key: metadata.name, operator: NotIn, values: [planned-0001]}]}");
    let other_host =
        affinity("{matchExpressions: [{key: kubernetes.io/hostname, operator: NotIn, values: [planned-0001]}]}");
    let nameless = affinity("{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [\"\"]}]}");
    let complaints: Vec<String> = ["nodeSelector: {kubernetes.io/hostname: \"\"}", &nameless, &other_name, &other_host]
        .into_iter()
        .flat_map(|spec| {
            let case = in_its_own_words(&(pod_with("p", spec) + &pod_with("q", "")));
            check_plan(&case.snapshot(), &case.catalog, &options(&case), &plan_of(&case))
        })
        .map(|violation| violation.to_string())
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// No node has an empty name, so a pod that asks for it has nowhere to go.
#[test]
fn a_pod_that_asks_for_an_empty_host_name_is_unplaceable() {
    let case = in_its_own_words(&pod_with("p", "nodeSelector: {kubernetes.io/hostname: \"\"}"));
    assert_eq!(words(&case), ["default/p unplaceable"]);
}

/// Every node that Karpenter makes carries the name of its `NodePool`. Karpenter's own pods ask for its absence, so
/// that they never run on nodes that Karpenter makes.
#[test]
fn a_planned_node_carries_the_label_of_its_node_pool() {
    let on_pool = |operator: &str| {
        let term = format!("{{matchExpressions: [{{key: karpenter.sh/nodepool, operator: {operator}}}]}}");
        words(&in_its_own_words(&pod_with("p", &affinity(&term)))).remove(0)
    };
    let verdicts = [on_pool("DoesNotExist"), on_pool("Exists"), on_pool("NotIn, values: [other]")];
    assert_eq!(verdicts, ["default/p unplaceable", "default/p planned", "default/p planned"]);
}

const DAEMON: &str = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: NAME, namespace: kube-system, ownerReferences: [{apiVersion: apps/v1, \
                      kind: DaemonSet, name: ds, uid: u, controller: true}]}\nspec: {nodeName: n, nodeSelector: {SELECTOR}, \
                      containers: [{name: c, resources: {requests: {REQUESTS}}}]}\nstatus: {phase: Running}\n";

fn daemon(name: &str, selector: &str, requests: &str) -> String {
    DAEMON.replace("NAME", name).replace("SELECTOR", selector).replace("REQUESTS", requests)
}

fn daemon_requests(case: &Case) -> String {
    let plan = plan_of(case);
    let requests = &plan.nodes[0].daemon_requests;
    format!("{} {}", requests.cpu, requests.memory)
}

/// Kubelets set the old keys on every node, so a `DaemonSet` that selects by them runs on new nodes too.
#[test]
fn a_daemon_set_that_selects_by_an_old_key_takes_its_share_of_a_planned_node() {
    for selector in ["kubernetes.io/os: linux", "beta.kubernetes.io/os: linux", "beta.kubernetes.io/arch: amd64"] {
        let case = in_its_own_words(&(daemon("d", selector, "cpu: 500m") + &pod_with("p", "")));
        assert_eq!(daemon_requests(&case), "500m 0", "{selector}");
    }
}

/// During a rollout both versions run. Room for the larger of each resource is enough whichever comes.
#[test]
fn of_two_versions_of_a_daemon_set_the_larger_of_each_resource_counts() {
    let old = daemon("old", "", "cpu: 500m, memory: 64Mi");
    let new = daemon("new", "", "cpu: 100m, memory: 1Gi");
    let case = in_its_own_words(&(old + &new + &pod_with("p", "")));
    assert_eq!(daemon_requests(&case), "500m 1Gi");
}

/// A pod may have the very name that another one's hash gives it: `a/web` becomes `plan-web-e813ae4d`.
#[test]
fn no_two_config_maps_share_a_name() {
    let pod = |namespace: &str, name: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{containers: []}}\n"
        )
    };
    let case = in_its_own_words(&(pod("a", "web") + &pod("b", "web") + &pod("c", "web-e813ae4d")));
    let maps = documents(&case).1;
    let mut names: Vec<&str> = maps.lines().filter(|line| line.starts_with("  name: ")).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "{names:?}");
}

/// What YAML 1.1 takes for a boolean, a number or nothing, `kubectl apply` would refuse as a label.
#[test]
fn label_values_and_keys_in_a_node_pool_are_always_text() {
    for word in [
        "", "y", "n", "yes", "No", "ON", "off", "true", "False", "null", "5", "017", "0o17", "0x1F", "0b11", "1_000",
        "1e3", "12E03", "1.5", "NaN",
    ] {
        let selector = |key: &str, value: &str| format!("nodeSelector: {{{key:?}: {value:?}}}");
        let as_value = plan_of(&in_its_own_words(&pod_with("p", &selector("team", word))));
        let as_value = node_pools_yaml(as_value.pools.values());
        assert!(as_value.contains(&format!("team: {word:?}\n")), "{as_value}");
        if word.is_empty() {
            continue;
        }
        let as_key = plan_of(&in_its_own_words(&pod_with("p", &selector(word, "x"))));
        let as_key = node_pools_yaml(as_key.pools.values());
        assert!(as_key.contains(&format!("{word:?}: x\n")), "{as_key}");
    }
}

/// A plan changes when its pod does, not when a node elsewhere comes or goes with its share of a `DaemonSet`.
#[test]
fn a_plan_does_not_name_pods_that_come_and_go_with_their_nodes() {
    let with_daemon = |name: &str| {
        let case = in_its_own_words(&(daemon(name, "", "cpu: 100m") + &pod_with("p", "")));
        documents(&case).1
    };
    let (before, after) = (with_daemon("agent-x7k2p"), with_daemon("agent-b9f4d"));
    let differing = before.lines().zip(after.lines()).find(|(before, after)| before != after);
    assert!(differing.is_none(), "{differing:#?}");
}
