//! A cluster as it is after each step of a plan.

use std::sync::Arc;

use super::affinity::Affinities;
use super::kinds::{Guest, Kind, Kinds};
use super::mounts::{ClaimUsers, check_disks, check_limits};
use super::objection::Objection;
use super::room::{ResourceNames, Room};
use super::site::{Site, SiteId};
use super::spread::{EligibleNodes, Spreads};
use super::storage::Storage;
use super::topology::{Change, Topology};
use crate::feasibility::{Rule, placement_admits, placement_refusal};
use crate::model::{HostPort, Phase, Pod};
use crate::snapshot::Snapshot;
use crate::units::FastMap;

/// Nodes with the pods on them, and everything that the rules count.
///
/// All nodes and pods that will ever be there are known from the start, and so is what counts what: a step only changes
/// counts.
#[derive(Debug)]
pub(super) struct Cluster<'a> {
    sites: Vec<Site<'a>>,
    by_name: FastMap<&'a str, SiteId>,
    /// By node; `None` for one that is not there yet, or not any more.
    pods: Vec<Option<Vec<Arrival<'a>>>>,
    kinds: Vec<Kind<'a>>,
    room: Room<'a>,
    spreads: Spreads<'a>,
    affinities: Affinities<'a>,
    storage: Storage<'a>,
    users: ClaimUsers,
}

/// A pod that comes to a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) guest: Guest<'a>,
    /// In place of another, which had to go: not all that is known of that one holds for this one.
    pub(super) made_anew: bool,
}

impl<'a> Cluster<'a> {
    /// The nodes of a snapshot with their pods; beside them, nodes that are planned and not there yet.
    ///
    /// `coming` are the pods that may come to nodes later on, of these kinds.
    pub(super) fn new(
        snapshot: &'a Snapshot,
        planned: Vec<Site<'a>>,
        mut kinds: Kinds<'a>,
        coming: &[Guest<'a>],
    ) -> Self {
        let existing = snapshot.nodes().iter().map(|node| Site::existing(node));
        let sites: Vec<Site<'a>> = existing.chain(planned).collect();
        let (mut topology, mut eligible) = (Topology::default(), EligibleNodes::default());
        let mut spreads = Spreads::default();
        let mut affinities = Affinities::new(snapshot.extras().namespaces.as_ref());
        let standing = snapshot.pods().iter().filter(|pod| pod.occupied_node().is_some());
        let standing: Vec<Guest<'a>> = standing.map(|pod| kinds.standing(pod)).collect();
        for pod in kinds.examples_of(coming.iter().copied()) {
            spreads.expect(pod, &sites, &mut topology, &mut eligible);
            affinities.expect(pod, &sites, &mut topology);
        }
        for pod in kinds.examples_of(standing.iter().chain(coming).copied()) {
            affinities.expect_apart(pod, &sites, &mut topology);
        }
        // One that is nowhere may keep others away all the same, where that depends on what nobody could read.
        let is_nowhere = |pod: &&Arc<Pod>| pod.phase != Phase::Finished && pod.occupied_node().is_none();
        for pod in snapshot.pods().iter().filter(is_nowhere) {
            if affinities.has_unread(pod) {
                affinities.expect_apart(pod, &sites, &mut topology);
            }
        }
        let mut resources = ResourceNames::default();
        let kinds = kinds.describe(&spreads, &affinities, &mut resources);
        let mut cluster = Self {
            by_name: sites.iter().enumerate().map(|(id, site)| (site.name, id)).collect(),
            pods: vec![None; sites.len()],
            kinds,
            room: Room::new(resources, sites.len()),
            storage: Storage::new(snapshot.extras()),
            users: ClaimUsers::default(),
            sites,
            spreads,
            affinities,
        };
        cluster.join((0..snapshot.nodes().len()).collect());
        for guest in standing {
            if let Some(id) = guest.pod.occupied_node().and_then(|node| cluster.find(node)) {
                cluster.put(guest, id);
            }
        }
        cluster
    }

    /// The node of this name, if it is there.
    pub(super) fn find(&self, name: &str) -> Option<SiteId> {
        self.by_name.get(name).copied().filter(|id| self.pods[*id].is_some())
    }

    /// The pods on a node.
    fn pods(&self, id: SiteId) -> &[Arrival<'a>] {
        self.pods[id].as_deref().unwrap_or_default()
    }

    /// Nodes that are planned come, without pods.
    pub(super) fn join(&mut self, ids: Vec<SiteId>) {
        self.spreads.nodes(&ids, Change::Comes);
        for id in ids {
            self.pods[id] = Some(Vec::new());
        }
    }

    /// Whether pods could not be spread as they are now, had this node been there from the start.
    pub(super) fn would_undo(&self, id: SiteId) -> bool {
        self.spreads.would_undo(id)
    }

    /// A node goes with all its pods.
    pub(super) fn remove(&mut self, id: SiteId) -> Vec<Guest<'a>> {
        let pods = self.pods[id].take().unwrap_or_default();
        let pods: Vec<Guest<'a>> = pods.into_iter().map(|arrival| arrival.guest).collect();
        for guest in &pods {
            self.count(*guest, id, Change::Goes);
        }
        self.spreads.nodes(&[id], Change::Goes);
        pods
    }

    /// Nodes that are there, with the pods on them.
    pub(super) fn there(&self) -> impl Iterator<Item = (SiteId, &Site<'a>)> {
        self.sites.iter().enumerate().filter(|(id, _)| self.pods[*id].is_some())
    }

    /// Whether no rule has anything against the pod on the node; what is most often against it is asked first.
    pub(super) fn takes(&self, arrival: Arrival<'a>, id: SiteId) -> bool {
        let (kind, site) = (&self.kinds[arrival.guest.kind], &self.sites[id]);
        placement_admits(&kind.example.placement, &site.target())
            && self.room.check(&kind.requests, id, site).is_ok()
            && self.objections(arrival, id).is_empty()
    }

    /// Whether a rule for the pod looks at what nobody could read. The scheduler, which can, has found no node for such a pod; so
    /// one that waits need not get a node that is there, though it may.
    pub(super) fn is_undecided(&self, guest: Guest<'a>) -> bool {
        let spoken = &self.kinds[guest.kind].counting.affinities;
        self.affinities.is_undecided(guest.pod, spoken) || self.storage.is_undecided(guest.pod)
    }

    /// What each rule has against the pod on the node, as things are.
    pub(super) fn objections(&self, arrival: Arrival<'a>, id: SiteId) -> Vec<(Rule, Objection)> {
        let kind = &self.kinds[arrival.guest.kind];
        let (pod, counting) = (kind.example, &*kind.counting);
        let (site, here) = (&self.sites[id], self.pods(id));
        let mut objections = Vec::new();
        if let Some(refusal) = placement_refusal(&pod.placement, &site.target()) {
            objections.push((refusal.rule(), Objection::refused(refusal)));
        }
        let mut ask = |rule: Rule, answer: Result<(), Objection>| {
            objections.extend(answer.err().map(|objection| (rule, objection)));
        };
        ask(Rule::NodePorts, self.check_ports(kind, here));
        ask(Rule::NodeResourcesFit, self.room.check(&kind.requests, id, site));
        if let Some(group) = kind.spread {
            ask(Rule::PodTopologySpread, self.spreads.check(group, pod, id, site));
        }
        let spoken = &counting.affinities;
        ask(Rule::InterPodAffinity, self.affinities.check(pod, &kind.own_terms, spoken, id, site));
        if pod.claims_devices {
            ask(Rule::DynamicResources, Err(Objection::refused("claims devices, which nobody can judge")));
        }
        if kind.has_volumes() {
            objections.extend(self.objections_to_volumes(arrival, id));
        }
        objections
    }

    /// The same, of the rules about volumes.
    fn objections_to_volumes(&self, arrival: Arrival<'a>, id: SiteId) -> Vec<(Rule, Objection)> {
        let Arrival { guest: Guest { pod, .. }, made_anew } = arrival;
        let (site, here) = (&self.sites[id], self.pods(id));
        let mut objections = Vec::new();
        let mut ask = |rule: Rule, answer: Result<(), Objection>| {
            objections.extend(answer.err().map(|objection| (rule, objection)));
        };
        ask(Rule::VolumeRestrictions, check_disks(pod, here));
        let (uses, lasting) = (self.storage.claims(pod, made_anew), self.storage.lasting_claims(pod));
        let (uses, lasting) = (uses.as_deref().map_err(Clone::clone), lasting.as_deref().map_err(Clone::clone));
        ask(Rule::VolumeRestrictions, lasting.clone().and_then(|claims| self.users.check(claims)));
        let within = |uses| check_limits(&self.storage, pod, uses, here, site);
        if !site.is_planned() || site.attach_limits.is_some_and(|limits| limits.values().any(Option::is_some)) {
            ask(Rule::NodeVolumeLimits, uses.clone().and_then(within));
        }
        ask(Rule::VolumeBinding, uses.and_then(|uses| self.storage.bind(uses, pod, id, site).map(drop)));
        ask(Rule::VolumeZone, lasting.and_then(|claims| self.storage.check_zones(claims, site)));
        objections
    }

    /// The rule `NodePorts`: no two pods take a port of one address. `0.0.0.0` is every address.
    ///
    /// Source: the scheduler plugin of that name, Kubernetes 1.36.
    fn check_ports(&self, kind: &Kind<'_>, here: &[Arrival<'_>]) -> Result<(), Objection> {
        for port in &kind.example.host_ports {
            let meets = |other: &Kind<'_>| other.example.host_ports.iter().any(|taken| meet(port, taken));
            if let Some(other) = here.iter().find(|other| meets(&self.kinds[other.guest.kind])) {
                let HostPort { protocol, port, ip } = port;
                return Err(Objection::refused(format_args!(
                    "needs port {port}/{protocol} of the node on {ip}, which {} has",
                    other.guest.pod.name
                )));
            }
        }
        Ok(())
    }

    /// The pod comes to the node, allowed or not.
    pub(super) fn place(&mut self, arrival: Arrival<'a>, id: SiteId) {
        let Arrival { guest, made_anew } = arrival;
        if self.kinds[guest.kind].has_volumes()
            && let Ok(uses) = self.storage.claims(guest.pod, made_anew)
            && let Ok(bindings) = self.storage.bind(&uses, guest.pod, id, &self.sites[id])
        {
            self.storage.take(bindings, id);
        }
        self.arrive(arrival, id);
    }

    /// A pod is there, with the claims that it had.
    pub(super) fn put(&mut self, guest: Guest<'a>, id: SiteId) {
        self.arrive(Arrival { guest, made_anew: false }, id);
    }

    fn arrive(&mut self, arrival: Arrival<'a>, id: SiteId) {
        let guest = arrival.guest;
        self.room.add(&self.kinds[guest.kind].requests, id);
        self.count(guest, id, Change::Comes);
        if let Some(pods) = &mut self.pods[id] {
            pods.push(arrival);
        }
    }

    fn count(&mut self, guest: Guest<'a>, id: SiteId, change: Change) {
        let kind = &self.kinds[guest.kind];
        if kind.has_volumes() {
            self.users.pod(guest.pod, change);
        }
        if !kind.example.deleting {
            self.spreads.pod(&kind.counting.spreads, id, change);
        }
        self.affinities.pod(&kind.own_terms, &kind.counting.affinities, id, change);
    }
}

/// Whether two ports of a node are the same, on one address at least.
pub(super) fn meet(left: &HostPort, right: &HostPort) -> bool {
    const EVERY_ADDRESS: &str = "0.0.0.0";
    let address = left.ip == right.ip || left.ip == EVERY_ADDRESS || right.ip == EVERY_ADDRESS;
    address && left.port == right.port && left.protocol == right.protocol
}
