//! Wherever a price is shown, so are its currency, and the region and the day that it held in.

use serde_json::{Value, json};

use crate::{PRICES, file, program};

/// The catalog of a file that says where its prices come from.
fn priced() -> String {
    let source = "currency: EUR\npriceSource: eu-west-1, 2026-01-02";
    file("shown-prices.yaml", &PRICES.replacen("currency: USD", source, 1))
}

/// Two nodes that are hardly used, of which one could go, and two pods that wait: one can run on a type with a price,
/// the other only on one without.
const CLUSTER: &str = "
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {node.kubernetes.io/instance-type: c6a.large, topology.kubernetes.io/zone: us-east-1a}}
status: {allocatable: {cpu: 1930m, memory: 3114Mi, pods: 29, ephemeral-storage: 17Gi}}
---
apiVersion: v1
kind: Node
metadata: {name: n2, labels: {node.kubernetes.io/instance-type: c6a.large, topology.kubernetes.io/zone: us-east-1a}}
status: {allocatable: {cpu: 1930m, memory: 3114Mi, pods: 29, ephemeral-storage: 17Gi}}
---
apiVersion: v1
kind: Pod
metadata: {name: priced}
spec: {containers: [{name: c, resources: {requests: {cpu: 4}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: arm}
spec:
  nodeSelector: {kubernetes.io/arch: arm64}
  containers: [{name: c, resources: {requests: {cpu: 4}}}]
";

fn run(command: &[&str]) -> String {
    let catalog = priced();
    let outcome = program::run(&[command, &["-f", "-", "--catalog", &catalog]].concat(), &[], CLUSTER);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    outcome.stdout
}

fn assert_says_where_prices_are_from(what: &str, text: &str) {
    for word in ["EUR", "eu-west-1, 2026-01-02"] {
        assert!(text.contains(word), "{what} does not say {word}:\n{text}");
    }
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn texts_for_people_do() {
    for command in [&["plan"][..], &["consolidate"], &["explain", "priced"], &["explain", "arm"]] {
        let text = run(command);
        assert!(text.contains("PRICE/HOUR"), "{text}");
        assert_says_where_prices_are_from(&command.join(" "), &text);
    }
    let catalog = program::run(&["catalog", &priced()], &[], "").stdout;
    assert_says_where_prices_are_from("catalog", &catalog);
}

#[test]
fn documents_for_programs_do() {
    for command in ["plan", "consolidate"] {
        let document = json_of(&run(&[command, "-o", "json"]));
        assert_eq!((&document["currency"], &document["priceSource"]), (&json!("EUR"), &json!("eu-west-1, 2026-01-02")));
        assert!(document["catalog"].as_str().is_some_and(|name| name.ends_with("shown-prices.yaml")), "{document}");
    }
}

/// Each file of each ConfigMap by itself, since each may be read by itself.
#[test]
fn each_file_of_a_config_map_does() {
    let mut with_prices = Vec::new();
    for command in ["plan", "consolidate"] {
        for map in run(&[command, "-o", "configmaps"]).split("---\n") {
            for (name, text) in files(map) {
                if ["PRICE", "pricePerHour", "per hour", "costPerHour", "costBefore"]
                    .iter()
                    .any(|word| text.contains(word))
                {
                    assert_says_where_prices_are_from(&name, &text);
                    with_prices.push(name);
                }
            }
        }
    }
    assert_eq!(with_prices.len(), 8, "two pods, two nodes, and both files of both summaries: {with_prices:?}");
}

/// The files of a ConfigMap as it is printed: blocks of text under `data`.
fn files(map: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in map.lines() {
        match (line.strip_prefix("    "), line.strip_suffix(": |")) {
            (None, Some(name)) => files.push((name.trim().to_owned(), String::new())),
            (Some(text), _) => files.last_mut().unwrap().1 += &(text.to_owned() + "\n"),
            _ => {}
        }
    }
    files
}

#[test]
fn a_price_that_is_not_known_is_unknown_and_never_zero() {
    let plan = json_of(&run(&["plan", "-o", "json"]));
    let price = |instance_type: &str| {
        let nodes = plan["nodes"].as_array().unwrap();
        nodes.iter().find(|node| node["instanceType"] == instance_type).map(|node| &node["pricePerHour"])
    };
    assert_eq!((price("c6a.2xlarge"), price("a1.4xlarge")), (Some(&json!(0.306)), Some(&Value::Null)), "{plan}");
    assert_eq!(plan["totals"]["costPerHour"], Value::Null);
    assert_eq!(plan["totals"]["costNowPerHour"], json!(0.153));
    assert_eq!(plan["totals"]["costAfterPerHour"], Value::Null);
    let table = run(&["plan"]);
    for words in ["COST IN EUR", "to add 2 ≥ 0.3060 ≥ 223.38 price of 1 not known", "after 4 ≥ 0.4590 "] {
        assert!(words_of(&table).contains(words), "{words}: {table}");
    }
    assert!(table.lines().any(|line| line.contains("a1.4xlarge") && line.contains(" unknown ")), "{table}");
    assert!(table.contains("No lower bound on the cost: some node type that would do has no price"), "{table}");
    assert!(run(&["explain", "arm"]).lines().any(|line| line.contains("a1.4xlarge") && line.contains("unknown")));
}

/// A text without the widths of its columns.
fn words_of(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_types_of_a_catalog_list_an_unknown_price_last() {
    let kwok = include_str!("../data/catalog/kwok.json").replacen("0.085", "null", 1);
    let listed = program::run(&["catalog", &file("half-priced.json", &kwok)], &[], "").stdout;
    let prices: Vec<&str> = listed
        .lines()
        .filter(|line| line.starts_with("c5.large"))
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    assert_eq!(prices, ["0.085", "unknown"], "{listed}");
    assert!(listed.ends_with("in USD, prices: region and day not stated\n"), "{listed}");
}
