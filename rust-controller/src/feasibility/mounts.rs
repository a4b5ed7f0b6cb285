//! Which volumes are in use where.

use std::collections::{BTreeMap, BTreeSet};

use super::volumes::Attachments;
use crate::model::{Disk, DiskKind};
use crate::units::FastMap;

/// What the volumes of the pods take, on each node and in the whole cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Mounts {
    /// Disks without a claim, by node: one entry for each pod that has it.
    disks: BTreeMap<usize, Vec<Disk>>,
    /// Attached volumes, by node, driver and volume: how many pods use each.
    attached: BTreeMap<usize, BTreeMap<(usize, usize), u32>>,
    /// Claims under ephemeral volumes of pods for which they were not made, by node: one entry for each of these pods.
    of_others: BTreeMap<usize, Vec<usize>>,
    /// Claims for one pod only: how many pods use each.
    exclusive: BTreeMap<usize, u32>,
    /// By rack, volumes that no pod placed here has been promised.
    free: Vec<BTreeSet<usize>>,
    /// The rack of each volume that was free at the start.
    rack_of: FastMap<usize, usize>,
    /// By class and node, pod by pod.
    promises: BTreeMap<(usize, usize), Vec<Promise>>,
    /// By claim that several pods use, where each of these has come to it, and the volume that it was promised.
    shared: BTreeMap<usize, Vec<(usize, Option<usize>)>>,
}

/// What a pod has that is on a node.
#[derive(Clone, Debug, Default)]
struct Promise {
    /// It has come there.
    came: bool,
    /// Volumes that it was promised.
    volumes: Vec<usize>,
}

impl Mounts {
    /// Nothing is in use, and all these volumes are free, by rack.
    pub(super) fn new(free: Vec<BTreeSet<usize>>) -> Self {
        let on_rack = |(rack, volumes): (usize, &BTreeSet<usize>)| {
            volumes.iter().map(move |volume| (*volume, rack)).collect::<Vec<_>>()
        };
        Self { rack_of: free.iter().enumerate().flat_map(on_rack).collect(), free, ..Self::default() }
    }

    pub(super) fn add_disks(&mut self, node: usize, disks: &[Disk]) {
        if !disks.is_empty() {
            self.disks.entry(node).or_default().extend(disks.iter().cloned());
        }
    }

    pub(super) fn remove_disks(&mut self, node: usize, disks: &[Disk]) {
        let Some(here) = self.disks.get_mut(&node) else { return };
        for disk in disks {
            if let Some(at) = here.iter().position(|other| other == disk) {
                here.swap_remove(at);
            }
        }
    }

    /// A disk of these that a pod on the node has mounted, and that they cannot share.
    pub(super) fn conflict<'d>(&self, node: usize, disks: &'d [Disk]) -> Option<&'d Disk> {
        let here = self.disks.get(&node)?;
        disks.iter().find(|disk| here.iter().any(|other| exclude_each_other(disk, other)))
    }

    pub(super) fn attach(&mut self, node: usize, volumes: &Attachments) {
        for volume in volumes {
            *self.attached.entry(node).or_default().entry(*volume).or_default() += 1;
        }
    }

    pub(super) fn detach(&mut self, node: usize, volumes: &Attachments) {
        let Some(attached) = self.attached.get_mut(&node) else { return };
        for volume in volumes {
            if let Some(pods) = attached.get_mut(volume) {
                *pods -= 1;
                if *pods == 0 {
                    attached.remove(volume);
                }
            }
        }
    }

    /// How many volumes of a driver are attached to a node, and how many of `volumes` would come on top.
    pub(super) fn attachments(&self, node: usize, driver: usize, volumes: &Attachments) -> (u32, u32) {
        let attached = self.attached.get(&node);
        let here = |volume: &(usize, usize)| attached.is_some_and(|attached| attached.contains_key(volume));
        let count = |volumes: usize| u32::try_from(volumes).unwrap_or(u32::MAX);
        let present = attached.map_or(0, |attached| attached.keys().filter(|(other, _)| *other == driver).count());
        let new = volumes.iter().filter(|volume| volume.0 == driver && !here(volume)).count();
        (count(present), count(new))
    }

    /// A pod on the node has these claims, which were made for others.
    pub(super) fn add_of_others(&mut self, node: usize, claims: &[usize]) {
        if !claims.is_empty() {
            self.of_others.entry(node).or_default().extend(claims);
        }
    }

    pub(super) fn remove_of_others(&mut self, node: usize, claims: &[usize]) {
        let Some(here) = self.of_others.get_mut(&node) else { return };
        for claim in claims {
            if let Some(at) = here.iter().position(|other| other == claim) {
                here.remove(at);
            }
        }
    }

    /// A claim that a pod on the node has, and that was made for another.
    pub(super) fn of_another(&self, node: usize) -> Option<usize> {
        self.of_others.get(&node)?.iter().min().copied()
    }

    pub(super) fn use_claims(&mut self, claims: &[usize]) {
        for claim in claims {
            *self.exclusive.entry(*claim).or_default() += 1;
        }
    }

    pub(super) fn leave_claims(&mut self, claims: &[usize]) {
        for claim in claims {
            if let Some(pods) = self.exclusive.get_mut(claim) {
                *pods -= 1;
            }
        }
    }

    /// A claim of these that a pod uses.
    pub(super) fn used_claim(&self, claims: &[usize]) -> Option<usize> {
        claims.iter().copied().find(|claim| self.exclusive.get(claim).is_some_and(|pods| *pods > 0))
    }

    /// Where a claim that several pods use is, once one of them has come: its node, and the volume that it was promised,
    /// or none where one is made.
    pub(super) fn shared(&self, claim: usize) -> Option<(usize, Option<usize>)> {
        self.shared.get(&claim)?.first().copied()
    }

    pub(super) fn share(&mut self, claim: usize, node: usize, volume: Option<usize>) {
        self.shared.entry(claim).or_default().push((node, volume));
    }

    pub(super) fn leave(&mut self, claim: usize, node: usize) {
        let Some(users) = self.shared.get_mut(&claim) else { return };
        if let Some(at) = users.iter().rposition(|(other, _)| *other == node) {
            users.remove(at);
        }
    }

    /// The free volumes of a rack from this number on.
    pub(super) fn free(&self, rack: usize, from: usize) -> impl Iterator<Item = usize> {
        self.free[rack].range(from..).copied()
    }

    /// The rack of a volume; none for one that was never free.
    pub(super) fn rack_of(&self, volume: usize) -> Option<usize> {
        self.rack_of.get(&volume).copied()
    }

    /// Keeps volumes for the next pod of a class on a node, which comes there or was there.
    pub(super) fn promise(&mut self, class: usize, node: usize, comes: bool, volumes: Vec<usize>) {
        for volume in &volumes {
            if let Some(rack) = self.rack_of(*volume) {
                self.free[rack].remove(volume);
            }
        }
        self.promises.entry((class, node)).or_default().push(Promise { came: comes, volumes });
    }

    /// Gives back what was kept for the last pod of a class on a node. Whether it had come there.
    pub(super) fn release(&mut self, class: usize, node: usize) -> bool {
        let Promise { came, volumes } = self.promises.get_mut(&(class, node)).and_then(Vec::pop).unwrap_or_default();
        for volume in volumes {
            if let Some(rack) = self.rack_of(volume) {
                self.free[rack].insert(volume);
            }
        }
        came
    }
}

/// Whether two pods on one node cannot have these at once.
fn exclude_each_other(one: &Disk, other: &Disk) -> bool {
    let same = one.kind == other.kind
        && one.id == other.id
        && (one.kind != DiskKind::Rbd || !one.monitors.is_disjoint(&other.monitors));
    same && (one.kind == DiskKind::AwsElasticBlockStore || !(one.read_only && other.read_only))
}
