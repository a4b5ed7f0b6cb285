//! Laws of plans and of their judge, on random scenes with volumes, `DaemonSet`s and rules about neighbours: both say what
//! a slow and obvious restatement of the scheduler's rules says.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/crowds.rs"]
mod crowds;
#[path = "common/oracle.rs"]
mod oracle;
#[path = "common/scenes.rs"]
#[expect(dead_code, reason = "laws of single verdicts use the rest")]
mod scenes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crowds::{any_crowd, catalog, catalog_for};
use mini_karpenter::check::{check_consolidation, check_plan};
use mini_karpenter::consolidate::{self, consolidate};
use mini_karpenter::model::{
    AttachLimits, Catalog, Claim, Node, ObjectName, Offering, Owner, Phase, Pod, PodName, PodVolume, SchedulingState,
    key,
};
use mini_karpenter::provision::{Options, Plan, PlannedNode, PodPlan, Verdict, plan};
use mini_karpenter::snapshot::Snapshot;
use oracle::{bindings, refusing_rules};
use scenes::{Scene, for_each_case};

const CASES: u64 = 500;

/// Rules that look at a node by itself. The judge names the first of them alone.
const OF_NODE: [&str; 4] = ["NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity"];

fn is_daemon(pod: &Pod) -> bool {
    pod.owner.as_ref().is_some_and(|owner| owner.kind == "DaemonSet")
}

fn needs_node(pod: &Pod) -> bool {
    let refused = pod.phase == Phase::Pending && pod.scheduling == SchedulingState::Unschedulable;
    refused && !pod.deleting && !is_daemon(pod)
}

/// The scene with this pod as the only one that needs a node.
fn alone(scene: &Scene, name: &PodName) -> Scene {
    let mut scene = scene.clone();
    scene.pods.retain(|pod| pod.name == *name || !needs_node(pod));
    for node in &mut scene.nodes {
        Arc::make_mut(node).deleting = false;
    }
    for pod in scene.pods.iter_mut().filter(|pod| pod.name == *name) {
        let pod = Arc::make_mut(pod);
        (pod.scheduling, pod.deleting) = (SchedulingState::Unschedulable, false);
    }
    scene
}

/// The rules that the judge has against a plan that says that the pod fits this node.
fn judged(snapshot: &Snapshot, pod: &Arc<Pod>, node: &str) -> BTreeSet<String> {
    let verdict = Verdict::FitsExisting { node: node.to_owned() };
    let pods = vec![PodPlan { pod: Arc::clone(pod), verdict, existing: None, unchecked_rules: Vec::new() }];
    let plan = Plan { pods, placements: vec![0], ..Plan::default() };
    let prefix = format!("on {node}: ");
    let violations = check_plan(snapshot, &catalog(), &Options::default(), &plan);
    let rule = |problem: &str| Some(problem.strip_prefix(&prefix)?.split_once(": ")?.0.to_owned());
    let rules = violations.iter().map(|violation| rule(&violation.problem).unwrap_or_else(|| violation.to_string()));
    rules.collect()
}

#[test]
fn the_judge_refuses_a_pod_by_the_rules_that_the_oracle_names() {
    for_each_case(CASES, any_crowd, |scene, _| {
        let mut complaints = Vec::new();
        for pod in scene.waiting().filter(|pod| !is_daemon(pod)) {
            let scene = alone(scene, &pod.name);
            let snapshot = scene.snapshot();
            let pod = scene.pods.iter().find(|other| other.name == pod.name).unwrap();
            for node in &scene.nodes {
                let found = judged(&snapshot, pod, &node.name);
                let expected: BTreeSet<String> =
                    refusing_rules(&scene, pod, node).into_iter().map(str::to_owned).collect();
                let beyond = |rules: &BTreeSet<String>| -> BTreeSet<String> {
                    rules.iter().filter(|rule| !OF_NODE.contains(&rule.as_str())).cloned().collect()
                };
                if found.is_empty() != expected.is_empty() || beyond(&found) != beyond(&expected) {
                    complaints.push(format!("{} on {}: {found:?}, not {expected:?}", pod.name, node.name));
                }
            }
        }
        complaints
    });
}

#[test]
fn the_judge_objects_to_no_plan() {
    for_each_case(CASES, any_crowd, |scene, _| {
        let (snapshot, catalog, options) = (scene.snapshot(), catalog_for(scene), Options::default());
        let found = check_plan(&snapshot, &catalog, &options, &plan(&snapshot, &catalog, &options));
        found.iter().map(ToString::to_string).collect()
    });
}

#[test]
fn the_judge_objects_to_no_plan_with_nodes_in_each_zone() {
    let mut more = 0;
    for_each_case(CASES, any_crowd, |scene, random| {
        let snapshot = scene.snapshot();
        let options = Options { min_nodes_per_zone: 1 + random.below(4), ..Options::default() };
        let catalog = catalog_for(scene);
        let plan_with = |options: &Options| plan(&snapshot, &catalog, options);
        let spread = plan_with(&options);
        more += usize::from(spread.nodes.len() > plan_with(&Options::default()).nodes.len());
        check_plan(&snapshot, &catalog, &options, &spread).iter().map(ToString::to_string).collect()
    });
    assert!(more > 25, "{more} plans with more nodes");
}

#[test]
fn the_judge_objects_to_no_consolidation() {
    let mut removed = 0;
    for_each_case(CASES, any_crowd, |scene, _| {
        let scene = scene.with_pods(|pod| {
            pod.owner.get_or_insert(Owner { kind: "ReplicaSet".to_owned(), name: "r".to_owned() });
        });
        let snapshot = scene.snapshot();
        let options = consolidate::Options { threshold: 1_000_000, ..consolidate::Options::default() };
        let consolidation = consolidate(&snapshot, &catalog(), &options);
        removed += consolidation.removals.len();
        check_consolidation(&snapshot, &catalog(), &consolidation).iter().map(ToString::to_string).collect()
    });
    assert!(removed > 300, "{removed} nodes removed");
}

/// A plan as it is done, under the oracle's eyes.
struct Replay {
    scene: Scene,
    nodes: Vec<Arc<Node>>,
    /// Planned nodes to which no pod has come.
    empty: BTreeSet<String>,
    /// A pod for each `DaemonSet`.
    daemons: Vec<Pod>,
    catalog: Catalog,
}

impl Replay {
    fn of(scene: &Scene, plan: &Plan) -> Self {
        Self {
            scene: scene.clone(),
            nodes: plan.nodes.iter().map(|node| Arc::new(joined(plan, node))).collect(),
            empty: plan.nodes.iter().map(|node| node.name.clone()).collect(),
            daemons: daemons(scene),
            catalog: catalog_for(scene),
        }
    }

    fn step(&mut self, planned: &PodPlan) -> Vec<String> {
        let name = &planned.pod.name;
        let node = match &planned.verdict {
            Verdict::Planned { node, .. } => {
                self.join();
                node
            }
            Verdict::FitsExisting { node } => node,
            Verdict::Unplaceable(_) | Verdict::Ignored(_) => return vec![format!("{name} gets no node")],
        };
        if self.empty.remove(node) {
            self.add_daemons(node);
        }
        let node = Arc::clone(self.scene.nodes.iter().find(|other| other.name == *node).unwrap());
        let refusing = refusing_rules(&self.scene, &planned.pod, &node);
        self.place(&planned.pod, &node);
        refusing.into_iter().map(|rule| format!("{rule} refuses {name} on {}", node.name)).collect()
    }

    /// All planned nodes come, if they are not there yet.
    fn join(&mut self) {
        for node in self.nodes.drain(..) {
            let kind = self.catalog.node_type(&node.labels[key::INSTANCE_TYPE]).unwrap();
            let volumes = kind.attach_limits.iter().filter_map(|(driver, count)| Some((driver.clone(), (*count)?)));
            let (name, volumes) = (node.name.clone(), volumes.collect());
            let limits = AttachLimits { node: name.clone(), volumes, unlimited: BTreeSet::new() };
            self.scene.attach_limits.insert(name, Arc::new(limits));
            self.scene.nodes.push(node);
        }
    }

    /// What the scheduler assumes once it has placed a pod: volumes that are there are kept for its claims, and the others
    /// are made for its node.
    fn place(&mut self, pod: &Pod, node: &Node) {
        let found = bindings(&self.scene, pod, node).unwrap_or_default();
        let kept =
            found.into_iter().map(|(claim, volume)| (claim.name.clone(), claim.uid.clone(), volume.name.clone()));
        for (claim, uid, volume) in kept.collect::<Vec<_>>() {
            Arc::make_mut(self.scene.volumes.get_mut(&volume).unwrap()).claim = Some((claim, uid));
        }
        self.select_node(pod, node);
        let placed = self.scene.pods.iter_mut().find(|other| other.name == pod.name).unwrap();
        Arc::make_mut(placed).scheduling = SchedulingState::Bound(node.name.clone());
    }

    fn select_node(&mut self, pod: &Pod, node: &Node) {
        let volumes = self.scene.volumes.values();
        let kept: BTreeSet<_> = volumes.filter_map(|volume| Some(volume.claim.clone()?.0)).collect();
        for volume in &pod.volumes {
            let PodVolume::Claim { name, .. } = volume else { continue };
            let claim = self.scene.claims.iter_mut().find(|(claim, _)| {
                claim.namespace == pod.name.namespace && claim.name == *name && !kept.contains(claim)
            });
            if let Some((_, claim)) = claim.filter(|(_, claim)| claim.volume.is_none()) {
                Arc::make_mut(claim).selected_node = Some(node.name.clone());
            }
        }
    }

    fn add_daemons(&mut self, node: &str) {
        let node = Arc::clone(self.scene.nodes.iter().find(|other| other.name == node).unwrap());
        for mut daemon in self.daemons.clone() {
            let refusing = refusing_rules(&self.scene, &daemon, &node);
            if refusing.iter().any(|rule| OF_NODE.contains(rule) || *rule == "NodePorts") {
                continue;
            }
            daemon.name.name += &node.name;
            (daemon.phase, daemon.scheduling) = (Phase::Running, SchedulingState::Bound(node.name.clone()));
            self.claim_anew(&mut daemon);
            self.scene.pods.push(Arc::new(daemon));
        }
    }
}

impl Replay {
    /// A daemon pod on a new node has claims of its own under its ephemeral volumes.
    fn claim_anew(&mut self, daemon: &mut Pod) {
        for volume in &mut daemon.volumes {
            let PodVolume::Claim { name, ephemeral: true } = volume else { continue };
            let mut of_daemon = ObjectName { namespace: daemon.name.namespace.clone(), name: name.clone() };
            let Some(claim) = self.scene.claims.get(&of_daemon) else { continue };
            let mut claim = Claim::clone(claim);
            *name = format!("{name}-{}", daemon.name.name);
            of_daemon.name.clone_from(name);
            (claim.volume, claim.bound) = (None, false);
            (claim.name, claim.owner_pod) = (of_daemon.clone(), Some(daemon.name.name.clone()));
            self.scene.claims.insert(of_daemon, Arc::new(claim));
        }
    }
}

/// A planned node as it will be.
fn joined(plan: &Plan, node: &PlannedNode) -> Node {
    let catalog = catalog();
    let kind = catalog.types.iter().find(|kind| kind.name == node.instance_type).unwrap();
    let same = |offering: &&Offering| offering.zone == node.zone && offering.capacity_type == node.capacity_type;
    let mut labels = kind.labels_as(kind.offerings.iter().find(same).unwrap());
    labels.extend(plan.pools[&node.pool].labels.clone());
    labels.insert(key::HOSTNAME.to_owned(), node.name.clone());
    Node {
        name: node.name.clone(),
        labels,
        taints: plan.pools[&node.pool].taints.clone(),
        unschedulable: false,
        ready: true,
        deleting: false,
        allocatable: kind.allocatable.clone(),
        provider_id: None,
        do_not_disrupt: None,
    }
}

fn daemons(scene: &Scene) -> Vec<Pod> {
    let mut of_set: BTreeMap<(String, String), Pod> = BTreeMap::new();
    for pod in scene.pods.iter().filter(|pod| is_daemon(pod) && !pod.deleting) {
        let set = (pod.name.namespace.clone(), pod.owner.as_ref().unwrap().name.clone());
        let mut like = Pod::clone(pod);
        like.placement.node_affinity = None;
        of_set.insert(set, like);
    }
    of_set.into_values().collect()
}

#[test]
fn a_plan_can_be_done_step_by_step() {
    let (mut planned, mut fitting) = (0, 0);
    for_each_case(CASES, any_crowd, |scene, _| {
        let snapshot = scene.snapshot();
        let plan = plan(&snapshot, &catalog_for(scene), &Options::default());
        planned += plan.count(|verdict| matches!(verdict, Verdict::Planned { .. }));
        fitting += plan.count(|verdict| matches!(verdict, Verdict::FitsExisting { .. }));
        let mut replay = Replay::of(scene, &plan);
        plan.placements.iter().flat_map(|position| replay.step(&plan.pods[*position])).collect()
    });
    assert!(planned > 300 && fitting > 300, "{planned} planned, {fitting} on existing nodes");
}
