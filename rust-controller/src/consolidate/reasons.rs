//! Why nodes stay: all that keeps each of them, as things are once everything else is done.
//!
//! A node is emptied in vain: pods that the plan sends there go elsewhere, and its own, and those without a place are named beside
//! those that must not be evicted. So whoever solves one of its problems knows the others.

use std::collections::{BTreeMap, BTreeSet};

use super::emptied::Emptied;
use super::fleet::{Fleet, Passenger};
use super::refused::{Refusals, Refused};
use super::replay::Step;
use super::{Blocker, Keep, Last, NodePlan, Receives, Verdict, WhyKept, is_candidate};
use crate::feasibility::ClassId;

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
    fleet.send_by_preference();
    for node in order {
        let guests = coming.to(node);
        let is_candidate = is_candidate(&plans[node]);
        let last = (is_candidate && fleet.are_last(&[node])).then(|| last_of(fleet, node));
        let own = passengers_to_ask(fleet, node, &plans[node].blockers);
        let stuck =
            (last.is_none() && fleet.asked < most).then(|| empty_in_vain(fleet, node, (guests, &own), &mut refusals));
        let plan = &mut plans[node];
        plan.unasked = last.is_none() && stuck.is_none();
        if is_candidate && !guests.is_empty() {
            plan.verdict = Verdict::Keep(Keep::ReceivesPods);
        } else if let Some(last) = last {
            plan.verdict = Verdict::Keep(Keep::LastNode(last));
        }
        if !guests.is_empty() {
            let why = why_kept(last, stuck.as_ref());
            let from = coming.senders(node).map(|sender| plans[sender].node.name.clone()).collect();
            plans[node].receives = Some(Receives { from, pods: guests.len(), own: own.len(), why });
        }
        plans[node].blockers.extend(stuck.into_iter().flat_map(|stuck| stuck.own));
    }
}

fn last_of(fleet: &Fleet<'_>, node: usize) -> Last {
    if fleet.others_take_pods(node) { Last::Untainted } else { Last::TakingPods }
}

fn why_kept(last: Option<Last>, stuck: Option<&Stuck>) -> WhyKept {
    match (last, stuck) {
        (Some(last), _) => WhyKept::LastNode(last),
        (None, None) => WhyKept::Unasked,
        (None, Some(Stuck { guests, own, is_least })) => match guests + own.len() {
            0 => WhyKept::NoPlanFound,
            pods => WhyKept::WithoutPlace { pods, is_least: *is_least },
        },
    }
}

/// Whether its pods have a say in what becomes of a node.
pub(super) fn has_a_say(plan: &NodePlan) -> bool {
    let Verdict::Keep(keep) = &plan.verdict else { return false };
    match keep {
        Keep::Blocked | Keep::Cordoned | Keep::DoNotDisrupt(_) | Keep::AwaitsPods { .. } | Keep::ReceivesPods => true,
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
pub(super) fn passengers_to_ask(fleet: &Fleet<'_>, node: usize, blockers: &[Blocker]) -> Vec<usize> {
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
    /// Whether it could not be fewer of both.
    is_least: bool,
}

/// Sends the guests of a node and its own pods elsewhere, and says who finds no place. The fleet is left as it was.
fn empty_in_vain(
    fleet: &mut Fleet<'_>,
    node: usize,
    (guests, own): (&[ClassId], &[usize]),
    refusals: &mut Refusals,
) -> Stuck {
    let passengers: Vec<Passenger<'_>> = own.iter().map(|seat| fleet.stops[node].passengers[*seat]).collect();
    let classes: Vec<ClassId> = passengers.iter().map(|passenger| passenger.class).collect();
    let mut emptied = Emptied::of(fleet, node, guests, &classes);
    let (stuck_guests, stuck_own): (Vec<usize>, Vec<usize>) = emptied.stuck().partition(|mover| *mover < guests.len());
    let stuck_own = stuck_own.into_iter().map(|mover| passengers[mover - guests.len()]);
    let (ruled, plain): (Vec<Passenger<'_>>, Vec<Passenger<'_>>) =
        stuck_own.partition(|passenger| fleet.simulation.depends_on_others(passenger.class));
    let ruled = ruled_out(fleet, &mut emptied, &ruled);
    let is_most = emptied.is_most;
    emptied.restore(fleet);

    let plain: Vec<Blocker> = plain.into_iter().map(|passenger| refusals.blocker(fleet, node, passenger)).collect();
    let is_hopeless = |guest: &usize| {
        let class = guests[*guest];
        !fleet.simulation.depends_on_others(class) && refusals.reason(fleet, node, class).takers() == 0
    };
    // Whom no node takes even alone has no place in any order.
    let all_hopeless =
        ruled.is_empty() && plain.iter().all(|each| each.reason.takers() == 0) && stuck_guests.iter().all(is_hopeless);
    let mut own = [ruled, plain].concat();
    own.sort_by(|left, right| left.pod.cmp(&right.pod));
    Stuck { guests: stuck_guests.len(), own, is_least: is_most || all_hopeless }
}

/// Why these find no place that mind others, or that others mind: where those would be, and where they are. Who has found a place
/// is gone after that.
fn ruled_out(fleet: &mut Fleet<'_>, emptied: &mut Emptied, stuck: &[Passenger<'_>]) -> Vec<Blocker> {
    let mut beside = Vec::new();
    for Passenger { class, .. } in stuck {
        beside.push(Refused::of(fleet, *class).reason(fleet, *class));
    }
    emptied.withdraw(fleet);
    let mut blockers = Vec::new();
    for (Passenger { pod, class, .. }, beside) in stuck.iter().zip(beside) {
        let alone = Refused::of(fleet, *class).reason(fleet, *class);
        let reason = if alone.takers() > 0 { alone } else { beside };
        blockers.push(Blocker { pod: pod.name.clone(), reason });
    }
    blockers
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
        let simulation = Simulation::of(&snapshot);
        let mut fleet = Fleet::of(simulation, &plans, &snapshot);
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
