//! The least that any nodes for the pods of a fleet would cost, with the same kind of certificate as a plan has.
//!
//! The pods of nodes that count are held by some of these nodes in the end, or by new ones that the options of provisioning
//! allow, or by free room on nodes that stay in any case. Whatever removals and replacements there are, what the nodes cost
//! that count or come is no less than the bound of [`Holders::least_cost`] for these offers.

use std::collections::{BTreeMap, BTreeSet};

use super::{Consolidation, Keep, NodePlan, Objective, Verdict};
use crate::feasibility::{Target, placement_admits};
use crate::model::{Catalog, Node, Placement, Resources, key};
use crate::provision::{self, Certificate, Holders, There};
use crate::snapshot::Snapshot;
use crate::units::FastMap;

/// A lower bound on what the nodes that count and those that come can cost.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetBound {
    /// In the catalog's currency per hour; where sizes are what counts, in cores.
    pub least: f64,
    /// Why it holds.
    pub certificate: Certificate,
}

/// The bound for the nodes of a consolidation, with what the options of provisioning allow to buy; where sizes are what
/// counts, nothing, since new nodes are compared by price alone. `None` where the pods need no node that costs anything.
#[must_use]
pub fn lower_bound(
    snapshot: &Snapshot,
    (catalog, options): (&Catalog, &provision::Options),
    consolidation: &Consolidation,
) -> Option<FleetBound> {
    let holders = holders(snapshot, consolidation);
    let nothing = || Catalog { types: Vec::new(), ..catalog.clone() };
    let (least, certificate) = match consolidation.objective {
        Objective::Price => holders.least_cost(snapshot, (catalog, options)),
        Objective::Size => holders.least_cost(snapshot, (&nothing(), options)),
    }?;
    Some(FleetBound { least, certificate })
}

/// What is requested on a node.
#[derive(Clone, Default)]
struct Requested {
    /// By pods that end with it.
    ending: Resources,
    /// By all others.
    others: Resources,
}

fn holders(snapshot: &Snapshot, consolidation: &Consolidation) -> Holders {
    let plans = &consolidation.nodes;
    let number: FastMap<&str, usize> =
        plans.iter().enumerate().map(|(number, plan)| (plan.node.name.as_str(), number)).collect();
    let counts: Vec<bool> = plans.iter().map(|plan| consolidation.counts(plan)).collect();
    let mut requested = vec![Requested::default(); plans.len()];
    let mut placements: BTreeSet<&Placement> = BTreeSet::new();
    let mut holders = Holders::default();
    for (position, pod) in snapshot.pods().iter().enumerate().filter(|(_, pod)| !pod.deleting) {
        let Some(node) = pod.occupied_node().and_then(|name| number.get(name)) else { continue };
        let Requested { ending, others } = &mut requested[*node];
        if pod.ends_with_its_node() {
            ending.add(&pod.requests);
            continue;
        }
        others.add(&pod.requests);
        if counts[*node] {
            holders.pods.push(position);
            placements.insert(&pod.placement);
        }
    }
    let may_take = |node: &Node| placements.iter().any(|asked| placement_admits(asked, &Target::existing(node)));
    let mut there: BTreeMap<(Resources, u64), u64> = BTreeMap::new();
    for ((plan, counts), Requested { ending, others }) in plans.iter().zip(counts).zip(&requested) {
        let node = &plan.node;
        let room = node.allocatable.less(ending);
        if counts && (others.pods > 0 || may_take(node)) {
            // What is there may stay, even where it is more than there is room for.
            *there.entry((room.largest(others), consolidation.objective.weight(plan))).or_default() += 1;
        } else if !counts && plan.takes_pods() && may_take(node) {
            holders.elsewhere.push(room.less(others));
        }
    }
    let alike = |((room, weight), nodes)| There { room, price: consolidation.objective.in_units(weight), nodes };
    holders.there = there.into_iter().map(alike).collect();
    holders
}

impl NodePlan {
    /// Whether pods may be sent there.
    fn takes_pods(&self) -> bool {
        !self.node.labels.contains_key(key::CONTROL_PLANE)
            && self.node.ready
            && !self.node.deleting
            && self.verdict != Verdict::Keep(Keep::UnreadablePod)
    }
}

impl Consolidation {
    /// By which share the nodes that count and stay cost more than the lower bound, or are larger; `None` where there is none.
    #[must_use]
    pub fn gap(&self) -> Option<f64> {
        let staying = self.nodes.iter().filter(|plan| self.counts(plan) && plan.verdict != Verdict::Remove);
        Some(self.objective.total(staying) / self.bound.as_ref()?.least - 1.0)
    }

    /// How many of the nodes that count their pods need at least, where sizes are what counts: so many of the largest are as
    /// large as the lower bound.
    #[must_use]
    pub fn fewest_nodes(&self) -> Option<usize> {
        let FleetBound { least, certificate } = self.bound.as_ref().filter(|_| self.objective == Objective::Size)?;
        let counted = self.nodes.iter().filter(|plan| self.counts(plan));
        let mut sizes: Vec<f64> = counted.map(|plan| self.objective.total([plan])).collect();
        sizes.sort_by(|left, right| right.total_cmp(left));
        let so_far = sizes.into_iter().scan(0.0, |sum, size| Some(std::mem::replace(sum, *sum + size)));
        let by_size = so_far.take_while(|sum| sum < least).count();
        Some(by_size.max(usize::try_from(certificate.fewest_nodes).unwrap_or(0)))
    }
}
