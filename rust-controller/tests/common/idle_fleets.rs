//! Fleets that can shrink, as they were given to Karpenter: nodes of the generic catalog, of which some have no pods, and pods
//! with controllers and soft spreads over hosts.

use std::collections::BTreeSet;
use std::sync::Arc;

use mini_karpenter::model::{
    AffinityTerm, Catalog, Eviction, LabelSelector, Labels, Neighbours, Node, Owner, Phase, Placement, Pod, PodName,
    Preferences, Requirement, Resources, SchedulingState, SpreadConstraint, key,
};
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::units::{Cpu, Memory};

const MIB: u64 = 1 << 20;

/// A cluster: nodes of one type, of which some have no pods.
pub(crate) struct Fleet {
    pub(crate) nodes: usize,
    node_type: &'static str,
    /// Of each ten nodes, so many have pods.
    busy_of_ten: usize,
    pub(crate) pods: usize,
    /// In turn.
    millicores: &'static [u64],
    /// In turn, each for as many pods as there are sizes of CPU.
    mebibytes: &'static [u64],
    /// No two pods of a workload share a host.
    apart: bool,
}

/// 275m on average, as in what was measured of Karpenter.
const SMALL: [u64; 10] = [50, 100, 150, 200, 250, 300, 350, 400, 450, 500];

const LARGE: Fleet = Fleet {
    nodes: 5_000,
    node_type: "s-8x-amd64-linux",
    busy_of_ten: 6,
    pods: 100_000,
    millicores: &[50, 100, 200, 250, 400],
    mebibytes: &[128],
    apart: false,
};

pub(crate) const IDLE: Fleet = Fleet {
    nodes: 1_000,
    node_type: "c-4x-amd64-linux",
    busy_of_ten: 10,
    pods: 1_500,
    millicores: &SMALL,
    mebibytes: &[128],
    apart: false,
};

pub(crate) const FLEETS: [Fleet; 6] = [
    Fleet { nodes: 100, pods: 150, ..IDLE },
    IDLE,
    Fleet { node_type: "m-4x-amd64-linux", apart: true, ..IDLE },
    LARGE,
    // With four times the memory that the pods need.
    Fleet { node_type: "m-8x-amd64-linux", ..LARGE },
    // On larger nodes, where now CPU and now the number of pods runs out.
    Fleet { node_type: "s-16x-amd64-linux", millicores: &[50, 100, 200, 500], mebibytes: &[128, 256, 512], ..LARGE },
];

impl Fleet {
    pub(crate) fn snapshot(&self, catalog: &Catalog, pods: usize) -> Snapshot {
        let kind = catalog.node_type(self.node_type).unwrap();
        let nodes = (0..self.nodes).map(|number| {
            let name = format!("node-{number:05}");
            let mut labels = kind.labels_as(&kind.offerings[0]);
            labels.insert(key::HOSTNAME.to_owned(), name.clone());
            Arc::new(Node {
                name,
                labels,
                taints: Vec::new(),
                unschedulable: false,
                ready: true,
                deleting: false,
                allocatable: kind.allocatable.clone(),
                provider_id: None,
                do_not_disrupt: None,
            })
        });
        let busy: Vec<usize> = (0..self.nodes).filter(|node| node % 10 < self.busy_of_ten).collect();
        // Shifted from round to round, so that no node has pods of one size alone.
        let pods =
            (0..pods).map(|number| Arc::new(self.pod(number, busy[(number + number / busy.len()) % busy.len()])));
        Snapshot::new(nodes, pods, [])
    }

    fn pod(&self, number: usize, node: usize) -> Pod {
        let app = format!("app-{:03}", number % 50);
        let labels = Labels::from([("app".to_owned(), app.clone())]);
        let spread = SpreadConstraint {
            topology_key: key::HOSTNAME.to_owned(),
            max_skew: 1,
            min_domains: 1,
            selector: LabelSelector::Matching(vec![Requirement::equals("app", &app)]),
            honors_node_affinity: true,
            honors_node_taints: false,
        };
        let term = AffinityTerm {
            topology_key: key::HOSTNAME.to_owned(),
            selector: LabelSelector::Matching(vec![Requirement::equals("app", &app)]),
            namespaces: BTreeSet::from(["default".to_owned()]),
            namespace_selector: LabelSelector::Nothing,
        };
        let anti_affinity = if self.apart { vec![term] } else { Vec::new() };
        Pod {
            name: PodName { namespace: "default".to_owned(), name: format!("{app}-{number:06}") },
            labels,
            owner: Some(Owner { kind: "ReplicaSet".to_owned(), name: app }),
            requests: Resources {
                cpu: Cpu::millicores(self.millicores[number % self.millicores.len()]),
                memory: Memory::bytes(self.mebibytes[number / self.millicores.len() % self.mebibytes.len()] * MIB),
                pods: 1,
                ..Resources::default()
            },
            priority: 0,
            placement: Placement::default(),
            neighbours: Neighbours { anti_affinity, ..Neighbours::default() },
            preferences: Some(Arc::new(Preferences { spread: vec![spread], ..Preferences::default() })),
            host_ports: Vec::new(),
            volumes: Vec::new(),
            claims_devices: false,
            phase: Phase::Running,
            scheduling: SchedulingState::Bound(format!("node-{node:05}")),
            deleting: false,
            mirror: false,
            eviction: Eviction::default(),
        }
    }
}
