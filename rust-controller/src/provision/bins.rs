//! Planned nodes, as they fill.

use std::collections::{BTreeMap, VecDeque};

use super::existing::Waiting;
use super::launch::Launch;
use super::lots::Lot;
use super::market::{Market, Offer};
use super::mixture::Batch;
use crate::feasibility::{ClassId, NodeId, Simulation};

/// A planned node.
#[derive(Clone, Debug)]
pub(super) struct Bin<'a> {
    pub(super) launch: Launch<'a>,
    /// The node in the simulation.
    pub(super) node: NodeId,
    /// Positions of its pods.
    pub(super) pods: Vec<usize>,
}

/// All planned nodes.
#[derive(Debug, Default)]
pub(super) struct Bins<'a> {
    pub(super) all: Vec<Bin<'a>>,
    /// Pods in the order in which they were placed.
    pub(super) order: Vec<usize>,
    /// By class that was refused everywhere, when, and by how many nodes.
    refused: BTreeMap<ClassId, (u64, usize)>,
    /// By class that nothing but room can refuse, the nodes that will never take it.
    full: BTreeMap<ClassId, usize>,
    /// How often some node has been asked whether it takes a pod, as [`Effort`](super::effort::Effort) counts it.
    pub(super) asked: usize,
}

impl<'a> Bins<'a> {
    /// Plans one more node.
    pub(super) fn open(&mut self, offer: &Offer<'a>, simulation: &mut Simulation) -> usize {
        let node = offer.launch.join(simulation);
        self.add(offer.launch, node)
    }

    /// A node that has joined.
    pub(super) fn add(&mut self, launch: Launch<'a>, node: NodeId) -> usize {
        self.all.push(Bin { launch, node, pods: Vec::new() });
        self.all.len() - 1
    }

    /// Puts a pod on a node.
    pub(super) fn place(&mut self, pod: usize, class: ClassId, bin: usize, simulation: &mut Simulation) {
        simulation.place(class, self.all[bin].node);
        self.all[bin].pods.push(pod);
        self.order.push(pod);
    }

    /// Puts a pod on a node, if it may run there.
    pub(super) fn place_on(&mut self, pod: usize, class: ClassId, bin: usize, simulation: &mut Simulation) -> bool {
        let takes = takes(class, self.all[bin].node, simulation);
        if takes {
            self.place(pod, class, bin, simulation);
        }
        takes
    }

    /// From now on every node is asked again.
    pub(super) fn forget_refusals(&mut self) {
        self.refused.clear();
        self.full.clear();
    }

    /// Puts a pod on the first node that may run it.
    pub(super) fn place_anywhere(
        &mut self,
        pod: usize,
        class: ClassId,
        market: &Market<'_>,
        simulation: &mut Simulation,
    ) -> bool {
        let stamp = (simulation.changed(class), self.all.len());
        if self.refused.get(&class) == Some(&stamp) {
            return false;
        }
        let from = self.full.get(&class).copied().unwrap_or(0);
        let found = (from..self.all.len()).find(|bin| {
            let Bin { launch, node, .. } = &self.all[*bin];
            market.may_join(launch.series, class) && takes(class, *node, simulation)
        });
        self.asked += found.map_or(self.all.len(), |bin| bin + 1) - from;
        if !simulation.depends_on_others(class) {
            self.full.insert(class, found.unwrap_or(self.all.len()));
        }
        match found {
            Some(bin) => self.place(pod, class, bin, simulation),
            None => drop(self.refused.insert(class, stamp)),
        }
        found.is_some()
    }

    /// Moves a pod that nobody minds from a node to one more, as the last that is placed.
    pub(super) fn move_to_new(
        &mut self,
        pod: usize,
        class: ClassId,
        from: usize,
        launch: Launch<'a>,
        simulation: &mut Simulation,
    ) {
        simulation.take(class, self.all[from].node);
        self.all[from].pods.retain(|other| *other != pod);
        self.order.retain(|other| *other != pod);
        let node = launch.join(simulation);
        simulation.wake(node);
        let bin = self.add(launch, node);
        self.place(pod, class, bin, simulation);
    }

    /// Takes back the nodes that nobody came to.
    pub(super) fn drop_empty(&mut self, simulation: &mut Simulation) {
        let (kept, empty): (Vec<Bin<'a>>, Vec<Bin<'a>>) =
            std::mem::take(&mut self.all).into_iter().partition(|bin| !bin.pods.is_empty());
        for bin in empty {
            simulation.remove_joined(bin.node);
        }
        self.all = kept;
        self.full.clear();
        self.refused.clear();
    }

    /// How many nodes there are, and how many pods on them.
    pub(super) fn mark(&self) -> (usize, usize) {
        (self.all.len(), self.order.len())
    }

    /// Takes back all nodes that have come since then; pods have come to no others.
    pub(super) fn return_to(
        &mut self,
        (bins, placed): (usize, usize),
        pods: &[Waiting<'_>],
        simulation: &mut Simulation,
    ) {
        for pod in self.order.drain(placed..).rev() {
            if let Some(bin) = self.all[bins..].iter().find(|bin| bin.pods.contains(&pod)) {
                simulation.take(pods[pod].class, bin.node);
            }
        }
        self.all[bins..].iter_mut().for_each(|bin| bin.pods.clear());
        self.drop_empty(simulation);
    }

    /// Takes for each node the cheapest one of its area that holds all its pods.
    ///
    /// Nothing that was decided before is undone by that: a node differs from another of its area in its name alone, as far
    /// as rules about other pods go.
    pub(super) fn resize(&mut self, market: &Market<'a>, pods: &[Waiting<'_>], simulation: &Simulation) {
        for bin in &mut self.all {
            if let Some(launch) = market.cheaper(bin, pods, simulation) {
                bin.launch = launch;
            }
        }
    }
}

/// Whether a planned node may run a pod of the class, once its daemon pods are there. They are from then on, if so.
fn takes(class: ClassId, node: NodeId, simulation: &mut Simulation) -> bool {
    let woken = simulation.wake(node);
    let takes = simulation.may_run(class, node);
    if woken && !takes {
        simulation.sleep(node);
    }
    takes
}

/// Places for pods of each lot on new nodes.
pub(super) struct Slots {
    /// By lot, nodes with how many more of its pods they are to get.
    of_lot: Vec<VecDeque<(usize, u32)>>,
    /// By pod, its lot.
    lot_of: Vec<Option<usize>>,
    refused: BTreeMap<(ClassId, usize), u64>,
}

impl Slots {
    /// Plans the nodes of a mixture.
    pub(super) fn open<'a>(
        lots: &[Lot],
        pod_count: usize,
        batches: &[Batch],
        market: &Market<'a>,
        bins: &mut Bins<'a>,
        simulation: &mut Simulation,
    ) -> Self {
        let mut of_lot = vec![VecDeque::new(); lots.len()];
        for batch in batches {
            for _ in 0..batch.nodes {
                let bin = bins.open(&market.offers[batch.offer], simulation);
                batch.filling.iter().for_each(|(lot, count)| of_lot[*lot].push_back((bin, *count)));
            }
        }
        let mut lot_of = vec![None; pod_count];
        for (number, lot) in lots.iter().enumerate() {
            lot.pods.iter().for_each(|pod| lot_of[*pod] = Some(number));
        }
        Self { of_lot, lot_of, refused: BTreeMap::new() }
    }

    /// Puts a pod on a node that has a place for its lot, each node in turn. Returns the node.
    pub(super) fn seat(
        &mut self,
        pod: usize,
        class: ClassId,
        bins: &mut Bins<'_>,
        simulation: &mut Simulation,
    ) -> Option<usize> {
        let number = self.lot_of[pod]?;
        let now = simulation.changed(class);
        if self.refused.get(&(class, number)) == Some(&now) {
            return None;
        }
        let slots = &mut self.of_lot[number];
        let found = slots.iter().position(|(bin, _)| takes(class, bins.all[*bin].node, simulation));
        bins.asked += found.map_or(slots.len(), |at| at + 1);
        let Some(at) = found else {
            self.refused.insert((class, number), now);
            return None;
        };
        // Those that refused this pod come first for the next one; the one that took it goes last.
        let (bin, count) = slots.remove(at)?;
        if count > 1 {
            slots.push_back((bin, count - 1));
        }
        bins.place(pod, class, bin, simulation);
        Some(bin)
    }
}
