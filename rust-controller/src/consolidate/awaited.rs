//! Pods that come before anything goes: pending ones that fit nodes as they are, and those of nodes that are being
//! deleted.
//!
//! Each has a place at first that was found without a look at what could go. Where that keeps nodes from going, all of them
//! are taken away again and wait [nowhere](Fleet::nowhere) while it is decided what goes and who moves where, themselves
//! included; the new places are taken if that saves more.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::displaced::Displaced;
use super::fleet::{Fleet, Passenger};
use super::replay::Step;
use super::{Keep, NodePlan, Verdict, awaits};
use crate::feasibility::{ClassId, Simulation};
use crate::model::{Pod, PodName};
use crate::provision::OnExisting;

#[derive(Clone)]
pub(super) struct Awaited<'a> {
    /// Pending pods, each with the node on which room is kept for it.
    reserved: Vec<(Passenger<'a>, usize)>,
    /// Pending pods for which there is none, though all of their rules can be checked.
    left_out: Vec<ClassId>,
    pub(super) displaced: Displaced,
}

impl<'a> Awaited<'a> {
    /// Pending pods are on the nodes that they fit, which await them.
    pub(super) fn of(
        OnExisting { fitting, rest }: &OnExisting<'a>,
        simulation: &Simulation,
        plans: &mut [NodePlan],
    ) -> Self {
        let mut reserved = Vec::new();
        for (waiting, name) in fitting {
            if let Ok(node) = plans.binary_search_by(|plan| plan.node.name.cmp(name)) {
                let passenger = Passenger { pod: waiting.pod, class: waiting.class, position: waiting.position };
                reserved.push((passenger, node));
                awaits(&mut plans[node], |pending, _| pending.push(passenger.pod.name.clone()));
            }
        }
        let mut left_out: Vec<ClassId> = rest.iter().map(|waiting| waiting.class).collect();
        left_out.sort_unstable();
        left_out.dedup();
        left_out.retain(|class| simulation.unchecked_rules(*class).is_empty());
        Self { reserved, left_out, displaced: Displaced::default() }
    }

    /// All of them, each with its node.
    fn all<'s>(&'s self, fleet: &'s Fleet<'a>) -> impl Iterator<Item = (Passenger<'a>, usize)> + 's {
        let of_step =
            |step: &'s Step| step.moves.iter().map(|(seat, to)| (fleet.stops[step.node].passengers[*seat], *to));
        self.reserved.iter().copied().chain(self.displaced.steps.iter().flat_map(of_step))
    }

    /// They are nowhere, and no node awaits them.
    pub(super) fn withdraw(&self, fleet: &mut Fleet<'a>, plans: &mut [NodePlan]) {
        let all: Vec<(Passenger<'a>, usize)> = self.all(fleet).collect();
        for (passenger, node) in all.iter().rev() {
            fleet.take(passenger.class, *node);
        }
        fleet.awaited = all.into_iter().map(|(passenger, _)| passenger).collect();
        for plan in plans.iter_mut().filter(|plan| is_awaiting(plan)) {
            plan.verdict = Verdict::Keep(Keep::Blocked);
        }
    }

    /// They are where they were before.
    pub(super) fn come_back(&self, fleet: &mut Fleet<'a>, plans: &mut [NodePlan]) {
        let all: Vec<_> = self.all(fleet).collect();
        for (passenger, node) in all {
            fleet.return_to(passenger.class, node);
        }
        self.note(fleet, plans);
    }

    /// Their places are where this step leads from nowhere, in its order.
    pub(super) fn follow(&mut self, step: &Step, fleet: &mut Fleet<'a>) {
        let mut places: Vec<usize> = vec![0; fleet.awaited.len()];
        let mut turns: BTreeMap<PodName, usize> = BTreeMap::new();
        for (turn, (seat, to)) in step.moves.iter().enumerate() {
            places[*seat] = *to;
            turns.insert(fleet.awaited[*seat].pod.name.clone(), turn);
        }
        let of_moves = self.displaced.steps.iter_mut().flat_map(|step| step.moves.iter_mut().map(|(_, to)| to));
        let all = self.reserved.iter_mut().map(|(_, node)| node).chain(of_moves);
        all.zip(places).for_each(|(node, place)| *node = place);
        self.reserved.sort_by_key(|(passenger, _)| turns.get(&passenger.pod.name));
        self.displaced.order.sort_by_key(|name| turns.get(name));
    }

    /// They come to their places, one by one: pending ones while nodes that are being deleted are still there, then the pods
    /// of these. Where one may not, or another pending pod fits somewhere then, none has come.
    pub(super) fn come(&self, fleet: &mut Fleet<'a>, plans: &mut [NodePlan]) -> bool {
        let leaving: Vec<usize> = self.displaced.steps.iter().map(|step| step.node).collect();
        for node in &leaving {
            fleet.restore(*node);
        }
        let reserved: Vec<_> = self.reserved.iter().map(|(passenger, node)| (passenger.class, *node)).collect();
        let mut come = come_in_order(fleet, &reserved);
        let all_come = come.len() == reserved.len() && !self.leaves_room(fleet, plans);
        for node in &leaving {
            fleet.remove(*node);
        }
        let displaced = if all_come { self.displaced_in_order(fleet) } else { Vec::new() };
        come.extend(come_in_order(fleet, &displaced));
        if all_come && come.len() == reserved.len() + displaced.len() {
            self.note(fleet, plans);
            return true;
        }
        come.iter().rev().for_each(|(class, node)| fleet.take(*class, *node));
        false
    }

    /// Pods of nodes that are being deleted, in the order in which they come.
    fn displaced_in_order(&self, fleet: &Fleet<'a>) -> Vec<(ClassId, usize)> {
        let turns: BTreeMap<&PodName, usize> = self.displaced.order.iter().zip(0..).collect();
        let mut displaced: Vec<(Passenger<'a>, usize)> = self.all(fleet).skip(self.reserved.len()).collect();
        displaced.sort_by_key(|(passenger, _)| turns.get(&passenger.pod.name));
        displaced.into_iter().map(|(passenger, node)| (passenger.class, node)).collect()
    }

    fn note(&self, fleet: &mut Fleet<'a>, plans: &mut [NodePlan]) {
        fleet.awaited.clear();
        for (passenger, node) in &self.reserved {
            awaits(&mut plans[*node], |pending, _| pending.push(passenger.pod.name.clone()));
        }
        self.displaced.note(fleet, plans);
    }

    /// Whether a pending pod for which no room is kept fits some node as it is.
    fn leaves_room(&self, fleet: &Fleet<'_>, plans: &[NodePlan]) -> bool {
        let is_open = |plan: &NodePlan| !plan.node.deleting && plan.verdict != Verdict::Keep(Keep::UnreadablePod);
        let open: Vec<usize> = (0..plans.len()).filter(|node| is_open(&plans[*node])).collect();
        let fits = |class: &ClassId| open.iter().any(|node| fleet.simulation.may_run(*class, fleet.stops[*node].id));
        self.left_out.iter().any(fits)
    }

    /// Pending pods, each with the name of the node on which room is kept for it.
    pub(super) fn reserved(&self, plans: &[NodePlan]) -> Vec<(Arc<Pod>, String)> {
        let named =
            |(passenger, node): &(Passenger<'_>, usize)| (Arc::clone(passenger.pod), plans[*node].node.name.clone());
        self.reserved.iter().map(named).collect()
    }
}

/// Those that come to their nodes before one may not.
fn come_in_order(fleet: &mut Fleet<'_>, places: &[(ClassId, usize)]) -> Vec<(ClassId, usize)> {
    places.iter().copied().take_while(|(class, node)| fleet.place_on(*class, *node)).collect()
}

/// Whether something might go if awaited pods were elsewhere. Not where some have found no place: why they have none is said of the
/// places that the others have.
pub(super) fn hold_nodes_up(plans: &[NodePlan]) -> bool {
    let keeps = |plan: &NodePlan| is_awaiting(plan) && plan.blockers.is_empty();
    let is_stranded = |plan: &NodePlan| plan.stranded.iter().any(|blocker| !blocker.reason.is_final());
    plans.iter().any(keeps) && !plans.iter().any(is_stranded)
}

fn is_awaiting(plan: &NodePlan) -> bool {
    matches!(plan.verdict, Verdict::Keep(Keep::AwaitsPods { .. }))
}
