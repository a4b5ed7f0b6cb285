//! A cluster as it is after each step of a plan.

use std::collections::BTreeMap;

use super::affinity::Affinities;
use super::mounts::{ClaimUsers, check_disks, check_limits};
use super::objection::Objection;
use super::profiles::{Counting, Profiles};
use super::room::Room;
use super::site::{Site, SiteId};
use super::spread::{EligibleNodes, Spreads};
use super::storage::Storage;
use super::topology::{Change, Topology};
use crate::feasibility::{Rule, placement_refusal};
use crate::model::{HostPort, Pod};
use crate::snapshot::Snapshot;

/// Nodes with the pods on them, and everything that the rules count.
///
/// All nodes and pods that will ever be there are known from the start, and so is what counts what: a step only changes
/// counts.
#[derive(Debug)]
pub(super) struct Cluster<'a> {
    sites: Vec<Site<'a>>,
    by_name: BTreeMap<&'a str, SiteId>,
    /// By node; `None` for one that is not there yet, or not any more.
    pods: Vec<Option<Vec<&'a Pod>>>,
    room: Vec<Room<'a>>,
    spreads: Spreads<'a>,
    affinities: Affinities<'a>,
    storage: Storage<'a>,
    users: ClaimUsers,
    profiles: Profiles<'a>,
}

/// A pod that comes to a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) pod: &'a Pod,
    /// In place of another, which had to go: not all that is known of that one holds for this one.
    pub(super) made_anew: bool,
}

impl<'a> Cluster<'a> {
    /// The nodes of a snapshot with their pods; beside them, nodes that are planned and not there yet.
    ///
    /// `coming` are the pods that may come to nodes later on.
    pub(super) fn new(snapshot: &'a Snapshot, planned: Vec<Site<'a>>, coming: &[&'a Pod]) -> Self {
        let existing = snapshot.nodes().iter().map(|node| Site::existing(node));
        let sites: Vec<Site<'a>> = existing.chain(planned).collect();
        let (mut topology, mut eligible) = (Topology::default(), EligibleNodes::default());
        let mut spreads = Spreads::default();
        let mut affinities = Affinities::new(snapshot.extras().namespaces.as_ref());
        let standing: Vec<&Pod> =
            snapshot.pods().iter().map(|pod| &**pod).filter(|pod| pod.occupied_node().is_some()).collect();
        for pod in coming {
            spreads.expect(pod, &sites, &mut topology, &mut eligible);
            affinities.expect(pod, &sites, &mut topology);
        }
        for pod in standing.iter().chain(coming) {
            affinities.expect_apart(pod, &sites, &mut topology);
        }
        let profiles = Profiles::new(&spreads, &affinities, standing.iter().chain(coming).copied());
        let mut cluster = Self {
            by_name: sites.iter().enumerate().map(|(id, site)| (site.name, id)).collect(),
            pods: vec![None; sites.len()],
            room: vec![Room::default(); sites.len()],
            storage: Storage::new(snapshot.extras()),
            users: ClaimUsers::default(),
            sites,
            spreads,
            affinities,
            profiles,
        };
        (0..snapshot.nodes().len()).for_each(|id| cluster.join(id));
        for pod in standing {
            if let Some(id) = pod.occupied_node().and_then(|node| cluster.find(node)) {
                cluster.put(pod, id);
            }
        }
        cluster
    }

    /// The node of this name, if it is there.
    pub(super) fn find(&self, name: &str) -> Option<SiteId> {
        self.by_name.get(name).copied().filter(|id| self.pods[*id].is_some())
    }

    /// The pods on a node.
    pub(super) fn pods(&self, id: SiteId) -> &[&'a Pod] {
        self.pods[id].as_deref().unwrap_or_default()
    }

    /// The nodes that are planned come, without pods.
    pub(super) fn join_planned(&mut self) {
        for id in 0..self.sites.len() {
            if self.sites[id].planned {
                self.join(id);
            }
        }
    }

    fn join(&mut self, id: SiteId) {
        self.pods[id] = Some(Vec::new());
        self.spreads.node(id, Change::Comes);
    }

    /// A node goes with all its pods.
    pub(super) fn remove(&mut self, id: SiteId) -> Vec<&'a Pod> {
        let pods = self.pods[id].take().unwrap_or_default();
        for pod in pods.iter().copied() {
            self.count(pod, id, Change::Goes);
        }
        self.spreads.node(id, Change::Goes);
        pods
    }

    /// What each rule has against the pod on the node, as things are.
    pub(super) fn objections(&self, arrival: Arrival<'a>, id: SiteId) -> Vec<(Rule, Objection)> {
        let Arrival { pod, made_anew } = arrival;
        let (site, here) = (&self.sites[id], self.pods(id));
        let mut objections = Vec::new();
        if let Some(refusal) = placement_refusal(&pod.placement, &site.target()) {
            objections.push((refusal.rule(), Objection::refused(refusal)));
        }
        let mut ask = |rule: Rule, answer: Result<(), Objection>| {
            objections.extend(answer.err().map(|objection| (rule, objection)));
        };
        ask(Rule::NodePorts, check_ports(pod, here));
        ask(Rule::NodeResourcesFit, self.room[id].check(&pod.requests, site.allocatable));
        ask(Rule::VolumeRestrictions, check_disks(pod, here));
        match self.storage.claims(pod, made_anew) {
            Ok(uses) => {
                ask(Rule::VolumeRestrictions, self.users.check(&uses));
                ask(Rule::NodeVolumeLimits, check_limits(&self.storage, &uses, here, site));
                ask(Rule::VolumeBinding, self.storage.bind(&uses, pod, id, site).map(drop));
                ask(Rule::VolumeZone, self.storage.check_zones(&uses, site));
            }
            Err(objection) => {
                // Without its claims no rule about them can be asked. A planned node has no limits that they could meet.
                let limits = (!site.planned).then_some(Rule::NodeVolumeLimits);
                let others = [Rule::VolumeRestrictions, Rule::VolumeBinding, Rule::VolumeZone];
                others.into_iter().chain(limits).for_each(|rule| ask(rule, Err(objection.clone())));
            }
        }
        ask(Rule::PodTopologySpread, self.spreads.check(pod, id, site));
        if let Some(Counting { affinities, .. }) = self.profiles.of(pod) {
            ask(Rule::InterPodAffinity, self.affinities.check(pod, affinities, id, site));
        }
        if pod.claims_devices {
            ask(Rule::DynamicResources, Err(Objection::refused("claims devices, which nobody can judge")));
        }
        objections
    }

    /// The pod comes to the node, allowed or not.
    pub(super) fn place(&mut self, arrival: Arrival<'a>, id: SiteId) {
        let Arrival { pod, made_anew } = arrival;
        if let Ok(uses) = self.storage.claims(pod, made_anew)
            && let Ok(bindings) = self.storage.bind(&uses, pod, id, &self.sites[id])
        {
            self.storage.take(bindings, id);
        }
        self.put(pod, id);
    }

    /// A pod is there, whatever its claims.
    pub(super) fn put(&mut self, pod: &'a Pod, id: SiteId) {
        self.room[id].add(&pod.requests);
        self.count(pod, id, Change::Comes);
        if let Some(pods) = &mut self.pods[id] {
            pods.push(pod);
        }
    }

    fn count(&mut self, pod: &'a Pod, id: SiteId, change: Change) {
        self.users.pod(pod, change);
        let Some(counting) = self.profiles.of(pod) else { return };
        if !pod.deleting {
            self.spreads.pod(&counting.spreads, id, change);
        }
        self.affinities.pod(pod, &counting.affinities, id, change);
    }
}

/// The rule `NodePorts`: no two pods take a port of one address. `0.0.0.0` is every address.
///
/// Source: the scheduler plugin of that name, Kubernetes 1.36.
fn check_ports(pod: &Pod, here: &[&Pod]) -> Result<(), Objection> {
    for port in &pod.host_ports {
        if let Some(other) = here.iter().find(|other| other.host_ports.iter().any(|taken| meet(port, taken))) {
            let HostPort { protocol, port, ip } = port;
            return Err(Objection::refused(format_args!(
                "needs port {port}/{protocol} of the node on {ip}, which {} has",
                other.name
            )));
        }
    }
    Ok(())
}

/// Whether two ports of a node are the same, on one address at least.
pub(super) fn meet(left: &HostPort, right: &HostPort) -> bool {
    const EVERY_ADDRESS: &str = "0.0.0.0";
    let address = left.ip == right.ip || left.ip == EVERY_ADDRESS || right.ip == EVERY_ADDRESS;
    address && left.port == right.port && left.protocol == right.protocol
}
