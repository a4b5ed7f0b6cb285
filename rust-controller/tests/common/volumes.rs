//! The rules about volumes.

use std::collections::{BTreeMap, BTreeSet};

use mini_karpenter::model::{
    Claim, Disk, DiskKind, Labels, Node, ObjectName, Pod, PodVolume, StorageClass, Volume, key,
};

use super::{neighbours, pods_on, selects, term_suits};
use crate::scenes::Scene;

/// A claim in a pod's spec, with whether it is made for the pod alone.
struct Mention {
    claim: ObjectName,
    ephemeral: bool,
}

fn mentions(pod: &Pod) -> impl Iterator<Item = Mention> {
    pod.volumes.iter().filter_map(|volume| match volume {
        PodVolume::Claim { name, ephemeral } => {
            let claim = ObjectName { namespace: pod.name.namespace.clone(), name: name.clone() };
            Some(Mention { claim, ephemeral: *ephemeral })
        }
        PodVolume::Disk(_) => None,
    })
}

/// Claims that stand in the pod's spec by their own name: the only ones that some of the rules look at.
fn lasting(pod: &Pod) -> impl Iterator<Item = ObjectName> {
    mentions(pod).filter(|mention| !mention.ephemeral).map(|mention| mention.claim)
}

fn disks(pod: &Pod) -> impl Iterator<Item = &Disk> {
    pod.volumes.iter().filter_map(|volume| match volume {
        PodVolume::Disk(disk) => Some(disk),
        PodVolume::Claim { .. } => None,
    })
}

fn class_of<'a>(scene: &'a Scene, claim: &Claim) -> Option<&'a StorageClass> {
    scene.storage_classes.get(claim.storage_class.as_ref()?).map(AsRef::as_ref)
}

fn is_made_for(claim: &Claim, pod: &Pod) -> bool {
    claim.owner_pod.as_ref() == Some(&pod.name.name)
}

/// `VolumeRestrictions`: a claim that is not there, a claim of one pod that any pod has, or a disk that another pod on
/// the node has mounted.
pub(super) fn are_restricted(scene: &Scene, pod: &Pod, node: &Node) -> bool {
    let in_use = |claim: &ObjectName| neighbours(scene).any(|(other, _)| lasting(other).any(|used| used == *claim));
    let refused = |name: ObjectName| match scene.claims.get(&name) {
        None => true,
        Some(claim) => claim.access_modes.contains("ReadWriteOncePod") && in_use(&name),
    };
    let mounted = || pods_on(scene, node).flat_map(disks);
    lasting(pod).any(refused) || disks(pod).any(|disk| mounted().any(|other| disks_conflict(disk, other)))
}

fn disks_conflict(one: &Disk, other: &Disk) -> bool {
    let same = one.kind == other.kind && one.id == other.id;
    let only_read = one.read_only && other.read_only;
    same && match one.kind {
        DiskKind::AwsElasticBlockStore => true,
        DiskKind::GcePersistentDisk | DiskKind::Iscsi => !only_read,
        DiskKind::Rbd => !only_read && one.monitors.intersection(&other.monitors).next().is_some(),
    }
}

/// `NodeVolumeLimits`: more volumes of a driver than the node attaches. A volume that a pod on the node has already
/// counts once, and drivers of which the pod brings nothing new do not count at all.
pub(super) fn exceed_limits(scene: &Scene, pod: &Pod, node: &Node) -> bool {
    let ready = |mention: Mention| match scene.claims.get(&mention.claim) {
        None => false,
        Some(claim) => !mention.ephemeral || is_made_for(claim, pod),
    };
    if !mentions(pod).all(ready) {
        return true;
    }
    let wanted = attached(scene, pod);
    let limits = scene.attach_limits.get(&node.name).map(|limits| limits.volumes.clone()).unwrap_or_default();
    if wanted.is_empty() || limits.is_empty() {
        return false;
    }
    // The scheduler ends with an error where a pod that runs has somebody else's claim under an ephemeral volume.
    let foreign = |other: &Pod| {
        let has = |mention: Mention| scene.claims.get(&mention.claim).filter(|_| mention.ephemeral).cloned();
        mentions(other).filter_map(has).any(|claim| !is_made_for(&claim, other))
    };
    if pods_on(scene, node).any(foreign) {
        return true;
    }
    let present: BTreeSet<(String, String)> = pods_on(scene, node).flat_map(|other| attached(scene, other)).collect();
    let of = |driver: &str, volumes: &BTreeSet<(String, String)>| {
        volumes.iter().filter(|(its_driver, _)| its_driver == driver).count()
    };
    let new: BTreeSet<(String, String)> = wanted.difference(&present).cloned().collect();
    limits.iter().any(|(driver, most)| {
        let count = of(driver, &new);
        count > 0 && of(driver, &present) + count > *most as usize
    })
}

/// Driver and handle of the volumes that a pod has, or will have, attached. A volume that is not made yet is one of the
/// driver of its class, and different from every other.
fn attached(scene: &Scene, pod: &Pod) -> BTreeSet<(String, String)> {
    let attached = |mention: Mention| {
        let claim = scene.claims.get(&mention.claim)?;
        match claim.volume.as_ref().and_then(|name| scene.volumes.get(name)) {
            Some(volume) => volume.csi.clone(),
            None => Some((class_of(scene, claim)?.provisioner.clone(), format!("to be made/{}", claim.name))),
        }
    };
    mentions(pod).filter_map(attached).collect()
}

const ZONES_AND_REGIONS: [&str; 4] =
    ["failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region", key::ZONE, key::REGION];

/// `VolumeZone`: a claim that is not there or never will be bound, or a volume that is labelled with another zone or
/// region than the node. A node without any such label takes every volume.
pub(super) fn are_in_another_zone(scene: &Scene, pod: &Pod, node: &Node) -> bool {
    let mut volumes = Vec::new();
    for name in lasting(pod) {
        let Some(claim) = scene.claims.get(&name) else { return true };
        match &claim.volume {
            Some(name) => match scene.volumes.get(name) {
                Some(volume) => volumes.push(volume),
                None => return true,
            },
            None if class_of(scene, claim).is_some_and(|class| class.waits_for_pod) => {}
            None => return true,
        }
    }
    let labelled = ZONES_AND_REGIONS.iter().any(|key| node.labels.contains_key(*key));
    labelled && !volumes.iter().all(|volume| is_in_zone_of(&volume.labels, node))
}

fn is_in_zone_of(volume: &Labels, node: &Node) -> bool {
    ZONES_AND_REGIONS.iter().all(|key| {
        let Some(value) = volume.get(*key) else { return true };
        let places: Vec<&str> = value.split("__").collect();
        if places.contains(&"") {
            return true;
        }
        let stable = mini_karpenter::model::normalized_key(key);
        let of_node = node.labels.get(*key).or_else(|| node.labels.get(stable));
        of_node.is_some_and(|of_node| places.contains(&of_node.as_str()))
    })
}

/// `VolumeBinding`: the volumes that there are for the pod's claims that wait for a pod, each with its claim, where the
/// pod runs on this node; the other claims are bound already, or their volumes are made. `None` if the pod may not run
/// there.
pub(crate) fn bindings<'a>(scene: &'a Scene, pod: &Pod, node: &Node) -> Option<Vec<(&'a Claim, &'a Volume)>> {
    let mut waiting: Vec<&Claim> = Vec::new();
    for mention in mentions(pod) {
        let claim = scene.claims.get(&mention.claim)?;
        if claim.lost || claim.deleting || (mention.ephemeral && !is_made_for(claim, pod)) {
            return None;
        }
        match &claim.volume {
            Some(name) if claim.bound => {
                scene.volumes.get(name).filter(|volume| can_be_attached(volume, node))?;
            }
            None if class_of(scene, claim).is_some_and(|class| class.waits_for_pod) => waiting.push(claim),
            Some(_) | None => return None,
        }
    }
    if waiting.iter().any(|claim| claim.selected_node.as_ref().is_some_and(|chosen| *chosen != node.name)) {
        return None;
    }
    let (mut to_make, mut to_match): (Vec<&Claim>, Vec<&Claim>) =
        waiting.into_iter().partition(|claim| claim.selected_node.is_some());
    to_match.sort_by_key(|claim| claim.size);
    let mut matched = BTreeMap::new();
    for claim in to_match {
        let left = scene.volumes.values().filter(|volume| !matched.contains_key(&volume.name));
        match matching(claim, left.map(AsRef::as_ref), node) {
            Some(volume) => _ = matched.insert(volume.name.clone(), (claim, volume)),
            None => to_make.push(claim),
        }
    }
    to_make.iter().all(|claim| can_be_made(scene, claim, node)).then(|| matched.into_values().collect())
}

fn can_be_attached(volume: &Volume, node: &Node) -> bool {
    // Held against labels alone, without the node's name.
    volume.node_affinity.as_ref().is_none_or(|terms| terms.iter().any(|term| term_suits(term, &node.labels, None)))
}

/// The volume that is there for a claim: the one that names it, or else the smallest that will do.
fn matching<'a>(claim: &Claim, volumes: impl Iterator<Item = &'a Volume>, node: &Node) -> Option<&'a Volume> {
    let class = |class: &Option<String>| class.clone().unwrap_or_default();
    let names_it = |volume: &Volume| {
        let same = |(name, uid): &(ObjectName, String)| *name == claim.name && (uid.is_empty() || *uid == claim.uid);
        volume.claim.as_ref().is_some_and(same)
    };
    let usable: Vec<&Volume> = volumes
        .filter(|volume| class(&volume.storage_class) == class(&claim.storage_class))
        .filter(|volume| volume.claim.is_none() || names_it(volume))
        .filter(|volume| volume.capacity >= claim.size && volume.block == claim.block && !volume.deleting)
        .collect();
    if let Some(named) = usable.iter().find(|volume| names_it(volume)) {
        return can_be_attached(named, node).then_some(named);
    }
    let selected = |volume: &Volume| claim.selector.as_ref().is_none_or(|selector| selects(selector, &volume.labels));
    usable
        .into_iter()
        .filter(|volume| volume.available && selected(volume) && can_be_attached(volume, node))
        .filter(|volume| claim.access_modes.is_subset(&volume.access_modes))
        .min_by(|one, other| (one.capacity, &one.name).cmp(&(other.capacity, &other.name)))
}

fn can_be_made(scene: &Scene, claim: &Claim, node: &Node) -> bool {
    class_of(scene, claim).is_some_and(|class| {
        let topologies = &class.allowed_topologies;
        let makes_volumes = !matches!(class.provisioner.as_str(), "" | "kubernetes.io/no-provisioner");
        makes_volumes && (topologies.is_empty() || topologies.iter().any(|term| term_suits(term, &node.labels, None)))
    })
}
