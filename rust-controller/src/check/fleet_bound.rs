//! The lower bound of a consolidation: that its certificate holds for the nodes that are there and for those that could be
//! bought, and that neither what stays after the removals nor what the replacement makes of the fleet is below it.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use super::certificate::{Held, Offer, keys};
use super::daemons::{self, daemon_pods};
use super::pool_labels::{Alternative, alternatives, type_keys};
use super::set_apart::SetApart;
use crate::consolidate::{Consolidation, FleetBound, Objective};
use crate::feasibility::{Target, placement_admits};
use crate::model::{Catalog, Labels, Node, Placement, Pod, Resources, Taint, in_units, key};
use crate::provision::{Options, default_requirements};
use crate::snapshot::Snapshot;
use crate::units::{FastMap, Money};

/// Everything that is wrong with the lower bound of a consolidation, sorted; nothing, where it holds or there is none.
#[must_use]
pub fn check_lower_bound(
    snapshot: &Snapshot,
    (catalog, options): (&Catalog, &Options),
    consolidation: &Consolidation,
) -> Vec<Violation> {
    let Some(FleetBound { least, certificate }) = &consolidation.bound else { return Vec::new() };
    let fleet = Fleet::of(snapshot, catalog, consolidation);
    let for_sale = match consolidation.objective {
        Objective::Price => for_sale(snapshot, (catalog, options), &fleet.held.pods),
        Objective::Size => Vec::new(),
    };
    let mut problems = fleet.held.problems(*least, certificate, &for_sale, &fleet.there());
    for (what, cost) in fleet.costs().into_iter().filter(|(_, cost)| least > cost) {
        problems.push(format!("says {least}, and {what} make it {cost}"));
    }
    problems.sort();
    problems.into_iter().map(|problem| Violation::new("lower bound", problem)).collect()
}

/// A node that is there.
struct Station<'a> {
    node: &'a Node,
    price: Option<Money>,
    /// What the pods request that end with it, and the others.
    ending: Resources,
    others: Resources,
    unreadable: bool,
}

/// The nodes that are there, as a bound sees them.
struct Fleet<'a> {
    consolidation: &'a Consolidation,
    /// Those that count: they may go.
    counted: Vec<Station<'a>>,
    /// Their pods, and where else there is room for them.
    held: Held<'a>,
}

impl<'a> Fleet<'a> {
    fn of(snapshot: &'a Snapshot, catalog: &Catalog, consolidation: &'a Consolidation) -> Self {
        let unreadable = snapshot.unreadable_nodes();
        let by_size = consolidation.objective == Objective::Size;
        let mut stations: FastMap<&str, Station<'a>> = FastMap::default();
        for node in snapshot.nodes() {
            let price = catalog.price_per_hour(&node.labels);
            let unreadable = unreadable.contains(node.name.as_str());
            let (ending, others) = (Resources::default(), Resources::default());
            stations.insert(&node.name, Station { node, price, ending, others, unreadable });
        }
        let counts = |station: &Station<'_>| {
            is_removable(station.node) && !station.unreadable && (by_size || station.price.is_some())
        };
        let mut pods: Vec<&Pod> = Vec::new();
        for pod in snapshot.pods().iter().filter(|pod| !pod.deleting) {
            let Some(station) = pod.occupied_node().and_then(|node| stations.get_mut(node)) else { continue };
            if pod.ends_with_its_node() {
                station.ending.add(&pod.requests);
                continue;
            }
            station.others.add(&pod.requests);
            if counts(station) {
                pods.push(pod);
            }
        }
        let in_order = snapshot.nodes().iter().filter_map(|node| stations.remove(node.name.as_str()));
        let (counted, uncounted): (Vec<Station<'a>>, Vec<Station<'a>>) = in_order.partition(counts);
        let namespaces = snapshot.extras().namespaces.as_ref();
        let hosts = snapshot.nodes().iter().map(|node| (node.name.as_str(), &**node)).collect();
        let placements = placements(&pods);
        let open = uncounted.iter().filter(|station| {
            // No removal sends a pod to the control plane.
            !station.node.labels.contains_key(key::CONTROL_PLANE)
                && station.node.ready
                && !station.node.deleting
                && !station.unreadable
                && station.may_take(&placements)
        });
        let elsewhere = open.map(|station| station.room().less(&station.others)).collect();
        Self { consolidation, counted, held: Held { pods, namespaces, elsewhere, hosts } }
    }

    /// Room and price of the nodes that count and may hold some of the pods.
    fn there(&self) -> Vec<(Resources, f64)> {
        let placements = placements(&self.held.pods);
        let holding = self.counted.iter().filter(|station| station.others.pods > 0 || station.may_take(&placements));
        // Even a node that is too full may stay as it is.
        holding.map(|station| (station.room().largest(&station.others), self.total([station]))).collect()
    }

    /// In billionths of the currency, or in milli-cores.
    fn weight(&self, station: &Station<'_>) -> u64 {
        match self.consolidation.objective {
            Objective::Price => station.price.map_or(0, Money::get),
            Objective::Size => station.node.allocatable.size(),
        }
    }

    fn total<'s>(&self, stations: impl IntoIterator<Item = &'s Station<'s>>) -> f64 {
        let weight: u64 = stations.into_iter().map(|station| self.weight(station)).sum();
        match self.consolidation.objective {
            Objective::Price => Money::nanos(weight).units(),
            Objective::Size => in_units("cpu", weight),
        }
    }

    /// What the nodes that count come to after the removals, and after the replacement if there is one.
    fn costs(&self) -> Vec<(&'static str, f64)> {
        let staying = |gone: BTreeSet<&str>| {
            self.total(self.counted.iter().filter(|station| !gone.contains(station.node.name.as_str())))
        };
        let removed = self.consolidation.removals.iter().map(String::as_str).collect();
        let mut costs = vec![("the removals", staying(removed))];
        let replacement = self.consolidation.replacement.as_ref();
        if let Some(replacement) = replacement.filter(|_| self.consolidation.objective == Objective::Price) {
            let replaced = replacement.removals.iter().map(|plan| plan.node.name.as_str()).collect();
            let new: Money = replacement.nodes.iter().filter_map(|node| node.price_per_hour).sum();
            costs.push(("new nodes", staying(replaced) + new.units()));
        }
        costs
    }
}

impl Station<'_> {
    /// What pods may request that do not end with it.
    fn room(&self) -> Resources {
        self.node.allocatable.less(&self.ending)
    }

    fn may_take(&self, placements: &BTreeSet<&Placement>) -> bool {
        placements.iter().any(|placement| placement_admits(placement, &Target::existing(self.node)))
    }
}

fn placements<'a>(pods: &[&'a Pod]) -> BTreeSet<&'a Placement> {
    pods.iter().map(|pod| &pod.placement).collect()
}

/// Whether something may go that is there: it is no node of the control plane, nor going already, nor out of reach.
fn is_removable(node: &Node) -> bool {
    let offers = !node.allocatable.cpu.is_zero() && !node.allocatable.memory.is_zero();
    node.ready && !node.deleting && !node.unschedulable && offers && !node.labels.contains_key(key::CONTROL_PLANE)
}

/// What a pool adds to its nodes: labels and taints, as far as they decide which daemon pods run there.
type Additions = (Labels, Vec<Taint>);

/// Node types with a price that may hold one of the pods, with the labels that it asks for and the taints that come with these,
/// as far as they decide which daemon pods run there.
fn for_sale(snapshot: &Snapshot, (catalog, options): (&Catalog, &Options), pods: &[&Pod]) -> Vec<Offer> {
    let daemons = daemon_pods(snapshot);
    let watched: BTreeSet<&str> = daemons.iter().flat_map(|daemon| keys(&daemon.placement)).collect();
    let type_keys = type_keys(catalog);
    let defaults = default_requirements(options, snapshot);
    let set_apart = SetApart::of(snapshot);
    let mut asked: BTreeMap<Additions, Vec<Alternative>> = BTreeMap::new();
    for alternative in placements(pods).into_iter().flat_map(|each| alternatives(each, &type_keys, &defaults)) {
        let mut seen = alternative.labels.clone();
        seen.retain(|key, _| watched.contains(key.as_str()));
        let taints = set_apart.taints_of(&alternative.labels);
        asked.entry((seen, taints)).or_default().push(alternative);
    }
    let mut offers = Vec::new();
    for (kind, offering) in options.allowed(catalog).filter(|(_, offering)| offering.price_per_hour.is_some()) {
        let labels = kind.labels_as(offering);
        for ((_, taints), alike) in &asked {
            let target = |template_labels| Target { template_labels, taints, ..Target::new(&labels) };
            let admitted = alike.iter().find(|each| placement_admits(&each.placement, &target(&each.labels)));
            if let Some(Alternative { labels: added, .. }) = admitted {
                let running = daemons::running(&daemons, &target(added), &kind.allocatable);
                offers.push(Offer::of_type((kind, offering), options, running.iter().map(|at| &daemons[*at])));
            }
        }
    }
    offers
}
