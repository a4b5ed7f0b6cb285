//! What is wrong with a catalog, in values and in messages.

use mini_karpenter::catalog::{CatalogError, Problem, parse};
use mini_karpenter::units::QuantityError;

use crate::{KWOK, PRICES, check, file, program};

pub(crate) fn message(text: &str) -> String {
    parse("prices.yaml", text).map_or_else(|error| error.to_string(), |_| "read".to_owned())
}

#[test]
fn a_message_names_the_file_the_type_and_the_field() {
    let large = "catalog prices.yaml: type \"c6a.large\": ";
    for (from, to, expected) in [
        ("1930m", "2x", "allocatable.cpu: \"2x\" is not a quantity (examples: 250m, 1.5, 512Mi)"),
        ("cpu: 1930m", "cpu: .inf", "allocatable.cpu: \"inf\" is not a quantity (examples: 250m, 1.5, 512Mi)"),
        ("cpu: 1930m", "cpu: -1", "allocatable.cpu: \"-1\" is negative"),
        ("cpu: 1930m", "cpu: 0", "allocatable.cpu: leaves nothing for pods"),
        ("cpu: 1930m, ", "", "allocatable.cpu: is missing"),
        ("pods: 29", "pods: 0", "allocatable.pods: leaves nothing for pods"),
        ("memory: 3114Mi", "memory: [1]", "allocatable.memory: must be a quantity (examples: 250m, 1.5, 512Mi)"),
        ("0.0765", "-0.0765", "pricePerHour.on-demand: -0.0765 is not a price (a number of 0 or more)"),
        ("0.0765", ".nan", "pricePerHour.on-demand: NaN is not a price (a number of 0 or more)"),
        ("0.0765", "-.inf", "pricePerHour.on-demand: -inf is not a price (a number of 0 or more)"),
        ("0.0765", "1e999", "pricePerHour.on-demand: inf is not a price (a number of 0 or more)"),
        ("0.0765", "cheap", "pricePerHour.on-demand: \"cheap\" is not a price (a number of 0 or more)"),
        ("0.0765", "2000000", "pricePerHour.on-demand: 2000000 is too large for a price per hour"),
        ("spot:", "sport:", "pricePerHour.sport: \"sport\" is not a capacity type (known: on-demand, reserved, spot)"),
        ("[us-east-1b, us-east-1a]", "[]", "zones: lists no zone (leave it out for any zone)"),
        ("[us-east-1b, us-east-1a]", "us-east-1a", "zones: must be a list"),
        ("[us-east-1b, us-east-1a]", "[us-east-1a, us-east-1a]", "zones[1]: us-east-1a stands in the list already"),
        ("pods: 29", "pods: 1.5", "allocatable.pods: must be a whole number"),
        ("pods: 29", "nvidia.com/gpu: 500m", "allocatable.nvidia.com/gpu: must be a whole number"),
        (
            "us-east-1b,",
            "us east,",
            "zones[0]: \"us east\" is not a label value (at most 63 letters, digits, '-', '_' and '.')",
        ),
        (
            "instance-family: c6a",
            "instance-family: 6",
            "labels.karpenter.k8s.aws/instance-family: must be text: put it in quotes",
        ),
        ("karpenter.k8s.aws/instance-family", "a/b/c", "labels.a/b/c: is not a label key"),
        (
            "karpenter.k8s.aws/instance-family: c6a",
            "kubernetes.io/arch: arm64",
            "labels.kubernetes.io/arch: \"arm64\" contradicts \"amd64\"",
        ),
        (
            "karpenter.k8s.aws/instance-family: c6a",
            "topology.kubernetes.io/zone: a",
            "labels.topology.kubernetes.io/zone: differs from node to node and cannot be a label of a type",
        ),
        (
            "zones: [us-east-1b",
            "zone: [us-east-1b",
            "zone: is not a field of the format (known here: name, arch, allocatable, labels, zones, pricePerHour)",
        ),
        (
            "pods: 29",
            "gpu: 29",
            "allocatable.gpu: is not a resource (known: cpu, memory, pods, ephemeral-storage, hugepages-… and example.com/device)",
        ),
        ("c6a.2xlarge", "c6a.large", "name: two node types have this name"),
        ("large\n  arch: amd64", "large", "arch: is missing"),
        (
            "large\n  arch: amd64",
            "large\n  arch: amd",
            "arch: \"amd\" is not an architecture (known: 386, amd64, arm, arm64, ppc64le, riscv64, s390x)",
        ),
    ] {
        assert!(PRICES.contains(from), "{from}");
        assert_eq!(message(&PRICES.replacen(from, to, 1)), format!("{large}{expected}"));
    }
}

#[test]
fn a_message_about_the_whole_file_names_the_file_and_the_field() {
    for (from, to, expected) in [
        ("version: 1", "version: 2", "version: 2 is not a known version (known: 1)"),
        ("version: 1\n", "", "version: is missing"),
        ("currency: USD", "currency: dollars", "currency: \"dollars\" is not a currency code of three capital letters"),
        (
            "currency: USD",
            "money: USD",
            "money: is not a field of the format (known here: version, currency, priceSource, nodeClassRef, types)",
        ),
        (", name: default", "", "nodeClassRef.name: is missing"),
        (", name: default", ", name: ''", "nodeClassRef.name: is empty"),
        ("currency: USD", "priceSource: \"a\\nb\"", "priceSource: must be one line of at most 100 characters"),
        ("currency: USD", "priceSource: 2026", "priceSource: must be text: put it in quotes"),
        ("name: c6a.large\n  arch", "arch", "types[0].name: is missing"),
        (
            "name: c6a.large",
            "name: ''",
            "types[0].name: \"\" is not a label value (at most 63 letters, digits, '-', '_' and '.')",
        ),
    ] {
        assert!(PRICES.contains(from), "{from}");
        assert_eq!(message(&PRICES.replacen(from, to, 1)), format!("catalog prices.yaml: {expected}"));
    }
    let head = PRICES.split("types:").next().unwrap_or_default();
    assert_eq!(message(&format!("{head}types: []")), "catalog prices.yaml: types: lists no node type");
    assert_eq!(message(head), "catalog prices.yaml: types: is missing");
    assert_eq!(message("[]"), "catalog prices.yaml: lists no node type");
    let none =
        "catalog prices.yaml: lists no node type that runs Linux, has an offering, and leaves something for pods";
    assert_eq!(message(&KWOK.replace("linux", "windows")), none);
    for text in ["", "3", "null", "words"] {
        let expected = "catalog prices.yaml: must be a catalog (version, types …) or a list of KWOK instance types";
        assert_eq!(message(text), expected, "{text:?}");
    }
    for text in ["a: [", "{", "a: 1\na: 2", "[1,,]", "a: 1\n---\nb: 2"] {
        let message = message(text);
        assert!(message.starts_with("catalog prices.yaml: not readable: ") && message.contains("line"), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_message_about_kwok_types_names_the_field() {
    for (from, to, expected) in [
        (
            "\"cpu\": \"2\"",
            "\"cpu\": \"2 cores\"",
            "type \"c5.large\": resources.cpu: \"2 cores\" is not a quantity (examples: 250m, 1.5, 512Mi)",
        ),
        ("\"cpu\": \"2\", ", "", "type \"c5.large\": resources.cpu: is missing"),
        ("\"pods\": \"29\"", "\"pods\": \"1.5\"", "type \"c5.large\": resources.pods: must be a whole number"),
        ("0.085", "-1", "type \"c5.large\": offerings[0].Price: -1 is not a price (a number of 0 or more)"),
        ("0.0255", "-1", "type \"c5.large\": offerings[2].Price: -1 is not a price (a number of 0 or more)"),
        ("0.085", "NaN", "type \"c5.large\": offerings[0].Price: NaN is not a price (a number of 0 or more)"),
        ("0.085", "1e999", "type \"c5.large\": offerings[0].Price: inf is not a price (a number of 0 or more)"),
        (
            "[\"on-demand\"]",
            "[\"sport\"]",
            "type \"c5.large\": offerings[0].Requirements.karpenter.sh/capacity-type: \"sport\" is not a capacity type \
             (known: on-demand, reserved, spot)",
        ),
        (
            "[\"test-zone-b\"]",
            "[]",
            "type \"c5.large\": offerings[0].Requirements.topology.kubernetes.io/zone: is empty",
        ),
        (
            "\"ephemeral-storage\"",
            "\"disk space\"",
            "type \"c5.large\": resources.disk space: is not a resource \
             (known: cpu, memory, pods, ephemeral-storage, hugepages-… and example.com/device)",
        ),
        (
            "test-zone-b\"",
            "\", 1",
            "type \"c5.large\": offerings[0].Requirements[1].values[0]: \"\" is not a label value \
             (at most 63 letters, digits, '-', '_' and '.')",
        ),
        (
            "topology.kubernetes.io/zone",
            "zone",
            "type \"c5.large\": offerings[0].Requirements.topology.kubernetes.io/zone: is missing",
        ),
        ("\"name\": \"c5.large\",", "", "[0].name: is missing"),
        ("\"c5.large\"", "\"\"", "[0].name: \"\" is not a label value (at most 63 letters, digits, '-', '_' and '.')"),
    ] {
        assert!(KWOK.contains(from), "{from}");
        assert_eq!(message(&KWOK.replacen(from, to, 1)), format!("catalog prices.yaml: {expected}"));
    }
}

/// Both formats, and every command that takes a catalog.
#[test]
fn a_bad_catalog_is_bad_input_and_the_message_names_file_type_and_field() {
    let none = PRICES.split_inclusive("types:").next().unwrap_or_default().to_owned() + " []";
    for (name, text, place) in [
        (
            "negative.yaml",
            PRICES.replacen("0.306", "-0.306", 1),
            "type \"c6a.2xlarge\": pricePerHour.on-demand: -0.306 is",
        ),
        ("negative.json", KWOK.replacen("0.19", "-0.19", 1), "type \"n2-standard-4\": offerings[0].Price: -0.19 is"),
        ("none.yaml", none, "types: lists no node type"),
        ("none.json", "[]".to_owned(), "lists no node type"),
        ("twice.yaml", PRICES.replacen("c6a.2xlarge", "a1.4xlarge", 1), "type \"a1.4xlarge\": name: two node types"),
        ("twice.json", KWOK.replacen("c5.large", "n2-standard-4", 1), "type \"n2-standard-4\": name: two node types"),
        (
            "quantity.yaml",
            PRICES.replacen("25Gi", "25GiB", 1),
            "type \"a1.4xlarge\": allocatable.memory: \"25GiB\" is not",
        ),
        (
            "quantity.json",
            KWOK.replacen("16Gi", "16GiB", 1),
            "type \"n2-standard-4\": resources.memory: \"16GiB\" is not",
        ),
    ] {
        let path = file(name, &text);
        for command in [
            &["catalog", &path][..],
            &["plan", "-f", "-", "--catalog", &path],
            &["consolidate", "-f", "-", "--catalog", &path],
            &["explain", "p", "-f", "-", "--catalog", &path],
            &["run", "--catalog", &path],
        ] {
            let outcome = program::run(command, &[], "");
            assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(2), ""), "{outcome:?}");
            let expected = format!("error: catalog {path}: {place}");
            assert!(outcome.stderr.starts_with(&expected), "{expected}\n{}", outcome.stderr);
        }
    }
}

#[test]
fn errors_are_values_to_match_on() {
    let error = parse("p", &PRICES.replacen("1930m", "2x", 1)).err();
    let expected = CatalogError {
        catalog: "p".to_owned(),
        node_type: Some("c6a.large".to_owned()),
        field: "allocatable.cpu".to_owned(),
        problem: Problem::Quantity(QuantityError::Malformed("2x".to_owned())),
    };
    assert_eq!(error, Some(expected));
}

/// A plain generator of numbers, so that a failure can be had again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % sides.max(1)
    }

    fn mutated(&mut self, text: &str) -> String {
        const PIECES: [&str; 24] = [
            "",
            "-",
            "0",
            "1e999",
            "\"",
            "'",
            "[",
            "]",
            "{",
            "}",
            ":",
            ", ",
            "\n",
            "\n  ",
            "~",
            "null",
            "é",
            "\u{0}",
            "&a ",
            "*a",
            "<<: *a",
            "!!int ",
            ".nan",
            "9999999999999999999999",
        ];
        let mut letters: Vec<char> = text.chars().collect();
        for _ in 0..=self.roll(4) {
            let start = self.roll(letters.len());
            let end = (start + self.roll(12)).min(letters.len());
            let piece = PIECES[self.roll(PIECES.len())];
            letters.splice(start..end, piece.chars());
        }
        letters.into_iter().collect()
    }
}

#[test]
fn no_input_panics_and_what_is_read_keeps_its_promises() {
    let mut dice = Dice(1);
    let mut read = 0;
    for round in 0..3000 {
        let original = if round % 2 == 0 { PRICES } else { KWOK };
        let text = dice.mutated(original);
        match parse("mutated", &text) {
            Ok(catalog) => {
                check(&catalog);
                read += 1;
            }
            Err(error) => assert!(error.to_string().starts_with("catalog mutated: "), "{error}\n{text}"),
        }
    }
    assert!(read > 100, "some mutations do no harm: {read}");
}
