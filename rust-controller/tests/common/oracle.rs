//! Where a pod may run, as the filter plugins of the kube-scheduler of Kubernetes 1.36 decide it: each rule stated once
//! more, slowly, from the bare lists of objects, and apart from the program's own.

mod volumes;

use std::collections::{BTreeMap, BTreeSet};

use mini_karpenter::model::{
    AffinityTerm, HostPort, LabelSelector, Labels, Node, NodeSelectorTerm, Operator, Phase, Placement, Pod,
    Requirement, SchedulingState, SpreadConstraint, Taint, TaintEffect, Toleration, TolerationMatch,
};

use crate::scenes::Scene;

pub(crate) use volumes::bindings;

/// The scheduler plugins that refuse nodes, in the order in which the scheduler asks them.
pub(crate) const RULES: [&str; 13] = [
    "NodeUnschedulable",
    "NodeName",
    "TaintToleration",
    "NodeAffinity",
    "NodePorts",
    "NodeResourcesFit",
    "VolumeRestrictions",
    "NodeVolumeLimits",
    "VolumeBinding",
    "VolumeZone",
    "PodTopologySpread",
    "InterPodAffinity",
    "DynamicResources",
];

/// The plugins that refuse the node, each asked alone.
pub(crate) fn refusing_rules(scene: &Scene, pod: &Pod, node: &Node) -> BTreeSet<&'static str> {
    RULES.into_iter().filter(|rule| refuses(rule, scene, pod, node)).collect()
}

fn refuses(rule: &str, scene: &Scene, pod: &Pod, node: &Node) -> bool {
    let placement = &pod.placement;
    match rule {
        "NodeUnschedulable" => node.unschedulable && !tolerated(&cordon(), &placement.tolerations),
        "NodeName" => placement.node_name.as_ref().is_some_and(|name| *name != node.name),
        "TaintToleration" => !taints_tolerated(placement, node),
        "NodeAffinity" => !labels_suit(placement, node),
        "NodePorts" => {
            let taken = || pods_on(scene, node).flat_map(|other| &other.host_ports);
            pod.host_ports.iter().any(|wanted| taken().any(|port| ports_conflict(wanted, port)))
        }
        "NodeResourcesFit" => !has_room(scene, pod, node),
        "VolumeRestrictions" => volumes::are_restricted(scene, pod, node),
        "NodeVolumeLimits" => volumes::exceed_limits(scene, pod, node),
        "VolumeBinding" => bindings(scene, pod, node).is_none(),
        "VolumeZone" => volumes::are_in_another_zone(scene, pod, node),
        "PodTopologySpread" => would_skew(scene, pod, node),
        "InterPodAffinity" => dislikes_neighbours(scene, pod, node),
        "DynamicResources" => pod.claims_devices,
        other => panic!("rule {other}"),
    }
}

/// The node that a pod takes room on: its own, or the one that is being cleared for it.
fn node_of(pod: &Pod) -> Option<&str> {
    match &pod.scheduling {
        SchedulingState::Bound(node) | SchedulingState::Nominated(node) if pod.phase != Phase::Finished => Some(node),
        _ => None,
    }
}

/// The pods that take room on a node, those that are being deleted included.
fn pods_on<'a>(scene: &'a Scene, node: &'a Node) -> impl Iterator<Item = &'a Pod> {
    scene.pods.iter().map(AsRef::as_ref).filter(|pod| node_of(pod) == Some(&node.name))
}

/// The pods that take room on any node there is, each with its node.
fn neighbours(scene: &Scene) -> impl Iterator<Item = (&Pod, &Node)> {
    scene.nodes.iter().flat_map(|node| pods_on(scene, node).map(move |pod| (pod, node.as_ref())))
}

// Labels and selectors

fn holds(requirement: &Requirement, value: Option<&str>) -> bool {
    let Requirement { key: _, operator, values } = requirement;
    let listed = value.is_some_and(|value| values.iter().any(|each| each == value));
    let compared = match (value, &values[..]) {
        (Some(value), [bound]) => value.parse::<i64>().ok().zip(bound.parse::<i64>().ok()),
        _ => None,
    };
    match operator {
        Operator::In => listed,
        Operator::NotIn => !listed,
        Operator::Exists => value.is_some(),
        Operator::DoesNotExist => value.is_none(),
        Operator::Gt => compared.is_some_and(|(value, bound)| value > bound),
        Operator::Lt => compared.is_some_and(|(value, bound)| value < bound),
    }
}

fn all_hold(requirements: &[Requirement], labels: &Labels) -> bool {
    requirements.iter().all(|each| holds(each, labels.get(&each.key).map(String::as_str)))
}

fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    match selector {
        LabelSelector::Nothing => false,
        LabelSelector::Matching(requirements) => all_hold(requirements, labels),
    }
}

/// Whether labels, and a name where there is one, are what a term asks for. A term that asks for nothing suits nobody;
/// one that asks only for fields suits everything that has no name.
fn term_suits(term: &NodeSelectorTerm, labels: &Labels, name: Option<&str>) -> bool {
    let NodeSelectorTerm { labels: wanted, fields } = term;
    let has_fields = |name: &str| fields.iter().all(|field| holds(field, Some(name)));
    !(wanted.is_empty() && fields.is_empty()) && all_hold(wanted, labels) && name.is_none_or(has_fields)
}

fn labels_suit(placement: &Placement, node: &Node) -> bool {
    let selected = placement.node_selector.iter().all(|(key, value)| node.labels.get(key) == Some(value));
    let suits = |term: &NodeSelectorTerm| term_suits(term, &node.labels, Some(&node.name));
    selected && placement.node_affinity.as_ref().is_none_or(|terms| terms.iter().any(suits))
}

// Taints

fn cordon() -> Taint {
    Taint { key: "node.kubernetes.io/unschedulable".to_owned(), value: String::new(), effect: TaintEffect::NoSchedule }
}

fn tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    tolerations.iter().any(|toleration| {
        let same_effect = toleration.effect.is_none_or(|effect| effect == taint.effect);
        let same_key = toleration.key.is_empty() || toleration.key == taint.key;
        let same_value = match &toleration.value {
            TolerationMatch::Exists => true,
            TolerationMatch::Equal(value) => *value == taint.value,
        };
        same_effect && same_key && same_value
    })
}

fn taints_tolerated(placement: &Placement, node: &Node) -> bool {
    let wish = |taint: &Taint| taint.effect == TaintEffect::PreferNoSchedule;
    node.taints.iter().all(|taint| wish(taint) || tolerated(taint, &placement.tolerations))
}

// Ports and room

/// The only address that stands for others is `0.0.0.0`: `::` is an address like any other.
fn ports_conflict(one: &HostPort, other: &HostPort) -> bool {
    let every = "0.0.0.0";
    let same_address = one.ip == other.ip || one.ip == every || other.ip == every;
    one.protocol == other.protocol && one.port == other.port && same_address
}

fn has_room(scene: &Scene, pod: &Pod, node: &Node) -> bool {
    let others: Vec<&Pod> = pods_on(scene, node).collect();
    let enough = |(name, wanted): (&str, u64)| {
        let used: u64 = others.iter().map(|other| other.requests.amount(name)).sum();
        wanted == 0 || used + wanted <= node.allocatable.amount(name)
    };
    let slot_left = (others.len() as u64) < node.allocatable.pods;
    slot_left && pod.requests.amounts().filter(|(name, _)| *name != "pods").all(enough)
}

// Spread

/// The domains of a constraint are the values of its key on the nodes that have the keys of all the pod's constraints
/// and that the constraint's policies do not leave out. A domain counts the pods on those nodes alone.
fn would_skew(scene: &Scene, pod: &Pod, node: &Node) -> bool {
    let constraints = &pod.neighbours.spread;
    let has_all_keys = |node: &Node| constraints.iter().all(|each| node.labels.contains_key(&each.topology_key));
    constraints.iter().any(|constraint| {
        let Some(here) = node.labels.get(&constraint.topology_key) else { return true };
        let mut count_by_domain = BTreeMap::<&str, usize>::new();
        for candidate in scene.nodes.iter().filter(|node| has_all_keys(node) && is_counted(constraint, pod, node)) {
            let counted = pods_on(scene, candidate).filter(|other| counts(constraint, pod, other)).count();
            *count_by_domain.entry(&candidate.labels[&constraint.topology_key]).or_default() += counted;
        }
        let least = count_by_domain.values().min().copied().unwrap_or(0);
        let least = if count_by_domain.len() < constraint.min_domains as usize { 0 } else { least };
        let others = count_by_domain.get(here.as_str()).copied().unwrap_or(0);
        let itself = usize::from(selects(&constraint.selector, &pod.labels));
        others + itself > least + constraint.max_skew as usize
    })
}

fn is_counted(constraint: &SpreadConstraint, pod: &Pod, node: &Node) -> bool {
    (!constraint.honors_node_affinity || labels_suit(&pod.placement, node))
        && (!constraint.honors_node_taints || taints_tolerated(&pod.placement, node))
}

/// A selector of everything finds no pod here, though it does find the pod that asks.
fn counts(constraint: &SpreadConstraint, pod: &Pod, other: &Pod) -> bool {
    let everything = constraint.selector == LabelSelector::Matching(Vec::new());
    !everything
        && !other.deleting
        && other.name.namespace == pod.name.namespace
        && selects(&constraint.selector, &other.labels)
}

// Pod affinity

fn dislikes_neighbours(scene: &Scene, pod: &Pod, node: &Node) -> bool {
    let disliked_there = neighbours(scene).any(|(other, on)| {
        let hit = |term: &AffinityTerm| is_meant_by_other(scene, term, pod) && are_near(&term.topology_key, on, node);
        other.neighbours.anti_affinity.iter().any(hit)
    });
    let dislikes_others = neighbours(scene).any(|(other, on)| {
        let hit = |term: &AffinityTerm| is_meant_by_asker(scene, term, other) && are_near(&term.topology_key, on, node);
        pod.neighbours.anti_affinity.iter().any(hit)
    });
    disliked_there || dislikes_others || !is_near_what_it_wants(scene, pod, node)
}

/// Near pods of which each is meant by all terms, though not for every term near the same one. Where no such pod is on
/// a node with any of the keys, the pod may be the first of its kind.
fn is_near_what_it_wants(scene: &Scene, pod: &Pod, node: &Node) -> bool {
    let terms = &pod.neighbours.affinity;
    let is_meant = |other: &Pod| terms.iter().all(|term| is_meant_by_asker(scene, term, other));
    let wanted: Vec<&Node> = neighbours(scene).filter(|(other, _)| is_meant(other)).map(|(_, on)| on).collect();
    let near = |term: &AffinityTerm| wanted.iter().any(|on| are_near(&term.topology_key, on, node));
    let has_a_key = |node: &&Node| terms.iter().any(|term| node.labels.contains_key(&term.topology_key));
    let first_of_its_kind = || !wanted.iter().any(has_a_key) && is_meant(pod);
    terms.iter().all(|term| node.labels.contains_key(&term.topology_key))
        && (terms.iter().all(near) || first_of_its_kind())
}

fn are_near(topology_key: &str, one: &Node, other: &Node) -> bool {
    let value = one.labels.get(topology_key);
    value.is_some() && value == other.labels.get(topology_key)
}

/// Whether a term of a pod that is there already means the pod that asks. A namespace that is not listed has no labels.
fn is_meant_by_other(scene: &Scene, term: &AffinityTerm, pod: &Pod) -> bool {
    let namespace = &pod.name.namespace;
    let labels = scene.namespaces.get(namespace).map(|labels| labels.as_ref().clone()).unwrap_or_default();
    (term.namespaces.contains(namespace) || selects(&term.namespace_selector, &labels))
        && selects(&term.selector, &pod.labels)
}

/// Whether a term of the pod that asks means another. The scheduler adds the listed namespaces that the namespace
/// selector finds to those that are named; it then holds the selector against no labels at all, too, so that one that
/// only asks for absence means every namespace.
fn is_meant_by_asker(scene: &Scene, term: &AffinityTerm, other: &Pod) -> bool {
    let namespace = &other.name.namespace;
    let found = scene.namespaces.get(namespace).is_some_and(|labels| selects(&term.namespace_selector, labels));
    (term.namespaces.contains(namespace) || found || selects(&term.namespace_selector, &Labels::new()))
        && selects(&term.selector, &other.labels)
}
