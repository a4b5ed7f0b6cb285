//! Random scenes to plan in: pods use claims of others, pods of `DaemonSet`s are among those that selectors find, and there
//! is a catalog of nodes to add.

use std::collections::BTreeMap;
use std::sync::Arc;

use mini_karpenter::model::{
    AffinityTerm, Catalog, Eviction, HostPort, LabelSelector, Labels, Neighbours, Node, NodeClassRef, NodeSelectorTerm,
    NodeType, Offering, Operator, Owner, Phase, Placement, Pod, PodName, PodVolume, Requirement, Resources,
    SchedulingState, Toleration, TolerationMatch, key,
};
use mini_karpenter::units::{Cpu, Memory, Money};

use crate::scenes::{Random, Scene, any_scene};

/// A scene with more that pods have to do with each other.
pub(crate) fn any_crowd(random: &mut Random) -> Scene {
    let mut scene = any_scene(random);
    share_claims(random, &mut scene);
    add_replicas(random, &mut scene);
    if random.chance(60) {
        crowd_out(random, &mut scene);
    }
    for set in 0..random.below(3) {
        add_daemons(random, &mut scene, set);
    }
    scene
}

/// Some pods use a claim of another one, bound or not, as their own or as that of an ephemeral volume.
fn share_claims(random: &mut Random, scene: &mut Scene) {
    let Scene { pods, claims, .. } = scene;
    for pod in pods.iter_mut() {
        let here: Vec<&String> =
            claims.keys().filter(|claim| claim.namespace == pod.name.namespace).map(|claim| &claim.name).collect();
        if here.is_empty() || !random.chance(30) {
            continue;
        }
        let shared = PodVolume::Claim { name: (*random.pick(&here)).clone(), ephemeral: random.chance(30) };
        Arc::make_mut(pod).volumes.push(shared);
    }
}

/// More pods like some of those that wait.
fn add_replicas(random: &mut Random, scene: &mut Scene) {
    for pod in scene.waiting().cloned().collect::<Vec<_>>() {
        if !random.chance(50) {
            continue;
        }
        for number in 0..random.below(4) {
            let mut replica = Pod::clone(&pod);
            replica.name.name = format!("{}-{number}", pod.name.name);
            replica.volumes.retain(|volume| !matches!(volume, PodVolume::Claim { ephemeral: true, .. }));
            scene.pods.push(Arc::new(replica));
        }
    }
}

/// Leaves hardly any room on the nodes that are there.
fn crowd_out(random: &mut Random, scene: &mut Scene) {
    for node in &mut scene.nodes {
        Arc::make_mut(node).allocatable.pods = random.between(0, 4);
    }
}

/// The pods of a `DaemonSet` on some of the nodes, all alike.
fn add_daemons(random: &mut Random, scene: &mut Scene, set: usize) {
    let like = daemon(random, set);
    for node in scene.nodes.clone() {
        if random.chance(60) {
            let deleting = random.chance(10);
            scene.pods.push(Arc::new(Pod { deleting, ..on_node(&like, &node, random.chance(80)) }));
        }
    }
}

fn daemon(random: &mut Random, set: usize) -> Pod {
    let mut labels = Labels::from([("app".to_owned(), (*random.pick(&["web", "web", "db"])).to_owned())]);
    if random.chance(30) {
        labels.insert("tier".to_owned(), "front".to_owned());
    }
    let port = HostPort { protocol: "TCP".to_owned(), port: 80, ip: "0.0.0.0".to_owned() };
    let mut daemon = Pod {
        name: PodName { namespace: (*random.pick(&["x", "y", "z"])).to_owned(), name: format!("ds{set}") },
        labels,
        owner: Some(Owner { kind: "DaemonSet".to_owned(), name: format!("ds{set}") }),
        requests: Resources {
            cpu: Cpu::millicores(random.between(0, 4) * 50),
            memory: Memory::bytes(random.between(0, 4) << 25),
            pods: 1,
            ..Resources::default()
        },
        priority: 2_000_001_000,
        placement: Placement {
            tolerations: vec![Toleration { key: String::new(), value: TolerationMatch::Exists, effect: None }],
            ..Placement::default()
        },
        neighbours: Neighbours::default(),
        preferences: None,
        host_ports: if random.chance(15) { vec![port] } else { Vec::new() },
        volumes: Vec::new(),
        claims_devices: false,
        phase: Phase::Pending,
        scheduling: SchedulingState::Unschedulable,
        deleting: false,
        mirror: false,
        eviction: Eviction::default(),
    };
    if random.chance(30) {
        let (key, value) = *random.pick(&[(key::ZONE, "a"), ("disk", "ssd"), (key::OS, "linux")]);
        daemon.placement.node_selector = Labels::from([(key.to_owned(), value.to_owned())]);
    }
    if random.chance(15) {
        daemon.neighbours.anti_affinity = vec![keeps_off(random, &daemon.name.namespace)];
    }
    daemon
}

fn keeps_off(random: &mut Random, namespace: &str) -> AffinityTerm {
    AffinityTerm {
        topology_key: (*random.pick(&[key::HOSTNAME, key::ZONE])).to_owned(),
        selector: LabelSelector::Matching(vec![Requirement::equals("app", *random.pick(&["web", "db"]))]),
        namespaces: [namespace.to_owned()].into(),
        namespace_selector: LabelSelector::Nothing,
    }
}

/// As its controller makes it for a node.
fn on_node(like: &Pod, node: &Node, running: bool) -> Pod {
    let mut pod = like.clone();
    pod.name.name = format!("{}-{}", like.name.name, node.name);
    pod.placement.node_affinity = Some(vec![NodeSelectorTerm { labels: Vec::new(), fields: vec![named(&node.name)] }]);
    if running {
        (pod.phase, pod.scheduling) = (Phase::Running, SchedulingState::Bound(node.name.clone()));
    }
    pod
}

fn named(node: &str) -> Requirement {
    Requirement { key: "metadata.name".to_owned(), operator: Operator::In, values: vec![node.to_owned()] }
}

/// A small and a large node in each of two zones.
pub(crate) fn catalog() -> Catalog {
    Catalog {
        name: "scenes".to_owned(),
        currency: "USD".to_owned(),
        price_source: String::new(),
        node_class: NodeClassRef { group: "g.example.com".to_owned(), kind: "Class".to_owned(), name: "c".to_owned() },
        types: vec![node_type("large", 8, 110), node_type("small", 2, 6)],
    }
}

/// The same, with what nodes of the scene can attach: the next one with a limit tells it of the next type.
pub(crate) fn catalog_for(scene: &Scene) -> Catalog {
    let mut catalog = catalog();
    for (node_type, limits) in catalog.types.iter_mut().zip(scene.attach_limits.values()) {
        let of_type = limits.volumes.iter().map(|(driver, count)| (driver.clone(), Some(*count)));
        node_type.attach_limits = Arc::new(of_type.collect());
    }
    catalog
}

fn node_type(name: &str, cores: u64, pods: u64) -> NodeType {
    let labels = [(key::ARCH, "amd64"), (key::OS, "linux"), (key::REGION, "r")];
    let offering = |zone: &str| Offering {
        zone: zone.to_owned(),
        capacity_type: "on-demand".to_owned(),
        price_per_hour: Some(Money::nanos(cores * 50_000_000)),
    };
    NodeType {
        name: name.to_owned(),
        attach_limits: Arc::default(),
        allocatable: Resources {
            cpu: Cpu::millicores(cores * 1000),
            memory: Memory::bytes(cores << 31),
            ephemeral_storage: Memory::bytes(20 << 30),
            pods,
            extended: BTreeMap::new(),
        },
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        offerings: vec![offering("a"), offering("b")],
    }
}
