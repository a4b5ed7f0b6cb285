//! Random scenes: nodes, pods and what else decides where a pod may run, of few different values, so that every rule
//! often bites and often does not.

mod random;
mod storage;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mini_karpenter::model::{
    AffinityTerm, AttachLimits, Claim, Eviction, HostPort, LabelSelector, Labels, Neighbours, Node, NodeSelectorTerm,
    ObjectName, Operator, Phase, Placement, Pod, PodName, Requirement, Resources, SchedulingState, SpreadConstraint,
    StorageClass, Taint, TaintEffect, Toleration, TolerationMatch, Volume, key,
};
use mini_karpenter::snapshot::{Extras, Snapshot};
use mini_karpenter::units::{Cpu, Memory};

use random::Shrink;
pub(crate) use random::{Random, for_each_case};

/// A cluster, with pods that run and pods that wait.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) pods: Vec<Arc<Pod>>,
    pub(crate) namespaces: BTreeMap<String, Arc<Labels>>,
    pub(crate) claims: BTreeMap<ObjectName, Arc<Claim>>,
    pub(crate) volumes: BTreeMap<String, Arc<Volume>>,
    pub(crate) storage_classes: BTreeMap<String, Arc<StorageClass>>,
    pub(crate) attach_limits: BTreeMap<String, Arc<AttachLimits>>,
}

impl Scene {
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.nodes.clone(), self.pods.clone(), []).with_extras(Extras {
            namespaces: Some(self.namespaces.clone()),
            claims: Some(self.claims.clone()),
            volumes: Some(self.volumes.clone()),
            storage_classes: Some(self.storage_classes.clone()),
            attach_limits: Some(self.attach_limits.clone()),
            budgets: Some(BTreeMap::new()),
        })
    }

    /// The pods that wait for a node.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.iter().filter(|pod| {
            let placed = matches!(pod.scheduling, SchedulingState::Bound(_) | SchedulingState::Nominated(_));
            pod.phase == Phase::Pending && !placed
        })
    }

    /// The same objects in another order.
    pub(crate) fn shuffled(&self, random: &mut Random) -> Self {
        let mut scene = self.clone();
        random.shuffle(&mut scene.nodes);
        random.shuffle(&mut scene.pods);
        scene
    }

    /// The same with each pod changed.
    pub(crate) fn with_pods(&self, change: impl Fn(&mut Pod)) -> Self {
        let mut scene = self.clone();
        for pod in &mut scene.pods {
            change(Arc::make_mut(pod));
        }
        scene
    }
}

impl Shrink for Scene {
    fn smaller(&self) -> impl Iterator<Item = Self> {
        let without_node = (0..self.nodes.len()).map(|at| {
            let mut scene = self.clone();
            scene.nodes.remove(at);
            scene
        });
        let without_pod = (0..self.pods.len()).map(|at| {
            let mut scene = self.clone();
            scene.pods.remove(at);
            scene
        });
        let plainer_pod = (0..self.pods.len() * PLAINER.len()).filter_map(|at| {
            let mut scene = self.clone();
            let pod = Arc::make_mut(&mut scene.pods[at / PLAINER.len()]);
            PLAINER[at % PLAINER.len()](pod);
            (*pod != *self.pods[at / PLAINER.len()]).then_some(scene)
        });
        let namespaces = without_each(&self.namespaces).map(|namespaces| Self { namespaces, ..self.clone() });
        let claims = without_each(&self.claims).map(|claims| Self { claims, ..self.clone() });
        let volumes = without_each(&self.volumes).map(|volumes| Self { volumes, ..self.clone() });
        let classes =
            without_each(&self.storage_classes).map(|classes| Self { storage_classes: classes, ..self.clone() });
        let limits = without_each(&self.attach_limits).map(|limits| Self { attach_limits: limits, ..self.clone() });
        let objects = namespaces.chain(claims).chain(volumes).chain(classes).chain(limits);
        without_node.chain(without_pod).chain(plainer_pod).chain(objects)
    }
}

/// Ways to ask for less in a pod.
const PLAINER: [fn(&mut Pod); 9] = [
    |pod| pod.placement = Placement::default(),
    |pod| pod.requests = Resources { pods: 1, ..Resources::default() },
    |pod| _ = pod.neighbours.spread.pop(),
    |pod| _ = pod.neighbours.affinity.pop(),
    |pod| _ = pod.neighbours.anti_affinity.pop(),
    |pod| _ = pod.host_ports.pop(),
    |pod| _ = pod.volumes.pop(),
    |pod| pod.claims_devices = false,
    |pod| pod.labels.clear(),
];

fn without_each<K: Clone + Ord, V: Clone>(map: &BTreeMap<K, V>) -> impl Iterator<Item = BTreeMap<K, V>> {
    map.keys().map(|key| {
        let mut rest = map.clone();
        rest.remove(key);
        rest
    })
}

/// What the pods of a scene may ask for, and out of a hundred scenes, how many are about it. In a scene about everything
/// most pods would have nowhere to go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Theme {
    Placement,
    Taints,
    Ports,
    Room,
    Claims,
    /// Claims that wait for a pod, to volumes that are there and of which there are few.
    ScarceVolumes,
    Disks,
    Spread,
    Affinity,
    AntiAffinity,
    Devices,
}

const THEMES: [(Theme, u64); 11] = [
    (Theme::Placement, 30),
    (Theme::Taints, 25),
    (Theme::Ports, 30),
    (Theme::Room, 25),
    (Theme::Claims, 45),
    (Theme::ScarceVolumes, 15),
    (Theme::Disks, 20),
    (Theme::Spread, 40),
    (Theme::Affinity, 30),
    (Theme::AntiAffinity, 25),
    (Theme::Devices, 10),
];

fn any_themes(random: &mut Random) -> Vec<Theme> {
    if random.chance(35) {
        let only = match random.below(10) {
            0..=2 => Theme::Claims,
            3..=4 => Theme::ScarceVolumes,
            _ => random.pick(&THEMES).0,
        };
        return vec![only];
    }
    THEMES.into_iter().filter(|(_, percent)| random.chance(*percent)).map(|(theme, _)| theme).collect()
}

const NAMESPACES: [&str; 3] = ["x", "y", "z"];
const ZONES: [&str; 3] = ["a", "b", ""];
const RACK: &str = "rack";
const OLD_ZONE: &str = "failure-domain.beta.kubernetes.io/zone";
const GPU: &str = "nvidia.com/gpu";
const GIB: u64 = 1 << 30;

pub(crate) fn any_scene(random: &mut Random) -> Scene {
    let themes = any_themes(random);
    let nodes: Vec<Arc<Node>> = (0..=random.below(6)).map(|number| Arc::new(node(random, &themes, number))).collect();
    let mut namespaces = BTreeMap::new();
    for name in NAMESPACES {
        // A namespace may be unlisted.
        if random.chance(90) {
            namespaces.insert(
                name.to_owned(),
                Arc::new(any_labels(random, &[("team", &["a", "b"]), ("env", &["", "prod"])])),
            );
        }
    }
    let mut scene = Scene {
        nodes,
        pods: Vec::new(),
        namespaces,
        claims: BTreeMap::new(),
        volumes: BTreeMap::new(),
        storage_classes: BTreeMap::new(),
        attach_limits: BTreeMap::new(),
    };
    if themes.contains(&Theme::Claims) || themes.contains(&Theme::ScarceVolumes) {
        storage::furnish(random, &mut scene);
    }
    let present = random.below(13);
    for number in 0..present + 1 + random.below(5) {
        let scheduling = if number < present { placed(random, &scene.nodes) } else { unplaced(random) };
        let pod = pod(random, &themes, &mut scene, number, scheduling);
        scene.pods.push(Arc::new(pod));
    }
    scene
}

/// A node that joins a scene later.
pub(crate) fn another_node(random: &mut Random) -> Node {
    let themes = any_themes(random);
    node(random, &themes, 9)
}

fn any_labels(random: &mut Random, values: &[(&str, &[&str])]) -> Labels {
    let mut labels = Labels::new();
    for (key, values) in values {
        if random.chance(70) {
            labels.insert((*key).to_owned(), (*random.pick(values)).to_owned());
        }
    }
    labels
}

fn node(random: &mut Random, themes: &[Theme], number: usize) -> Node {
    let name = format!("n{number}");
    let values: [(&str, &[&str]); 6] = [
        (key::ZONE, &["a", "b", "a", "b", "a", "b", ""]),
        (key::REGION, &["r", "r", "q"]),
        (OLD_ZONE, &["a", "b"]),
        (RACK, &["1", "2", ""]),
        ("rank", &["1", "3", "x"]),
        ("disk", &["ssd", "hdd"]),
    ];
    let mut labels = any_labels(random, &values);
    if random.chance(60) {
        labels.remove(OLD_ZONE);
    }
    if random.chance(15) {
        labels.retain(|key, _| ![key::ZONE, key::REGION, OLD_ZONE].contains(&key.as_str()));
    }
    if random.chance(90) {
        labels.insert(key::HOSTNAME.to_owned(), name.clone());
    }
    let cores = if themes.contains(&Theme::Room) { random.between(1, 3) } else { 64 };
    let unschedulable = themes.contains(&Theme::Taints) && random.chance(30);
    let mut taints = if themes.contains(&Theme::Taints) { any_taints(random) } else { Vec::new() };
    if unschedulable && random.chance(60) {
        let key = "node.kubernetes.io/unschedulable".to_owned();
        taints.push(Taint { key, value: String::new(), effect: TaintEffect::NoSchedule });
    }
    Node {
        name,
        labels,
        taints,
        unschedulable,
        ready: random.chance(90),
        deleting: random.chance(5),
        allocatable: Resources {
            cpu: Cpu::millicores(cores * 1000),
            memory: Memory::bytes(cores * 2 * GIB),
            ephemeral_storage: Memory::bytes(10 * GIB),
            pods: if themes.contains(&Theme::Room) { *random.pick(&[2, 4, 110]) } else { 110 },
            extended: if random.chance(40) { BTreeMap::from([(GPU.to_owned(), 2)]) } else { BTreeMap::new() },
        },
        provider_id: None,
        do_not_disrupt: None,
    }
}

fn any_taints(random: &mut Random) -> Vec<Taint> {
    let effects = [TaintEffect::NoSchedule, TaintEffect::PreferNoSchedule, TaintEffect::NoExecute];
    let taint = |random: &mut Random| Taint {
        key: (*random.pick(&["dedicated", "gpu"])).to_owned(),
        value: (*random.pick(&["", "x"])).to_owned(),
        effect: *random.pick(&effects),
    };
    (0..random.below(3)).map(|_| taint(random)).collect()
}

fn any_tolerations(random: &mut Random) -> Vec<Toleration> {
    let effects = [None, Some(TaintEffect::NoSchedule), Some(TaintEffect::NoExecute)];
    let keys = ["dedicated", "gpu", "node.kubernetes.io/unschedulable", "node.kubernetes.io/unschedulable"];
    let toleration = |random: &mut Random| {
        let value = match random.below(3) {
            0 => TolerationMatch::Equal("x".to_owned()),
            1 => TolerationMatch::Equal(String::new()),
            _ => TolerationMatch::Exists,
        };
        let every_key = value == TolerationMatch::Exists && random.chance(30);
        let key = if every_key { "" } else { *random.pick(&keys) };
        Toleration { key: key.to_owned(), value, effect: *random.pick(&effects) }
    };
    (0..random.below(4)).map(|_| toleration(random)).collect()
}

fn placed(random: &mut Random, nodes: &[Arc<Node>]) -> SchedulingState {
    let node = if random.chance(4) { "gone".to_owned() } else { random.pick(nodes).name.clone() };
    if random.chance(15) { SchedulingState::Nominated(node) } else { SchedulingState::Bound(node) }
}

fn unplaced(random: &mut Random) -> SchedulingState {
    match random.below(6) {
        0 => SchedulingState::Unjudged,
        1 => SchedulingState::Gated(vec!["example.com/gate".to_owned()]),
        _ => SchedulingState::Unschedulable,
    }
}

fn pod(random: &mut Random, themes: &[Theme], scene: &mut Scene, number: usize, scheduling: SchedulingState) -> Pod {
    let phase = match &scheduling {
        SchedulingState::Bound(_) if random.chance(8) => Phase::Finished,
        SchedulingState::Bound(_) if random.chance(90) => Phase::Running,
        _ => Phase::Pending,
    };
    let deleting = matches!(scheduling, SchedulingState::Bound(_)) && random.chance(12);
    let name = PodName { namespace: (*random.pick(&NAMESPACES)).to_owned(), name: format!("p{number}") };
    let asks = |random: &mut Random, theme, percent| themes.contains(&theme) && random.chance(percent);
    let mut volumes = Vec::new();
    if asks(random, Theme::Claims, 65) {
        let scarce = random.chance(20);
        volumes.extend(storage::claims(random, scene, &name, scarce));
    } else if asks(random, Theme::ScarceVolumes, 80) {
        volumes.extend(storage::claims(random, scene, &name, true));
    }
    if asks(random, Theme::Disks, 60) {
        volumes.extend(storage::disks(random));
    }
    let mut host_ports = if asks(random, Theme::Ports, 50) { any_ports(random) } else { Vec::new() };
    host_ports.sort();
    host_ports.dedup();
    let spread = if asks(random, Theme::Spread, 65) { 1 + random.below(2) } else { 0 };
    let affinity = if asks(random, Theme::Affinity, 40) { 1 + random.below(2) } else { 0 };
    let anti_affinity = if asks(random, Theme::AntiAffinity, 40) { 1 + random.below(2) } else { 0 };
    let term = |random: &mut Random| affinity_term(random, &name.namespace);
    let neighbours = Neighbours {
        spread: (0..spread).map(|_| spread_constraint(random)).collect(),
        affinity: (0..affinity).map(|_| term(random)).collect(),
        anti_affinity: (0..anti_affinity).map(|_| term(random)).collect(),
    };
    let mut placement = if asks(random, Theme::Placement, 70) { any_placement(random) } else { Placement::default() };
    if asks(random, Theme::Taints, 60) {
        placement.tolerations = any_tolerations(random);
    }
    Pod {
        labels: any_labels(random, &[("app", &["web", "web", "db"]), ("tier", &["", "front"])]),
        name,
        owner: None,
        requests: if themes.contains(&Theme::Room) {
            amounts(random)
        } else {
            Resources { pods: 1, ..Resources::default() }
        },
        priority: 0,
        placement,
        neighbours,
        preferences: None,
        host_ports,
        volumes,
        claims_devices: asks(random, Theme::Devices, 40),
        phase,
        scheduling,
        deleting,
        mirror: false,
        eviction: Eviction::default(),
    }
}

fn amounts(random: &mut Random) -> Resources {
    Resources {
        cpu: Cpu::millicores(random.between(0, 5) * 250),
        memory: Memory::bytes(random.between(0, 4) * GIB / 2),
        ephemeral_storage: Memory::bytes(if random.chance(15) { random.between(2, 8) * GIB } else { 0 }),
        pods: 1,
        extended: if random.chance(15) { BTreeMap::from([(GPU.to_owned(), 1)]) } else { BTreeMap::new() },
    }
}

fn any_ports(random: &mut Random) -> Vec<HostPort> {
    let port = |random: &mut Random| HostPort {
        protocol: (*random.pick(&["TCP", "TCP", "TCP", "UDP", "SCTP"])).to_owned(),
        port: *random.pick(&[80, 80, 443]),
        ip: (*random.pick(&["0.0.0.0", "0.0.0.0", "10.0.0.1", "10.0.0.2", "::"])).to_owned(),
    };
    (0..=random.below(2)).map(|_| port(random)).collect()
}

/// One requirement on the value of a key.
fn requirement(random: &mut Random, operators: &[Operator], keys: &[(&str, &[&str])]) -> Requirement {
    let (key, known) = *random.pick(keys);
    let operator = *random.pick(operators);
    let mut values: Vec<String> = known.iter().map(|value| (*value).to_owned()).collect();
    random.shuffle(&mut values);
    match operator {
        Operator::Exists | Operator::DoesNotExist => values.clear(),
        Operator::Gt | Operator::Lt => values = vec![(*random.pick(&["0", "2", "3"])).to_owned()],
        Operator::In | Operator::NotIn => values.truncate(1 + random.below(values.len())),
    }
    values.sort();
    Requirement { key: key.to_owned(), operator, values }
}

const SELECTOR_OPERATORS: [Operator; 6] =
    [Operator::In, Operator::In, Operator::In, Operator::NotIn, Operator::Exists, Operator::DoesNotExist];

fn selector(random: &mut Random, keys: &[(&str, &[&str])]) -> LabelSelector {
    let mut requirements: Vec<Requirement> = match random.below(12) {
        0 => return LabelSelector::Nothing,
        1 => Vec::new(),
        number => (0..=number % 2).map(|_| requirement(random, &SELECTOR_OPERATORS, keys)).collect(),
    };
    requirements.sort();
    requirements.dedup();
    LabelSelector::Matching(requirements)
}

fn pod_selector(random: &mut Random) -> LabelSelector {
    selector(random, &[("app", &["web", "db"]), ("app", &["web"]), ("tier", &["", "front"])])
}

const TOPOLOGIES: [&str; 5] = [key::ZONE, key::ZONE, key::HOSTNAME, key::HOSTNAME, RACK];

fn spread_constraint(random: &mut Random) -> SpreadConstraint {
    SpreadConstraint {
        topology_key: (*random.pick(&TOPOLOGIES)).to_owned(),
        max_skew: *random.pick(&[1, 1, 2]),
        min_domains: *random.pick(&[1, 1, 1, 2, 4]),
        selector: pod_selector(random),
        honors_node_affinity: random.chance(65),
        honors_node_taints: random.chance(50),
    }
}

fn affinity_term(random: &mut Random, own: &str) -> AffinityTerm {
    let (named, selected) = (random.chance(35), random.chance(35));
    let namespaces = match (named, selected) {
        (true, _) => (0..=random.below(2)).map(|_| (*random.pick(&NAMESPACES)).to_owned()).collect(),
        (false, true) => BTreeSet::new(),
        (false, false) => BTreeSet::from([own.to_owned()]),
    };
    let namespace_keys: [(&str, &[&str]); 2] = [("team", &["a", "b"]), ("env", &["", "prod"])];
    AffinityTerm {
        topology_key: (*random.pick(&TOPOLOGIES)).to_owned(),
        selector: pod_selector(random),
        namespaces,
        namespace_selector: if selected { selector(random, &namespace_keys) } else { LabelSelector::Nothing },
    }
}

const NODE_KEYS: [(&str, &[&str]); 5] =
    [(key::ZONE, &ZONES), (RACK, &["1", "2", ""]), ("rank", &["1", "3"]), ("disk", &["ssd", "hdd"]), ("no", &["x"])];

fn node_term(random: &mut Random) -> NodeSelectorTerm {
    let numeric = [Operator::Gt, Operator::Lt];
    let one = |random: &mut Random| {
        let compares = random.chance(15);
        if compares {
            requirement(random, &numeric, &[("rank", &["1"])])
        } else {
            requirement(random, &SELECTOR_OPERATORS, &NODE_KEYS)
        }
    };
    let count = if random.chance(8) { 0 } else { 1 + random.below(2) };
    let labels = (0..count).map(|_| one(random)).collect();
    let field = |random: &mut Random| Requirement {
        key: "metadata.name".to_owned(),
        operator: *random.pick(&[Operator::In, Operator::NotIn]),
        values: vec![(*random.pick(&["n0", "n1"])).to_owned()],
    };
    let fields = if random.chance(20) { vec![field(random)] } else { Vec::new() };
    NodeSelectorTerm { labels, fields }
}

fn any_placement(random: &mut Random) -> Placement {
    let node_selector = match random.below(4) {
        0 => Labels::from([("disk".to_owned(), "ssd".to_owned())]),
        1 => Labels::from([(RACK.to_owned(), (*random.pick(&["", "1"])).to_owned())]),
        _ => Labels::new(),
    };
    Placement {
        node_name: random.chance(26).then(|| format!("n{}", random.below(3))),
        node_selector,
        node_affinity: random.chance(50).then(|| (0..random.below(4)).map(|_| node_term(random)).collect()),
        tolerations: Vec::new(),
    }
}
