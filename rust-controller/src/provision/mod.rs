//! Pods without a node -> the nodes that would let them run, and what they cost.
//!
//! Existing nodes come first: a pod that fits one as it is needs no other. All other pods are planned together: equal pods
//! are one lot (`lots`), lots that must go to a zone are sent there (`areas`), a mixture of nodes is bought for all
//! (`mixture`), and pod after pod takes a seat there if the rules about its neighbours allow it (`bins`). What is left is
//! placed one by one (`singles`). Where pods are left out for the sake of others that wait, all is planned again with those
//! first (`attempt`). Soft rules come last, where they cost nothing (`preferences`).

mod alone;
mod apart;
mod areas;
mod attachable;
mod attempt;
mod bins;
mod bound;
mod bundles;
mod choices;
mod daemons;
mod demands;
mod effort;
mod exchange;
mod existing;
mod fill;
mod holders;
mod label_sets;
mod launch;
pub mod least_waste;
mod lots;
mod market;
mod mixture;
mod need_set;
mod needs;
mod options;
mod pack;
mod parts;
mod pending;
mod pool;
mod pool_demand;
mod preferences;
mod prices;
mod relaunch;
mod repack;
mod set_apart;
pub mod shape;
mod share;
mod singles;
mod zones;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use alone::alone;
pub use attachable::{UnknownAttachLimit, unknown_attach_limits};
pub use bound::{Certificate, LowerBound, Surcharge};
pub use daemons::daemon_pods;
pub use existing::{
    ExistingMisses, NodeVerdicts, OnExisting, Waiting, place_on_existing, place_pending_on_existing,
    place_until_nothing_changes, verdicts_on_existing,
};
pub use holders::{Holders, There};
pub use least_waste::{Choice, Fit, NearestMiss};
pub use options::{Options, POOL_PREFIX, TypeFilter, UNSUITED_TYPES, default_requirements};
pub use pending::Ignored;
pub use pool::Pool;
pub use prices::dual_prices;
pub use shape::{Shape, ShapeError};

use crate::feasibility::{ClassId, Rule, Simulation, Unmet};
use crate::model::{Catalog, Node, Pod, PodName, Resources, Taint};
use crate::snapshot::Snapshot;
use crate::units::Money;
use attempt::{Attempt, Attempts};
use bins::Bin;
use effort::Effort;
use launch::{Launch, Launches};
use pack::Company;
use pending::{Need, need};
use pool_demand::Asking;
use shape::Shaper;

/// What to add to the cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// One for each pending pod, by namespace and name.
    pub pods: Vec<PodPlan>,
    /// Nodes to add, in the order of their names.
    pub nodes: Vec<PlannedNode>,
    /// The kinds of nodes that pods need, by name.
    pub pools: BTreeMap<String, Pool>,
    /// Positions in [`Plan::pods`] of those that get a node, in an order in which the scheduler can place them one by one:
    /// first those that fit existing nodes, then, once all planned nodes are there, the others.
    pub placements: Vec<usize>,
    /// The least that any nodes for the planned pods would cost, and why.
    pub bound: Option<LowerBound>,
    /// Soft rules that are not met, of pods that get a node, once all of them are there.
    pub unmet: Unmet,
    /// Types of planned nodes that are to attach volumes, and of which nobody knows how many they can.
    pub unknown_attach_limits: Vec<UnknownAttachLimit>,
    /// The budget was spent before every way to a cheaper plan had been tried.
    pub cut_short: bool,
}

/// What becomes of one pending pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodPlan {
    /// The pod.
    pub pod: Arc<Pod>,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Why no existing node takes it; for pods that fit none.
    pub existing: Option<Arc<ExistingMisses>>,
    /// Rules that could not be checked for it, since nobody could read what they look at.
    pub unchecked_rules: Vec<Rule>,
}

/// What becomes of a pending pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A planned node runs it.
    Planned {
        /// Name of the planned node.
        node: String,
        /// Name of the kind of node, in [`Plan::pools`].
        pool: String,
    },
    /// This existing node has room for it as it is.
    FitsExisting {
        /// Name of the node.
        node: String,
    },
    /// No node type can run it.
    Unplaceable(Arc<Unplaceable>),
    /// Nothing is planned for it.
    Ignored(Ignored),
}

/// Why no node type can run a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unplaceable {
    /// No new node can have the labels that it asks for.
    Shape {
        /// Why not.
        error: ShapeError,
        /// The node type that comes nearest: the one that would do without that label.
        nearest: Option<String>,
    },
    /// Every node type is too small or of the wrong labels.
    NoType(NearestMiss),
    /// Some node type would do, were it not for other pods that wait: what refuses on the one that comes nearest.
    Hindered(NearestMiss),
    /// No node type would do; an existing node would, and other pods that wait take it: what refuses on the new node that comes
    /// nearest.
    Outrun(NearestMiss),
    /// No node with the pods whose host it must share has room for it; what refuses on the new node that comes nearest.
    Crowded(NearestMiss),
    /// The options leave no node type at all.
    NoTypes,
    /// It claims devices through Dynamic Resource Allocation, and nothing here can judge where they are.
    Devices,
}

/// A node to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedNode {
    /// `planned-0001` …
    pub name: String,
    /// Node type.
    pub instance_type: String,
    /// Zone.
    pub zone: String,
    /// Capacity type.
    pub capacity_type: String,
    /// Per hour; `None` where it is not known.
    pub price_per_hour: Option<Money>,
    /// Name of its kind, in [`Plan::pools`].
    pub pool: String,
    /// What pods, daemon pods included, may request of it.
    pub allocatable: Resources,
    /// What its daemon pods request.
    pub daemon_requests: Resources,
    /// The pods it is for, by namespace and name.
    pub pods: Vec<PodName>,
}

impl Plan {
    /// The planned node of this name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&PlannedNode> {
        let number: usize = name.strip_prefix(NODE_PREFIX)?.parse().ok()?;
        self.nodes.get(number.checked_sub(1)?).filter(|node| node.name == name)
    }

    /// What all planned nodes cost per hour; `None` where one price is not known.
    #[must_use]
    pub fn cost_per_hour(&self) -> Option<Money> {
        self.nodes.iter().map(|node| node.price_per_hour).sum()
    }

    /// The priorities of the pods that no new node can run, the highest first.
    fn left_out(&self) -> Vec<i32> {
        let left_out = self.pods.iter().filter(|planned| matches!(planned.verdict, Verdict::Unplaceable(_)));
        let mut priorities: Vec<i32> = left_out.map(|planned| planned.pod.priority).collect();
        priorities.sort_unstable_by_key(|priority| Reverse(*priority));
        priorities
    }

    /// How many pods have a verdict of this kind.
    #[must_use]
    pub fn count(&self, of_kind: impl Fn(&Verdict) -> bool) -> usize {
        self.pods.iter().filter(|planned| of_kind(&planned.verdict)).count()
    }
}

/// Plans nodes for the pods that need one, however long that takes.
///
/// The steps and their costs are in `docs/ARCHITECTURE.md`.
#[must_use]
pub fn plan(snapshot: &Snapshot, catalog: &Catalog, options: &Options) -> Plan {
    plan_with(snapshot, snapshot.nodes(), (catalog, options), &Effort::unlimited())
}

/// The same, but once [`Options::budget`] is spent, the best plan so far is taken, which says so. It is complete and valid
/// whenever that is, and depends on no clock.
#[must_use]
pub fn plan_within_budget(snapshot: &Snapshot, catalog: &Catalog, options: &Options) -> Plan {
    plan_like(snapshot.nodes(), snapshot, catalog, options)
}

/// The same where other nodes than the snapshot's tell which labels come with taints: those of before some of them went.
#[must_use]
pub fn plan_like(telling: &[Arc<Node>], snapshot: &Snapshot, catalog: &Catalog, options: &Options) -> Plan {
    plan_with(snapshot, telling, (catalog, options), &Effort::of(options.budget))
}

/// So many taints are tried to be left off one by one.
const MOST_LEFT_OFF: usize = 4;

/// A plan whose pools have the taints that come with their labels, but those without which fewer pods are left out.
fn plan_with(
    snapshot: &Snapshot,
    telling: &[Arc<Node>],
    (catalog, options): (&Catalog, &Options),
    effort: &Effort,
) -> Plan {
    let (mut best, set_apart) = plan_told_by(telling, snapshot, (catalog, options), effort);
    if !set_apart {
        return best;
    }
    let mut telling = telling.to_vec();
    let taints: BTreeSet<Taint> = best.pools.values().flat_map(|pool| &pool.taints).cloned().collect();
    let one_by_one = taints.into_iter().take(MOST_LEFT_OFF).map(Some);
    // And all at once, in the end: there may be no node for any pod that tolerates what keeps the others off.
    for taint in one_by_one.chain([None]) {
        if best.left_out().is_empty() {
            break;
        }
        let others = taint.map_or_else(Vec::new, |taint| without(&taint, &telling));
        let (plan, _) = plan_told_by(&others, snapshot, (catalog, options), effort);
        if plan.left_out() < best.left_out() {
            (best, telling) = (plan, others);
        }
    }
    best
}

/// The same nodes, none with this taint.
fn without(taint: &Taint, nodes: &[Arc<Node>]) -> Vec<Arc<Node>> {
    let without = |node: &Arc<Node>| {
        if !node.taints.contains(taint) {
            return Arc::clone(node);
        }
        let taints = node.taints.iter().filter(|other| *other != taint).cloned().collect();
        Arc::new(Node { taints, ..Node::clone(node) })
    };
    nodes.iter().map(without).collect()
}

/// A plan, and whether some label comes with a taint.
fn plan_told_by(
    telling: &[Arc<Node>],
    snapshot: &Snapshot,
    (catalog, options): (&Catalog, &Options),
    effort: &Effort,
) -> (Plan, bool) {
    let shaper = Shaper::new(catalog, default_requirements(options, snapshot));
    let (mut simulation, demands) = demands::simulate(snapshot, &shaper, telling);
    let on_existing = place_on_existing(snapshot, &mut simulation);
    let (everywhere, in_zones, wider, wider_in_zones);
    everywhere = demands.launches(pods(on_existing.rest.iter()), (catalog, options, None), &mut simulation);
    let attempts = Attempts { snapshot, launches: &everywhere, options, company: Company::Sought };
    let mut best = attempts.first(on_existing, effort, &mut simulation);
    let fewer = best.fewer_zones(snapshot);
    let mut there = None;
    if let Some(zones) = &fewer {
        let on_existing = place_on_existing(snapshot, &mut simulation);
        let from = (catalog, options, Some(zones));
        in_zones = demands.launches(pods(on_existing.rest.iter()), from, &mut simulation);
        there = Some(Attempts { launches: &in_zones, ..attempts }.first(on_existing, effort, &mut simulation));
        there = there.filter(|there| there.is_better_than(&best));
    }
    if let Some(hindering) = there.take_if(|there| there.hinders_somebody()) {
        wider_in_zones = demands.launches(pods(hindering.pods()), (catalog, options, fewer.as_ref()), &mut simulation);
        there = Some(Attempts { launches: &wider_in_zones, ..attempts }.better(hindering, &mut simulation, effort));
    }
    // Where zones were left out, in vain or not at all, others may be left over for new nodes.
    if best.hinders_somebody() && there.as_ref().is_none_or(Attempt::leaves_somebody_out) {
        wider = demands.launches(pods(best.pods()), (catalog, options, None), &mut simulation);
        best = Attempts { launches: &wider, ..attempts }.better(best, &mut simulation, effort);
    }
    if let Some(mut there) = there.filter(|there| there.is_better_than(&best)) {
        let mut simulation = there.simulation.clone();
        let launches = demands.launches(pods(there.rest.iter()), (catalog, options, None), &mut simulation);
        there.bound_by(&launches, &simulation);
        best = there;
    }
    (written(best, (snapshot, catalog, options), effort), !demands.set_apart.is_empty())
}

fn pods<'p>(waiting: impl Iterator<Item = &'p Waiting<'p>>) -> impl Iterator<Item = &'p Pod> {
    waiting.map(|waiting| &**waiting.pod)
}

/// The plan that comes of an attempt, with what is left to decide once it is known who goes where.
fn written(best: Attempt<'_>, (snapshot, catalog, options): (&Snapshot, &Catalog, &Options), effort: &Effort) -> Plan {
    let why = best.why();
    let Attempt { fitting, rest, mut packed, launches, on_existing, mut simulation, .. } = best;
    let mut drafts = Drafts::of(snapshot, &rest, &on_existing);
    let unmet =
        preferences::on_planned(snapshot, &fitting, &rest, &mut packed, (launches, (options, effort)), &mut simulation);
    let asking = Asking::new(&packed.bins, (&rest, &simulation), (snapshot, options));
    let (pools, pool_of) = pool::pools(&packed.bins, &packed.unbeaten, asking, (snapshot, catalog, options));
    let nodes = nodes(&packed.bins, pool_of, &rest, launches);
    let pods_of = |bin: &Bin<'_>| bin.pods.iter().map(|pod| &**rest[*pod].pod).collect();
    let with_pods = nodes.iter().zip(&packed.bins).map(|(node, bin)| (node.instance_type.as_str(), pods_of(bin)));
    let unknown_attach_limits = unknown_attach_limits(with_pods, catalog, snapshot.extras());

    let on_planned = packed.order.iter().map(|pod| rest[*pod].position);
    let order: Vec<usize> = fitting.iter().map(|(waiting, _)| waiting.position).chain(on_planned).collect();
    for (waiting, node) in fitting {
        drafts.decide(&waiting, Verdict::FitsExisting { node });
    }
    for (bin, node) in packed.bins.iter().zip(&nodes) {
        for pod in &bin.pods {
            drafts.decide(&rest[*pod], Verdict::Planned { node: node.name.clone(), pool: node.pool.clone() });
        }
    }
    for (pod, why) in why {
        drafts.decide(&rest[pod], Verdict::Unplaceable(why));
    }
    let (pods, place_of) = drafts.finish(snapshot);
    let placements = order.into_iter().filter_map(|position| place_of[position]).collect();
    Plan {
        pods,
        nodes,
        pools,
        placements,
        bound: packed.bound,
        unmet,
        unknown_attach_limits,
        cut_short: effort.was_cut_short(),
    }
}

/// The planned nodes with their names, of these kinds.
fn nodes(bins: &[Bin<'_>], pools: Vec<String>, pods: &[Waiting<'_>], launches: &Launches<'_>) -> Vec<PlannedNode> {
    let node = |(number, (bin, pool)): (usize, (&Bin<'_>, String))| {
        let Launch { kind, offering, .. } = bin.launch;
        // The snapshot is in the order of names.
        let mut in_order: Vec<&Waiting<'_>> = bin.pods.iter().map(|pod| &pods[*pod]).collect();
        in_order.sort_unstable_by_key(|waiting| waiting.position);
        PlannedNode {
            name: node_name(number),
            instance_type: kind.name.clone(),
            zone: offering.zone.clone(),
            capacity_type: offering.capacity_type.clone(),
            price_per_hour: offering.price_per_hour,
            pool,
            allocatable: kind.allocatable.clone(),
            daemon_requests: launches.daemon_requests(bin.launch),
            pods: in_order.into_iter().map(|waiting| waiting.pod.name.clone()).collect(),
        }
    };
    bins.iter().zip(pools).enumerate().map(node).collect()
}

/// The name of the planned node at a position.
fn node_name(position: usize) -> String {
    format!("{NODE_PREFIX}{:04}", position + 1)
}

/// How the names of planned nodes begin.
const NODE_PREFIX: &str = "planned-";

/// What becomes of each pod, as far as it is decided.
struct Drafts {
    /// By position in the snapshot.
    verdicts: Vec<Option<(Verdict, Option<ClassId>)>>,
    /// By class, why no existing node takes it, and the rules that could not be checked.
    of_class: BTreeMap<ClassId, (Arc<ExistingMisses>, Vec<Rule>)>,
}

impl Drafts {
    /// Asks the existing nodes about the pods that fit none of them, before any node joins.
    fn of(snapshot: &Snapshot, rest: &[Waiting<'_>], simulation: &Simulation) -> Self {
        let mut of_class = BTreeMap::new();
        for Waiting { class, .. } in rest {
            of_class.entry(*class).or_insert_with(|| {
                (Arc::new(ExistingMisses::of(simulation, *class)), simulation.unchecked_rules(*class))
            });
        }
        let ignored = |pod: &Arc<Pod>| match need(pod) {
            Need::None(ignored) => Some((Verdict::Ignored(ignored), None)),
            Need::Node | Need::NotPending => None,
        };
        Self { verdicts: snapshot.pods().iter().map(ignored).collect(), of_class }
    }

    fn decide(&mut self, waiting: &Waiting<'_>, verdict: Verdict) {
        let class = (!matches!(verdict, Verdict::FitsExisting { .. })).then_some(waiting.class);
        self.verdicts[waiting.position] = Some((verdict, class));
    }

    /// Every pending pod, by name, and the place in that list of each pod of the snapshot.
    fn finish(self, snapshot: &Snapshot) -> (Vec<PodPlan>, Vec<Option<usize>>) {
        let mut pods = Vec::new();
        let mut place_of = vec![None; self.verdicts.len()];
        for (position, decided) in self.verdicts.into_iter().enumerate() {
            let Some((verdict, class)) = decided else { continue };
            let of_class = class.and_then(|class| self.of_class.get(&class));
            let (existing, unchecked_rules) = of_class.cloned().unzip();
            place_of[position] = Some(pods.len());
            pods.push(PodPlan {
                pod: Arc::clone(&snapshot.pods()[position]),
                verdict,
                existing,
                unchecked_rules: unchecked_rules.unwrap_or_default(),
            });
        }
        (pods, place_of)
    }
}
