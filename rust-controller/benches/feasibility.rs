//! How many verdicts a second, on one core: 5,000 nodes, 100,000 pods in 1,000 classes.
//!
//! `cargo bench --bench feasibility`; the column of items counts class-on-node verdicts, or pods.

#![expect(clippy::unwrap_used, reason = "a benchmark on data of its own")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use mini_karpenter::feasibility::{ClassId, NodeId, Simulation};
use mini_karpenter::model::{
    AffinityTerm, Eviction, LabelSelector, Labels, Neighbours, Node, Owner, Phase, Placement, Pod, PodName,
    Requirement, Resources, SchedulingState, SpreadConstraint, Taint, TaintEffect, Toleration, TolerationMatch, key,
};
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::units::{Cpu, Memory};

const NODES: usize = 5_000;
const CLASSES: usize = 1_000;
const PODS_PER_CLASS: usize = 100;
const MIB: u64 = 1 << 20;

fn main() {
    divan::main();
}

/// Rules that the pods of a benchmark have about other pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// None: room, labels and taints decide.
    Nothing,
    /// In turn: spread over zones, spread over hosts, near their own kind in a zone, away from their own kind on a host.
    Others,
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn node(number: usize) -> Node {
    let name = format!("node-{number:05}");
    let zone = ["a", "b", "c"][number % 3];
    let tier = ["gold", "silver", "bronze", "iron"][number / 3 % 4];
    let dedicated = Taint { key: "dedicated".to_owned(), value: "batch".to_owned(), effect: TaintEffect::NoSchedule };
    Node {
        labels: labels(&[
            (key::HOSTNAME, &name),
            (key::ZONE, zone),
            (key::ARCH, if number.is_multiple_of(5) { "arm64" } else { "amd64" }),
            (key::OS, "linux"),
            (key::INSTANCE_TYPE, ["m5.large", "c5.xlarge", "r5.2xlarge"][number % 7 % 3]),
            ("tier", tier),
        ]),
        name,
        taints: if number.is_multiple_of(10) { vec![dedicated] } else { Vec::new() },
        unschedulable: number.is_multiple_of(97),
        ready: true,
        deleting: false,
        allocatable: Resources {
            cpu: Cpu::millicores(16_000),
            memory: Memory::bytes(64 * 1024 * MIB),
            ephemeral_storage: Memory::bytes(100 * 1024 * MIB),
            pods: 110,
            extended: BTreeMap::new(),
        },
        provider_id: None,
        do_not_disrupt: None,
    }
}

/// The pods of one workload; all ask for the same, and no other workload's do.
fn pod(class: usize, about: About) -> Pod {
    let app = format!("app-{class:04}");
    let mut placement = Placement::default();
    if class.is_multiple_of(2) {
        placement.node_selector = labels(&[("tier", ["gold", "silver", "bronze", "iron"][class / 2 % 4])]);
    }
    if class.is_multiple_of(3) {
        placement.tolerations =
            vec![Toleration { key: "dedicated".to_owned(), value: TolerationMatch::Exists, effect: None }];
    }
    let amount = u64::try_from(class).unwrap();
    Pod {
        name: PodName { namespace: format!("team-{}", class % 20), name: String::new() },
        labels: labels(&[("app", &app), ("pod-template-hash", "5d4f8c7b9")]),
        owner: Some(Owner { kind: "ReplicaSet".to_owned(), name: app.clone() }),
        requests: Resources {
            cpu: Cpu::millicores(100 + amount % 16 * 50),
            memory: Memory::bytes((128 + amount * 2) * MIB),
            pods: 1,
            ..Resources::default()
        },
        priority: 0,
        placement,
        neighbours: if about == About::Others { neighbours(class, &app) } else { Neighbours::default() },
        preferences: None,
        host_ports: Vec::new(),
        volumes: Vec::new(),
        claims_devices: false,
        phase: Phase::Running,
        scheduling: SchedulingState::Unjudged,
        deleting: false,
        mirror: false,
        eviction: Eviction::default(),
    }
}

fn neighbours(class: usize, app: &str) -> Neighbours {
    let selector = LabelSelector::Matching(vec![Requirement::equals("app", app)]);
    let spread = |topology_key: &str| SpreadConstraint {
        topology_key: topology_key.to_owned(),
        max_skew: 2,
        min_domains: 1,
        selector: selector.clone(),
        honors_node_affinity: true,
        honors_node_taints: false,
    };
    let term = |topology_key: &str| AffinityTerm {
        topology_key: topology_key.to_owned(),
        selector: selector.clone(),
        namespaces: BTreeSet::from([format!("team-{}", class % 20)]),
        namespace_selector: LabelSelector::Nothing,
    };
    match class % 4 {
        0 => Neighbours { spread: vec![spread(key::ZONE)], ..Neighbours::default() },
        1 => Neighbours { spread: vec![spread(key::HOSTNAME)], ..Neighbours::default() },
        2 => Neighbours { affinity: vec![term(key::ZONE)], ..Neighbours::default() },
        _ => Neighbours { anti_affinity: vec![term(key::HOSTNAME)], ..Neighbours::default() },
    }
}

fn snapshot(about: About) -> Snapshot {
    let nodes: Vec<Arc<Node>> = (0..NODES).map(|number| Arc::new(node(number))).collect();
    let pods = (0..CLASSES).flat_map(|class| {
        let model = pod(class, about);
        (0..PODS_PER_CLASS).map(move |replica| {
            let name = PodName { name: format!("app-{class:04}-{replica:03}"), ..model.name.clone() };
            // Far apart, so that the pods of a class are on many nodes.
            let node = (class * PODS_PER_CLASS + replica) * 17 % NODES;
            let scheduling = SchedulingState::Bound(format!("node-{node:05}"));
            Arc::new(Pod { name, scheduling, ..model.clone() })
        })
    });
    Snapshot::new(nodes, pods.collect::<Vec<_>>(), [])
}

/// One class of each workload, and every node.
fn questions(simulation: &Simulation) -> (Vec<ClassId>, Vec<NodeId>) {
    let class = |class: usize| {
        let name = PodName { namespace: format!("team-{}", class % 20), name: format!("app-{class:04}-000") };
        simulation.class_of(&name).unwrap()
    };
    let classes: BTreeSet<ClassId> = (0..CLASSES).map(class).collect();
    assert_eq!(classes.len(), CLASSES, "every workload is a class of its own");
    (classes.into_iter().collect(), simulation.existing_nodes().collect())
}

/// Numbering 100,000 pods, and counting them on their nodes.
#[divan::bench(args = [About::Nothing, About::Others], sample_count = 10, sample_size = 1)]
fn build(bencher: Bencher<'_, '_>, about: About) {
    let snapshot = snapshot(about);
    bencher.counter(ItemsCount::new(CLASSES * PODS_PER_CLASS)).bench_local(|| Simulation::of(black_box(&snapshot)));
}

/// Every class on every node: may it run there?
#[divan::bench(args = [About::Nothing, About::Others], sample_count = 20, sample_size = 1)]
fn verdicts(bencher: Bencher<'_, '_>, about: About) {
    let simulation = Simulation::of(&snapshot(about));
    let (classes, nodes) = questions(&simulation);
    bencher.counter(ItemsCount::new(CLASSES * NODES)).bench_local(|| {
        let may_run = |class: &ClassId| nodes.iter().filter(|node| simulation.may_run(*class, **node)).count();
        black_box(&classes).iter().map(may_run).sum::<usize>()
    });
}

/// Every class on every node: which rule refuses, and how near is it?
#[divan::bench(args = [About::Nothing, About::Others], sample_count = 20, sample_size = 1)]
fn misses(bencher: Bencher<'_, '_>, about: About) {
    let simulation = Simulation::of(&snapshot(about));
    let (classes, nodes) = questions(&simulation);
    bencher.counter(ItemsCount::new(CLASSES * NODES)).bench_local(|| {
        let nearest = |class: &ClassId| nodes.iter().filter_map(|node| simulation.miss(*class, *node)).min();
        black_box(&classes).iter().filter_map(nearest).min()
    });
}

/// A pod of each class comes to each of 100 nodes and leaves it again: counts are kept, nothing is scanned.
#[divan::bench(args = [About::Nothing, About::Others], sample_count = 20, sample_size = 1)]
fn changes(bencher: Bencher<'_, '_>, about: About) {
    let mut simulation = Simulation::of(&snapshot(about));
    let (classes, nodes) = questions(&simulation);
    let nodes: Vec<NodeId> = nodes.into_iter().step_by(NODES / 100).collect();
    bencher.counter(ItemsCount::new(2 * CLASSES * nodes.len())).bench_local(|| {
        for class in &classes {
            for node in &nodes {
                simulation.place(*class, *node);
            }
            for node in &nodes {
                simulation.take(*class, *node);
            }
        }
    });
}
