//! What a class asks of a node by itself, for those who plan nodes for many pods at once.

use std::collections::BTreeMap;

use super::class::ClassId;
use super::simulation::{NodeId, Simulation};
use crate::model::{HostPort, key};

/// What a class asks of a node beside room: classes of equal needs suit the same nodes where they fit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeNeeds {
    placement: usize,
    volumes: usize,
    ports: Vec<HostPort>,
    claims_devices: bool,
}

/// Something of which a host has room for few.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seat {
    /// Pods that keep each other off their host, by number of the anti-affinity term.
    Apart(usize),
    /// Pods that spread over hosts and count each other, by number of the spread group.
    Spread(usize),
    /// A port of the host.
    Port(HostPort),
}

impl Simulation {
    /// Number and amount of each resource that a pod of the class requests, in the units of
    /// [`Resources::amount`](crate::model::Resources::amount), and of slots for volumes.
    #[must_use]
    pub fn requests(&self, class: ClassId) -> &[(usize, i64)] {
        &self.classes.class(class).requests
    }

    /// Names of all resources, by number; those of slots for volumes come after these.
    #[must_use]
    pub fn resources(&self) -> &[String] {
        &self.classes.resources
    }

    /// Number of what the class asks of a node by itself, ports, room and volumes aside: the same nodes admit classes of one number.
    #[must_use]
    pub fn admission(&self, class: ClassId) -> usize {
        self.classes.class(class).placement
    }

    /// Whether the rules that look at a node by itself admit the class, whatever is there.
    #[must_use]
    pub fn admits_by_itself(&self, class: ClassId, node: NodeId) -> bool {
        self.refusing_rules(self.admission(class), node) == 0
    }

    /// What a class asks of a node beside room.
    #[must_use]
    pub fn node_needs(&self, class: ClassId) -> NodeNeeds {
        let asked = self.classes.class(class);
        NodeNeeds {
            placement: asked.placement,
            volumes: asked.volumes,
            ports: asked.ports.clone(),
            claims_devices: asked.claims_devices,
        }
    }

    /// Whether pods of the class depend on others by their volumes: they have disks that exclude each other on a node, or claims
    /// that several pods use.
    #[must_use]
    pub fn shares_volumes(&self, class: ClassId) -> bool {
        let needs = &self.classes.volumes[self.classes.class(class).volumes];
        !needs.disks.is_empty() || needs.unbound.iter().any(|claim| claim.shared.is_some())
    }

    /// Whether a node meets these needs of the class, were it empty and large enough.
    #[must_use]
    pub fn meets_needs(&self, class: ClassId, node: NodeId) -> bool {
        let asked = self.classes.class(class);
        self.admits(class, node) && self.volumes_fit(class, node) && !asked.claims_devices
    }

    /// What a pod of the class takes of a host that others of its kind take, too, and how many pods the host has that for.
    /// Pods that spread are counted as if some host had none of them, which is safe in whatever order hosts come.
    #[must_use]
    pub fn seats(&self, class: ClassId) -> Vec<(Seat, u32)> {
        let asked = self.classes.class(class);
        let is_host = |key: usize| self.domains.name(key) == key::HOSTNAME;
        let spread =
            asked.rules.spread.iter().filter(|rule| rule.own > 0 && is_host(self.classes.spread_key(rule.group)));
        let ports = asked.ports.iter().map(|port| (Seat::Port(port.clone()), 1));
        let apart = self.apart_by(class, key::HOSTNAME).map(|term| (Seat::Apart(term), 1));
        // A pod that asks for the same twice takes one seat.
        let mut seats: BTreeMap<Seat, u32> = BTreeMap::new();
        for (seat, limit) in apart.chain(spread.map(|rule| (Seat::Spread(rule.group), rule.max_skew))).chain(ports) {
            let least = seats.entry(seat).or_insert(limit);
            *least = limit.min(*least);
        }
        seats.into_iter().collect()
    }

    /// Numbers of the anti-affinity terms by which pods of the class keep each other out of one domain of a topology key.
    pub fn apart_by(&self, class: ClassId, topology_key: &str) -> impl Iterator<Item = usize> {
        let asked = self.classes.class(class);
        let seen_by = &self.classes.seen_by[asked.seen_by];
        let is_meant = move |term: &usize| {
            self.domains.name(self.classes.anti_affinity[*term].key) == topology_key
                && seen_by.anti_affinity.contains(term)
        };
        asked.rules.anti_affinity.iter().copied().filter(is_meant)
    }

    /// Whether it is known whom an anti-affinity term finds, and not only feared: labels of namespaces that it asks for could be
    /// read.
    #[must_use]
    pub fn is_known(&self, anti_affinity_term: usize) -> bool {
        !self.classes.is_unread(&self.classes.anti_affinity[anti_affinity_term].who)
    }

    /// What is left of each resource on a node, and of slots for volumes, by number.
    #[must_use]
    pub fn room(&self, node: NodeId) -> &[i64] {
        self.free_of(node)
    }
}
