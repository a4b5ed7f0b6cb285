//! What live nodes report takes the place of what the catalog says of their types.

use std::sync::Arc;

use mini_karpenter::catalog::{SeenAllocatable, builtin, parse, seen_allocatable, with_seen};
use mini_karpenter::loops::CatalogChoice;
use mini_karpenter::model::{Catalog, Node, Resources, key};
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::units::{Cpu, Memory};
use serde_json::{Value, json};

use crate::{PRICES, file, node, program};

const MIB: u64 = 1 << 20;

/// A ready node of a type, with so much of everything that every node has.
fn live(instance_type: &str, millicores: u64, mib: u64, pods: u64) -> Node {
    let allocatable = Resources {
        cpu: Cpu::millicores(millicores),
        memory: Memory::bytes(mib * MIB),
        ephemeral_storage: Memory::bytes(17 << 30),
        pods,
        ..Resources::default()
    };
    let mut node = Node { allocatable, ..node(None) };
    node.labels.insert(key::INSTANCE_TYPE.to_owned(), instance_type.to_owned());
    node
}

fn with(mut node: Node, resource: &str, amount: u64) -> Node {
    node.allocatable.extended.insert(resource.to_owned(), amount);
    node
}

fn labelled(mut node: Node, key: &str, value: &str) -> Node {
    node.labels.insert(key.to_owned(), value.to_owned());
    node
}

fn prices() -> Catalog {
    parse("prices.yaml", PRICES).unwrap()
}

fn seen(nodes: &[Node]) -> Vec<SeenAllocatable> {
    seen_allocatable(&prices(), nodes)
}

fn allocatable(catalog: &Catalog, name: &str) -> Resources {
    catalog.node_type(name).unwrap().allocatable.clone()
}

#[test]
fn of_each_resource_the_smallest_seen_counts() {
    let mut nodes = vec![
        live("c6a.large", 1930, 3300, 29),
        live("c6a.large", 1900, 3400, 110),
        live("c6a.large", 1910, 3200, 29),
        live("m5.large", 1, 1, 1),
    ];
    let expected = SeenAllocatable {
        instance_type: "c6a.large".to_owned(),
        nodes: 3,
        allocatable: live("", 1900, 3200, 29).allocatable,
        in_catalog: allocatable(&prices(), "c6a.large"),
    };
    assert_eq!(seen(&nodes), std::slice::from_ref(&expected));
    nodes.reverse();
    assert_eq!(seen(&nodes), std::slice::from_ref(&expected), "in whatever order they come");
    let catalog = with_seen(prices(), &[expected]);
    assert_eq!(allocatable(&catalog, "c6a.large"), live("", 1900, 3200, 29).allocatable, "also where it is more");
    assert_eq!(allocatable(&catalog, "a1.4xlarge"), allocatable(&prices(), "a1.4xlarge"));
    assert_eq!((catalog.name, catalog.types.len()), (prices().name, prices().types.len()));
}

#[test]
fn a_type_whose_nodes_report_what_the_catalog_says_is_not_listed() {
    assert_eq!(seen(&[live("c6a.large", 1930, 3114, 29)]), []);
    assert_eq!(seen(&[]), []);
    assert_eq!(with_seen(prices(), &[]), prices());
}

#[test]
fn a_node_that_has_not_reported_yet_says_nothing() {
    let small = || live("c6a.large", 100, 100, 5);
    let not_ready = Node { ready: false, ..small() };
    let no_cpu = live("c6a.large", 0, 100, 5);
    let no_memory = live("c6a.large", 100, 0, 5);
    let unlabelled = Node { labels: node(None).labels, ..small() };
    assert_eq!(seen(&[not_ready, no_cpu, no_memory, unlabelled]), []);
    // Cordoned or on its way out, it is a machine of its type all the same.
    let leaving = Node { unschedulable: true, deleting: true, ..small() };
    assert_eq!(seen(&[leaving]).len(), 1);
}

#[test]
fn a_resource_that_no_node_reports_stays_as_the_catalog_has_it() {
    let mut node = live("c6a.large", 1900, 3114, 0);
    node.allocatable.ephemeral_storage = Memory::ZERO;
    let expected = Resources { cpu: Cpu::millicores(1900), ..allocatable(&prices(), "c6a.large") };
    assert_eq!(seen(&[node])[0].allocatable, expected);
}

#[test]
fn another_architecture_or_system_is_another_reservation() {
    let small = || live("c6a.large", 1000, 1000, 5);
    let windows = labelled(small(), key::OS, "windows");
    let arm = labelled(small(), key::ARCH, "arm64");
    assert_eq!(seen(&[windows, arm]), []);
    let alike = labelled(labelled(small(), key::OS, "linux"), key::ARCH, "amd64");
    assert_eq!(seen(&[alike]).len(), 1);
}

#[test]
fn devices_are_counted_where_they_are_reported_and_none_is_added() {
    let gpu = |count| with(live("c6a.2xlarge", 7910, 14_162, 58), "nvidia.com/gpu", count);
    let without = || live("c6a.2xlarge", 7910, 14_162, 58);
    // The plugin that would report it has not started there yet.
    assert_eq!(seen(&[without()])[0].allocatable.extended, gpu(1).allocatable.extended);
    assert_eq!(seen(&[without(), gpu(4), gpu(2)])[0].allocatable.extended, gpu(2).allocatable.extended);
    let more = with(with(gpu(2), "hugepages-2Mi", 1 << 30), "attachable-volumes-aws-ebs", 25);
    assert_eq!(seen(&[more])[0].allocatable.extended, gpu(2).allocatable.extended);
}

fn snapshot(nodes: impl IntoIterator<Item = Node>) -> Snapshot {
    Snapshot::new(nodes.into_iter().map(Arc::new), [], [])
}

#[test]
fn every_choice_of_a_catalog_is_resolved_with_what_is_seen() {
    let of_aws = Node { provider_id: Some("aws:///us-east-1a/i-1".to_owned()), ..live("m5.large", 1930, 7108, 29) };
    for choice in [CatalogChoice::Auto, CatalogChoice::BuiltIn(builtin("aws").unwrap())] {
        let resolved = choice.resolve(&snapshot([of_aws.clone()]));
        assert_eq!(resolved.allocatable_seen.len(), 1);
        assert_eq!(allocatable(&resolved.catalog, "m5.large"), of_aws.allocatable);
    }
    let file = CatalogChoice::File(prices());
    let resolved = file.resolve(&snapshot([live("c6a.large", 1900, 3114, 29)]));
    assert_eq!(allocatable(&resolved.catalog, "c6a.large").cpu, Cpu::millicores(1900));
    assert_eq!(file.resolve(&snapshot([])).allocatable_seen, []);
    assert_eq!(*file.resolve(&snapshot([])).catalog, prices());
}

/// A full node of this type with this memory, and a pod that asks for 3200Mi.
fn cluster(instance_type: &str, memory: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Node\nmetadata: {{name: n, labels: {{node.kubernetes.io/instance-type: {instance_type}}}}}\n\
         spec: {{unschedulable: true}}\n\
         status: {{allocatable: {{cpu: 1930m, memory: {memory}, pods: 29, ephemeral-storage: 17Gi}}}}\n---\n\
         apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: c, resources: {{requests: {{cpu: 1, memory: 3200Mi}}}}}}]}}\n"
    )
}

fn run(command: &[&str], catalog: &str, input: &str) -> String {
    let outcome = program::run(&[command, &["-f", "-", "--catalog", catalog]].concat(), &[], input);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    outcome.stdout
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn the_plan_is_made_with_what_is_seen_and_says_so() {
    let catalog = file("seen.yaml", PRICES);
    let [large, xlarge] = ["c6a.large", "c6a.2xlarge"];
    let planned = |input: &str| json_of(&run(&["plan", "-o", "json"], &catalog, input));
    let expected = |memory: &str| {
        let amounts =
            |memory: &str| json!({"cpu": "1930m", "ephemeral-storage": "17Gi", "memory": memory, "pods": "29"});
        json!([{"instanceType": large, "nodes": 1, "allocatable": amounts(memory), "catalogAllocatable": amounts("3114Mi")}])
    };

    let as_said = planned(&cluster(large, "3114Mi"));
    assert_eq!((&as_said["nodes"][0]["instanceType"], as_said.get("allocatableSeen")), (&json!(xlarge), None));

    let more = cluster(large, "3300Mi");
    let plan = planned(&more);
    assert_eq!((&plan["nodes"][0]["instanceType"], &plan["allocatableSeen"]), (&json!(large), &expected("3300Mi")));
    let line = "Allocatable of c6a.large, the smallest seen on 1 live node: memory 3300Mi (catalog: 3114Mi)\n";
    for command in [&["plan"][..], &["explain", "p"]] {
        let text = run(command, &catalog, &more);
        assert!(text.contains(line), "{text}");
    }

    let less = cluster(large, "3000Mi");
    let plan = planned(&less);
    assert_eq!((&plan["nodes"][0]["instanceType"], &plan["allocatableSeen"]), (&json!(xlarge), &expected("3000Mi")));
    let table = run(&["plan"], &catalog, &less);
    let line = "Allocatable of 1 type not planned here: the smallest seen on live nodes as well\n";
    assert!(table.contains(line), "{table}");
}

#[test]
fn config_maps_say_what_was_seen_too() {
    let catalog = file("seen-config-maps.yaml", PRICES);
    let info = |input: &str, name: &str| -> Value {
        let text = run(&["plan", "-o", "configmaps"], &catalog, input);
        let map = text.split("---\n").find(|map| map.contains(&format!("  name: {name}\n"))).unwrap().to_owned();
        let block = map.split("  info.json: |\n").nth(1).unwrap().lines();
        json_of(&block.take_while(|line| line.starts_with("    ")).collect::<String>())
    };
    let more = cluster("c6a.large", "3300Mi");
    for name in ["plan-p", "summary-provisioning"] {
        let seen = &info(&more, name)["allocatableSeen"][0];
        assert_eq!((&seen["instanceType"], &seen["allocatable"]["memory"]), (&json!("c6a.large"), &json!("3300Mi")));
    }
    // What a pod's own ConfigMap does not speak of, it does not list.
    let less = cluster("c6a.large", "3000Mi");
    assert_eq!(info(&less, "plan-p").get("allocatableSeen"), None);
    assert_eq!(info(&less, "summary-provisioning")["allocatableSeen"][0]["allocatable"]["memory"], "3000Mi");
}
