//! Catalogs, built in and from files, as the rest of the program sees them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

mod errors;
#[path = "../common/program.rs"]
mod program;
mod seen;
mod shown_prices;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use mini_karpenter::catalog::{
    BUILTIN_NAMES, CatalogError, NO_ZONE, builtin, for_nodes, in_zones, name_for_nodes, name_for_provider_id, parse,
};
use mini_karpenter::model::{Catalog, Labels, Node, NodeType, Resources, key, printed_amount};
use mini_karpenter::units::Money;

const PRICES: &str = include_str!("../data/catalog/prices.yaml");
const KWOK: &str = include_str!("../data/catalog/kwok.json");

type TestResult = Result<(), CatalogError>;

/// A file of this test run; its path.
fn file(name: &str, contents: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("catalog");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, contents).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A type as lines of text, for comparison with what a person wrote down.
fn printed(node_type: &NodeType) -> String {
    let mut out = format!("{}\n", node_type.name);
    for (resource, amount) in node_type.allocatable.amounts() {
        let _ = writeln!(out, "  {resource}: {}", printed_amount(resource, amount));
    }
    for (key, value) in &node_type.labels {
        let _ = writeln!(out, "  {key}={value}");
    }
    for offering in &node_type.offerings {
        let price = offering.price_per_hour.map_or("unknown".to_owned(), |price| price.to_string());
        let _ = writeln!(out, "  {:?} {} {price}", offering.zone, offering.capacity_type);
    }
    out
}

fn printed_type(catalog: &Catalog, name: &str) -> String {
    catalog.types.iter().find(|node_type| node_type.name == name).map(printed).unwrap_or_default()
}

/// What every catalog promises.
fn check(catalog: &Catalog) {
    let names: Vec<&str> = catalog.types.iter().map(|node_type| node_type.name.as_str()).collect();
    assert!(names.is_sorted_by(|one, other| one < other), "sorted, no name twice");
    assert!(!names.is_empty());
    for node_type in &catalog.types {
        let name = &node_type.name;
        let Resources { cpu, memory, pods, extended, .. } = &node_type.allocatable;
        assert!(!cpu.is_zero() && !memory.is_zero() && *pods > 0, "{name}");
        assert!(extended.values().all(|amount| *amount > 0), "{name}");
        let offerings: Vec<_> =
            node_type.offerings.iter().map(|offering| (&offering.zone, &offering.capacity_type)).collect();
        assert!(!offerings.is_empty() && offerings.is_sorted_by(|one, other| one < other), "{name}");
        for key in [key::ARCH, key::OS] {
            assert!(node_type.labels.contains_key(key), "{name}: {key}");
        }
        for key in [key::INSTANCE_TYPE, key::ZONE, key::CAPACITY_TYPE, key::HOSTNAME] {
            assert!(!node_type.labels.contains_key(key), "{name}: {key}");
        }
    }
}

fn builtin_type(catalog: &str, name: &str) -> String {
    builtin(catalog).map(|catalog| printed_type(&catalog, name)).unwrap_or_default()
}

#[test]
fn every_built_in_catalog_keeps_its_promises() {
    for (name, types) in BUILTIN_NAMES.into_iter().zip([1109, 854, 501, 72]) {
        let Some(catalog) = builtin(name) else { panic!("{name}") };
        check(&catalog);
        assert_eq!((catalog.name.as_str(), catalog.types.len(), catalog.currency.as_str()), (name, types, "USD"));
        assert_eq!(Some(catalog), builtin(name), "the same every time");
    }
    assert_eq!(builtin("AWS"), None);
    assert_eq!(builtin(""), None);
}

#[test]
fn built_in_catalogs_refer_to_their_provider_and_say_where_prices_come_from() {
    let about = BUILTIN_NAMES.map(|name| {
        builtin(name).map(|catalog| {
            let class = catalog.node_class;
            format!("{}/{}/{} {}", class.group, class.kind, class.name, catalog.price_source)
        })
    });
    let expected = [
        "karpenter.k8s.aws/EC2NodeClass/default us-east-1, 2026-07-20",
        "karpenter.azure.com/AKSNodeClass/default eastus, 2026-06-18 (28 sizes older, from 2023-12-18 on)",
        "karpenter.k8s.gcp/GCENodeClass/default us-central1, 2026-08-03",
        "karpenter.kwok.sh/KWOKNodeClass/default made up by Karpenter's KWOK provider",
    ];
    assert_eq!(about, expected.map(|text| Some(text.to_owned())));
}

#[test]
fn an_excerpt_of_aws() {
    let expected = r#"m5.large
  cpu: 1930m
  memory: 6903Mi
  ephemeral-storage: 17Gi
  pods: 29
  karpenter.k8s.aws/instance-capability-flex=false
  karpenter.k8s.aws/instance-category=m
  karpenter.k8s.aws/instance-cpu=2
  karpenter.k8s.aws/instance-family=m5
  karpenter.k8s.aws/instance-generation=5
  karpenter.k8s.aws/instance-memory=8192
  karpenter.k8s.aws/instance-size=large
  kubernetes.io/arch=amd64
  kubernetes.io/os=linux
  topology.kubernetes.io/region=us-east-1
  "us-east-1a" on-demand 0.096
  "us-east-1b" on-demand 0.096
  "us-east-1c" on-demand 0.096
  "us-east-1d" on-demand 0.096
  "us-east-1e" on-demand 0.096
  "us-east-1f" on-demand 0.096
"#;
    assert_eq!(builtin_type("aws", "m5.large"), expected);
    let gpu = builtin_type("aws", "g4ad.xlarge");
    for line in [
        "  amd.com/gpu: 1\n",
        "instance-gpu-manufacturer=amd\n",
        "instance-gpu-count=1\n",
        "instance-cpu-manufacturer=amd\n",
    ] {
        assert!(gpu.contains(line), "{line}{gpu}");
    }
}

#[test]
fn an_excerpt_of_azure() {
    let expected = r#"Standard_NC4as_T4_v3
  cpu: 3860m
  memory: 23459371417
  ephemeral-storage: 112500000Ki
  pods: 250
  nvidia.com/gpu: 1
  karpenter.azure.com/sku-cpu=4
  karpenter.azure.com/sku-family=N
  karpenter.azure.com/sku-gpu-count=1
  karpenter.azure.com/sku-gpu-manufacturer=nvidia
  karpenter.azure.com/sku-gpu-name=T4
  karpenter.azure.com/sku-memory=28672
  karpenter.azure.com/sku-name=Standard_NC4as_T4_v3
  karpenter.azure.com/sku-series=NCas_v3
  karpenter.azure.com/sku-storage-premium-capable=true
  karpenter.azure.com/sku-version=3
  kubernetes.azure.com/sku-cpu=4
  kubernetes.azure.com/sku-memory=28672
  kubernetes.io/arch=amd64
  kubernetes.io/os=linux
  topology.kubernetes.io/region=eastus
  "eastus-1" on-demand 0.526
  "eastus-2" on-demand 0.526
  "eastus-3" on-demand 0.526
"#;
    assert_eq!(builtin_type("azure", "Standard_NC4as_T4_v3"), expected);
}

#[test]
fn an_excerpt_of_gcp() {
    let expected = r#"e2-standard-4
  cpu: 3820m
  memory: 13081111430
  ephemeral-storage: 49Gi
  pods: 110
  karpenter.k8s.gcp/instance-cpu=4
  karpenter.k8s.gcp/instance-family=e2
  karpenter.k8s.gcp/instance-generation=2
  karpenter.k8s.gcp/instance-memory=16384
  karpenter.k8s.gcp/instance-shape=standard
  karpenter.k8s.gcp/instance-size=4
  kubernetes.io/arch=amd64
  kubernetes.io/os=linux
  topology.kubernetes.io/region=us-central1
  "us-central1-a" on-demand 0.134023
  "us-central1-a" spot 0.080424
  "us-central1-b" on-demand 0.134023
  "us-central1-b" spot 0.080424
  "us-central1-c" on-demand 0.134023
  "us-central1-c" spot 0.080424
  "us-central1-f" on-demand 0.134023
  "us-central1-f" spot 0.080424
"#;
    assert_eq!(builtin_type("gcp", "e2-standard-4"), expected);
    assert!(builtin_type("gcp", "a2-highgpu-8g").contains("  nvidia.com/gpu: 8\n"));
}

#[test]
fn an_excerpt_of_generic() {
    let expected = r#"c-1x-amd64-linux
  cpu: 900m
  memory: 2038Mi
  ephemeral-storage: 20Gi
  pods: 16
  karpenter.kwok.sh/instance-cpu=1
  karpenter.kwok.sh/instance-family=c
  karpenter.kwok.sh/instance-memory=2Gi
  karpenter.kwok.sh/instance-size=1
  kubernetes.io/arch=amd64
  kubernetes.io/os=linux
  "test-zone-a" on-demand 0.027147484
  "test-zone-a" spot 0.019003239
  "test-zone-b" on-demand 0.027147484
  "test-zone-b" spot 0.019003239
  "test-zone-c" on-demand 0.027147484
  "test-zone-c" spot 0.019003239
  "test-zone-d" on-demand 0.027147484
  "test-zone-d" spot 0.019003239
"#;
    assert_eq!(builtin_type("generic", "c-1x-amd64-linux"), expected);
    let largest = builtin_type("generic", "m-256x-arm64-linux");
    for line in ["  cpu: 255900m\n", "  pods: 1024\n", "instance-memory=2Ti\n", "kubernetes.io/arch=arm64\n"] {
        assert!(largest.contains(line), "{line}{largest}");
    }
}

#[test]
fn a_file_is_read_as_its_format_says() -> TestResult {
    let catalog = parse("prices.yaml", PRICES)?;
    check(&catalog);
    let Catalog { name, currency, price_source, node_class, types } = &catalog;
    assert_eq!((name.as_str(), currency.as_str(), price_source.as_str()), ("prices.yaml", "USD", ""));
    assert_eq!((node_class.group.as_str(), node_class.kind.as_str()), ("karpenter.k8s.aws", "EC2NodeClass"));
    let all: String = types.iter().map(printed).collect();
    let expected = r#"a1.4xlarge
  cpu: 15890m
  memory: 25Gi
  ephemeral-storage: 0
  pods: 110
  kubernetes.io/arch=arm64
  kubernetes.io/os=linux
  "us-east-1a" on-demand unknown
  "us-east-1b" on-demand unknown
c6a.2xlarge
  cpu: 7910m
  memory: 14162Mi
  ephemeral-storage: 0
  pods: 58
  nvidia.com/gpu: 1
  kubernetes.io/arch=amd64
  kubernetes.io/os=linux
  "us-east-1a" on-demand 0.306
c6a.large
  cpu: 1930m
  memory: 3114Mi
  ephemeral-storage: 17Gi
  pods: 29
  karpenter.k8s.aws/instance-family=c6a
  kubernetes.io/arch=amd64
  kubernetes.io/os=linux
  "us-east-1a" on-demand 0.0765
  "us-east-1a" spot 0.03
  "us-east-1b" on-demand 0.0765
  "us-east-1b" spot 0.03
"#;
    assert_eq!(all, expected);
    Ok(())
}

/// A file of one type that has these fields besides its name.
fn one_type(fields: &str) -> String {
    format!("{{version: 1, nodeClassRef: {{group: g, kind: K, name: n}}, types: [{{name: a, {fields}}}]}}")
}

#[test]
fn what_a_file_leaves_out_has_a_sensible_value() -> TestResult {
    let catalog =
        parse("-", &one_type("arch: x86_64, allocatable: {cpu: 1, memory: 1Gi}, pricePerHour: {spot: null}"))?;
    check(&catalog);
    assert_eq!(catalog.currency, "USD");
    assert_eq!(catalog.types[0].allocatable.pods, 110);
    assert_eq!(catalog.types[0].labels[key::ARCH], "amd64");
    let offering = &catalog.types[0].offerings[0];
    assert_eq!(
        (offering.zone.as_str(), offering.capacity_type.as_str(), offering.price_per_hour),
        (NO_ZONE, "spot", None)
    );
    Ok(())
}

#[test]
fn labels_may_repeat_what_the_type_says_and_use_old_keys() -> TestResult {
    let labels =
        "{node.kubernetes.io/instance-type: a, beta.kubernetes.io/arch: amd64, kubernetes.io/os: windows, team: ''}";
    let catalog =
        parse("-", &one_type(&format!("arch: amd64, allocatable: {{cpu: 1, memory: 1Gi}}, labels: {labels}")))?;
    let expected = [(key::ARCH, "amd64"), (key::OS, "windows"), ("team", "")];
    assert_eq!(catalog.types[0].labels, Labels::from(expected.map(|(key, value)| (key.to_owned(), value.to_owned()))));
    Ok(())
}

#[test]
fn json_of_the_same_format_is_read_as_well() -> TestResult {
    let json = r#"{"version": 1, "currency": "EUR", "nodeClassRef": {"group": "g", "kind": "K", "name": "n"},
        "types": [{"name": "a", "arch": "arm64", "allocatable": {"cpu": "1", "memory": 1e9, "pods": 8},
                   "zones": ["z"], "pricePerHour": {"reserved": 0}}]}"#;
    let catalog = parse("a.json", json)?;
    check(&catalog);
    assert_eq!(catalog.currency, "EUR");
    assert_eq!(catalog.types[0].allocatable.memory.get(), 1_000_000_000);
    assert_eq!(catalog.types[0].offerings[0].price_per_hour, Some(Money::ZERO));
    Ok(())
}

#[test]
fn instance_types_of_kwok_are_read_as_its_provider_reads_them() -> TestResult {
    let catalog = parse("kwok.json", KWOK)?;
    check(&catalog);
    assert_eq!(catalog.node_class.kind, "KWOKNodeClass");
    let all: String = catalog.types.iter().map(printed).collect();
    let expected = r#"c5.large
  cpu: 1900m
  memory: 4086Mi
  ephemeral-storage: 100Gi
  pods: 29
  karpenter.kwok.sh/instance-cpu=2
  karpenter.kwok.sh/instance-family=c5
  karpenter.kwok.sh/instance-memory=4Gi
  karpenter.kwok.sh/instance-size=large
  kubernetes.io/arch=amd64
  kubernetes.io/os=linux
  "test-zone-a" on-demand 0.085
  "test-zone-b" on-demand 0.085
n2-standard-4
  cpu: 3900m
  memory: 16374Mi
  ephemeral-storage: 0
  pods: 110
  nvidia.com/gpu: 2
  karpenter.kwok.sh/instance-cpu=4
  karpenter.kwok.sh/instance-family=n2
  karpenter.kwok.sh/instance-memory=16Gi
  karpenter.kwok.sh/instance-size=4
  kubernetes.io/arch=amd64
  kubernetes.io/os=linux
  "test-zone-a" on-demand 0.19
  "test-zone-a" spot 0.19
"#;
    assert_eq!(all, expected);
    Ok(())
}

#[test]
fn a_type_of_kwok_that_leaves_nothing_for_pods_is_left_out() -> TestResult {
    for (from, to) in [("\"cpu\": \"2\"", "\"cpu\": \"100m\""), ("4096Mi", "0Gi"), ("\"29\"", "0")] {
        let catalog = parse("kwok.json", &KWOK.replacen(from, to, 1))?;
        assert_eq!(printed_type(&catalog, "c5.large"), "", "{to}");
        check(&catalog);
    }
    Ok(())
}

#[test]
fn a_type_of_kwok_may_be_listed_once_for_each_architecture() -> TestResult {
    let twice = |arch: &str| {
        let list = KWOK.trim().trim_start_matches('[').trim_end_matches(']');
        format!("[{list}, {}]", list.replace("\"amd64\"", &format!("\"{arch}\"")).replace("x86_64", arch))
    };
    assert_eq!(parse("kwok.json", &twice("arm64"))?, parse("kwok.json", KWOK)?);
    let error = "catalog prices.yaml: type \"c5.large\": name: two node types have this name";
    assert_eq!(errors::message(&twice("amd64")), error);
    Ok(())
}

#[test]
fn the_provider_of_most_nodes_decides_which_catalog() {
    for (provider_id, expected) in [
        ("aws:///us-east-1a/i-0abc", "aws"),
        ("azure:///subscriptions/s/resourceGroups/g", "azure"),
        ("gce://project/us-central1-a/node", "gcp"),
        ("kwok://node", "generic"),
        ("kind://docker/kind/kind-control-plane", "generic"),
        ("awsome", "generic"),
        ("", "generic"),
    ] {
        assert_eq!(name_for_provider_id(provider_id), expected, "{provider_id}");
    }
    for (provider_ids, expected) in [
        (vec![], "generic"),
        (vec![None, Some("")], "generic"),
        (vec![None, None, Some("gce://p/z/n")], "gcp"),
        (vec![Some("gce://p/z/n"), Some("azure:///a"), Some("azure:///b")], "azure"),
        (vec![Some("gce://p/z/n"), Some("aws:///a"), Some("kwok://n")], "aws"),
    ] {
        let nodes: Vec<Node> = provider_ids.iter().map(|provider_id| node(*provider_id)).collect();
        assert_eq!(name_for_nodes(&nodes), expected, "{provider_ids:?}");
        assert_eq!(for_nodes(&nodes).name, expected);
    }
}

fn node(provider_id: Option<&str>) -> Node {
    Node {
        name: "n".to_owned(),
        labels: Labels::new(),
        taints: Vec::new(),
        unschedulable: false,
        ready: true,
        deleting: false,
        allocatable: Resources::default(),
        do_not_disrupt: None,
        provider_id: provider_id.map(str::to_owned),
    }
}

fn zones(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_catalog_moves_to_other_zones_with_its_prices() {
    let Some(gcp) = builtin("gcp") else { panic!("built in") };
    let moved = in_zones(gcp.clone(), &zones(&["europe-west1-c", "europe-west1-b"]));
    check(&moved);
    assert_eq!(moved.price_source, gcp.price_source);
    let printed = printed_type(&moved, "e2-standard-4");
    let expected = r#"  kubernetes.io/os=linux
  "europe-west1-b" on-demand 0.134023
  "europe-west1-b" spot 0.080424
  "europe-west1-c" on-demand 0.134023
  "europe-west1-c" spot 0.080424
"#;
    assert!(printed.ends_with(expected), "{printed}");
}

#[test]
fn the_region_stays_while_every_zone_is_of_it() {
    let Some(aws) = builtin("aws") else { panic!("built in") };
    let region = |catalog: &Catalog| catalog.types[0].labels.get(key::REGION).cloned();
    assert_eq!(in_zones(aws.clone(), &BTreeSet::new()), aws);
    assert_eq!(region(&in_zones(aws.clone(), &zones(&["us-east-1c"]))).as_deref(), Some("us-east-1"));
    assert_eq!(region(&in_zones(aws.clone(), &zones(&["us-east-1c", "us-east-2a"]))), None);
}

#[test]
fn a_type_that_was_dearer_in_some_zones_moves_at_its_least_price() -> TestResult {
    let catalog = parse("kwok.json", &KWOK.replacen("0.085", "0.09", 1))?;
    let moved = in_zones(catalog, &zones(&["z"]));
    check(&moved);
    assert!(printed_type(&moved, "c5.large").ends_with("linux\n  \"z\" on-demand 0.085\n"));
    Ok(())
}
