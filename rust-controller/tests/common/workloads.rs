//! Pods without a node, of three kinds, and the node types to choose from: what the benchmark of provisioning measures,
//! and what the tests of its quality hold it to. The same seed draws the same pods.
//!
//! [`Kind::Generic`] and [`Kind::Diverse`] are drawn as in Karpenter's own benchmark, `scheduling_benchmark_test.go` in
//! `pkg/controllers/provisioning/scheduling` of `sigs.k8s.io/karpenter`.

mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::TAU;
use std::sync::Arc;

use mini_karpenter::catalog::parse;
use mini_karpenter::model::{
    AffinityTerm, Catalog, Eviction, LabelSelector, Labels, Neighbours, Phase, Placement, Pod, PodName, Requirement,
    Resources, SchedulingState, SpreadConstraint, key,
};
use mini_karpenter::snapshot::{Extras, Snapshot};
use mini_karpenter::units::{Cpu, Memory};
use serde_json::{Value, json};

pub(crate) use random::Random;

const NAMESPACE: &str = "default";

/// Everything that a plan for these pods may use, for Karpenter to choose from.
pub(crate) const OPEN_NODE_POOL: &str = "
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: open}
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.kwok.sh, kind: KWOKNodeClass, name: default}
      requirements:
      - {key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}
      - {key: kubernetes.io/arch, operator: In, values: [amd64]}
      - {key: kubernetes.io/os, operator: In, values: [linux]}
";

/// How pods are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Each for itself: any of five amounts of CPU with any of six amounts of memory, and no rules.
    Generic,
    /// In equal parts: no rules, spread over zones, spread over hosts, near each other in a zone, apart on hosts.
    Diverse,
    /// Deployments whose numbers of replicas, CPU and memory are log-normal: many small ones and a few large.
    Fleet,
}

/// What the scheduler of Karpenter 1.14.1 launches for as many pods of a kind, before it consolidates anything: measured
/// on 2 cores, with this catalog and one open `NodePool`, for other pods drawn in the same way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Karpenter {
    /// USD per hour.
    pub(crate) cost: f64,
    /// The least that nodes for those pods could cost by the linear bound, where it was measured. What plans cost differs
    /// from draw to draw, above all of a fleet: how far they are above their bounds can be compared.
    pub(crate) bound: Option<f64>,
    pub(crate) nodes: u32,
    pub(crate) seconds: f64,
}

impl Karpenter {
    /// By how much it costs more than the bound: 0.02 for 2 %.
    pub(crate) fn gap(&self) -> Option<f64> {
        self.bound.map(|bound| self.cost / bound - 1.0)
    }
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Generic, Self::Fleet, Self::Diverse];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Diverse => "diverse",
            Self::Fleet => "fleet",
        }
    }

    /// Pods that the scheduler found no node for. Their names say nothing of how they were drawn.
    pub(crate) fn pods(self, count: usize, seed: u64) -> Vec<Arc<Pod>> {
        let random = &mut Random::new(seed);
        let mut pods = match self {
            Self::Generic => (0..count).map(|_| generic(random)).collect(),
            Self::Diverse => diverse(random, count),
            Self::Fleet => fleet(random, count),
        };
        random.shuffle(&mut pods);
        for (number, pod) in pods.iter_mut().enumerate() {
            pod.name.name = format!("p-{number:06}");
        }
        pods.into_iter().map(Arc::new).collect()
    }

    /// Karpenter's result for this number of pods, where it was measured.
    pub(crate) fn karpenter(self, pods: usize) -> Option<Karpenter> {
        let (cost, bound, nodes, seconds) = match (self, pods) {
            (Self::Generic, 1_000) => (38.31, Some(25.77), 2, 0.11),
            (Self::Generic, 5_000) => (181.15, Some(128.46), 10, 0.98),
            (Self::Generic, 20_000) => (729.13, None, 37, 7.4),
            (Self::Fleet, 1_000) => (41.41, Some(30.56), 3, 0.11),
            (Self::Fleet, 5_000) => (166.96, Some(116.97), 9, 0.76),
            (Self::Fleet, 20_000) => (717.17, None, 35, 7.0),
            (Self::Diverse, 1_000) => (41.72, Some(26.67), 200, 1.7),
            (Self::Diverse, 5_000) => (207.49, Some(131.35), 1_000, 11.1),
            (Self::Diverse, 20_000) => (839.95, Some(531.60), 4_000, 134.0),
            _ => return None,
        };
        Some(Karpenter { cost, bound, nodes, seconds })
    }
}

/// An empty cluster in which these pods wait, with every kind of object read, so that all rules can be checked.
pub(crate) fn snapshot(pods: Vec<Arc<Pod>>) -> Snapshot {
    let extras = Extras {
        namespaces: Some(BTreeMap::from([(NAMESPACE.to_owned(), Arc::default())])),
        claims: Some(BTreeMap::new()),
        volumes: Some(BTreeMap::new()),
        storage_classes: Some(BTreeMap::new()),
        attach_limits: Some(BTreeMap::new()),
        budgets: Some(BTreeMap::new()),
    };
    Snapshot::new([], pods, []).with_extras(extras)
}

/// 228 node types in three zones, on demand; 100m CPU and 10Mi memory of each are not for pods, as Karpenter's KWOK
/// provider has it.
pub(crate) fn catalog() -> Catalog {
    let catalog = parse("aws-c-m-r", &instance_types()).unwrap();
    Catalog { price_source: "us-east-1, 2026-07-20".to_owned(), ..catalog }
}

/// The same as the KWOK provider's instance-type file.
pub(crate) fn instance_types() -> String {
    let rows = include_str!("../data/aws-c-m-r.csv").lines().filter(|line| !line.starts_with('#'));
    Value::from(rows.map(instance_type).collect::<Vec<_>>()).to_string()
}

/// One row of the table as an entry of the KWOK provider's instance-type file.
fn instance_type(row: &str) -> Value {
    let [name, vcpu, memory_mib, pods, price] = row.split(',').collect::<Vec<_>>().try_into().unwrap();
    let price: f64 = price.parse().unwrap();
    let one_of = |key: &str, value: &str| json!({"key": key, "operator": "In", "values": [value]});
    let offering = |zone| {
        let requirements = [one_of(key::CAPACITY_TYPE, "on-demand"), one_of(key::ZONE, zone)];
        json!({"Price": price, "Available": true, "Requirements": requirements})
    };
    let memory = format!("{memory_mib}Mi");
    let offerings = ["test-zone-a", "test-zone-b", "test-zone-c"].map(offering);
    json!({
        "name": name,
        "architecture": "amd64",
        "operatingSystems": ["linux"],
        "resources": {"cpu": vcpu, "memory": memory, "pods": pods, "ephemeral-storage": "100Gi"},
        "offerings": offerings,
    })
}

fn pod(millicores: u64, mebibytes: u64, label: (&str, &str), neighbours: Neighbours) -> Pod {
    Pod {
        name: PodName { namespace: NAMESPACE.to_owned(), name: String::new() },
        labels: Labels::from([(label.0.to_owned(), label.1.to_owned())]),
        owner: None,
        requests: Resources {
            cpu: Cpu::millicores(millicores),
            memory: Memory::bytes(mebibytes << 20),
            pods: 1,
            ..Resources::default()
        },
        priority: 0,
        placement: Placement::default(),
        neighbours,
        preferences: None,
        host_ports: Vec::new(),
        volumes: Vec::new(),
        claims_devices: false,
        phase: Phase::Pending,
        scheduling: SchedulingState::Unschedulable,
        deleting: false,
        mirror: false,
        eviction: Eviction::default(),
    }
}

/// A pod with one of the usual requests.
fn usual(random: &mut Random, label: (&str, &str), neighbours: Neighbours) -> Pod {
    let millicores = *random.pick(&[100, 250, 500, 1000, 1500]);
    let mebibytes = *random.pick(&[100, 256, 512, 1024, 2048, 4096]);
    pod(millicores, mebibytes, label, neighbours)
}

fn letter(random: &mut Random) -> &'static str {
    random.pick::<&str>(&["a", "b", "c", "d", "e", "f", "g"])
}

fn generic(random: &mut Random) -> Pod {
    let own = letter(random);
    usual(random, ("my-label", own), Neighbours::default())
}

fn diverse(random: &mut Random, count: usize) -> Vec<Pod> {
    let part = count / 5;
    let mut pods = Vec::with_capacity(count);
    pods.extend((0..part).map(|_| spread(random, key::ZONE)));
    pods.extend((0..part).map(|_| spread(random, key::HOSTNAME)));
    pods.extend((0..part).map(|_| near_its_kind(random)));
    pods.extend((0..part).map(|_| apart(random)));
    let rest = count - pods.len();
    pods.extend((0..rest).map(|_| generic(random)));
    pods
}

/// Keeps pods of one label spread, mostly without being one of them.
fn spread(random: &mut Random, topology_key: &str) -> Pod {
    let (own, others) = (letter(random), letter(random));
    let constraint = SpreadConstraint {
        topology_key: topology_key.to_owned(),
        max_skew: 1,
        min_domains: 1,
        selector: with("my-label", others),
        honors_node_affinity: true,
        honors_node_taints: false,
    };
    usual(random, ("my-label", own), Neighbours { spread: vec![constraint], ..Neighbours::default() })
}

fn near_its_kind(random: &mut Random) -> Pod {
    let own = letter(random);
    let affinity = vec![term(key::ZONE, with("my-affinity", own))];
    usual(random, ("my-affinity", own), Neighbours { affinity, ..Neighbours::default() })
}

fn apart(random: &mut Random) -> Pod {
    let anti_affinity = vec![term(key::HOSTNAME, with("app", "nginx"))];
    usual(random, ("app", "nginx"), Neighbours { anti_affinity, ..Neighbours::default() })
}

fn with(key: &str, value: &str) -> LabelSelector {
    LabelSelector::Matching(vec![Requirement::equals(key, value)])
}

fn term(topology_key: &str, selector: LabelSelector) -> AffinityTerm {
    AffinityTerm {
        topology_key: topology_key.to_owned(),
        selector,
        namespaces: BTreeSet::from([NAMESPACE.to_owned()]),
        namespace_selector: LabelSelector::Nothing,
    }
}

/// Deployments until there are enough pods; the last one may miss some of its replicas.
fn fleet(random: &mut Random, count: usize) -> Vec<Pod> {
    let mut pods = Vec::with_capacity(count);
    for number in 0_usize.. {
        let missing = count - pods.len();
        if missing == 0 {
            break;
        }
        let replicas = usize::try_from(log_normal(random, 1.2, 1.1, 1)).unwrap().max(1);
        let millicores = log_normal(random, 5.7, 1.2, 10).clamp(10, 15_000);
        let mebibytes = log_normal(random, 6.6, 1.3, 16).clamp(32, 120_000);
        let replica = pod(millicores, mebibytes, ("app", &format!("d{number}")), Neighbours::default());
        pods.extend(std::iter::repeat_n(replica, replicas.min(missing)));
    }
    pods
}

/// Such that its logarithm is normal with this mean and deviation, rounded down to a multiple of `step`.
fn log_normal(random: &mut Random, mean: f64, deviation: f64, step: u32) -> u64 {
    let drawn = (mean + deviation * standard_normal(random)).exp();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and far below 2^63")]
    let steps = (drawn / f64::from(step)) as u64;
    steps * u64::from(step)
}

/// By Box and Muller's transform of two even draws.
fn standard_normal(random: &mut Random) -> f64 {
    let mut even = || f64::from(u32::try_from(random.between(1, u64::from(u32::MAX))).unwrap()) / f64::from(u32::MAX);
    let (distance, angle) = (even(), even());
    (-2.0 * distance.ln()).sqrt() * (TAU * angle).cos()
}
