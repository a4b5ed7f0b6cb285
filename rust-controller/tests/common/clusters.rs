//! Random small clusters, the same in every run, and the rules of placement stated once more: slowly, and apart from
//! the program's own.

mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mini_karpenter::model::{
    Catalog, Eviction, Labels, Neighbours, Node, NodeClassRef, NodeSelectorTerm, NodeType, Offering, Operator, Owner,
    Phase, Placement, Pod, PodName, Requirement, Resources, SchedulingState, Taint, TaintEffect, Toleration,
    TolerationMatch, key,
};
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::units::{Cpu, Memory, Money};

use random::Shrink;
pub(crate) use random::{Random, for_each_case};

/// A cluster, a catalog and options.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) catalog: Catalog,
    pub(crate) capacity_types: BTreeSet<String>,
    pub(crate) arch: BTreeSet<String>,
    pub(crate) excluded_types: Vec<String>,
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) pods: Vec<Arc<Pod>>,
}

impl Case {
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.nodes.clone(), self.pods.clone(), [])
    }

    /// The same objects in another order.
    pub(crate) fn shuffled(&self, random: &mut Random) -> Self {
        let mut case = self.clone();
        random.shuffle(&mut case.nodes);
        random.shuffle(&mut case.pods);
        case
    }
}

impl Shrink for Case {
    fn smaller(&self) -> impl Iterator<Item = Self> {
        let without_pod = (0..self.pods.len()).map(|at| {
            let mut case = self.clone();
            case.pods.remove(at);
            case
        });
        let without_node = (0..self.nodes.len()).map(|at| {
            let mut case = self.clone();
            case.nodes.remove(at);
            case
        });
        let without_type = (0..self.catalog.types.len()).map(|at| {
            let mut case = self.clone();
            case.catalog.types.remove(at);
            case
        });
        let has_options = !self.excluded_types.is_empty() || !self.arch.is_empty() || self.capacity_types.len() > 1;
        let without_options = has_options.then(|| Self {
            excluded_types: Vec::new(),
            arch: BTreeSet::new(),
            capacity_types: self.capacity_types.iter().take(1).cloned().collect(),
            ..self.clone()
        });
        without_pod.chain(without_node).chain(without_type).chain(without_options)
    }
}

const GIB: u64 = 1 << 30;
const GPU: &str = "nvidia.com/gpu";
const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];
const ARCHES: [&str; 2] = ["amd64", "arm64"];
const TEAMS: [&str; 3] = ["a", "b", "c"];
const INSTANCE_CPU: &str = "karpenter.k8s.aws/instance-cpu";
const AGENT: &str = "example.com/agent";

/// A cluster with pods in every state, and a catalog to plan with.
pub(crate) fn any_case(random: &mut Random) -> Case {
    let mut capacity_types = BTreeSet::from(["on-demand".to_owned()]);
    if random.chance(30) {
        capacity_types.insert("spot".to_owned());
    }
    if random.chance(10) {
        capacity_types = BTreeSet::from(["spot".to_owned()]);
    }
    let arch = if random.chance(20) { BTreeSet::from([(*random.pick(&ARCHES)).to_owned()]) } else { BTreeSet::new() };
    let catalog = catalog(random);
    let excluded_types = if random.chance(10) { vec![catalog.types[0].name.clone()] } else { Vec::new() };
    let count = if random.chance(20) { 0 } else { random.below(6) };
    let nodes: Vec<Arc<Node>> = (0..count).map(|number| Arc::new(node(random, number))).collect();
    let mut pods = daemon_pods(random, &nodes);
    let largest = if random.chance(20) { 150 } else { 25 };
    for number in 0..random.below(16) {
        pods.push(Arc::new(pod(random, number, &nodes, largest)));
    }
    Case { catalog, capacity_types, arch, excluded_types, nodes, pods }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn catalog(random: &mut Random) -> Catalog {
    let types = (0..=random.below(6)).map(|number| node_type(random, number)).collect();
    Catalog {
        name: "random".to_owned(),
        currency: "USD".to_owned(),
        price_source: String::new(),
        node_class: NodeClassRef { group: "g.example.com".to_owned(), kind: "Class".to_owned(), name: "c".to_owned() },
        types,
    }
}

fn node_type(random: &mut Random, number: usize) -> NodeType {
    let cores = *random.pick(&[1, 2, 2, 4, 8]);
    let gpus = if random.chance(20) { random.between(1, 4) } else { 0 };
    let allocatable = Resources {
        cpu: Cpu::millicores(cores * 1000 - random.between(0, 1) * 80),
        memory: Memory::bytes(cores * *random.pick(&[1, 2, 4]) * GIB),
        ephemeral_storage: Memory::bytes(20 * GIB),
        pods: *random.pick(&[4, 8, 110]),
        extended: if gpus > 0 { BTreeMap::from([(GPU.to_owned(), gpus)]) } else { BTreeMap::new() },
    };
    let os = if random.chance(8) { "windows" } else { "linux" };
    let mut type_labels = labels(&[(key::ARCH, *random.pick(&ARCHES)), (key::OS, os)]);
    if random.chance(60) {
        type_labels.insert(INSTANCE_CPU.to_owned(), cores.to_string());
    }
    if random.chance(40) {
        type_labels.insert(key::REGION.to_owned(), "us-east-1".to_owned());
    }
    let mut offerings = Vec::new();
    for zone in ZONES.into_iter().filter(|_| random.chance(60)).collect::<Vec<_>>() {
        for capacity_type in ["on-demand", "spot"] {
            if random.chance(70) {
                // Few different prices, so that some are equal.
                let price = Money::nanos(cores * random.between(4, 6) * 10_000_000);
                let price_per_hour = (!random.chance(5)).then_some(price);
                offerings.push(Offering {
                    zone: zone.to_owned(),
                    capacity_type: capacity_type.to_owned(),
                    price_per_hour,
                });
            }
        }
    }
    let attach_limits = Arc::default();
    NodeType { name: format!("t{number}"), allocatable, labels: type_labels, attach_limits, offerings }
}

fn node(random: &mut Random, number: usize) -> Node {
    let name = format!("n{number}");
    let arch = *random.pick(&ARCHES);
    let zone = *random.pick(&ZONES);
    let mut node_labels = labels(&[(key::HOSTNAME, &name), (key::ARCH, arch), (key::OS, "linux"), (key::ZONE, zone)]);
    if random.chance(50) {
        node_labels.insert("beta.kubernetes.io/arch".to_owned(), arch.to_owned());
        node_labels.insert("failure-domain.beta.kubernetes.io/zone".to_owned(), zone.to_owned());
    }
    if random.chance(60) {
        node_labels.insert(key::INSTANCE_TYPE.to_owned(), format!("t{}", random.below(4)));
    }
    if random.chance(50) {
        node_labels.insert("team".to_owned(), (*random.pick(&TEAMS)).to_owned());
    }
    if random.chance(30) {
        node_labels.insert("rank".to_owned(), random.between(1, 9).to_string());
    }
    if random.chance(7) {
        node_labels.insert(key::CONTROL_PLANE.to_owned(), String::new());
    }
    let cores = *random.pick(&[1, 2, 4, 8]);
    Node {
        name,
        labels: node_labels,
        taints: taints(random),
        unschedulable: random.chance(8),
        ready: random.chance(93),
        deleting: random.chance(7),
        allocatable: Resources {
            cpu: Cpu::millicores(cores * 1000),
            memory: Memory::bytes(cores * 2 * GIB),
            ephemeral_storage: Memory::bytes(10 * GIB),
            pods: *random.pick(&[3, 6, 110]),
            extended: if random.chance(15) { BTreeMap::from([(GPU.to_owned(), 2)]) } else { BTreeMap::new() },
        },
        provider_id: None,
        do_not_disrupt: None,
    }
}

fn taints(random: &mut Random) -> Vec<Taint> {
    let effects = [TaintEffect::NoSchedule, TaintEffect::PreferNoSchedule, TaintEffect::NoExecute];
    let count = if random.chance(30) { random.between(1, 2) } else { 0 };
    (0..count)
        .map(|_| Taint {
            key: (*random.pick(&["dedicated", "gpu"])).to_owned(),
            value: (*random.pick(&["", "x", "y"])).to_owned(),
            effect: *random.pick(&effects),
        })
        .collect()
}

fn tolerations(random: &mut Random) -> Vec<Toleration> {
    let effects = [None, Some(TaintEffect::NoSchedule), Some(TaintEffect::NoExecute)];
    let count = if random.chance(30) { random.between(1, 2) } else { 0 };
    (0..count)
        .map(|_| {
            let value = match random.below(4) {
                0 => TolerationMatch::Exists,
                1 => TolerationMatch::Equal(String::new()),
                _ => TolerationMatch::Equal((*random.pick(&["x", "y"])).to_owned()),
            };
            let keys = [
                "dedicated",
                "gpu",
                "node.kubernetes.io/unschedulable",
                if value == TolerationMatch::Exists { "" } else { "gpu" },
            ];
            Toleration { key: (*random.pick(&keys)).to_owned(), value, effect: *random.pick(&effects) }
        })
        .collect()
}

fn requirement(key: &str, operator: Operator, values: &[&str]) -> Requirement {
    Requirement { key: key.to_owned(), operator, values: values.iter().map(|value| (*value).to_owned()).collect() }
}

/// Label keys of each sort: well-known, in its old form, of the provider, of the user, restricted, the host name; some
/// twice, to come more often.
const ASKED: [(&str, &[&str]); 20] = [
    (key::ARCH, &ARCHES),
    ("beta.kubernetes.io/arch", &ARCHES),
    (key::OS, &["linux", "windows"]),
    (key::ZONE, &ZONES),
    (key::ZONE, &ZONES),
    ("failure-domain.beta.kubernetes.io/zone", &ZONES),
    (key::REGION, &["us-east-1", "us-west-2"]),
    (key::CAPACITY_TYPE, &["on-demand", "spot"]),
    (key::INSTANCE_TYPE, &["t0", "t1", "t2"]),
    (INSTANCE_CPU, &["1", "2", "4", "6"]),
    (INSTANCE_CPU, &["1", "2", "4", "6"]),
    ("karpenter.k8s.aws/instance-gpu-name", &["a100"]),
    ("team", &TEAMS),
    ("team", &TEAMS),
    ("rank", &["0", "2", "3", "4"]),
    ("rank", &["1", "3", "4", "5"]),
    (AGENT, &["on", "true"]),
    (key::HOSTNAME, &["n0", "n1"]),
    (key::NODE_POOL, &["batch"]),
    ("node-role.kubernetes.io/worker", &["", "yes"]),
];

/// One requirement with any operator.
fn any_requirement(random: &mut Random) -> Requirement {
    let (key, values) = *random.pick(&ASKED);
    let operators = [
        Operator::In,
        Operator::In,
        Operator::In,
        Operator::NotIn,
        Operator::Exists,
        Operator::DoesNotExist,
        Operator::Gt,
        Operator::Lt,
    ];
    let numeric = values.iter().all(|value| value.parse::<i64>().is_ok());
    match *random.pick(&operators) {
        operator @ (Operator::Exists | Operator::DoesNotExist) => requirement(key, operator, &[]),
        operator @ (Operator::Gt | Operator::Lt) if numeric => requirement(key, operator, &[*random.pick(values)]),
        operator => {
            let operator = if matches!(operator, Operator::Gt | Operator::Lt) { Operator::In } else { operator };
            let mut values: Vec<&str> = values.to_vec();
            random.shuffle(&mut values);
            values.truncate(1 + random.below(values.len()));
            requirement(key, operator, &values)
        }
    }
}

fn any_placement(random: &mut Random) -> Placement {
    let mut placement = Placement { tolerations: tolerations(random), ..Placement::default() };
    if random.chance(25) {
        let (key, value) = *random.pick(&[
            ("team", "a"),
            ("team", "b"),
            ("rank", "3"),
            (AGENT, "on"),
            (key::ARCH, "arm64"),
            (key::ZONE, "us-east-1a"),
            ("failure-domain.beta.kubernetes.io/zone", "us-east-1b"),
            (key::HOSTNAME, "n0"),
            ("kubernetes.io/role", "db"),
        ]);
        placement.node_selector = labels(&[(key, value)]);
    }
    if random.chance(35) {
        // An empty list, or an empty term, matches no node.
        let count = if random.chance(4) { 0 } else { 1 + random.below(3) };
        let terms = (0..count).map(|_| {
            let mut term = NodeSelectorTerm::default();
            let count = if random.chance(5) { 0 } else { 1 + random.below(2) };
            term.labels = (0..count).map(|_| any_requirement(random)).collect();
            if random.chance(10) {
                let operator = *random.pick(&[Operator::In, Operator::NotIn]);
                term.fields.push(requirement("metadata.name", operator, &["n0"]));
            }
            term
        });
        placement.node_affinity = Some(terms.collect());
    }
    placement
}

fn amounts(random: &mut Random, largest: u64) -> Resources {
    let gpus = if random.chance(8) { random.between(1, 2) } else { 0 };
    Resources {
        cpu: Cpu::millicores(random.between(0, largest) * 50),
        memory: Memory::bytes(random.between(0, largest) * GIB / 16),
        ephemeral_storage: Memory::bytes(if random.chance(10) { random.between(1, 12) * GIB } else { 0 }),
        pods: 1,
        extended: if gpus > 0 { BTreeMap::from([(GPU.to_owned(), gpus)]) } else { BTreeMap::new() },
    }
}

fn pod(random: &mut Random, number: usize, nodes: &[Arc<Node>], largest: u64) -> Pod {
    let owner = random.chance(85).then(|| Owner { kind: "ReplicaSet".to_owned(), name: format!("r{}", number / 2) });
    let phase = match random.below(20) {
        0 => Phase::Finished,
        1..=12 => Phase::Pending,
        _ => Phase::Running,
    };
    let some_node = |random: &mut Random| match nodes {
        [] => "gone".to_owned(),
        _ if random.chance(3) => "gone".to_owned(),
        nodes => random.pick(nodes).name.clone(),
    };
    let scheduling = match (phase, random.below(20)) {
        (Phase::Pending, 0) => SchedulingState::Unjudged,
        (Phase::Pending, 1) => SchedulingState::Gated(vec!["example.com/gate".to_owned()]),
        (Phase::Pending, 2) => SchedulingState::Nominated(some_node(random)),
        (Phase::Pending, 3) => SchedulingState::Bound(some_node(random)),
        (Phase::Pending, _) => SchedulingState::Unschedulable,
        _ => SchedulingState::Bound(some_node(random)),
    };
    let namespace = *random.pick(&["x", "y"]);
    Pod {
        name: PodName { namespace: namespace.to_owned(), name: format!("p{number}") },
        labels: Labels::new(),
        owner,
        requests: amounts(random, largest),
        priority: i32::try_from(random.below(3)).unwrap(),
        placement: any_placement(random),
        neighbours: Neighbours::default(),
        preferences: None,
        host_ports: Vec::new(),
        volumes: Vec::new(),
        claims_devices: false,
        phase,
        scheduling,
        deleting: random.chance(6),
        mirror: phase == Phase::Running && random.chance(4),
        eviction: Eviction::default(),
    }
}

/// The pods of up to three `DaemonSet`s on some of the nodes. All pods of one set ask for the same.
fn daemon_pods(random: &mut Random, nodes: &[Arc<Node>]) -> Vec<Arc<Pod>> {
    let mut pods = Vec::new();
    for set in 0..random.below(4) {
        let selector = *random.pick(&[
            ("", ""),
            ("", ""),
            (key::OS, "linux"),
            (key::ARCH, "arm64"),
            (key::ZONE, "us-east-1a"),
            (INSTANCE_CPU, "4"),
        ]);
        let node_selector = if selector.0.is_empty() { Labels::new() } else { labels(&[selector]) };
        let own_rule = match random.below(6) {
            0 => vec![requirement(AGENT, Operator::Exists, &[])],
            1 => vec![requirement(AGENT, Operator::DoesNotExist, &[])],
            2 => vec![requirement(key::ARCH, Operator::NotIn, &["arm64"])],
            _ => Vec::new(),
        };
        let mut requests = amounts(random, 6);
        requests.extended.clear();
        for node in nodes.iter().filter(|_| random.chance(70)).collect::<Vec<_>>() {
            let pinned = NodeSelectorTerm {
                labels: own_rule.clone(),
                fields: vec![requirement("metadata.name", Operator::In, &[&node.name])],
            };
            let running = random.chance(85);
            pods.push(Arc::new(Pod {
                name: PodName { namespace: "kube-system".to_owned(), name: format!("ds{set}-{}", node.name) },
                labels: Labels::new(),
                owner: Some(Owner { kind: "DaemonSet".to_owned(), name: format!("ds{set}") }),
                requests: requests.clone(),
                priority: 2_000_001_000,
                placement: Placement {
                    node_name: None,
                    node_selector: node_selector.clone(),
                    node_affinity: Some(vec![pinned]),
                    tolerations: vec![Toleration { key: String::new(), value: TolerationMatch::Exists, effect: None }],
                },
                neighbours: Neighbours::default(),
                preferences: None,
                host_ports: Vec::new(),
                volumes: Vec::new(),
                claims_devices: false,
                phase: if running { Phase::Running } else { Phase::Pending },
                scheduling: if running {
                    SchedulingState::Bound(node.name.clone())
                } else {
                    SchedulingState::Unschedulable
                },
                deleting: false,
                mirror: false,
                eviction: Eviction::default(),
            }));
        }
    }
    pods
}

/// Amounts by resource; below zero where more is requested than offered.
pub(crate) type Amounts = BTreeMap<String, i128>;

pub(crate) fn amounts_of(resources: &Resources) -> Amounts {
    resources.amounts().map(|(name, amount)| (name.to_owned(), i128::from(amount))).collect()
}

pub(crate) fn subtract(from: &mut Amounts, requests: &Resources) {
    for (name, amount) in amounts_of(requests) {
        *from.entry(name).or_default() -= amount;
    }
}

pub(crate) fn has_room(free: &Amounts, requests: &Resources) -> bool {
    let enough =
        |(name, amount): (&str, u64)| amount == 0 || free.get(name).copied().unwrap_or(0) >= i128::from(amount);
    requests.amounts().all(enough)
}

/// What is left of a node beside everything that holds room there.
pub(crate) fn free_on(node: &Node, pods: &[Arc<Pod>]) -> Amounts {
    let mut free = amounts_of(&node.allocatable);
    for pod in pods.iter().filter(|pod| pod.phase != Phase::Finished) {
        if let SchedulingState::Bound(at) | SchedulingState::Nominated(at) = &pod.scheduling
            && *at == node.name
        {
            subtract(&mut free, &pod.requests);
        }
    }
    free
}

/// Whether the value of a label, or its absence, is what a requirement asks for.
pub(crate) fn holds(requirement: &Requirement, value: Option<&str>) -> bool {
    let listed = value.is_some_and(|value| requirement.values.iter().any(|each| each == value));
    let numbers = || Some((value?.parse::<i64>().ok()?, requirement.values.first()?.parse::<i64>().ok()?));
    match requirement.operator {
        Operator::In => listed,
        Operator::NotIn => !listed,
        Operator::Exists => value.is_some(),
        Operator::DoesNotExist => value.is_none(),
        Operator::Gt => numbers().is_some_and(|(value, bound)| value > bound),
        Operator::Lt => numbers().is_some_and(|(value, bound)| value < bound),
    }
}

/// Whether labels and the node's name are what a pod asks for.
pub(crate) fn labels_suit(placement: &Placement, name: &str, labels: &Labels) -> bool {
    let label = |key: &str| labels.get(key).map(String::as_str);
    let term_suits = |term: &NodeSelectorTerm| {
        !(term.labels.is_empty() && term.fields.is_empty())
            && term.labels.iter().all(|each| holds(each, label(&each.key)))
            && term.fields.iter().all(|each| holds(each, Some(name)))
    };
    placement.node_selector.iter().all(|(key, value)| label(key) == Some(value))
        && placement.node_affinity.as_ref().is_none_or(|terms| terms.iter().any(term_suits))
}

fn tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    tolerations.iter().any(|toleration| {
        let same_effect = toleration.effect.is_none() || toleration.effect == Some(taint.effect);
        let same_key = toleration.key.is_empty() || toleration.key == taint.key;
        let same_value = match &toleration.value {
            TolerationMatch::Exists => true,
            TolerationMatch::Equal(value) => *value == taint.value,
        };
        same_effect && same_key && same_value
    })
}

/// Whether an existing node takes a pod, room aside.
pub(crate) fn accepts(node: &Node, pod: &Pod) -> bool {
    let cordon = Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        value: String::new(),
        effect: TaintEffect::NoSchedule,
    };
    let hard = node.taints.iter().filter(|taint| taint.effect != TaintEffect::PreferNoSchedule);
    let refusing = hard.chain(node.unschedulable.then_some(&cordon));
    labels_suit(&pod.placement, &node.name, &node.labels)
        && refusing.into_iter().all(|taint| tolerated(taint, &pod.placement.tolerations))
}
