//! Pods of nodes that are being deleted: they need other places soon, so room is kept for them before anything goes.
//!
//! Nobody decides about these nodes any more; they count as gone. A pod for which there is no room is named and blocks
//! nothing: it is a pod that will be pending, and `plan` finds a node for it then.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::fleet::Fleet;
use super::refused::Refusals;
use super::replay::Step;
use super::{BlockReason, Blocker, Consolidation, NodePlan, awaits, is_candidate};
use crate::model::{PodName, SchedulingState};
use crate::provision::place_until_nothing_changes;

/// Where pods of nodes that are being deleted go.
#[derive(Clone, Default)]
pub(super) struct Displaced {
    /// By node.
    pub(super) steps: Vec<Step>,
    /// The pods, in an order in which each finds its place.
    pub(super) order: Vec<PodName>,
}

/// Takes the nodes that are being deleted out of the fleet and sends their pods elsewhere, those of higher priority first: to
/// nodes that stay anyway, else to the fullest of those that might go, which then stay, and to the control plane last. Pods
/// that find no place are written into the plans of their nodes.
pub(super) fn keep_room(fleet: &mut Fleet<'_>, plans: &mut [NodePlan]) -> Displaced {
    let leaving: Vec<usize> = (0..plans.len()).filter(|node| plans[*node].node.deleting).collect();
    if leaving.is_empty() {
        fleet.close_control_plane();
        return Displaced::default();
    }
    for node in &leaving {
        fleet.remove(*node);
    }
    let mut by_preference: Vec<usize> = (0..plans.len()).collect();
    by_preference.sort_by_key(|node| {
        let (is_last_resort, room) = fleet.preference(*node);
        (is_last_resort, is_candidate(&plans[*node]), room, *node)
    });
    fleet.send_in_order(by_preference);

    let mut moves: BTreeMap<usize, Vec<(usize, usize)>> = leaving.iter().map(|node| (*node, Vec::new())).collect();
    let mut order = Vec::new();
    let mut waiting = waiting(fleet, &leaving, plans);
    place_until_nothing_changes(&mut waiting, |(node, seat)| {
        let Some(destination) = fleet.place(fleet.stops[*node].passengers[*seat].class) else { return false };
        moves.entry(*node).or_default().push((*seat, destination));
        order.push(seat_name(fleet, *node, *seat));
        true
    });
    let mut refusals = Refusals::default();
    for (node, seat) in waiting {
        let passenger = fleet.stops[node].passengers[seat];
        plans[node].stranded.push(refusals.blocker(fleet, node, passenger));
    }
    for node in leaving {
        plans[node].stranded.sort_by(|left, right| left.pod.cmp(&right.pod));
    }
    fleet.send_by_preference();
    fleet.close_control_plane();
    let steps: Vec<Step> = moves.into_iter().map(|(node, moves)| Step { node, moves }).collect();
    let displaced = Displaced { steps, order };
    displaced.note(fleet, plans);
    displaced
}

impl Displaced {
    /// The nodes to which they go await them.
    pub(super) fn note(&self, fleet: &Fleet<'_>, plans: &mut [NodePlan]) {
        for Step { node, moves } in &self.steps {
            for (seat, to) in moves {
                awaits(&mut plans[*to], |_, displaced| displaced.push(seat_name(fleet, *node, *seat)));
            }
        }
    }
}

/// As a consolidation says, of a fleet that may have more nodes; `number` finds them by name.
pub(super) fn redo(fleet: &mut Fleet<'_>, consolidation: &Consolidation, number: &dyn Fn(&str) -> Option<usize>) {
    let leaving = || consolidation.nodes.iter().filter(|plan| plan.node.deleting);
    leaving().filter_map(|plan| number(&plan.node.name)).for_each(|node| fleet.remove(node));
    for each in leaving().flat_map(|plan| &plan.moves) {
        if let Some((class, to)) = fleet.simulation.class_of(&each.pod.name).zip(number(&each.destination)) {
            fleet.return_to(class, to);
        }
    }
    fleet.close_control_plane();
}

fn seat_name(fleet: &Fleet<'_>, node: usize, seat: usize) -> PodName {
    fleet.stops[node].passengers[seat].pod.name.clone()
}

/// The pods that need another place, each with its node; what nobody would make again is stranded.
fn waiting(fleet: &Fleet<'_>, leaving: &[usize], plans: &mut [NodePlan]) -> Vec<(usize, usize)> {
    let mut waiting = Vec::new();
    for node in leaving {
        for (seat, passenger) in fleet.stops[*node].passengers.iter().enumerate() {
            let is_lost =
                passenger.pod.owner.is_none() && matches!(passenger.pod.scheduling, SchedulingState::Bound(_));
            if is_lost {
                let (pod, reason) = (passenger.pod.name.clone(), BlockReason::NoController);
                plans[*node].stranded.push(Blocker { pod, reason });
            } else {
                waiting.push((*node, seat));
            }
        }
    }
    waiting.sort_by_cached_key(|(node, seat)| {
        let passenger = fleet.stops[*node].passengers[*seat];
        (Reverse(passenger.pod.priority), fleet.size(passenger.class), passenger.position)
    });
    waiting
}
