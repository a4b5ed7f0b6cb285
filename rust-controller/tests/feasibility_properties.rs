//! Laws of where a pod may run, on random small scenes: the program's answers are those of a slow and obvious
//! restatement of the scheduler's rules, before and after pods are placed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/answers.rs"]
mod answers;
#[path = "common/oracle.rs"]
mod oracle;
#[path = "common/scenes.rs"]
mod scenes;
#[path = "common/stage.rs"]
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use answers::Answers;
use mini_karpenter::model::{Node, Pod, PodName, PodVolume};
use oracle::{RULES, refusing_rules};
use scenes::{Random, Scene, another_node, any_scene, for_each_case};
use stage::Stage;

const CASES: u64 = 2000;

/// Where the program and the oracle differ on the pods that wait in a scene.
fn differences(answers: &Answers, scene: &Scene) -> Vec<String> {
    let mut complaints = Vec::new();
    for (pod, node) in pairs(scene) {
        let expected: Vec<&str> = refusing_rules(scene, pod, node).into_iter().collect();
        let mut refusing = answers.refusing_rules(pod, node);
        refusing.sort_unstable();
        if refusing != expected {
            complaints.push(format!("{} on {}: refused by {refusing:?}, not by {expected:?}", pod.name, node.name));
        }
        if answers.may_run(pod, node) != expected.is_empty() {
            complaints.push(format!("{} on {}: refused by {expected:?}, and may_run differs", pod.name, node.name));
        }
    }
    complaints
}

/// Each pod that waits, with each node.
fn pairs(scene: &Scene) -> impl Iterator<Item = (&Arc<Pod>, &Arc<Node>)> {
    scene.waiting().flat_map(|pod| scene.nodes.iter().map(move |node| (pod, node)))
}

#[test]
fn a_pod_is_refused_by_the_rules_that_the_oracle_names() {
    for_each_case(CASES, any_scene, |scene, _| differences(&Answers::of(scene), scene));
}

/// Whether the scene gives a rule a reason to look at this pod and node at all.
fn is_concerned(rule: &str, scene: &Scene, pod: &Pod, node: &Node) -> bool {
    let claims = pod.volumes.iter().any(|volume| matches!(volume, PodVolume::Claim { .. }));
    let neighbours = &pod.neighbours;
    match rule {
        "NodeUnschedulable" => node.unschedulable,
        "NodeName" => pod.placement.node_name.is_some(),
        "TaintToleration" => !node.taints.is_empty(),
        "NodeAffinity" => pod.placement.node_affinity.is_some() || !pod.placement.node_selector.is_empty(),
        "NodePorts" => !pod.host_ports.is_empty(),
        "NodeResourcesFit" => pod.requests.amounts().filter(|(_, amount)| *amount > 0).count() > 1,
        "VolumeRestrictions" => !pod.volumes.is_empty(),
        "NodeVolumeLimits" => claims && scene.attach_limits.contains_key(&node.name),
        "VolumeBinding" | "VolumeZone" => claims,
        "PodTopologySpread" => !neighbours.spread.is_empty(),
        "InterPodAffinity" => !neighbours.affinity.is_empty() || !neighbours.anti_affinity.is_empty(),
        _ => pod.claims_devices,
    }
}

/// How often a rule refused, refused alone, and had something to look at and accepted.
#[derive(Debug, Default)]
struct Mix {
    refused: usize,
    refused_alone: usize,
    accepted: usize,
}

#[test]
fn the_scenes_are_well_mixed() {
    let mut mixes = BTreeMap::<&str, Mix>::new();
    let (mut judged, mut may_run) = (0, 0);
    for_each_case(CASES, any_scene, |scene, _| {
        for (pod, node) in pairs(scene) {
            let refusing = refusing_rules(scene, pod, node);
            judged += 1;
            may_run += usize::from(refusing.is_empty());
            for rule in RULES {
                let mix = mixes.entry(rule).or_default();
                mix.refused += usize::from(refusing.contains(rule));
                mix.refused_alone += usize::from(refusing.iter().eq([&rule]));
                mix.accepted += usize::from(!refusing.contains(rule) && is_concerned(rule, scene, pod, node));
            }
        }
        Vec::new()
    });
    let little = |(rule, mix): &(&&str, &Mix)| {
        // Whatever the node, there is no room for devices.
        let accepts_enough = **rule == "DynamicResources" || mix.accepted >= 150;
        mix.refused < 300 || mix.refused_alone < 75 || !accepts_enough
    };
    let says_little: Vec<(&&str, &Mix)> = mixes.iter().filter(little).collect();
    assert!(says_little.is_empty(), "{says_little:#?}");
    assert!(may_run * 5 > judged && may_run * 5 < judged * 4, "{may_run} of {judged} may run");
}

/// Whether a pod names a claim twice. Until it is bound, the scheduler looks for two volumes for it, and then uses one.
fn names_a_claim_twice(pod: &Pod) -> bool {
    let names = || pod.volumes.iter().filter(|volume| matches!(volume, PodVolume::Claim { .. }));
    names().collect::<BTreeSet<_>>().len() < names().count()
}

/// Places some pods and takes some away again, and compares after each step.
fn play(scene: &Scene, random: &mut Random, mut after_step: impl FnMut(&Stage)) -> Vec<String> {
    let (mut answers, mut stage) = (Answers::of(scene), Stage::of(scene));
    for _ in 0..8 {
        let free: Vec<(Arc<Pod>, Arc<Node>)> = pairs(&stage.now)
            .filter(|(pod, node)| !names_a_claim_twice(pod) && refusing_rules(&stage.now, pod, node).is_empty())
            .map(|(pod, node)| (Arc::clone(pod), Arc::clone(node)))
            .collect();
        let placed: Vec<(Arc<Pod>, Arc<Node>)> = stage.placed().map(|(pod, node)| by_name(scene, pod, node)).collect();
        if !placed.is_empty() && (free.is_empty() || random.chance(35)) {
            let (pod, node) = random.pick(&placed);
            stage.take(&pod.name);
            answers.take(pod, node);
        } else if !free.is_empty() {
            let (pod, node) = random.pick(&free);
            stage.place(pod, node);
            answers.place(pod, node);
        } else {
            break;
        }
        after_step(&stage);
        let complaints = differences(&answers, &stage.now);
        if !complaints.is_empty() {
            let placed: Vec<String> = stage.placed().map(|(pod, node)| format!("{pod} on {node}")).collect();
            return complaints.into_iter().chain([format!("with {placed:?} placed")]).collect();
        }
    }
    Vec::new()
}

fn by_name(scene: &Scene, pod: &PodName, node: &str) -> (Arc<Pod>, Arc<Node>) {
    let pod = scene.pods.iter().find(|each| each.name == *pod).unwrap();
    let node = scene.nodes.iter().find(|each| each.name == node).unwrap();
    (Arc::clone(pod), Arc::clone(node))
}

#[test]
fn placed_pods_count_and_taken_ones_do_not() {
    let (mut steps, mut missed_volumes) = (0, 0);
    let mut after_step = |stage: &Stage| {
        steps += 1;
        let more = stage.with_all_volumes();
        let differ = |(pod, node): &(&Arc<Pod>, &Arc<Node>)| {
            refusing_rules(&stage.now, pod, node) != refusing_rules(&more, pod, node)
        };
        missed_volumes += usize::from(stage.now.volumes != more.volumes && pairs(&stage.now).any(|pair| differ(&pair)));
    };
    for_each_case(CASES, any_scene, |scene, random| play(scene, random, &mut after_step));
    assert!(steps > 5000, "{steps} steps");
    assert!(missed_volumes > 60, "a volume that a placed pod uses was missed after {missed_volumes} of {steps} steps");
}

#[test]
fn another_node_takes_no_node_from_a_pod_that_asks_for_no_company() {
    for_each_case(CASES / 3, any_scene, |scene, random| {
        let alone = scene.with_pods(|pod| {
            pod.neighbours.spread.clear();
            pod.neighbours.affinity.clear();
        });
        let mut larger = alone.clone();
        larger.nodes.push(Arc::new(another_node(random)));
        let (before, after) = (Answers::of(&alone), Answers::of(&larger));
        let lost = pairs(&alone).filter(|(pod, node)| before.may_run(pod, node) && !after.may_run(pod, node));
        lost.map(|(pod, node)| format!("{} may no longer run on {}", pod.name, node.name)).collect()
    });
}

#[test]
fn the_order_of_the_objects_makes_no_difference() {
    for_each_case(CASES / 3, any_scene, |scene, random| {
        let (one, other) = (Answers::of(scene), Answers::of(&scene.shuffled(random)));
        let differ =
            |(pod, node): &(&Arc<Pod>, &Arc<Node>)| one.refusing_rules(pod, node) != other.refusing_rules(pod, node);
        pairs(scene).filter(differ).map(|(pod, node)| format!("{} on {}", pod.name, node.name)).collect()
    });
}

#[test]
fn pods_that_no_rule_tells_apart_are_of_one_class() {
    for_each_case(CASES / 3, any_scene, |scene, random| {
        let waiting: Vec<&Arc<Pod>> = scene.waiting().collect();
        // The claim of an ephemeral volume is for one pod alone.
        let plain = |pod: &&&Arc<Pod>| {
            !pod.volumes.iter().any(|volume| matches!(volume, PodVolume::Claim { ephemeral: true, .. }))
        };
        let plain: Vec<&Arc<Pod>> = waiting.iter().filter(plain).copied().collect();
        let mut scene = scene.clone();
        let mut complaints = Vec::new();
        if !plain.is_empty() {
            let pod = *random.pick(&plain);
            let mut twin = Pod::clone(pod);
            twin.name.name = "twin".to_owned();
            twin.labels.insert("unseen".to_owned(), "twin".to_owned());
            scene.pods.push(Arc::new(twin.clone()));
            if !Answers::of(&scene).are_of_one_class(pod, &twin) {
                complaints.push(format!("{} and its twin are of two classes", pod.name));
            }
        }
        let answers = Answers::of(&scene);
        let waiting: Vec<&Arc<Pod>> = scene.waiting().collect();
        for (at, one) in waiting.iter().enumerate() {
            for other in waiting[..at].iter().filter(|other| answers.are_of_one_class(one, other)) {
                let differ =
                    |node: &&Arc<Node>| refusing_rules(&scene, one, node) != refusing_rules(&scene, other, node);
                if let Some(node) = scene.nodes.iter().find(differ) {
                    complaints.push(format!("{} and {} are of one class, {} not", one.name, other.name, node.name));
                }
            }
        }
        complaints
    });
}
