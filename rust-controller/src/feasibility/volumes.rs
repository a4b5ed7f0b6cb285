//! What a pod's volumes ask of a node, resolved once for every pod that asks for the same.
//!
//! Source of the rules: the plugins `volumebinding`, `volumerestrictions`, `volumezone` and `nodevolumelimits` of
//! kube-scheduler 1.36. Not looked at: storage capacity, attachments of volumes that no pod uses, and volumes of
//! plugins that once stood in the tree and that a CSI driver serves today.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeSet;

use super::Rule;
use super::interner::Interner;
use super::refusal::ClaimProblem;
use super::stock::{Choice, RackedVolumes, Stock, Terms, attachable};
use crate::model::{Claim, Disk, NodeSelectorTerm, ObjectName, Pod, PodVolume, StorageClass, Volume, key};
use crate::snapshot::Extras;

/// What a pod's volumes ask of its node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct VolumeNeeds {
    /// Claims that cannot be used anywhere as they are.
    pub(super) unusable: Vec<(Rule, ObjectName, ClaimProblem)>,
    /// Node affinities of volumes that it is bound to, by their number in a [`VolumeSpace`].
    pub(super) bound: BTreeSet<usize>,
    /// Label keys of zone or region, and where its volumes are.
    pub(super) zones: BTreeSet<(String, Vec<String>)>,
    /// Claims that get their volume with the pod, smaller ones first, equal ones in the order of its spec.
    pub(super) unbound: Vec<UnboundClaim>,
    /// Claims for one pod only, by number.
    pub(super) exclusive: Vec<usize>,
    /// Disks without a claim.
    pub(super) disks: Vec<Disk>,
    /// What it has attached where it runs.
    pub(super) attachments: Attachments,
    /// What it will have attached where it comes.
    pub(super) coming_attachments: Attachments,
    /// Whether any volume has a driver, limited or not, and some node a limit: then what is attached there is counted.
    pub(super) attaches: bool,
    /// Claims of its ephemeral volumes that were made for other pods, by number.
    pub(super) of_others: Vec<usize>,
}

/// CSI drivers and volumes, by number, of which the nodes can attach a limited count.
pub(super) type Attachments = BTreeSet<(usize, usize)>;

/// A claim that gets its volume with the pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct UnboundClaim {
    pub(super) storage_class: String,
    /// Number of the claim, where several pods use it: they all run where its volume comes to be.
    pub(super) shared: Option<usize>,
    /// The node for which its volume is being made.
    pub(super) selected_node: Option<String>,
    /// A volume that is meant for it.
    pub(super) prebound: Option<usize>,
    /// Volumes that would do.
    pub(super) choice: Option<Choice>,
    /// Where a volume can be made; `None` for nowhere.
    pub(super) made: Option<Made>,
}

/// Where a storage class can make volumes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Made {
    Anywhere,
    /// On nodes of these labels, by the number of the terms.
    Where(usize),
}

/// Everything that claims refer to, numbered.
#[derive(Debug)]
pub(super) struct VolumeSpace<'a> {
    extras: &'a Extras,
    /// Drivers of which some node can attach a limited count.
    limited_drivers: BTreeSet<&'a str>,
    stock: Stock<'a>,
    pods: &'a [&'a Pod],
    /// Claims that more than one pod uses. Found once some pod has a claim that gets its volume with it.
    shared: OnceCell<BTreeSet<ObjectName>>,
    terms: Terms,
    claims: Interner<ObjectName>,
    drivers: Interner<&'a str>,
    handles: Interner<String>,
}

impl VolumeNeeds {
    /// What a pod has attached on a node that it has come to, or where it was.
    pub(super) fn attached(&self, came: bool) -> &Attachments {
        if came { &self.coming_attachments } else { &self.attachments }
    }
}

/// How the plugins see one claim of a pod.
enum Resolved<'a> {
    Unusable(ClaimProblem),
    /// Nobody could read claims.
    Unread,
    Found(&'a Claim),
}

impl<'a> VolumeSpace<'a> {
    pub(super) fn new(extras: &'a Extras, pods: &'a [&'a Pod]) -> Self {
        let limits = extras.attach_limits.iter().flatten();
        Self {
            extras,
            limited_drivers: limits.flat_map(|(_, limits)| limits.volumes.keys()).map(String::as_str).collect(),
            stock: Stock::new(extras),
            pods,
            shared: OnceCell::new(),
            terms: Interner::default(),
            claims: Interner::default(),
            drivers: Interner::default(),
            handles: Interner::default(),
        }
    }

    /// What has been numbered: claims, terms and CSI drivers, each at its number, and free volumes.
    pub(super) fn into_parts(self) -> (Vec<ObjectName>, Vec<Vec<NodeSelectorTerm>>, Vec<String>, RackedVolumes) {
        let drivers = self.drivers.into_values().into_iter().map(str::to_owned).collect();
        (self.claims.into_values(), self.terms.into_values(), drivers, self.stock.into_racked())
    }

    /// The rules that cannot be checked for a pod with claims, since nobody could read what they look at.
    pub(super) fn unchecked_rules(&self, pod: &Pod) -> Vec<Rule> {
        let Extras { claims, volumes, storage_classes, attach_limits, .. } = self.extras;
        if !pod.volumes.iter().any(|volume| matches!(volume, PodVolume::Claim { .. })) {
            return Vec::new();
        }
        let unbound = volumes.is_none() || storage_classes.is_none();
        let rules = [
            (Rule::VolumeRestrictions, false),
            // The volume or its class tells the driver.
            (Rule::NodeVolumeLimits, attach_limits.is_none() || unbound),
            (Rule::VolumeBinding, unbound),
            (Rule::VolumeZone, unbound),
        ];
        rules.into_iter().filter(|(_, unread)| *unread || claims.is_none()).map(|(rule, _)| rule).collect()
    }

    /// What the pod's volumes ask for. Of one that runs and stays only what it keeps from others.
    pub(super) fn needs(&mut self, pod: &Pod, stays: bool) -> VolumeNeeds {
        let mut needs = VolumeNeeds::default();
        let mut unbound: Vec<Cow<'_, Claim>> = Vec::new();
        for volume in &pod.volumes {
            match volume {
                PodVolume::Disk(disk) => needs.disks.push(disk.clone()),
                PodVolume::Claim { name, ephemeral } => {
                    let name = ObjectName { namespace: pod.name.namespace.clone(), name: name.clone() };
                    match self.resolve(pod, &name, *ephemeral) {
                        Resolved::Unread => {}
                        Resolved::Unusable(ClaimProblem::OfAnotherPod) if stands_for_daemons(pod) => {
                            let claim = self.extras.claims.as_ref().and_then(|claims| claims.get(&name));
                            let attached = claim.and_then(|claim| self.attachment(&anew(claim), &mut needs));
                            needs.coming_attachments.extend(attached);
                        }
                        Resolved::Unusable(problem) => {
                            if problem == ClaimProblem::OfAnotherPod {
                                needs.of_others.push(self.claims.number(name.clone()));
                            }
                            needs
                                .unusable
                                .extend(rules_of(problem, *ephemeral).map(|rule| (rule, name.clone(), problem)));
                        }
                        Resolved::Found(claim) if *ephemeral && pod.occupied_node().is_some() && !stays => {
                            self.use_anew(claim, &mut needs, &mut unbound);
                        }
                        Resolved::Found(claim) => self.use_claim(claim, *ephemeral, stays, &mut needs, &mut unbound),
                    }
                }
            }
        }
        if stays {
            needs.unusable.clear();
        }
        unbound.sort_by_key(|claim| claim.size);
        needs.unbound = unbound.iter().filter_map(|claim| self.unbound(claim)).collect();
        needs
    }

    fn resolve(&self, pod: &Pod, name: &ObjectName, ephemeral: bool) -> Resolved<'a> {
        let Some(claims) = &self.extras.claims else { return Resolved::Unread };
        let Some(claim) = claims.get(name) else { return Resolved::Unusable(ClaimProblem::Missing) };
        if ephemeral && claim.owner_pod.as_ref() != Some(&pod.name.name) {
            return Resolved::Unusable(ClaimProblem::OfAnotherPod);
        }
        Resolved::Found(claim)
    }

    /// A claim that goes with its pod: another one is made wherever the pod comes.
    fn use_anew(&mut self, claim: &'a Claim, needs: &mut VolumeNeeds, unbound: &mut Vec<Cow<'a, Claim>>) {
        let anew = anew(claim);
        let attached = self.attachment(claim, needs);
        needs.attachments.extend(attached);
        let attached = self.attachment(&anew, needs);
        needs.coming_attachments.extend(attached);
        if self.extras.storage_classes.is_some() && self.storage_class(claim).is_none() {
            needs.unusable.push((Rule::VolumeBinding, claim.name.clone(), ClaimProblem::NoStorageClass));
        } else {
            unbound.push(Cow::Owned(anew));
        }
    }

    /// What a claim that is there asks for.
    fn use_claim(
        &mut self,
        claim: &'a Claim,
        ephemeral: bool,
        stays: bool,
        needs: &mut VolumeNeeds,
        unbound: &mut Vec<Cow<'a, Claim>>,
    ) {
        if !ephemeral && claim.access_modes.contains("ReadWriteOncePod") {
            needs.exclusive.push(self.claims.number(claim.name.clone()));
        }
        let attached = self.attachment(claim, needs);
        needs.attachments.extend(attached);
        needs.coming_attachments.extend(attached);
        if stays {
            return;
        }
        let mut refuse = |rule, problem| needs.unusable.push((rule, claim.name.clone(), problem));
        match self.binding(claim) {
            Binding::Refused(problem) => refuse(Rule::VolumeBinding, problem),
            Binding::Bound(volume) => {
                if let Some(terms) = attachable(volume) {
                    needs.bound.insert(self.terms.number(terms));
                }
            }
            Binding::WithPod => unbound.push(Cow::Borrowed(claim)),
            Binding::Unread => {}
        }
        if ephemeral {
            return;
        }
        match self.zone(claim) {
            Zone::Refused(problem) => needs.unusable.push((Rule::VolumeZone, claim.name.clone(), problem)),
            Zone::Of(volume) => needs.zones.extend(zones(volume)),
            Zone::Any => {}
        }
    }

    /// What `VolumeBinding` makes of a claim before it looks at a node.
    fn binding(&self, claim: &Claim) -> Binding<'a> {
        let named = claim.volume.as_ref();
        match named {
            _ if claim.lost => Binding::Refused(ClaimProblem::Lost),
            _ if claim.deleting => Binding::Refused(ClaimProblem::Deleting),
            Some(name) if claim.bound => match &self.extras.volumes {
                None => Binding::Unread,
                Some(volumes) => match volumes.get(name) {
                    Some(volume) => Binding::Bound(volume),
                    None => Binding::Refused(ClaimProblem::VolumeMissing),
                },
            },
            Some(_) => Binding::Refused(ClaimProblem::Unbound),
            None if self.extras.storage_classes.is_none() => Binding::Unread,
            None => match self.storage_class(claim) {
                Some(class) if class.waits_for_pod => Binding::WithPod,
                _ => Binding::Refused(ClaimProblem::Unbound),
            },
        }
    }

    /// What `VolumeZone` makes of a claim before it looks at a node.
    fn zone(&self, claim: &Claim) -> Zone<'a> {
        if let Some(name) = &claim.volume {
            let Some(volumes) = &self.extras.volumes else { return Zone::Any };
            return volumes.get(name).map_or(Zone::Refused(ClaimProblem::VolumeMissing), |volume| Zone::Of(volume));
        }
        if self.extras.storage_classes.is_none() {
            return Zone::Any;
        }
        match self.storage_class(claim) {
            None => Zone::Refused(ClaimProblem::NoStorageClass),
            Some(class) if class.waits_for_pod => Zone::Any,
            Some(_) => Zone::Refused(ClaimProblem::Unbound),
        }
    }

    fn storage_class(&self, claim: &Claim) -> Option<&'a StorageClass> {
        storage_class(claim, self.extras)
    }

    /// Driver and volume that a claim takes one of the node's attachments for, where nodes have a limit of them.
    fn attachment(&mut self, claim: &Claim, needs: &mut VolumeNeeds) -> Option<(usize, usize)> {
        let (driver, handle) = driver(claim, self.extras)?;
        needs.attaches = !self.limited_drivers.is_empty();
        let limited = self.limited_drivers.contains(driver);
        limited.then(|| (self.drivers.number(driver), self.handles.number(handle)))
    }

    /// Where a claim that gets its volume with the pod can get it.
    fn unbound(&mut self, claim: &Claim) -> Option<UnboundClaim> {
        let class = self.storage_class(claim)?;
        // Where the class does not wait, the claim is bound before the pod comes, and nobody knows to which volume.
        let (prebound, choice) = if class.waits_for_pod {
            let prebound = self.stock.meant_for(claim, &class.name, &mut self.terms);
            (prebound, self.stock.choice(claim, &class.name, &mut self.terms))
        } else {
            (None, None)
        };
        let made = match class.provisioner.as_str() {
            "" | "kubernetes.io/no-provisioner" => None,
            _ if class.allowed_topologies.is_empty() => Some(Made::Anywhere),
            _ => Some(Made::Where(self.terms.number(class.allowed_topologies.clone()))),
        };
        let shared = self.shared.get_or_init(|| shared_claims(self.pods));
        let shared = shared.contains(&claim.name).then(|| self.claims.number(claim.name.clone()));
        Some(UnboundClaim {
            storage_class: class.name.clone(),
            shared,
            selected_node: claim.selected_node.clone(),
            prebound,
            choice,
            made,
        })
    }
}

fn storage_class<'a>(claim: &Claim, extras: &'a Extras) -> Option<&'a StorageClass> {
    let name = claim.storage_class.as_deref().filter(|name| !name.is_empty())?;
    extras.storage_classes.as_ref()?.get(name).map(|class| &**class)
}

/// Driver of a claim, and what tells its volume from others.
fn driver<'a>(claim: &Claim, extras: &'a Extras) -> Option<(&'a str, String)> {
    let volume = claim.volume.as_ref().and_then(|name| extras.volumes.as_ref()?.get(name));
    if let Some(volume) = volume {
        let (driver, handle) = volume.csi.as_ref()?;
        return Some((driver, format!("{driver}/{handle}")));
    }
    let driver = &storage_class(claim, extras)?.provisioner;
    (!driver.is_empty()).then(|| (driver.as_str(), format!("{driver} for {}", claim.name)))
}

/// The volumes that a pod has attached, by driver and what tells them from others, whether or not any node has a limit. Plugins
/// that stand in the tree attach none.
pub fn attached_volumes<'a>(pod: &Pod, extras: &'a Extras) -> impl Iterator<Item = (&'a str, String)> {
    let claims = pod.volumes.iter().filter_map(|volume| match volume {
        PodVolume::Claim { name, .. } => {
            let name = ObjectName { namespace: pod.name.namespace.clone(), name: name.clone() };
            extras.claims.as_ref()?.get(&name)
        }
        PodVolume::Disk(_) => None,
    });
    claims.filter_map(|claim| driver(claim, extras)).filter(|(driver, _)| !driver.starts_with("kubernetes.io/"))
}

enum Binding<'a> {
    Refused(ClaimProblem),
    Bound(&'a Volume),
    WithPod,
    Unread,
}

enum Zone<'a> {
    Refused(ClaimProblem),
    Of(&'a Volume),
    Any,
}

/// Claims that more than one pod uses. Those of ephemeral volumes are each one pod's own.
fn shared_claims(pods: &[&Pod]) -> BTreeSet<ObjectName> {
    let mut used = BTreeSet::new();
    let mut shared = BTreeSet::new();
    for pod in pods {
        for volume in &pod.volumes {
            let PodVolume::Claim { name, ephemeral: false } = volume else { continue };
            let name = ObjectName { namespace: pod.name.namespace.clone(), name: name.clone() };
            if !used.insert(name.clone()) {
                shared.insert(name);
            }
        }
    }
    shared
}

/// Whether a pod is none that there is, but stands for those that a `DaemonSet` makes on new nodes, with claims of their own.
fn stands_for_daemons(pod: &Pod) -> bool {
    pod.is_daemon() && pod.occupied_node().is_none()
}

/// The claim that is made in place of one that goes with its pod. Volumes that are kept for that one are not for it.
fn anew(claim: &Claim) -> Claim {
    let ObjectName { namespace, name } = &claim.name;
    Claim {
        name: ObjectName { namespace: namespace.clone(), name: format!("{name}, made anew") },
        volume: None,
        bound: false,
        selected_node: None,
        lost: false,
        deleting: false,
        ..claim.clone()
    }
}

/// The plugins that refuse a pod for a claim that is not there, or not its own.
fn rules_of(problem: ClaimProblem, ephemeral: bool) -> impl Iterator<Item = Rule> {
    let rules = [
        (Rule::VolumeRestrictions, !ephemeral && problem == ClaimProblem::Missing),
        (Rule::NodeVolumeLimits, true),
        (Rule::VolumeBinding, true),
        (Rule::VolumeZone, !ephemeral && problem == ClaimProblem::Missing),
    ];
    rules.into_iter().filter(|(_, looks)| *looks).map(|(rule, _)| rule)
}

/// Keys of zone and region on volumes, and their values: several ones stand in one label, with `__` between them.
fn zones(volume: &Volume) -> impl Iterator<Item = (String, Vec<String>)> {
    let values = |key: &str| {
        let values: Vec<String> = volume.labels.get(key)?.split("__").map(|zone| zone.trim().to_owned()).collect();
        values.iter().all(|value| !value.is_empty()).then(|| (key.to_owned(), values))
    };
    key::VOLUME_ZONES.into_iter().filter_map(values)
}
