//! Claims and volumes, and what becomes of them as pods come to nodes.
//!
//! Source of the rules: the scheduler plugins `VolumeBinding` and `VolumeZone`, and
//! `k8s.io/component-helpers/storage/volume`, Kubernetes 1.36.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::free_volumes::FreeVolumes;
use super::objection::Objection;
use super::site::{Site, SiteId};
use crate::feasibility::requirement_matches;
use crate::model::{
    Claim, Labels, NodeSelectorTerm, ObjectName, Pod, PodVolume, Requirement, StorageClass, Volume, key, normalized_key,
};
use crate::snapshot::Extras;

/// A storage class of this provisioner has only the volumes that somebody made by hand.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// Between the zones of a volume that lies in several.
const BETWEEN_ZONES: &str = "__";

/// The claims and volumes of a snapshot, and what was decided about them since.
#[derive(Debug)]
pub(super) struct Storage<'a> {
    pub(super) extras: &'a Extras,
    free: FreeVolumes<'a>,
    /// Volumes that say which claim they are for, by that claim.
    meant: BTreeMap<&'a ObjectName, Vec<&'a Volume>>,
    /// Volumes that pods have come to, by the claim that each is for.
    taken: BTreeMap<ObjectName, Vec<&'a Volume>>,
    /// Claims whose volumes are made for pods that have come to a node.
    made_at: BTreeMap<ObjectName, SiteId>,
}

/// A claim that a pod uses.
#[derive(Debug)]
pub(super) struct Use<'a> {
    pub(super) claim: Cow<'a, Claim>,
    /// Made for that pod alone.
    pub(super) ephemeral: bool,
    /// It does not exist yet: it will be made with the pod that takes the place of another.
    made_anew: bool,
}

/// Where the volume of a claim will come from, if a pod comes to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source<'a> {
    /// This one, which is there.
    Found(&'a Volume),
    /// One is made there.
    Made,
}

/// What becomes of the claims of a pod, if it comes to a node.
pub(super) type Bindings<'a> = Vec<(ObjectName, Source<'a>)>;

impl<'a> Storage<'a> {
    pub(super) fn new(extras: &'a Extras) -> Self {
        let mut meant: BTreeMap<&ObjectName, Vec<&Volume>> = BTreeMap::new();
        for volume in extras.volumes.iter().flat_map(BTreeMap::values) {
            if let Some((claim, _)) = &volume.claim {
                meant.entry(claim).or_default().push(volume);
            }
        }
        Self { extras, free: FreeVolumes::new(extras), meant, taken: BTreeMap::new(), made_at: BTreeMap::new() }
    }

    /// The claims that a pod uses, in the order of its spec.
    ///
    /// Where the pod is made anew, those of its ephemeral volumes are, too: they are bound to nothing yet.
    pub(super) fn claims(&self, pod: &Pod, made_anew: bool) -> Result<Vec<Use<'a>>, Objection> {
        let mut uses = Vec::new();
        for volume in &pod.volumes {
            let PodVolume::Claim { name, ephemeral } = volume else { continue };
            uses.push(self.used(pod, name, *ephemeral, made_anew)?);
        }
        Ok(uses)
    }

    /// A claim as a pod uses it.
    pub(super) fn used(&self, pod: &Pod, name: &str, ephemeral: bool, made_anew: bool) -> Result<Use<'a>, Objection> {
        let claim = self.claim(&pod.name.namespace, name)?;
        let made_anew = ephemeral && made_anew;
        let claim = if made_anew { Cow::Owned(anew(claim)) } else { Cow::Borrowed(claim) };
        Ok(Use { claim, ephemeral, made_anew })
    }

    /// Those of them that stand there by their own name: some of the rules look at no others.
    pub(super) fn lasting_claims(&self, pod: &Pod) -> Result<Vec<&'a Claim>, Objection> {
        let names = pod.volumes.iter().filter_map(|volume| match volume {
            PodVolume::Claim { name, ephemeral: false } => Some(name),
            PodVolume::Claim { .. } | PodVolume::Disk(_) => None,
        });
        names.map(|name| self.claim(&pod.name.namespace, name)).collect()
    }

    fn claim(&self, namespace: &str, name: &str) -> Result<&'a Claim, Objection> {
        let claims = self.extras.claims.as_ref().ok_or(Objection::Unread("PersistentVolumeClaim"))?;
        let name = ObjectName { namespace: namespace.to_owned(), name: name.to_owned() };
        let claim = claims.get(&name).ok_or_else(|| Objection::refused(format_args!("claim {name} does not exist")))?;
        Ok(claim)
    }

    /// Whether nobody can tell where the claims of a pod may be used: not all that says so could be read.
    pub(super) fn is_undecided(&self, pod: &Pod) -> bool {
        let Extras { claims, volumes, storage_classes, attach_limits, .. } = self.extras;
        let all_read = claims.is_some() && volumes.is_some() && storage_classes.is_some() && attach_limits.is_some();
        !all_read && pod.volumes.iter().any(|volume| matches!(volume, PodVolume::Claim { .. }))
    }

    fn exists(&self, claim: &ObjectName) -> bool {
        self.extras.claims.as_ref().is_some_and(|claims| claims.contains_key(claim))
    }

    pub(super) fn volume(&self, name: &str) -> Result<Option<&'a Volume>, Objection> {
        let volumes = self.extras.volumes.as_ref().ok_or(Objection::Unread("PersistentVolume"))?;
        Ok(volumes.get(name).map(|volume| &**volume))
    }

    pub(super) fn class(&self, claim: &Claim) -> Result<Option<&'a StorageClass>, Objection> {
        let Some(name) = claim.storage_class.as_deref().filter(|name| !name.is_empty()) else { return Ok(None) };
        let classes = self.extras.storage_classes.as_ref().ok_or(Objection::Unread("StorageClass"))?;
        Ok(classes.get(name).map(|class| &**class))
    }

    /// What would become of the claims of a pod on a node: the rule `VolumeBinding`.
    pub(super) fn bind(
        &self,
        uses: &[Use<'a>],
        pod: &Pod,
        id: SiteId,
        site: &Site<'_>,
    ) -> Result<Bindings<'a>, Objection> {
        let mut open = Vec::new();
        for each in uses {
            let claim = &*each.claim;
            if let Some(problem) = unusable(claim) {
                return Err(Objection::refused(format_args!("claim {} {problem}", claim.name)));
            }
            check_owner(claim, each.ephemeral, pod)?;
            if claim.bound {
                self.reachable(claim, site)?;
            } else if claim.volume.is_none() && self.class(claim)?.is_some_and(|class| class.waits_for_pod) {
                open.push(claim);
            } else if each.made_anew {
                // Its volume comes before the pod, and nobody knows where; but nowhere that its class excludes.
                self.provisionable(claim, site)?;
            } else {
                return Err(Objection::refused(format_args!("claim {} waits for its volume", claim.name)));
            }
        }
        self.bind_open(open, id, site)
    }

    /// The volume of a bound claim exists, and the node can attach it.
    fn reachable(&self, claim: &Claim, site: &Site<'_>) -> Result<(), Objection> {
        let name = claim.volume.as_deref().unwrap_or_default();
        let Some(volume) = self.volume(name)? else {
            return Err(Objection::refused(format_args!("volume {name} of claim {} does not exist", claim.name)));
        };
        if attaches(volume, site.labels) {
            Ok(())
        } else {
            Err(Objection::refused(format_args!("volume {name} of claim {} cannot be attached here", claim.name)))
        }
    }

    /// A volume for each claim that waits for a pod. The smallest claim chooses first, and takes the smallest volume.
    fn bind_open(&self, open: Vec<&Claim>, id: SiteId, site: &Site<'_>) -> Result<Bindings<'a>, Objection> {
        let (mut promised, mut free): (Vec<&Claim>, Vec<&Claim>) =
            open.into_iter().partition(|claim| claim.selected_node.is_some() || self.made_at.contains_key(&claim.name));
        for claim in &promised {
            let here = match self.made_at.get(&claim.name) {
                Some(at) => *at == id,
                None => !site.is_planned() && claim.selected_node.as_deref() == Some(site.name),
            };
            if !here {
                return Err(Objection::refused(format_args!("the volume of claim {} is made elsewhere", claim.name)));
            }
        }
        free.sort_by_key(|claim| claim.size);
        let mut bindings = Bindings::new();
        let mut chosen = BTreeSet::new();
        for claim in free {
            match self.matching_volume(claim, &chosen, site)? {
                Some(volume) => {
                    chosen.insert(volume.name.as_str());
                    bindings.push((claim.name.clone(), Source::Found(volume)));
                }
                None => promised.push(claim),
            }
        }
        for claim in promised {
            self.provisionable(claim, site)?;
            bindings.push((claim.name.clone(), Source::Made));
        }
        Ok(bindings)
    }

    /// The volume that the claim would be bound to on this node: the one that is for it, or the smallest that is free
    /// and large enough.
    fn matching_volume(
        &self,
        claim: &Claim,
        chosen: &BTreeSet<&str>,
        site: &Site<'_>,
    ) -> Result<Option<&'a Volume>, Objection> {
        if self.extras.volumes.is_none() {
            return Err(Objection::Unread("PersistentVolume"));
        }
        match self.own_volume(claim, chosen) {
            Some(own) => Ok(Some(own).filter(|own| attaches(own, site.labels))),
            None => Ok(self.free.smallest(claim, chosen, site.labels)),
        }
    }

    /// The smallest volume that is kept for this claim, by its own word or since a pod came.
    fn own_volume(&self, claim: &Claim, chosen: &BTreeSet<&str>) -> Option<&'a Volume> {
        let is_this =
            |volume: &&&Volume| volume.claim.as_ref().is_some_and(|(_, uid)| uid.is_empty() || *uid == claim.uid);
        let meant = self.meant.get(&claim.name).into_iter().flatten().filter(is_this);
        let taken = self.taken.get(&claim.name).into_iter().flatten();
        let class = claim.storage_class.as_deref().unwrap_or_default();
        let suits = |volume: &&Volume| {
            volume.storage_class.as_deref().unwrap_or_default() == class
                && volume.capacity >= claim.size
                && volume.block == claim.block
                && !volume.deleting
                && !chosen.contains(volume.name.as_str())
        };
        meant.chain(taken).copied().filter(suits).min_by_key(|volume| (volume.capacity, &volume.name))
    }

    /// Whether the claim's storage class can make a volume for this node.
    fn provisionable(&self, claim: &Claim, site: &Site<'_>) -> Result<(), Objection> {
        let made = |class: &&StorageClass| !class.provisioner.is_empty() && class.provisioner != NO_PROVISIONER;
        let class = self.class(claim)?.filter(made);
        let reaches = |terms: &[NodeSelectorTerm]| terms.is_empty() || any_term_matches(terms, site.labels);
        match class {
            None => Err(Objection::refused(format_args!("no volume for claim {}, and none is made", claim.name))),
            Some(class) if !reaches(&class.allowed_topologies) => Err(Objection::refused(format_args!(
                "no volume for claim {}, and class {} makes none here",
                claim.name, class.name
            ))),
            Some(_) => Ok(()),
        }
    }

    /// A pod has come to a node.
    pub(super) fn take(&mut self, bindings: Bindings<'a>, site: SiteId) {
        for (claim, source) in bindings {
            match source {
                Source::Found(volume) => {
                    self.free.remove(volume);
                    self.taken.entry(claim).or_default().push(volume);
                }
                // A claim that is made anew has one pod only: no other will look for it.
                Source::Made if self.exists(&claim) => drop(self.made_at.insert(claim, site)),
                Source::Made => {}
            }
        }
    }

    /// The rule `VolumeZone`: volumes say by their labels in which zones they are.
    pub(super) fn check_zones(&self, claims: &[&Claim], site: &Site<'_>) -> Result<(), Objection> {
        for claim in claims {
            let Some(name) = &claim.volume else {
                if self.class(claim)?.is_some_and(|class| class.waits_for_pod) {
                    continue;
                }
                return Err(Objection::refused(format_args!("claim {} has no volume, and waits for none", claim.name)));
            };
            let Some(volume) = self.volume(name)? else {
                return Err(Objection::refused(format_args!("volume {name} of claim {} does not exist", claim.name)));
            };
            if let Some(key) = key::VOLUME_ZONES.into_iter().find(|key| !in_zone(volume, key, site.labels)) {
                return Err(Objection::refused(format_args!("volume {name} has another {key} than the node")));
            }
        }
        Ok(())
    }
}

/// The claim that is made for a pod that takes the place of another: like the other's, but for its name, which nobody
/// knows yet.
fn anew(claim: &Claim) -> Claim {
    let ObjectName { namespace, name } = &claim.name;
    Claim {
        name: ObjectName { namespace: namespace.clone(), name: format!("{name} (anew)") },
        uid: String::new(),
        volume: None,
        bound: false,
        selected_node: None,
        lost: false,
        deleting: false,
        ..claim.clone()
    }
}

/// The claim of an ephemeral volume is owned by the pod that has it.
pub(super) fn check_owner(claim: &Claim, ephemeral: bool, pod: &Pod) -> Result<(), Objection> {
    if ephemeral && claim.owner_pod.as_ref() != Some(&pod.name.name) {
        return Err(Objection::refused(format_args!("claim {} is not of {}", claim.name, pod.name)));
    }
    Ok(())
}

/// Why no pod can use a claim.
fn unusable(claim: &Claim) -> Option<&'static str> {
    let problems = [("has lost its volume", claim.lost), ("is being deleted", claim.deleting)];
    problems.into_iter().find(|(_, holds)| *holds).map(|(problem, _)| problem)
}

/// Whether a node with these labels can attach the volume.
pub(super) fn attaches(volume: &Volume, node: &Labels) -> bool {
    volume.node_affinity.as_ref().is_none_or(|terms| any_term_matches(terms, node))
}

/// Whether one of the terms holds for a node of which nothing but its labels counts: volumes are held against a node without
/// a name, of which no field is looked at. A term that asks nothing never does.
fn any_term_matches(terms: &[NodeSelectorTerm], node: &Labels) -> bool {
    let label =
        |requirement: &Requirement| requirement_matches(requirement, node.get(&requirement.key).map(String::as_str));
    terms.iter().any(|term| {
        let asks = !term.labels.is_empty() || !term.fields.is_empty();
        asks && term.labels.iter().all(label)
    })
}

/// Whether the node lies where the volume says that it is. A node that says nothing of zones lies everywhere.
fn in_zone(volume: &Volume, key: &str, node: &Labels) -> bool {
    if !key::VOLUME_ZONES.iter().any(|key| node.contains_key(*key)) {
        return true;
    }
    let Some(zones) = volume.labels.get(key) else { return true };
    let zones: Vec<&str> = zones.split(BETWEEN_ZONES).map(str::trim).collect();
    if zones.contains(&"") {
        return true;
    }
    let stable = normalized_key(key);
    let here = node.get(key).or_else(|| node.get(stable));
    here.is_some_and(|here| zones.contains(&here.as_str()))
}
