//! What pods on one node mount: volumes that only one of them may use, and how many the node can attach.
//!
//! Source of the rules: the scheduler plugins `VolumeRestrictions` and `NodeVolumeLimits`, Kubernetes 1.36.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::Arrival;
use super::kinds::Guest;
use super::objection::Objection;
use super::site::Site;
use super::storage::{Storage, Use, check_owner};
use super::topology::Change;
use crate::model::{Claim, Disk, DiskKind, ObjectName, Pod, PodVolume};

/// The access mode of claims that one pod may use, on one node.
const ONE_POD: &str = "ReadWriteOncePod";

/// How many pods on nodes use each claim.
#[derive(Debug, Default)]
pub(super) struct ClaimUsers {
    of_claim: BTreeMap<ObjectName, u32>,
}

impl ClaimUsers {
    /// A pod comes or goes. Claims of ephemeral volumes have no other users.
    pub(super) fn pod(&mut self, pod: &Pod, change: Change) {
        for volume in &pod.volumes {
            if let PodVolume::Claim { name, ephemeral: false } = volume {
                let claim = ObjectName { namespace: pod.name.namespace.clone(), name: name.clone() };
                change.apply(self.of_claim.entry(claim).or_default());
            }
        }
    }

    /// The rule `VolumeRestrictions`, as far as it speaks of claims.
    pub(super) fn check(&self, claims: &[&Claim]) -> Result<(), Objection> {
        let in_use = |claim: &&&Claim| {
            claim.access_modes.contains(ONE_POD) && self.of_claim.get(&claim.name).is_some_and(|users| *users > 0)
        };
        match claims.iter().find(in_use) {
            Some(claim) => Err(Objection::refused(format_args!("claim {} is for one pod, and in use", claim.name))),
            None => Ok(()),
        }
    }
}

/// The rule `VolumeRestrictions`, as far as it speaks of disks: not every two pods on a node may mount one.
pub(super) fn check_disks(pod: &Pod, here: &[Arrival<'_>]) -> Result<(), Objection> {
    for disk in disks(pod) {
        if let Some(other) = here.iter().find(|other| disks(other.guest.pod).any(|mounted| conflict(disk, mounted))) {
            let Disk { id, .. } = disk;
            return Err(Objection::refused(format_args!(
                "mounts disk {id}, which {} has mounted",
                other.guest.pod.name
            )));
        }
    }
    Ok(())
}

fn disks(pod: &Pod) -> impl Iterator<Item = &Disk> {
    pod.volumes.iter().filter_map(|volume| match volume {
        PodVolume::Disk(disk) => Some(disk),
        PodVolume::Claim { .. } => None,
    })
}

fn conflict(left: &Disk, right: &Disk) -> bool {
    let same = left.kind == right.kind && left.id == right.id;
    let only_read = left.read_only && right.read_only;
    same && match left.kind {
        DiskKind::AwsElasticBlockStore => true,
        DiskKind::GcePersistentDisk | DiskKind::Iscsi => !only_read,
        DiskKind::Rbd => !only_read && !left.monitors.is_disjoint(&right.monitors),
    }
}

/// A volume that a CSI driver attaches: the driver, and what tells the volume from its others.
type Attached = (String, String);

/// The rule `NodeVolumeLimits`, of a node that exists, or of a planned one of whose type limits are known.
pub(super) fn check_limits(
    storage: &Storage<'_>,
    pod: &Pod,
    uses: &[Use<'_>],
    here: &[Arrival<'_>],
    site: &Site<'_>,
) -> Result<(), Objection> {
    let mut coming = BTreeSet::new();
    for each in uses {
        check_owner(&each.claim, each.ephemeral, pod)?;
        coming.extend(attached(storage, &each.claim)?);
    }
    if coming.is_empty() {
        return Ok(());
    }
    let limits: Vec<(&String, u32)> = if let Some(of_type) = site.attach_limits {
        of_type.iter().filter_map(|(driver, limit)| Some((driver, (*limit)?))).collect()
    } else {
        let limits = storage.extras.attach_limits.as_ref().ok_or(Objection::Unread("CSINode"))?;
        let of_node = limits.get(site.name).into_iter().flat_map(|limits| &limits.volumes);
        of_node.map(|(driver, limit)| (driver, *limit)).collect()
    };
    if limits.is_empty() {
        return Ok(());
    }
    let there = attached_by(storage, here, site.is_planned())?;
    coming.retain(|volume| !there.contains(volume));
    for (driver, limit) in limits {
        let of_driver = |volumes: &BTreeSet<Attached>| volumes.iter().filter(|(of, _)| of == driver).count();
        let (new, old) = (of_driver(&coming), of_driver(&there));
        if new > 0 && new + old > usize::try_from(limit).unwrap_or(usize::MAX) {
            return Err(Objection::refused(format_args!(
                "needs {new} more volumes of {driver} attached, beside {old}, and the node can attach {limit}"
            )));
        }
    }
    Ok(())
}

/// What the pods on a node have attached. A claim that is gone attaches nothing. One that is not of the pod that has it ends
/// the scheduler's count with an error, and with it the placement; but on a node that is not there yet a daemon pod stands for
/// one that will have a claim of its own.
fn attached_by(storage: &Storage<'_>, here: &[Arrival<'_>], is_planned: bool) -> Result<BTreeSet<Attached>, Objection> {
    let mut all = BTreeSet::new();
    for Arrival { guest: Guest { pod, .. }, made_anew } in here {
        for volume in &pod.volumes {
            let PodVolume::Claim { name, ephemeral } = volume else { continue };
            match storage.used(pod, name, *ephemeral, *made_anew) {
                Ok(Use { claim, .. }) => {
                    if !(is_planned && pod.is_daemon()) {
                        check_owner(&claim, *ephemeral, pod)?;
                    }
                    all.extend(attached(storage, &claim)?);
                }
                Err(Objection::Refused(_)) => {}
                Err(unread @ Objection::Unread(_)) => return Err(unread),
            }
        }
    }
    Ok(all)
}

/// What is attached for a claim: its volume, or the one that its storage class will make.
fn attached(storage: &Storage<'_>, claim: &Claim) -> Result<Option<Attached>, Objection> {
    let volume = match &claim.volume {
        Some(name) => storage.volume(name)?,
        None => None,
    };
    if let Some(volume) = volume {
        return Ok(volume.csi.clone());
    }
    let class = storage.class(claim)?.filter(|class| !class.provisioner.is_empty());
    Ok(class.map(|class| (class.provisioner.clone(), format!("for claim {}", claim.name))))
}
