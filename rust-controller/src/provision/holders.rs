//! The least that any nodes for pods which run already would cost: those that are there may stay, others may be bought.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bound::{Offered, certified};
use super::demands::simulate_for;
use super::existing::Waiting;
use super::market::Market;
use super::set_apart::SetApart;
use super::{Certificate, Options, Shape, Shaper, daemon_pods, default_requirements};
use crate::feasibility::{ClassId, Simulation, tolerates};
use crate::model::{Catalog, Placement, Pod, Resources, normalized_key};
use crate::snapshot::Snapshot;

/// Nodes that are there, and may stay.
#[derive(Clone, Debug)]
pub struct There {
    /// What the pods may request of each.
    pub room: Resources,
    /// What each costs.
    pub price: f64,
    /// How many they are.
    pub nodes: u64,
}

/// Pods, and the nodes that are there for them.
#[derive(Debug, Default)]
pub struct Holders {
    /// Positions of the pods in the snapshot.
    pub pods: Vec<usize>,
    /// Nodes that may stay, no two with one room and price.
    pub there: Vec<There>,
    /// What is free on each of the nodes that stay in any case, and so cost nothing.
    pub elsewhere: Vec<Resources>,
}

impl Holders {
    /// The least that nodes for the pods cost, of those that may stay and those that these options would launch, and the
    /// certificate for it: that of a plan, in which nodes that are there are offers as well, each once, and the free room
    /// elsewhere is not paid for. `None` where nothing need be paid. Types without a price are no offers.
    ///
    /// One simulation, and O((nodes that differ + offers) × rows) for each step of the linear program.
    #[must_use]
    pub fn least_cost(
        &self,
        snapshot: &Snapshot,
        (catalog, options): (&Catalog, &Options),
    ) -> Option<(f64, Certificate)> {
        let pods: Vec<&Arc<Pod>> = self.pods.iter().map(|position| &snapshot.pods()[*position]).collect();
        let shaper = Shaper::new(catalog, default_requirements(options, snapshot));
        let daemons = daemons_everywhere(snapshot, &pods, &shaper);
        // Of the labels of `NodePool`s only those make a difference that decide which daemon pods run on a node.
        let shaper = shaper.telling_apart(daemon_keys(&daemons));
        let (mut simulation, demands) = simulate_for(&pods, (snapshot, daemons), &shaper, &[]);
        let launches = demands.launches(pods.iter().map(|pod| &***pod), (catalog, options, None), &mut simulation);
        let waiting = |(position, pod): (&usize, _)| {
            Some(Waiting { position: *position, pod, class: simulation.class_at(*position)?, urgent: false })
        };
        let waiting: Vec<Waiting<'_>> = self.pods.iter().zip(pods).filter_map(waiting).collect();
        let classes: BTreeMap<ClassId, &Pod> = waiting.iter().map(|each| (each.class, &**each.pod)).collect();
        let market = Market::of(&classes, &launches, &simulation);
        let needs: BTreeSet<usize> = classes.keys().filter_map(|class| market.needs(*class)).collect();
        let rooms: Vec<Vec<i64>> = self.there.iter().map(|there| numbered(&there.room, &simulation)).collect();
        let there = rooms.iter().zip(&self.there).map(|(room, There { price, nodes, .. })| {
            #[expect(clippy::cast_precision_loss, reason = "a number of nodes")]
            let supply = *nodes as f64;
            Offered { room, price: *price, supply }
        });
        let priced = market.offers_to(&needs).filter(|offer| offer.launch.offering.price_per_hour.is_some());
        let offers: Vec<Offered<'_>> = there.chain(priced.map(Offered::for_sale)).collect();
        let free: Vec<Vec<i64>> = self.elsewhere.iter().map(|room| numbered(room, &simulation)).collect();
        let (least, certificate) = certified(waiting.iter(), &offers, &free, &simulation)?;
        Some((least, Certificate { node_types: market.types(&needs), ..certificate }))
    }
}

/// A pod for each `DaemonSet` that no taint keeps off a new node, be it one that comes with a label which one of the pods asks
/// for. A bound that knows of no others may be lower than it could be, and never too high.
fn daemons_everywhere(snapshot: &Snapshot, pods: &[&Arc<Pod>], shaper: &Shaper<'_>) -> Vec<Arc<Pod>> {
    let placements: BTreeSet<&Placement> = pods.iter().map(|pod| &pod.placement).collect();
    let asked: Vec<Shape> = placements.into_iter().filter_map(|each| shaper.shapes(each).ok()).flatten().collect();
    let set_apart = SetApart::whoever_asks(snapshot.nodes(), asked.iter().map(|shape| &shape.template_labels));
    let mut daemons = daemon_pods(snapshot);
    let taints = set_apart.taints();
    daemons.retain(|daemon| taints.iter().all(|taint| tolerates(&daemon.placement.tolerations, taint)));
    daemons
}

/// Keys of labels that `DaemonSet`s select nodes by.
fn daemon_keys(daemons: &[Arc<Pod>]) -> BTreeSet<String> {
    let of_placement = |placement: &Placement| -> Vec<String> {
        let terms = placement.node_affinity.iter().flatten();
        let required = terms.flat_map(|term| &term.labels).map(|requirement| &requirement.key);
        required.chain(placement.node_selector.keys()).map(|key| normalized_key(key).to_owned()).collect()
    };
    daemons.iter().flat_map(|daemon| of_placement(&daemon.placement)).collect()
}

/// By number of the resource.
fn numbered(room: &Resources, simulation: &Simulation) -> Vec<i64> {
    simulation.resources().iter().map(|name| i64::try_from(room.amount(name)).unwrap_or(i64::MAX)).collect()
}
