//! Soft rules: met where that costs nothing, and counted where they are not.
//!
//! They have no part in what is planned. When the pods have their places, some change them for the sake of soft rules
//! ([`Exchange`]), first those on existing nodes and then those on planned ones, of which some are launched otherwise
//! ([`relaunch`]). What is left unmet is counted in the end, with all pods where they are to be.

use super::Options;
use super::bins::Bin;
use super::effort::Effort;
use super::exchange::{Exchange, Likeness, PlannedSpot, ROUNDS, Spot};
use super::existing::Waiting;
use super::launch::{Launches, Series};
use super::pack::Packed;
use super::relaunch::{Limits, OnExisting, relaunch};
use crate::feasibility::{ClassId, NodeId, Obstacles, Simulation, Unmet, Wishes};
use crate::snapshot::Snapshot;

/// Pods on existing nodes of the cluster, each with the name of its node.
pub(super) type Fitting<'a> = Vec<(Waiting<'a>, String)>;

/// Lets pods that fit existing nodes change places among the usable nodes, which are in order, so that `rest` finds no more room than before.
pub(super) fn on_existing<'a>(
    snapshot: &'a Snapshot,
    fitting: &mut Fitting<'a>,
    rest: &[Waiting<'a>],
    usable: &[NodeId],
    simulation: &mut Simulation,
) {
    let positions: Vec<usize> = fitting.iter().map(|(waiting, _)| waiting.position).collect();
    let Some(mut wishes) = Wishes::of(snapshot, &positions, &[]) else { return };
    let mut spots: Vec<Spot<'_>> = Vec::new();
    for (number, node) in simulation.existing_nodes().enumerate().filter(|(_, node)| usable.binary_search(node).is_ok())
    {
        spots.push(Spot { node, number, planned: None, pods: Vec::new() });
    }
    for (pod, (waiting, name)) in fitting.iter().enumerate() {
        let Some(node) = simulation.node(name) else { continue };
        if let Ok(at) = spots.binary_search_by_key(&node, |spot| spot.node) {
            spots[at].pods.push(pod);
            wishes.place(waiting.position, spots[at].number);
        }
    }
    let mut classes: Vec<ClassId> = rest.iter().map(|waiting| waiting.class).collect();
    classes.sort_unstable();
    classes.dedup();
    // Those are placed nowhere, room or not.
    classes.retain(|class| simulation.unchecked_rules(*class).is_empty());
    let pods: Vec<Waiting<'a>> = fitting.iter().map(|(waiting, _)| *waiting).collect();
    let mut exchange = Exchange::new(&pods, spots, &mut wishes, simulation).without_room_for(classes);
    exchange.improve(ROUNDS);
    for Spot { node, pods, .. } in exchange.spots {
        for pod in pods {
            simulation.name(node).clone_into(&mut fitting[pod].1);
        }
    }
}

/// Lets pods on planned nodes change places there, and the nodes be launched otherwise, and counts what is unmet for all pods
/// that get a node.
///
/// Where some zone has fewer nodes than it should, nothing changes: a pod that has its node for itself may be the only one
/// that could have one there, and would be so no longer with another. Nor does anything change where pods depend on hosts not
/// being empty, or where that would make room for a pod which gets no node.
pub(super) fn on_planned<'a>(
    snapshot: &'a Snapshot,
    fitting: &Fitting<'a>,
    pods: &[Waiting<'a>],
    packed: &mut Packed<'a>,
    (launches, within): (&'a Launches<'a>, (&Options, &Effort)),
    simulation: &mut Simulation,
) -> Unmet {
    let may_change = packed.zones_are_full && !packed.hosts_are_final;
    let before = (may_change && !packed.left_out.is_empty()).then(|| (packed.bins.clone(), simulation.clone()));
    let unmet = change_places(snapshot, fitting, pods, (packed, may_change), (launches, within), simulation);
    let Some((bins, unchanged)) = before else { return unmet };
    let mut left_out = packed.left_out.iter().map(|pod| &pods[*pod]);
    if !left_out.any(|waiting| may_be_placed(waiting, &packed.bins, launches, simulation)) {
        return unmet;
    }
    packed.bins = bins;
    *simulation = unchanged;
    change_places(snapshot, fitting, pods, (packed, false), (launches, within), simulation)
}

/// Whether a planned node, or another new one, takes the pod now.
fn may_be_placed<'a>(
    waiting: &Waiting<'_>,
    bins: &[Bin<'_>],
    launches: &'a Launches<'a>,
    simulation: &Simulation,
) -> bool {
    let class = waiting.class;
    let is_asked_for = |node: NodeId| launches.are_asked_for(waiting.pod, node, simulation);
    let mut planned = bins.iter();
    let planned_takes = |bin: &Bin<'_>| simulation.may_run(class, bin.node) && is_asked_for(bin.launch.node());
    let new_takes = |series: &Series| {
        let has_room = || launches.of_series(series).any(|launch| launch.fits(simulation.requests(class)));
        simulation.obstacles(class, series.node) == Obstacles::default() && is_asked_for(series.node) && has_room()
    };
    !waiting.pod.claims_devices && (planned.any(planned_takes) || launches.series().iter().any(new_takes))
}

/// Counts what is unmet, and before that lets pods and nodes change, if they may.
fn change_places<'a>(
    snapshot: &'a Snapshot,
    fitting: &Fitting<'a>,
    pods: &[Waiting<'a>],
    (packed, may_change): (&mut Packed<'a>, bool),
    (launches, (options, effort)): (&'a Launches<'a>, (&Options, &Effort)),
    simulation: &mut Simulation,
) -> Unmet {
    let limits = Limits { nodes_per_zone: options.min_nodes_per_zone, all_domains_counted: packed.all_domains_counted };
    let bins = &mut packed.bins;
    let on_bins = bins.iter().flat_map(|bin| &bin.pods).map(|pod| &pods[*pod]);
    let caring = on_bins.filter(|waiting| waiting.pod.preferences.is_some());
    let positions = fitting.iter().map(|(waiting, _)| waiting).chain(caring).map(|waiting| waiting.position);
    let positions: Vec<usize> = positions.collect();
    let Some(mut wishes) = Wishes::of(snapshot, &positions, launches.daemons()) else { return Unmet::default() };
    let on_existing: Vec<OnExisting<'a>> = fitting
        .iter()
        .filter_map(|(waiting, name)| Some((*waiting, node_number(snapshot, name)?, simulation.node(name)?)))
        .collect();
    for (waiting, number, _) in &on_existing {
        wishes.place(waiting.position, *number);
    }
    let spots: Vec<Spot<'_>> = bins.iter().map(|bin| spot(bin, pods, &mut wishes, simulation)).collect();
    let mut exchange = Exchange::new(pods, spots, &mut wishes, simulation).within(launches);
    if may_change {
        exchange.improve(ROUNDS);
        // With nodes elsewhere, pods may find better places among them.
        if !effort.is_spent() && relaunch(bins, &mut exchange, &on_existing, launches, limits) {
            exchange.improve(1);
        }
    }
    let spots = exchange.spots;
    let on_planned = spots.iter().flat_map(|spot| {
        let position = |pod: &usize| (pods[*pod].position, spot.number, spot.likeness());
        spot.pods.iter().map(position)
    });
    let on_planned = on_planned.filter(|(position, ..)| wishes.number(*position).is_some());
    let on_existing =
        on_existing.iter().map(|(waiting, number, node)| (waiting.position, *number, Likeness::Existing(*node)));
    let placed: Vec<(usize, usize, Likeness<'_>)> = on_existing.chain(on_planned).collect();
    let unmet = placed.into_iter().map(|at| unmet(snapshot, at, &wishes, simulation)).sum();
    for (bin, spot) in bins.iter_mut().zip(spots) {
        bin.pods = spot.pods;
    }
    unmet
}

fn node_number(snapshot: &Snapshot, name: &str) -> Option<usize> {
    snapshot.nodes().binary_search_by(|node| node.name.as_str().cmp(name)).ok()
}

/// A planned node, with its pods and its daemon pods placed there for [`Wishes`].
fn spot<'a>(bin: &Bin<'a>, pods: &[Waiting<'_>], wishes: &mut Wishes, simulation: &Simulation) -> Spot<'a> {
    let launch = bin.launch;
    let number = wishes.add_new(&launch.target());
    wishes.of_more(&launch.series.daemons).for_each(|daemon| wishes.place(daemon, number));
    let mut left = launch.room();
    for Waiting { position, class, .. } in bin.pods.iter().map(|pod| &pods[*pod]) {
        wishes.place(*position, number);
        for (resource, amount) in simulation.requests(*class) {
            left[*resource] -= amount;
        }
    }
    Spot { node: bin.node, number, planned: Some(PlannedSpot { launch, left }), pods: bin.pods.clone() }
}

/// What is unmet for a pod that is on a node, which has labels and taints like this.
fn unmet(
    snapshot: &Snapshot,
    (position, number, like): (usize, usize, Likeness<'_>),
    wishes: &Wishes,
    simulation: &Simulation,
) -> Unmet {
    wishes.unmet_there(position, &snapshot.pods()[position], number, &like.target(simulation))
}
