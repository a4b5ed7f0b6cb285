//! How many nodes pods need because some of them cannot share one.

use std::collections::{BTreeMap, BTreeSet};

use super::bound::Held;
use super::existing::Waiting;
use crate::feasibility::{ClassId, Seat, Simulation};
use crate::model::{Operator, Placement, PodName, key};

/// Why pods need several nodes.
pub(super) enum WhyApart {
    /// They keep each other off their host, or out of their zone, like this one.
    Like(PodName),
    /// They ask for different values of the label with this key.
    By(String),
}

/// Pods that need a host each: all of a group, but one of those that share a host already, whatever the rules say now.
pub(super) struct Apart<'p> {
    pub(super) held: Held<'p>,
    pub(super) nodes: u64,
    /// One of them.
    pub(super) like: &'p PodName,
}

impl<'p> Apart<'p> {
    /// Those that need the most nodes; `None` where no rule asks for more than one.
    ///
    /// Pods that keep each other out of a zone need a node each, too, where all nodes are new, for these have zones; one that is
    /// there may have none.
    pub(super) fn most(held: &Held<'p>, all_are_new: bool, simulation: &Simulation) -> Option<Self> {
        let mut groups: BTreeMap<Seat, Vec<ClassId>> = BTreeMap::new();
        for class in held.keys() {
            let on_hosts = simulation.seats(*class).into_iter().map(|(seat, _)| seat);
            let in_zones = all_are_new.then(|| simulation.apart_by(*class, key::ZONE).map(Seat::Apart));
            for seat in on_hosts.chain(in_zones.into_iter().flatten()).filter(|seat| is_certain(seat, simulation)) {
                groups.entry(seat).or_default().push(*class);
            }
        }
        let groups = groups.into_values().filter_map(|classes| Self::of(&classes, held));
        groups.filter(|group| group.nodes > 1).reduce(|most, group| if group.nodes > most.nodes { group } else { most })
    }

    fn of(classes: &[ClassId], all: &Held<'p>) -> Option<Self> {
        let mut hosts = BTreeSet::new();
        let mut held = Held::new();
        for class in classes {
            let pods = all.get(class).into_iter().flatten().copied();
            let apart = pods.filter(|waiting| waiting.pod.occupied_node().is_none_or(|host| hosts.insert(host)));
            held.insert(*class, apart.collect());
        }
        let like = held.values().flatten().map(|waiting| &waiting.pod.name).min()?;
        let nodes = held.values().map(|pods| pods.len() as u64).sum();
        Some(Self { held, nodes, like })
    }
}

/// Whether pods that take such a seat need a host each. Those that spread over hosts may share one where no other host counts;
/// and where nobody could read which namespaces a term speaks of, it may keep nobody apart.
fn is_certain(seat: &Seat, simulation: &Simulation) -> bool {
    match seat {
        Seat::Apart(term) => simulation.is_known(*term),
        Seat::Spread(_) => false,
        Seat::Port(_) => true,
    }
}

/// The key of the node label of which pods ask for the most values, and for how many: a node has one of them. `None` where that
/// is one at most.
pub(super) fn most_values(held: &Held<'_>, simulation: &Simulation) -> Option<(String, u64)> {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (class, pods) in held {
        // One that runs where it would not be sent any more may stay there, beside those that are.
        let obeys = |waiting: &&&Waiting<'_>| {
            let host = waiting.pod.occupied_node().map(|name| simulation.node(name));
            host.is_none_or(|host| host.is_some_and(|host| simulation.admits(*class, host)))
        };
        if let Some(waiting) = pods.iter().find(obeys) {
            for (key, value) in asked_for(&waiting.pod.placement) {
                values.entry(key).or_default().insert(value);
            }
        }
    }
    let counted = values.into_iter().map(|(key, values)| (key, values.len() as u64)).filter(|(_, count)| *count > 1);
    let most = counted.reduce(|most, other| if other.1 > most.1 { other } else { most });
    most.map(|(key, count)| (key.to_owned(), count))
}

/// Labels of which a pod asks for one value.
fn asked_for(placement: &Placement) -> impl Iterator<Item = (&str, &str)> {
    let only_term = placement.node_affinity.as_deref().filter(|terms| terms.len() == 1).into_iter().flatten();
    let required = only_term.flat_map(|term| &term.labels).filter(|required| required.operator == Operator::In);
    let of_term = required.filter_map(|required| match required.values.as_slice() {
        [value] => Some((required.key.as_str(), value.as_str())),
        _ => None,
    });
    placement.node_selector.iter().map(|(key, value)| (key.as_str(), value.as_str())).chain(of_term)
}
