//! Which nodes could go, and where each of their pods would run.
//!
//! All nodes are decided at once: those go whose pods fit the others, and whose prices together are the most. Then they go
//! one after the other: a node goes if every pod that must move fits another node that stays; its room is taken there at
//! once, so later nodes see it. A node that has received pods stays. The removals are therefore feasible in their order,
//! and no pod moves twice.

mod before;
mod bound;
mod budgets;
mod candidates;
mod evictions;
mod exact;
mod first_fit;
mod fleet;
mod joint;
mod objective;
mod obstacles;
mod replace;
mod replay;
mod requested;
mod utilization;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use before::Before;
pub use bound::{FleetBound, lower_bound};
pub use objective::Objective;
pub use obstacles::{Obstacle, obstacles};
pub use replace::{Replacement, replace};
pub use utilization::Utilization;

use crate::feasibility::{Refusal, Rule, Simulation};
use crate::model::{Catalog, Node, ObjectName, Pod, PodName, Resources};
use crate::provision::{place_on_existing, place_until_nothing_changes};
use crate::snapshot::Snapshot;
use crate::units::{Money, Timestamp};
use evictions::Evictions;
use fleet::{Fleet, Passenger, Refusals};
use joint::Joint;
use replay::Step;
use requested::Requested;

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
    /// Unschedulable pods that fit nodes as they are, each with its node, in the order in which they take their room;
    /// before any pod moves.
    pub reserved: Vec<(Arc<Pod>, String)>,
    /// What nodes are compared by.
    pub objective: Objective,
    /// The least that any nodes for the pods of the nodes that count would cost, and why; of [`lower_bound()`].
    pub bound: Option<FleetBound>,
    /// What could be done instead if new nodes came, where that saves enough beyond it; of [`replace()`].
    pub replacement: Option<Replacement>,
}

/// What becomes of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePlan {
    /// The node.
    pub node: Arc<Node>,
    /// Sums of the effective requests of all pods that run on it; of pods, their number.
    pub requested: Resources,
    /// The same without the pods that end with it: those of DaemonSets, and static ones.
    pub requested_without_daemon_sets: Resources,
    /// Whether the shares of CPU and of memory that are requested are below the threshold.
    pub underutilized: bool,
    /// The share from which on it has no suggestion, where it is at or above the threshold, was below it, and is not clearly
    /// above it yet: see [`Options::leaving`].
    pub held_until: Option<Millionths>,
    /// Since when it has had a suggestion without a break, as far as that is known.
    pub underutilized_since: Option<Timestamp>,
    /// Whether it goes.
    pub verdict: Verdict,
    /// Pods that keep it, each with the reason.
    pub blockers: Vec<Blocker>,
    /// Pods that move if it goes, in an order in which each finds its place.
    pub moves: Vec<Move>,
    /// Pods move, and nobody could read the budgets that decide whether they may be evicted.
    pub unread_budgets: bool,
    /// What is requested of each node that its pods move to, before and after they do; in the order of the names.
    pub destinations: Vec<Destination>,
    /// In which wave it goes: nodes of one wave need no more evictions than the budgets allow at once. From 1; 0 for a node
    /// that stays.
    pub wave: u32,
    /// Budgets that allow fewer evictions at once than it has pods under them, in the order of their names: its drain waits
    /// in between.
    pub in_turns: Vec<Turns>,
    /// Pods that go with the node and need no other: those of DaemonSets and static ones.
    pub local_pods: Vec<PodName>,
    /// Per hour; `None` where it is not known.
    pub price_per_hour: Option<Money>,
}

/// Whether a node goes, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can be removed.
    Remove,
    /// It stays.
    Keep(Keep),
}

/// Why a node stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It runs the control plane.
    ControlPlane,
    /// It is not ready: what runs there is not known.
    NotReady,
    /// Somebody has cordoned it already.
    Cordoned,
    /// It is being deleted already.
    Deleting,
    /// This annotation forbids to disturb it.
    DoNotDisrupt(&'static str),
    /// It has not reported what it offers.
    NoAllocatable,
    /// A pod that runs there could not be read, so nobody knows what it takes and whether it may move.
    UnreadablePod,
    /// An unschedulable pod fits here as it is.
    AwaitsPods,
    /// No other node would be left that takes pods.
    LastNode,
    /// Some of its pods cannot move; see the blockers.
    Blocked,
    /// The pods of these removed nodes move here.
    ReceivesPods(Vec<String>),
}

/// A pod that keeps its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The pod.
    pub pod: PodName,
    /// Why it cannot move.
    pub reason: BlockReason,
}

/// Why a pod cannot move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockReason {
    /// Nobody would make it again: it would be lost, not moved.
    NoController,
    /// This annotation forbids to evict it.
    DoNotDisrupt(&'static str),
    /// It uses this volume, which is a disk of the node.
    LocalVolume(String),
    /// Room is being made for it on this node.
    Nominated,
    /// This `PodDisruptionBudget` allows no eviction now.
    Budget(ObjectName),
    /// Nobody knows what this one allows: its controller has not set its status yet, or not since it was changed.
    StaleBudget(ObjectName),
    /// More than one budget protects it, and Kubernetes evicts no such pod.
    SeveralBudgets(Vec<ObjectName>),
    /// No other node that stays may run it.
    NoDestination {
        /// The nearest of them, and why it may not.
        nearest: Option<(String, Refusal)>,
        /// How many of them each rule refuses.
        refused_nodes: BTreeMap<Rule, usize>,
    },
}

/// More pods of one node under a budget than that allows to evict at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns {
    /// The `PodDisruptionBudget`.
    pub budget: ObjectName,
    /// How many pods under it leave the node.
    pub pods: u32,
    /// How many evictions it allows now.
    pub allowed: u32,
}

/// A pod's new place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The pod.
    pub pod: Arc<Pod>,
    /// The node that it moves to.
    pub destination: String,
    /// Rules that could not be checked there, since nobody could read what they look at.
    pub unchecked_rules: Vec<Rule>,
    /// What the move costs whoever uses the pod.
    pub warnings: Vec<Warning>,
}

/// A node that takes pods of one that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The node.
    pub node: Arc<Node>,
    /// Requests of all pods there, its daemon pods included, before the others come.
    pub before: Resources,
    /// And after.
    pub after: Resources,
}

/// What the eviction of a pod costs, beside its start elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// What is in its `emptyDir` volumes is lost.
    LosesScratch,
    /// No other pod of its controller runs meanwhile.
    OnlyReplica,
    /// Its Job starts it again from the beginning.
    StartsAnew,
}

impl NodePlan {
    /// Whether it gets a suggestion of its own: it is underutilized, or has one that is held.
    #[must_use]
    pub fn has_suggestion(&self) -> bool {
        self.underutilized || self.held_until.is_some()
    }
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

    /// All moves, in the order of the nodes' names.
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
    let mut simulation = Simulation::of(snapshot);
    let reserved = reserve(snapshot, &mut simulation, &mut plans);
    let unreadable = snapshot.unreadable_nodes();
    let closed = |plan: &NodePlan| {
        let node = &plan.node;
        node.deleting || !node.ready || unreadable.contains(node.name.as_str())
    };
    let pods_on = |node: &str| pods_by_node.get(node).map_or(&[][..], Vec::as_slice);
    let requested_of = |node: &str| Resources::sum(pods_on(node).iter().map(|pod| &pod.requests));
    let fleet = Fleet::of(simulation, &plans, &pods_on, &closed);
    let objective = Objective::among(&plans);
    let weights = plans.iter().map(|plan| objective.weight(plan)).collect();
    let mut removing = Removing { fleet, plans, weights, steps: Vec::new() };
    removing.decide(before);
    Consolidation { objective, ..removing.finish(reserved, &evictions, &requested_of) }
}

/// Unschedulable pods take the room that they fit; their nodes stay. Each with its node.
fn reserve(snapshot: &Snapshot, simulation: &mut Simulation, plans: &mut [NodePlan]) -> Vec<(Arc<Pod>, String)> {
    let awaited = place_on_existing(snapshot, simulation).fitting;
    for (_, node) in &awaited {
        let plan = plans.binary_search_by(|plan| plan.node.name.cmp(node)).ok().map(|at| &mut plans[at]);
        if let Some(plan) = plan.filter(|plan| is_candidate(plan)) {
            plan.verdict = Verdict::Keep(Keep::AwaitsPods);
        }
    }
    awaited.into_iter().map(|(waiting, node)| (Arc::clone(waiting.pod), node)).collect()
}

/// Removals as they are decided.
struct Removing<'a> {
    fleet: Fleet<'a>,
    plans: Vec<NodePlan>,
    /// By node.
    weights: Vec<u64>,
    steps: Vec<Step>,
}

impl Removing<'_> {
    /// By itself first, then guided by what was said before, which holds unless it saves less.
    fn decide(&mut self, before: &Before) {
        let candidates: Vec<usize> = (0..self.plans.len()).filter(|node| is_candidate(&self.plans[*node])).collect();
        let guide = before.guide(&self.fleet, &self.plans, &candidates);
        self.remove(&candidates, &Joint::default());
        if guide.removed.is_empty() {
            return;
        }
        let by_itself = std::mem::take(&mut self.steps);
        replay::undo(&mut self.fleet, &by_itself);
        self.remove(&candidates, &guide);
        let weight = |steps: &[Step]| steps.iter().map(|step| self.weights[step.node]).sum::<u64>();
        if weight(&self.steps) < weight(&by_itself) {
            replay::undo(&mut self.fleet, &self.steps);
            replay::redo(&mut self.fleet, &by_itself);
            self.steps = by_itself;
        }
    }

    /// Removes what it can of the candidates; where nodes and places are equal, as the guide says.
    fn remove(&mut self, candidates: &[usize], guide: &Joint) {
        // From the emptiest up.
        let sorted = |nodes: &[usize], plans: &[NodePlan]| {
            let mut order = nodes.to_vec();
            order.sort_by_key(|node| (plans[*node].utilization().largest(), *node));
            order
        };
        let Self { fleet, plans, weights, steps } = self;
        *steps = if candidates.len() <= exact::MOST_CANDIDATES {
            exact::remove_heaviest(fleet, candidates, weights, guide, &|nodes| sorted(nodes, plans))
        } else {
            let joint = joint::choose(fleet, candidates, weights, guide);
            replay::replay(fleet, &joint, sorted(&joint.removed, plans))
        };
        self.remove_more(sorted(candidates, &self.plans), guide);
    }

    /// Nodes that got no pods are tried once more, as long as that helps: one that went may have been what refused.
    fn remove_more(&mut self, mut candidates: Vec<usize>, guide: &Joint) {
        let mut busy: BTreeSet<usize> = self.steps.iter().flat_map(Step::nodes).collect();
        candidates.retain(|node| !busy.contains(node));
        place_until_nothing_changes(&mut candidates, |node| {
            if busy.contains(node) {
                return true;
            }
            let last = self.fleet.are_last(&[*node]);
            let step = if last { None } else { replay::empty(&mut self.fleet, *node, guide.of(*node)).ok() };
            busy.extend(step.iter().flat_map(Step::nodes));
            let goes = step.is_some();
            self.steps.extend(step);
            goes
        });
    }

    fn finish(
        mut self,
        reserved: Vec<(Arc<Pod>, String)>,
        evictions: &Evictions<'_>,
        requested_of: &dyn Fn(&str) -> Resources,
    ) -> Consolidation {
        let mut senders: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for Step { node, moves } in &self.steps {
            for (_, to) in moves {
                senders.entry(*to).or_default().insert(*node);
            }
        }
        self.explain(&senders);
        let name = |node: &usize| self.plans[*node].node.name.clone();
        let removals: Vec<String> = self.steps.iter().map(|step| name(&step.node)).collect();
        let receivers: Vec<(usize, Vec<String>)> =
            senders.iter().map(|(to, nodes)| (*to, nodes.iter().map(name).collect())).collect();
        for (to, names) in receivers {
            if is_candidate(&self.plans[to]) {
                self.plans[to].verdict = Verdict::Keep(Keep::ReceivesPods(names));
            }
        }
        let nodes = self.with_moves(&reserved, evictions, requested_of);
        Consolidation { nodes, removals, reserved, ..Consolidation::default() }
    }

    /// The plans of all nodes, those that go with what becomes of their pods.
    fn with_moves(
        self,
        reserved: &[(Arc<Pod>, String)],
        evictions: &Evictions<'_>,
        requested_of: &dyn Fn(&str) -> Resources,
    ) -> Vec<NodePlan> {
        let Self { fleet, mut plans, steps, .. } = self;
        let mut waves = evictions.budgets.waves();
        let mut requested = Requested::new(reserved, requested_of);
        for Step { node, moves } in &steps {
            let place = |(seat, to): &(usize, usize)| {
                let Passenger { pod, class } = fleet.stops[*node].passengers[*seat];
                let unchecked_rules = fleet.simulation.unchecked_rules(class);
                let warnings = evictions.warnings(pod);
                Move { pod: Arc::clone(pod), destination: plans[*to].node.name.clone(), unchecked_rules, warnings }
            };
            let moves: Vec<Move> = moves.iter().map(place).collect();
            let destinations = requested.come(&moves, &plans);
            let plan = &mut plans[*node];
            plan.verdict = Verdict::Remove;
            plan.unread_budgets = !moves.is_empty() && evictions.budgets.are_unread();
            (plan.wave, plan.in_turns) = waves.next(moves.iter().map(|each| &*each.pod));
            plan.destinations = destinations;
            plan.moves = moves;
        }
        plans
    }

    /// Says of each candidate that stays without getting pods what keeps it.
    fn explain(&mut self, senders: &BTreeMap<usize, BTreeSet<usize>>) {
        let gone: BTreeSet<usize> = self.steps.iter().map(|step| step.node).collect();
        let mut refusals = Refusals::default();
        for node in 0..self.plans.len() {
            if !is_candidate(&self.plans[node]) || gone.contains(&node) || senders.contains_key(&node) {
                continue;
            }
            if self.fleet.are_last(&[node]) {
                self.plans[node].verdict = Verdict::Keep(Keep::LastNode);
                continue;
            }
            let Err(stuck) = replay::empty(&mut self.fleet, node, &[]) else { continue };
            let passengers: Vec<Passenger<'_>> =
                stuck.into_iter().map(|seat| self.fleet.stops[node].passengers[seat]).collect();
            let mut blockers: Vec<Blocker> =
                passengers.into_iter().map(|passenger| refusals.blocker(&self.fleet, node, passenger)).collect();
            blockers.sort_by(|left, right| left.pod.cmp(&right.pod));
            self.plans[node].blockers = blockers;
        }
    }
}

/// Until it is decided, a node that nothing forbids to remove counts as blocked.
fn is_candidate(plan: &NodePlan) -> bool {
    plan.verdict == Verdict::Keep(Keep::Blocked) && plan.blockers.is_empty()
}
