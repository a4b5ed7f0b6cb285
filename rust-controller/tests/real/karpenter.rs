//! What Karpenter makes of our NodePools: its own scheduler is given them, with the pods and the node types of the plan.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use testbed::{KarpenterScheduler, Launch};

use crate::pod_list::pod_list;
use crate::program::run;
use crate::workloads::{Kind, OPEN_NODE_POOL, instance_types};

const PODS: usize = 1_000;

#[test]
fn generic_pods_all_get_nodes_that_cost_less_than_from_an_open_node_pool() {
    steers(Kind::Generic);
}

#[test]
fn diverse_pods_all_get_nodes_that_cost_less_than_from_an_open_node_pool() {
    steers(Kind::Diverse);
}

#[test]
fn fleets_all_get_nodes_that_cost_less_than_from_an_open_node_pool() {
    steers(Kind::Fleet);
}

/// A node that is set apart, without room.
const SET_APART: &str = "
apiVersion: v1
kind: Node
metadata: {name: red-1, labels: {kubernetes.io/arch: amd64, kubernetes.io/os: linux, team: red}}
spec: {taints: [{key: team, value: red, effect: NoSchedule}]}
status: {allocatable: {cpu: 10m, memory: 1Mi, pods: 10}}
---
";

#[test]
fn pods_that_are_set_apart_get_nodes_from_which_others_stay_off() {
    let mut case = Case::new(Kind::Generic, 3);
    let mut list: Value = serde_json::from_str(&case.pods).unwrap();
    let mut reds = 0;
    for pod in list["items"].as_array_mut().unwrap().iter_mut().step_by(4) {
        pod["spec"]["nodeSelector"] = json!({"team": "red"});
        pod["spec"]["tolerations"] = json!([{"key": "team", "operator": "Exists"}]);
        reds += 1;
    }
    (case.pods, case.nodes) = (list.to_string(), SET_APART.to_owned());
    let pools = case.plan("nodepools");
    let tainted: Vec<&str> = pools.split("---\n").filter(|pool| pool.contains("taints:")).collect();
    assert!(!tainted.is_empty(), "{pools}");
    let unscheduled = |pools: &str| case.launch(pools).unscheduled.len();
    assert_eq!((unscheduled(&pools), unscheduled(&tainted.join("---\n"))), (0, PODS - reds));
}

#[test]
fn pods_that_ask_for_on_demand_get_it_and_make_no_others_pay_for_it() {
    let mut case = Case::new(Kind::Generic, 4);
    case.capacity_types = "on-demand,spot";
    case.add_spot();
    let anybody = case.plan("nodepools");
    assert_eq!(anybody.matches("kind: NodePool\n").count(), 1, "{anybody}");
    assert_eq!(case.launch(&anybody).unscheduled.len(), 0);

    let mut list: Value = serde_json::from_str(&case.pods).unwrap();
    for pod in list["items"].as_array_mut().unwrap().iter_mut().step_by(20) {
        pod["spec"]["nodeSelector"] = json!({"karpenter.sh/capacity-type": "on-demand"});
    }
    case.pods = list.to_string();
    let apart = case.plan("nodepools");
    let together = apart.replace("        - spot\n", "        - on-demand\n");
    let together = together.replace("        - on-demand\n", "        - on-demand\n        - spot\n");
    let [apart, together] = [apart, together].map(|pools| case.launch(&pools));
    assert_eq!(apart.unscheduled.iter().next(), None, "{} pods", apart.unscheduled.len());
    println!("on-demand and spot: apart {:.2}, together {:.2}", apart.cost_per_hour, together.cost_per_hour);
    assert!(apart.cost_per_hour < together.cost_per_hour, "{apart:?} costs no less than {together:?}");
}

#[test]
fn pods_that_keep_apart_are_not_left_out_by_a_limit() {
    let host = "kubernetes.io/hostname";
    let selector = json!({"matchLabels": {"keeps": "apart"}});
    let term = json!({"labelSelector": selector, "topologyKey": host});
    let keep_off = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}});
    let spread =
        json!([{"labelSelector": selector, "topologyKey": host, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}]);
    for (seed, rule, value) in [(5, "affinity", keep_off), (6, "topologySpreadConstraints", spread)] {
        let mut case = Case::new(Kind::Generic, seed);
        let mut list: Value = serde_json::from_str(&case.pods).unwrap();
        for pod in list["items"].as_array_mut().unwrap().iter_mut().step_by(8) {
            pod["metadata"]["labels"]["keeps"] = json!("apart");
            pod["spec"][rule] = value.clone();
        }
        case.pods = list.to_string();
        let launch = case.launch(&case.plan("nodepools"));
        assert_eq!(launch.unscheduled.iter().next(), None, "{rule}: {} pods", launch.unscheduled.len());
    }
}

fn steers(kind: Kind) {
    for seed in [1, 2] {
        let case = Case::new(kind, seed);
        let [planned, bound] = case.planned_and_bound();
        let [ours, open] = [case.launch(&case.plan("nodepools")), case.launch(OPEN_NODE_POOL)];
        let (our_cost, open_cost) = (ours.cost_per_hour, open.cost_per_hour);
        println!("| {} | {bound:.2} | {planned:.2} | {our_cost:.2} | {open_cost:.2} |", case.name);
        assert_eq!(ours.unscheduled.iter().next(), None, "{}: {} pods", case.name, ours.unscheduled.len());
        assert_eq!(open.unscheduled.iter().next(), None, "{}: {} pods", case.name, open.unscheduled.len());
        assert!(our_cost < open_cost, "{}: {ours:?} costs no less than {open:?}", case.name);
        // No nodes for these pods are that cheap, unless the two programs read the pods or the prices differently.
        assert!(our_cost >= bound, "{}: {ours:?} costs less than {bound}", case.name);
    }
}

/// Pods that wait in a cluster, as a rule an empty one.
struct Case {
    name: String,
    nodes: String,
    pods: String,
    node_types: String,
    /// The file with the node types.
    catalog: PathBuf,
    /// Those that may be planned.
    capacity_types: &'static str,
}

impl Case {
    fn new(kind: Kind, seed: u64) -> Self {
        let name = format!("{}-{PODS} of seed {seed}", kind.name());
        let node_types = instance_types();
        let catalog = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("karpenter-{}-{seed}.json", kind.name()));
        fs::write(&catalog, &node_types).unwrap();
        Self {
            name,
            nodes: String::new(),
            pods: pod_list(&kind.pods(PODS, seed)),
            node_types,
            catalog,
            capacity_types: "on-demand",
        }
    }

    /// Every type can be had as spot as well, for less than half.
    fn add_spot(&mut self) {
        let mut types: Value = serde_json::from_str(&self.node_types).unwrap();
        for offerings in types.as_array_mut().unwrap().iter_mut().map(|each| each["offerings"].as_array_mut().unwrap())
        {
            let mut spot = offerings.clone();
            for offering in &mut spot {
                offering["Price"] = json!(offering["Price"].as_f64().unwrap() * 0.4);
                offering["Requirements"][0]["values"] = json!(["spot"]);
            }
            offerings.extend(spot);
        }
        self.node_types = types.to_string();
        fs::write(&self.catalog, &self.node_types).unwrap();
    }

    /// The plan, as the program prints it.
    fn plan(&self, output: &str) -> String {
        let catalog = self.catalog.to_str().unwrap();
        // More than the search needs, so that the plan does not depend on the machine's speed.
        let arguments = [
            "plan",
            "-f",
            "-",
            "--catalog",
            catalog,
            "--budget",
            "10s",
            "-o",
            output,
            "--capacity-type",
            self.capacity_types,
        ];
        let outcome = run(&arguments, &[], &format!("{}{}", self.nodes, self.pods));
        assert_eq!(outcome.status, Some(0), "{}: {}", self.name, outcome.stderr);
        outcome.stdout
    }

    /// What the planned nodes cost per hour, and the least that any nodes for these pods could.
    fn planned_and_bound(&self) -> [f64; 2] {
        let plan: Value = serde_json::from_str(&self.plan("json")).unwrap();
        ["costPerHour", "lowerBoundPerHour"].map(|name| plan["totals"][name].as_f64().unwrap())
    }

    fn launch(&self, node_pools: &str) -> Launch {
        let karpenter = KarpenterScheduler::locate().unwrap();
        karpenter
            .launch(&self.pods, &self.node_types, node_pools)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}
