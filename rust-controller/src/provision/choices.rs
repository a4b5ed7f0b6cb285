//! What a `NodePool` may leave to Karpenter to choose: architectures and capacity types that it may have together.
//!
//! A pod that asks for one binds the node that Karpenter is filling to it, and with it all pods that are there already: those
//! that follow would pay for on-demand what they could have as spot. So values are together only where no pod takes one of them
//! without the other. That is asked of all pods of the cluster, be they on nodes or not, and does not depend on what is planned:
//! a `NodePool` keeps its name when other types or offers become the cheapest, and when pods get their nodes.

use std::collections::BTreeSet;

use super::Options;
use crate::feasibility::requirement_matches;
use crate::model::{NodeSelectorTerm, Phase, Placement, Pod, Requirement, key, normalized_key};
use crate::snapshot::Snapshot;

/// Values of a label, each in one set: those that a pool may have together.
type Sets = Vec<BTreeSet<String>>;

/// Sets of values of which a node may have any.
#[derive(Clone, Debug)]
pub(super) struct Choices {
    /// Of those on which pods run that ask for none.
    architectures: Sets,
    /// Of those that may be planned.
    capacity_types: Sets,
}

impl Choices {
    pub(super) fn of(snapshot: &Snapshot, options: &Options) -> Self {
        Self {
            architectures: sets(&options.arch, key::ARCH, snapshot),
            capacity_types: sets(&options.capacity_types, key::CAPACITY_TYPE, snapshot),
        }
    }

    /// This architecture and those that go with it, sorted.
    pub(super) fn architectures<'c>(&'c self, own: &'c str) -> Vec<&'c str> {
        set_of(own, &self.architectures)
    }

    /// This capacity type and those that go with it, sorted.
    pub(super) fn capacity_types<'c>(&'c self, own: &'c str) -> Vec<&'c str> {
        set_of(own, &self.capacity_types)
    }
}

fn set_of<'c>(own: &'c str, sets: &'c Sets) -> Vec<&'c str> {
    let found = sets.iter().find(|set| set.contains(own));
    found.map_or_else(|| vec![own], |set| set.iter().map(String::as_str).collect())
}

/// All values that the options allow, but apart where a pod tells them apart.
fn sets(allowed: &BTreeSet<String>, key: &str, snapshot: &Snapshot) -> Sets {
    let mut sets = vec![allowed.clone()];
    if allowed.len() > 1 {
        for asked in asked_of(key, snapshot) {
            sets = sets.into_iter().flat_map(|set| split(set, &asked)).collect();
        }
    }
    sets
}

/// The values that meet a requirement, and those that do not.
fn split(set: BTreeSet<String>, asked: &Requirement) -> impl Iterator<Item = BTreeSet<String>> {
    let (met, unmet): (BTreeSet<String>, BTreeSet<String>) =
        set.into_iter().partition(|value| requirement_matches(asked, Some(value)));
    [met, unmet].into_iter().filter(|values| !values.is_empty())
}

/// What pods that may need a node some day ask of a label, be it for good or as a wish: Karpenter takes a wish for a rule as
/// long as it can be met.
fn asked_of(key: &str, snapshot: &Snapshot) -> BTreeSet<Requirement> {
    let lasting = |pod: &&Pod| pod.phase != Phase::Finished && !pod.deleting && !pod.ends_with_its_node();
    snapshot.pods().iter().map(|pod| &**pod).filter(lasting).flat_map(|pod| asked_by(pod, key)).collect()
}

fn asked_by(Pod { placement, preferences, .. }: &Pod, key: &str) -> impl Iterator<Item = Requirement> {
    let selected = placement.node_selector.iter().filter(move |(asked, _)| normalized_key(asked) == key);
    let selected = selected.map(|(asked, value)| Requirement::equals(asked, value));
    let preferred = preferences.iter().flat_map(|soft| &soft.node_affinity).map(|preferred| &preferred.term);
    let terms = placement.node_affinity.iter().flatten().chain(preferred);
    let in_terms = terms.flat_map(|term| &term.labels).filter(move |asked| normalized_key(&asked.key) == key);
    selected.chain(in_terms.cloned())
}

/// Whether a pod runs on this architecture: as it asks, or on one of the default ones where it says nothing.
pub(super) fn takes_architecture(pod: &Pod, architecture: &str, by_default: &BTreeSet<String>) -> bool {
    let Placement { node_selector, node_affinity, .. } = &pod.placement;
    let mut selected = node_selector.iter().filter(|(asked, _)| normalized_key(asked) == key::ARCH).peekable();
    let selects = selected.peek().is_some();
    let default = selects || by_default.contains(architecture);
    let takes = |term: &NodeSelectorTerm| {
        let mut asked = term.labels.iter().filter(|asked| normalized_key(&asked.key) == key::ARCH).peekable();
        (default || asked.peek().is_some()) && asked.all(|asked| requirement_matches(asked, Some(architecture)))
    };
    selected.all(|(_, value)| value == architecture)
        && node_affinity.as_ref().map_or(default, |terms| terms.iter().any(takes))
}
