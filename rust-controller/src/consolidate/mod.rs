//! Which nodes could go, and where each of their pods would run.
//!
//! All nodes are decided at once: those go whose pods fit the others, and whose prices together are the most. Then they go
//! one after the other: a node goes if every pod that must move fits another node that stays; its room is taken there at
//! once, so later nodes see it. A node that has received pods stays. The removals are therefore feasible in their order,
//! and no pod moves twice.

mod admitted;
mod awaited;
mod before;
mod bound;
mod budgets;
mod candidates;
mod displaced;
mod emptied;
mod evictions;
mod exact;
mod first_fit;
mod fleet;
mod joint;
mod node_plan;
mod objective;
mod obstacles;
mod reasons;
mod refused;
mod replace;
mod replay;
mod requested;
mod utilization;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use before::Before;
pub use bound::{FleetBound, lower_bound};
pub use node_plan::{
    BlockReason, Blocker, Destination, Keep, Last, Move, NodePlan, Receives, Turns, Verdict, Warning, WhyKept,
};
pub use objective::Objective;
pub use obstacles::{Obstacle, obstacles};
pub use replace::{Replacement, replace};
pub use utilization::Utilization;

use crate::feasibility::Simulation;
use crate::model::{Catalog, Pod, PodName, Resources};
use crate::provision::{place_pending_on_existing, place_until_nothing_changes};
use crate::snapshot::Snapshot;
use crate::units::{Money, Timestamp};
use awaited::Awaited;
use evictions::Evictions;
use fleet::Fleet;
use joint::Joint;
use replay::Step;
use requested::Requested;
use written::Writer;

/// A share of a whole in millionths: 0.2 is 200,000.
pub type Millionths = u64;

/// Options of a consolidation.
#[derive(Clone, Debug)]
pub struct Options {
    /// A node is underutilized where both shares of its allocatable that are requested, of CPU and of memory, are
    /// below this one.
    pub threshold: Millionths,
    /// Nodes are replaced by new ones only where more than this share of what the replaced ones cost is saved.
    pub min_savings: Millionths,
}

impl Default for Options {
    /// 20 %, and 15 % for replacements.
    fn default() -> Self {
        Self { threshold: 200_000, min_savings: 150_000 }
    }
}

impl Options {
    /// The share from which on a node that has a suggestion loses it: a tenth above the threshold. A node that is near the
    /// threshold would else gain and lose it with every small pod that comes and goes.
    #[must_use]
    pub fn leaving(&self) -> Millionths {
        self.threshold.saturating_add(self.threshold / 10)
    }
}

/// What to remove from the cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Consolidation {
    /// Every node, by name.
    pub nodes: Vec<NodePlan>,
    /// Nodes to remove, in this order.
    pub removals: Vec<String>,
    /// Pending pods that fit nodes as they are, each with its node, in the order in which they take their room;
    /// before any pod moves.
    pub reserved: Vec<(Arc<Pod>, String)>,
    /// Pods of nodes that are being deleted for which room is kept, in an order in which each finds its place, after those for
    /// which it is reserved.
    pub displaced: Vec<PodName>,
    /// What nodes are compared by.
    pub objective: Objective,
    /// The least that any nodes for the pods of the nodes that count would cost, and why; of [`lower_bound()`].
    pub bound: Option<FleetBound>,
    /// What could be done instead if new nodes came, where that saves enough beyond it; of [`replace()`].
    pub replacement: Option<Replacement>,
}

impl Consolidation {
    /// What all nodes cost per hour, before and after; `None` where a price is not known.
    #[must_use]
    pub fn costs_per_hour(&self) -> (Option<Money>, Option<Money>) {
        let cost = |remaining: bool| {
            let counted = self.nodes.iter().filter(|plan| !remaining || plan.verdict != Verdict::Remove);
            counted.map(|plan| plan.price_per_hour).sum()
        };
        (cost(false), cost(true))
    }

    /// Pods that come before anything goes, each with its node: those for which it is [`reserved`](Self::reserved), then those
    /// of nodes that are being deleted.
    pub fn expected(&self) -> impl Iterator<Item = (&Arc<Pod>, &str)> {
        let reserved = self.reserved.iter().map(|(pod, node)| (pod, node.as_str()));
        let deleting = self.nodes.iter().filter(|plan| plan.node.deleting);
        reserved.chain(deleting.flat_map(|plan| &plan.moves).map(|each| (&each.pod, each.destination.as_str())))
    }

    /// All moves, in the order of the nodes' names: of removals, and of nodes that are being deleted.
    pub fn moves(&self) -> impl Iterator<Item = &Move> {
        self.nodes.iter().flat_map(|plan| &plan.moves)
    }

    /// Since when each node has had a suggestion of its own, if that is known.
    #[must_use]
    pub fn suggested(&self) -> BTreeMap<String, Option<Timestamp>> {
        let suggested = self.nodes.iter().filter(|plan| plan.has_suggestion());
        suggested.map(|plan| (plan.node.name.clone(), plan.underutilized_since)).collect()
    }

    /// What the removed nodes cost per hour; `None` where a price is not known.
    #[must_use]
    pub fn savings_per_hour(&self) -> Option<Money> {
        let removed = self.nodes.iter().filter(|plan| plan.verdict == Verdict::Remove);
        removed.map(|plan| plan.price_per_hour).sum()
    }
}

/// Decides for every node, where nothing was said before.
#[must_use]
pub fn consolidate(snapshot: &Snapshot, catalog: &Catalog, options: &Options) -> Consolidation {
    consolidate_after(&Before::default(), snapshot, catalog, options)
}

/// Decides for every node, and changes as little as it can of what was said before: another plan takes its place only where
/// that saves more. What it saves is never less than without memory.
///
/// What goes is chosen for all candidates together (`joint`), or from every set of them where they are few (`exact`), then
/// done node by node (`replay`), and at last each node that stays and has got no pods is tried once more. The costs are in
/// `docs/ARCHITECTURE.md`.
#[must_use]
pub fn consolidate_after(before: &Before, snapshot: &Snapshot, catalog: &Catalog, options: &Options) -> Consolidation {
    let pods_by_node = snapshot.pods_by_node();
    let evictions = Evictions::of(snapshot);
    let mut plans = candidates::survey(snapshot, &pods_by_node, &evictions, catalog, options);
    for plan in &mut plans {
        before.hold(plan, options);
    }
    // Whoever awaits pods now may still go if these find other places.
    let objective = Objective::among(&plans);
    let mut simulation = Simulation::of(snapshot);
    let on_existing = place_pending_on_existing(snapshot, &mut simulation);
    let mut awaited = Awaited::of(&on_existing, &simulation, &mut plans);
    let pods_on = |node: &str| pods_by_node.get(node).map_or(&[][..], Vec::as_slice);
    let requested_of = |node: &str| Resources::sum(pods_on(node).iter().map(|pod| &pod.requests));
    let mut fleet = Fleet::of(simulation, &plans, snapshot);
    awaited.displaced = displaced::keep_room(&mut fleet, &mut plans);
    // Nowhere weighs nothing.
    let weights = plans.iter().map(|plan| objective.weight(plan)).chain([0]).collect();
    let mut removing = Removing { fleet, plans, weights, steps: Vec::new(), awaited };
    removing.decide(before);
    Consolidation { objective, ..removing.finish(&evictions, &requested_of) }
}

/// Room is kept on a node, so it stays, whatever else keeps it.
fn awaits(plan: &mut NodePlan, note: impl FnOnce(&mut Vec<PodName>, &mut Vec<PodName>)) {
    if plan.verdict == Verdict::Keep(Keep::Blocked) {
        plan.verdict = Verdict::Keep(Keep::AwaitsPods { pending: Vec::new(), displaced: Vec::new() });
    }
    if let Verdict::Keep(Keep::AwaitsPods { pending, displaced }) = &mut plan.verdict {
        note(pending, displaced);
    }
}

/// Removals as they are decided.
struct Removing<'a> {
    fleet: Fleet<'a>,
    plans: Vec<NodePlan>,
    /// By node.
    weights: Vec<u64>,
    steps: Vec<Step>,
    awaited: Awaited<'a>,
}

impl Removing<'_> {
    /// With awaited pods where they are; and where they hold nodes up, with other places for them, if that removes more.
    fn decide(&mut self, before: &Before) {
        self.decide_beside_awaited(before);
        let Self { fleet, plans, awaited, .. } = self;
        if !awaited::hold_nodes_up(plans) {
            return;
        }
        let beside = std::mem::take(&mut self.steps);
        replay::undo(fleet, &beside);
        awaited.withdraw(fleet, plans);
        self.decide_beside_awaited(before);
        self.take_new_places_if_better(beside);
    }

    /// The steps done began nowhere, unless nothing was found. They stay done if they remove more than the others and awaited
    /// pods can come as they say; else the others are, and awaited pods are where they were.
    fn take_new_places_if_better(&mut self, others: Vec<Step>) {
        let Self { fleet, plans, weights, steps, awaited } = self;
        let done = std::mem::take(steps);
        replay::undo(fleet, &done);
        if weight(weights, &done) > weight(weights, &others)
            && let Some((from_nowhere, removals)) = done.split_first()
        {
            let mut elsewhere = awaited.clone();
            elsewhere.follow(from_nowhere, fleet);
            if elsewhere.come(fleet, plans) {
                replay::redo(fleet, removals);
                *steps = removals.to_vec();
                *awaited = elsewhere;
                return;
            }
        }
        awaited.come_back(fleet, plans);
        replay::redo(fleet, &others);
        *steps = others;
    }

    /// By itself first, then guided by what was said before, which holds unless it saves less.
    fn decide_beside_awaited(&mut self, before: &Before) {
        let candidates: Vec<usize> = (0..self.plans.len()).filter(|node| is_candidate(&self.plans[*node])).collect();
        let guide = before.guide(&self.fleet, &self.plans, &candidates);
        self.remove(&candidates, &Joint::default());
        if guide.removed.is_empty() {
            return;
        }
        let by_itself = std::mem::take(&mut self.steps);
        replay::undo(&mut self.fleet, &by_itself);
        self.remove(&candidates, &guide);
        keep_heavier(&mut self.fleet, &self.weights, &mut self.steps, by_itself);
    }

    /// Removes what it can of the candidates; where nodes and places are equal, as the guide says.
    fn remove(&mut self, candidates: &[usize], guide: &Joint) {
        // From the emptiest up.
        let sorted = |nodes: &[usize], plans: &[NodePlan]| {
            let mut order = nodes.to_vec();
            order.sort_by_key(|node| (plans[*node].utilization().largest(), *node));
            order
        };
        let Self { fleet, plans, weights, steps, .. } = self;
        let few = candidates.len() <= exact::MOST_CANDIDATES;
        let mut is_exact = few;
        if few {
            (*steps, is_exact) =
                exact::remove_heaviest(fleet, candidates, weights, guide, &|nodes| sorted(nodes, plans));
        }
        if !is_exact {
            let by_sets = std::mem::take(steps);
            replay::undo(fleet, &by_sets);
            let joint = joint::choose(fleet, candidates, weights, guide);
            *steps = replay::replay(fleet, &joint, sorted(&joint.removed, plans));
            keep_heavier(fleet, weights, steps, by_sets);
        }
        let have_come = self.fleet.awaited.is_empty() || !self.steps.is_empty();
        if have_come {
            self.remove_more(sorted(candidates, &self.plans), guide);
        }
    }

    /// Nodes that got no pods are tried once more, as long as that helps: one that went may have been what refused.
    fn remove_more(&mut self, mut candidates: Vec<usize>, guide: &Joint) {
        let mut busy: BTreeSet<usize> = self.steps.iter().flat_map(Step::nodes).collect();
        candidates.retain(|node| !busy.contains(node));
        let mut places = exact::PlacesLeft::new();
        place_until_nothing_changes(&mut candidates, |node| {
            if busy.contains(node) {
                return true;
            }
            if self.fleet.are_last(&[*node]) {
                return false;
            }
            let step = replay::empty(&mut self.fleet, *node, guide.of(*node)).ok();
            let step = step.or_else(|| exact::empty(&mut self.fleet, *node, &mut places));
            busy.extend(step.iter().flat_map(Step::nodes));
            let goes = step.is_some();
            self.steps.extend(step);
            goes
        });
    }

    fn finish(mut self, evictions: &Evictions<'_>, requested_of: &dyn Fn(&str) -> Resources) -> Consolidation {
        reasons::explain(&mut self.fleet, &mut self.plans, &self.steps);
        let removals = self.steps.iter().map(|step| self.plans[step.node].node.name.clone()).collect();
        let Self { fleet, plans, steps, awaited, .. } = self;
        let reserved = awaited.reserved(&plans);
        let expected = reserved.iter().map(|(pod, node)| (&**pod, node.as_str()));
        let requested = Requested::new(expected, requested_of, &plans);
        let mut writer = Writer::new(&fleet, plans, evictions, requested);
        writer.write_displaced(&awaited.displaced.steps);
        writer.write_removals(&steps);
        let displaced = awaited.displaced.order;
        Consolidation { nodes: writer.plans, removals, reserved, displaced, ..Consolidation::default() }
    }
}

/// Of steps that are done and others that are not, those stay done, or come in their place, that remove more weight.
fn keep_heavier(fleet: &mut Fleet<'_>, weights: &[u64], done: &mut Vec<Step>, others: Vec<Step>) {
    if weight(weights, done) < weight(weights, &others) {
        replay::undo(fleet, done);
        replay::redo(fleet, &others);
        *done = others;
    }
}

/// What steps remove.
fn weight(weights: &[u64], steps: &[Step]) -> u64 {
    steps.iter().map(|step| weights[step.node]).sum()
}

/// Until it is decided, a node that nothing forbids to remove counts as blocked.
fn is_candidate(plan: &NodePlan) -> bool {
    plan.verdict == Verdict::Keep(Keep::Blocked) && plan.blockers.is_empty()
}
