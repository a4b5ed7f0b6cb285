//! Why a node stays, node by node: for each pod that finds no place, what every other node says.

use super::emptied::Emptied;
use super::fleet::{Fleet, Passenger};
use super::reasons::{has_a_say, passengers_to_ask};
use super::{Consolidation, NodePlan, Receives, WhyKept, displaced};
use crate::feasibility::{ClassId, NodeId, Refusal, Simulation};
use crate::model::{Pod, PodName};
use crate::snapshot::Snapshot;

/// A pod that finds no place on any other node that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The pod.
    pub pod: PodName,
    /// Each node, with the first rule that refuses; the nearest node first.
    pub refusals: Vec<(String, Refusal)>,
}

/// What keeps pods of a node from moving, and those that the plan sends there from going elsewhere, once everything that the
/// plan removes is gone and all others have moved: its own, then those that are sent there. The same pods that its plan names
/// and counts.
#[must_use]
pub fn obstacles(snapshot: &Snapshot, consolidation: &Consolidation, plan: &NodePlan) -> Vec<Obstacle> {
    let is_last = matches!(plan.receives, Some(Receives { why: WhyKept::LastNode(_), .. }));
    if !has_a_say(plan) || is_last {
        return Vec::new();
    }
    let number = number_in(&consolidation.nodes);
    let Some(node) = number(&plan.node.name) else { return Vec::new() };
    let mut fleet = after(snapshot, consolidation);
    let to_node =
        removals(consolidation).flat_map(|other| &other.moves).filter(|each| each.destination == plan.node.name);
    let class = |pod: &Pod| fleet.simulation.class_of(&pod.name);
    let guests: Vec<(&PodName, ClassId)> =
        to_node.filter_map(|each| Some((&each.pod.name, class(&each.pod)?))).collect();
    let own = passengers_to_ask(&fleet, node, &plan.blockers).into_iter();
    let own: Vec<(&PodName, ClassId)> = own
        .map(|seat| fleet.stops[node].passengers[seat])
        .map(|Passenger { pod, class, .. }| (&pod.name, class))
        .collect();
    let classes = |pods: &[(&PodName, ClassId)]| pods.iter().map(|(_, class)| *class).collect::<Vec<_>>();
    let emptied = Emptied::of(&mut fleet, node, &classes(&guests), &classes(&own));
    let mut stuck: Vec<(bool, &PodName, ClassId)> = emptied
        .stuck()
        .filter_map(|mover| {
            let (name, class) = guests.iter().chain(&own).nth(mover)?;
            Some((mover < guests.len(), *name, *class))
        })
        .collect();
    stuck.sort_unstable();
    let open = fleet.order().iter().filter(|node| fleet.takes_pods(**node)).map(|node| fleet.stops[*node].id);
    let open: Vec<NodeId> = open.collect();
    let refusals = |class: ClassId| fleet.simulation.refusals_by_node(class, &open);
    stuck.into_iter().map(|(_, pod, class)| Obstacle { pod: pod.clone(), refusals: refusals(class) }).collect()
}

/// The nodes that go, in their order.
fn removals(consolidation: &Consolidation) -> impl Iterator<Item = &NodePlan> {
    let number = number_in(&consolidation.nodes);
    consolidation.removals.iter().filter_map(move |name| Some(&consolidation.nodes[number(name)?]))
}

/// Finds nodes by name.
fn number_in(plans: &[NodePlan]) -> impl Fn(&str) -> Option<usize> {
    |name| plans.binary_search_by(|plan| plan.node.name.as_str().cmp(name)).ok()
}

/// The cluster after the removals of a plan.
fn after<'a>(snapshot: &'a Snapshot, consolidation: &Consolidation) -> Fleet<'a> {
    let mut simulation = Simulation::of(snapshot);
    for (pod, node) in &consolidation.reserved {
        if let Some((class, node)) = simulation.class_of(&pod.name).zip(simulation.node(node)) {
            simulation.place(class, node);
        }
    }
    let mut fleet = Fleet::of(simulation, &consolidation.nodes, snapshot);
    let number = number_in(&consolidation.nodes);
    displaced::redo(&mut fleet, consolidation, &number);
    for plan in removals(consolidation) {
        if let Some(node) = number(&plan.node.name) {
            fleet.remove(node);
        }
        for each in &plan.moves {
            if let Some((class, to)) = fleet.simulation.class_of(&each.pod.name).zip(number(&each.destination)) {
                fleet.return_to(class, to);
            }
        }
    }
    fleet.send_by_preference();
    fleet
}
