//! Why nodes stay: all that keeps each of them, as things are once everything else is done.
//!
//! A node is emptied in vain: pods that the plan sends there go elsewhere first, then its own, and those without a place are
//! named beside those that must not be evicted. So whoever solves one of its problems knows the others.

use std::collections::{BTreeMap, BTreeSet};

use super::fleet::{Fleet, Passenger};
use super::refused::{Refusals, Refused};
use super::replay::Step;
use super::{BlockReason, Blocker, Keep, Last, NodePlan, Receives, Verdict, WhyKept, is_candidate};
use crate::feasibility::ClassId;
use crate::provision::place_until_nothing_changes;

/// Nodes are asked about pods so often at most; what is not asked by then is said to be unasked.
const MOST_ASKED: u64 = 8_000_000;

/// Says of each node that stays, where it might go if it were not for its pods, what keeps it. Those that are underutilized
/// come first, as far as asking goes.
pub(super) fn explain(fleet: &mut Fleet<'_>, plans: &mut [NodePlan], steps: &[Step]) {
    explain_within(MOST_ASKED, fleet, plans, steps);
}

fn explain_within(most_asked: u64, fleet: &mut Fleet<'_>, plans: &mut [NodePlan], steps: &[Step]) {
    let gone: BTreeSet<usize> = steps.iter().map(|step| step.node).collect();
    let coming = Coming::of(fleet, steps);
    let mut order: Vec<usize> =
        (0..plans.len()).filter(|node| !gone.contains(node) && has_a_say(&plans[*node])).collect();
    order.sort_by_key(|node| (!plans[*node].has_suggestion(), *node));
    let most = fleet.asked + most_asked;
    let mut refusals = Refusals::default();
    for node in order {
        let guests = coming.to(node);
        let is_candidate = is_candidate(&plans[node]);
        let last = (is_candidate && fleet.are_last(&[node])).then(|| last_of(fleet, node));
        let stuck = (last.is_none() && fleet.asked < most).then(|| {
            let own = passengers_to_ask(fleet, node, &plans[node].blockers);
            empty_in_vain(fleet, node, (guests, &own), &mut refusals)
        });
        let why = match (&stuck, last) {
            (_, Some(last)) => WhyKept::LastNode(last),
            (None, None) => WhyKept::Unasked,
            (Some(stuck), None) => match stuck.guests + stuck.own.len() {
                0 => WhyKept::NoPlanFound,
                count => WhyKept::WithoutPlace(count),
            },
        };
        let plan = &mut plans[node];
        plan.unasked = last.is_none() && stuck.is_none();
        plan.blockers.extend(stuck.into_iter().flat_map(|stuck| stuck.own));
        if is_candidate && !guests.is_empty() {
            let from = coming.senders(node).map(|sender| plans[sender].node.name.clone()).collect();
            let own = fleet.stops[node].passengers.len();
            plans[node].verdict = Verdict::Keep(Keep::ReceivesPods(Receives { from, pods: guests.len(), own, why }));
        } else if let Some(last) = last {
            plan.verdict = Verdict::Keep(Keep::LastNode(last));
        }
    }
}

fn last_of(fleet: &Fleet<'_>, node: usize) -> Last {
    if fleet.others_take_pods(node) { Last::Untainted } else { Last::TakingPods }
}

/// Whether its pods have a say in what becomes of a node.
pub(super) fn has_a_say(plan: &NodePlan) -> bool {
    let Verdict::Keep(keep) = &plan.verdict else { return false };
    match keep {
        Keep::Blocked | Keep::Cordoned | Keep::DoNotDisrupt(_) | Keep::AwaitsPods { .. } | Keep::ReceivesPods(_) => {
            true
        }
        Keep::ControlPlane
        | Keep::NotReady
        | Keep::Deleting
        | Keep::NoAllocatable
        | Keep::UnreadablePod
        | Keep::LastNode(_) => false,
    }
}

/// The pods that removals send to each node.
struct Coming {
    classes: BTreeMap<usize, Vec<ClassId>>,
    senders: BTreeMap<usize, BTreeSet<usize>>,
}

impl Coming {
    fn of(fleet: &Fleet<'_>, steps: &[Step]) -> Self {
        let (mut classes, mut senders) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, BTreeSet<_>>::new());
        for Step { node, moves } in steps {
            for (seat, to) in moves {
                classes.entry(*to).or_default().push(fleet.stops[*node].passengers[*seat].class);
                senders.entry(*to).or_default().insert(*node);
            }
        }
        Self { classes, senders }
    }

    fn to(&self, node: usize) -> &[ClassId] {
        self.classes.get(&node).map_or(&[], Vec::as_slice)
    }

    fn senders(&self, node: usize) -> impl Iterator<Item = usize> {
        self.senders.get(&node).into_iter().flatten().copied()
    }
}

/// Pods of a node that would need another place, by their position: all but those that have none whatever happens.
fn passengers_to_ask(fleet: &Fleet<'_>, node: usize, blockers: &[Blocker]) -> Vec<usize> {
    let never = |blocker: &&Blocker| blocker.reason.is_final();
    let never: BTreeSet<_> = blockers.iter().filter(never).map(|blocker| &blocker.pod).collect();
    let passengers = &fleet.stops[node].passengers;
    (0..passengers.len()).filter(|seat| !never.contains(&passengers[*seat].pod.name)).collect()
}

/// Pods without a place.
struct Stuck {
    /// How many of those that the plan sends to the node.
    guests: usize,
    own: Vec<Blocker>,
}

/// Sends the guests of a node elsewhere, then its own pods, and says who finds no place. The fleet is left as it was.
fn empty_in_vain(
    fleet: &mut Fleet<'_>,
    node: usize,
    (guests, own): (&[ClassId], &[usize]),
    refusals: &mut Refusals,
) -> Stuck {
    for class in guests {
        fleet.take(*class, node);
    }
    fleet.remove(node);
    let class_of = |fleet: &Fleet<'_>, seat: usize| fleet.stops[node].passengers[seat].class;
    let mut waiting: Vec<(Option<usize>, ClassId)> = guests.iter().map(|class| (None, *class)).collect();
    waiting.extend(own.iter().map(|seat| (Some(*seat), class_of(fleet, *seat))));
    let mut placed = Vec::new();
    place_until_nothing_changes(&mut waiting, |(_, class)| {
        let destination = fleet.place(*class);
        placed.extend(destination.map(|destination| (*class, destination)));
        destination.is_some()
    });
    let stuck: Vec<usize> = waiting.iter().filter_map(|(seat, _)| *seat).collect();
    let (ruled, plain): (Vec<usize>, Vec<usize>) =
        stuck.into_iter().partition(|seat| fleet.simulation.depends_on_others(class_of(fleet, *seat)));
    // What others decide is asked twice: where they would be, and where they are.
    let beside: Vec<Refused> = ruled.iter().map(|seat| Refused::of(fleet, class_of(fleet, *seat))).collect();
    let reasons = ruled.iter().zip(beside).map(|(seat, beside)| beside.reason(fleet, class_of(fleet, *seat)));
    let reasons: Vec<BlockReason> = reasons.collect();
    for (class, destination) in placed.iter().rev() {
        fleet.take(*class, *destination);
    }
    let mut blockers = Vec::new();
    for (seat, beside) in ruled.into_iter().zip(reasons) {
        let Passenger { pod, class } = fleet.stops[node].passengers[seat];
        let alone = Refused::of(fleet, class);
        let reason = if alone.has_takers() { alone.reason(fleet, class) } else { beside };
        blockers.push(Blocker { pod: pod.name.clone(), reason });
    }
    fleet.restore(node);
    for class in guests {
        fleet.return_to(*class, node);
    }
    for seat in plain {
        let passenger = fleet.stops[node].passengers[seat];
        blockers.push(refusals.blocker(fleet, node, passenger));
    }
    blockers.sort_by(|left, right| left.pod.cmp(&right.pod));
    Stuck { guests: waiting.iter().filter(|(seat, _)| seat.is_none()).count(), own: blockers }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;
    use crate::consolidate::Options;
    use crate::consolidate::candidates::survey;
    use crate::consolidate::evictions::Evictions;
    use crate::feasibility::Simulation;
    use crate::lower;

    const TWO_FULL_NODES: &str = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Node, metadata: {name: a}, status: {allocatable: &all {cpu: 2, memory: 1Gi, pods: 9}}}
- {apiVersion: v1, kind: Node, metadata: {name: b}, status: {allocatable: *all}}
- {apiVersion: v1, kind: Pod, metadata: &owned {name: p, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: r, uid: u,
  controller: true}]}, spec: {nodeName: a, containers: [{name: c, resources: {requests: {cpu: 2}}}]}, status: {phase: Running}}
- {apiVersion: v1, kind: Pod, metadata: {<<: *owned, name: q}, spec: {nodeName: b, containers: [{name: c, resources: {requests: {cpu: 100m}}}]},
  status: {phase: Running}}
";

    /// How many pods block each node, and whether there may be more, where so many nodes are asked at most.
    fn blockers(most_asked: u64) -> Vec<(usize, bool)> {
        let snapshot = lower::parse_manifest(TWO_FULL_NODES).unwrap().into_snapshot();
        let by_node = snapshot.pods_by_node();
        let catalog = catalog::builtin("generic").unwrap();
        let mut plans = survey(&snapshot, &by_node, &Evictions::of(&snapshot), &catalog, &Options::default());
        let pods_on = |node: &str| by_node.get(node).map_or(&[][..], Vec::as_slice);
        let simulation = Simulation::of(&snapshot);
        let mut fleet = Fleet::of(simulation, &plans, &pods_on, &snapshot.unreadable_nodes());
        explain_within(most_asked, &mut fleet, &mut plans, &[]);
        plans.iter().map(|plan| (plan.blockers.len(), plan.unasked)).collect()
    }

    #[test]
    fn where_asking_would_take_too_long_underutilized_nodes_come_first_and_the_others_say_so() {
        assert_eq!(blockers(MOST_ASKED), [(1, false), (1, false)]);
        assert_eq!(blockers(1), [(0, true), (1, false)]);
        assert_eq!(blockers(0), [(0, true), (0, true)]);
    }
}
