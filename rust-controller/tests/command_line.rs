//! The program as a user meets it: exit statuses, messages, standard input, environment variables, and clusters that
//! are not there.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/program.rs"]
mod program;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use program::{Outcome, run};
use serde_json::Value;

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, resources: {requests: {cpu: 1}}}]}\n";
const GIANT: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: giant}\nspec: {containers: [{name: c, resources: {requests: {cpu: 9999}}}]}\n";

/// A file of this test run.
fn file(name: &str, contents: &[u8]) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("command-line");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, contents).unwrap();
    path.to_str().unwrap().to_owned()
}

fn on_input(arguments: &[&str], input: &str) -> Outcome {
    run(arguments, &[], input)
}

/// What is wrong with a run that should have ended with this status and these words in its last message.
fn assert_fails(outcome: &Outcome, status: i32, words: &[&str]) {
    assert_eq!(outcome.status, Some(status), "{outcome:?}");
    for word in words {
        assert!(outcome.stderr.contains(word), "{word:?} is not in:\n{}", outcome.stderr);
    }
    assert_eq!(outcome.stdout, "", "a command that fails prints no document");
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

fn document(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

#[test]
fn the_exit_status_says_whether_every_pod_can_be_placed() {
    assert_eq!(on_input(&["plan", "-f", "-"], POD).status, Some(0));
    assert_eq!(on_input(&["plan", "-f", "-"], "").status, Some(0));
    assert_eq!(on_input(&["plan", "-f", "-"], "---\n# nothing\n").status, Some(0));
    assert_eq!(on_input(&["plan", "-f", "-"], GIANT).status, Some(3));
    assert_eq!(on_input(&["plan", "-f", "-", "-o", "configmaps"], GIANT).status, Some(3));
    assert_eq!(on_input(&["plan", "-f", "-"], &format!("{POD}---\n{GIANT}")).status, Some(3));
    assert_eq!(on_input(&["consolidate", "-f", "-"], GIANT).status, Some(0));
    assert_eq!(on_input(&["catalog"], "").status, Some(0));
    assert_eq!(on_input(&["--version"], "").status, Some(0));
}

#[test]
fn explain_finds_one_pod_or_node_by_its_name_or_says_which_there_are() {
    let twins = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: x}\nspec: {containers: []}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\n\
                 spec: {containers: []}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: p}\n";
    let explain = |name: &str| on_input(&["explain", name, "-f", "-"], twins);
    assert!(explain("x/p").stdout.starts_with("Pod x/p: planned on planned-0001, a new "), "{:?}", explain("x/p"));
    assert!(explain("pod/x/p").stdout.starts_with("Pod x/p: "));
    assert!(explain("node/p").stdout.starts_with("Node p: stays, "), "{:?}", explain("node/p"));
    assert_fails(&explain("p"), 2, &["\"p\" could be any of pod/default/p, pod/x/p, node/p"]);
    assert_fails(&explain("pod/q"), 2, &["no pod and no node of the name \"pod/q\""]);
    assert_fails(&explain("y/p"), 2, &["\"y/p\""]);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let missing = on_input(&["plan", "-f", "no/such/file.yaml"], "");
    assert_fails(&missing, 2, &["no/such/file.yaml", "No such file"]);
    assert_fails(&on_input(&["consolidate", "-f", "src"], ""), 2, &["src", "directory"]);
    let binary = file("binary", &[0xff, 0xfe, 0]);
    assert_fails(&on_input(&["plan", "-f", &binary], ""), 2, &[&binary, "UTF-8"]);
}

#[test]
fn wrong_json_and_yaml_are_named_by_file_document_and_field() {
    for (name, text, words) in [
        ("broken.json", "{\"kind\": ", &["broken.json", "JSON", "line 1"][..]),
        ("broken.yaml", "kind: [Pod\n", &["broken.yaml", "YAML", "line"]),
        ("words.yaml", "hello\n", &["words.yaml", "document 1", "not a Kubernetes object"]),
        ("no-kind.yaml", &format!("{POD}---\nmetadata: {{name: x}}\n"), &["no-kind.yaml", "document 2", "no kind"]),
        ("no-version.yaml", "kind: Pod\nmetadata: {name: x}\n", &["no-version.yaml", "document 1", "no apiVersion"]),
        (
            "old-version.yaml",
            "apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: x}\n",
            &["old-version.yaml", "Deployment x", "apiVersion", "extensions/v1beta1", "apps/v1"],
        ),
        (
            "field.yaml",
            &format!("{POD}---\napiVersion: v1\nkind: Pod\nmetadata: {{name: bad}}\nspec: {{containers: {{}}}}\n"),
            &["field.yaml", "document 2", "Pod bad", "spec.containers", "sequence"],
        ),
        (
            "field.json",
            r#"{"apiVersion": "v1", "kind": "NodeList", "items": [{"metadata": {"name": "n"}, "spec": {"taints": [{"key": 5}]}}]}"#,
            &["field.json", "document 1", "Node n", "spec.taints[0].key", "string"],
        ),
    ] {
        let path = file(name, text.as_bytes());
        for command in ["plan", "consolidate"] {
            assert_fails(&on_input(&[command, "-f", &path], ""), 2, words);
        }
    }
}

#[test]
fn a_bad_quantity_costs_its_object_and_no_other() {
    let bad_pod = POD.replace("name: p", "name: bad, namespace: x").replace("cpu: 1", "cpu: 1x");
    let bad_node = "apiVersion: v1\nkind: Node\nmetadata: {name: odd}\nstatus: {allocatable: {memory: 1Gb}}\n";
    let input = format!("{bad_pod}---\n{bad_node}---\n{POD}");
    let outcome = on_input(&["plan", "-f", "-", "-o", "json"], &input);
    assert_eq!(outcome.status, Some(0));
    let document = document(&outcome);
    assert_eq!(document["pods"].as_array().unwrap().len(), 1);
    let skipped: Vec<&str> = document["skipped"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(skipped[0].starts_with("Node odd: status.allocatable.memory: \"1Gb\" is not a quantity"), "{skipped:?}");
    assert!(skipped[1].starts_with("Pod x/bad: spec.containers[0].resources.requests.cpu: \"1x\""), "{skipped:?}");
    for command in ["plan", "consolidate"] {
        for output in ["table", "configmaps"] {
            let outcome = on_input(&[command, "-f", "-", "-o", output], &input);
            assert!(outcome.stdout.contains("Pod x/bad: spec.containers[0]"), "{command} {output}: {}", outcome.stdout);
        }
    }
}

#[test]
fn a_file_of_which_nothing_can_be_read_is_bad_input() {
    let bad = file("all-bad.yaml", POD.replace("cpu: 1", "cpu: 1x").as_bytes());
    let fine = file("fine.yaml", POD.replace("name: p", "name: fine").as_bytes());
    for files in [&["-f", bad.as_str()][..], &["-f", &fine, &bad]] {
        for command in ["plan", "consolidate"] {
            let words = ["all-bad.yaml", "document 1", "Pod default/p", "requests.cpu", "\"1x\""];
            assert_fails(&on_input(&[&[command], files].concat(), ""), 2, &words);
        }
    }
}

#[test]
fn two_objects_of_one_name_are_named_with_both_places() {
    let first = file("first.yaml", format!("{GIANT}---\n{POD}").as_bytes());
    let same = file("same.yaml", POD.replace("cpu: 1", "cpu: 1000m").as_bytes());
    let other = file("other.yaml", POD.replace("cpu: 1", "cpu: 2").as_bytes());
    let read = on_input(&["plan", "-f", &first, &same, "-o", "json"], "");
    assert_eq!(document(&read)["totals"]["pods"], 2, "{read:?}");
    let words = ["other.yaml: document 1: Pod default/p", "first.yaml, document 2", "leave one out"];
    assert_fails(&on_input(&["plan", "-f", &first, &other], ""), 2, &words);
}

#[test]
fn a_kind_of_another_group_is_not_taken_for_kubernetes_own() {
    let rollout = "apiVersion: example.com/v1\nkind: Deployment\nmetadata: {name: web}\n\
                   spec: {template: {spec: {containers: []}}}\n";
    let outcome = on_input(&["plan", "-f", "-", "-o", "json"], &format!("{rollout}---\n{POD}"));
    assert_eq!(document(&outcome)["totals"]["pods"], 1);
    assert!(outcome.stderr.contains("1 of kind Deployment (example.com/v1) not read"), "{outcome:?}");
}

#[test]
fn a_daemon_set_is_room_that_each_node_sets_aside_and_no_pod_that_waits() {
    let agent = "---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\nspec: {template: {spec: \
                 {containers: [{name: c, resources: {requests: {cpu: 2}}}]}}}\n";
    let files = format!("{POD}{agent}");
    let plan = |text: &str| document(&on_input(&["plan", "-f", "-", "-o", "json"], text));
    let (alone, beside) = (plan(POD), plan(&files));
    for field in ["pods", "planned", "ignored", "nodes"] {
        assert_eq!(alone["totals"][field], beside["totals"][field], "{field}");
    }
    assert_eq!(beside["pods"].as_array().unwrap().len(), 1);
    assert!(beside["totals"]["costPerHour"].as_f64() > alone["totals"]["costPerHour"].as_f64());
    let explained = on_input(&["explain", "agent", "-f", "-"], &files);
    assert_eq!(explained.status, Some(0));
    assert!(explained.stdout.contains("one for each node that suits it"), "{explained:?}");
}

#[test]
fn wrong_options_are_refused_with_their_name_and_what_would_be_right() {
    let field = file("field.catalog", b"version: 1\nnodeClassRef: {group: g, kind: k, name: n}\ntypes:\n- {name: a, arch: amd64, allocatable: {cpu: 2x, memory: 1Gi}}\n");
    let words = file("words.catalog", b"hello");
    for (arguments, words) in [
        (&["plan", "--catalog", "nothing", "-f", "-"][..], &["--catalog", "nothing", "generic, aws, azure, gcp"][..]),
        (&["plan", "--catalog", &field, "-f", "-"], &["field.catalog", "\"a\"", "allocatable.cpu", "2x"]),
        (&["plan", "--catalog", &words, "-f", "-"], &["words.catalog"]),
        (&["catalog", "auto"], &["auto"]),
        (&["plan", "--exclude-types", "a(", "-f", "-"], &["--exclude-types", "a("]),
        (&["consolidate", "--threshold", "20", "-f", "-"], &["--threshold", "0 to 1", "0% to 100%"]),
        (&["consolidate", "--threshold", "some", "-f", "-"], &["--threshold", "0.2, 20%"]),
        (&["plan", "--capacity-type", "cheap", "-f", "-"], &["--capacity-type", "cheap", "on-demand, spot"]),
        (&["plan", "--headroom", "100%", "-f", "-"], &["--headroom", "less than 100%"]),
        (&["plan", "--headroom", "-5%", "-f", "-"], &["--headroom", "0 to 1"]),
        (&["plan", "--max-node-cpu", "0", "-f", "-"], &["--max-node-cpu", "more than 0"]),
        (&["plan", "--max-node-cpu", "-4", "-f", "-"], &["--max-node-cpu", "negative"]),
        (&["plan", "--min-nodes-per-zone", "-1", "-f", "-"], &["--min-nodes-per-zone", "invalid digit"]),
        (&["plan", "--budget", "-1s", "-f", "-"], &["--budget", "500ms, 10s, 1m"]),
        (&["plan", "--arch", "mips", "-f", "-"], &["--arch", "\"mips\" is not an architecture", "amd64, arm, arm64"]),
        (&["plan", "--arch", "amd64,", "-f", "-"], &["--arch", "\"\" is not an architecture"]),
        (
            &["plan", "--capacity-type", "spot", "--catalog", "aws", "-f", "-"],
            &["--capacity-type spot", "catalog aws is offered as on-demand only", "--catalog: generic, gcp or a file"],
        ),
        (
            &["explain", "p", "--capacity-type", "reserved", "--catalog", "gcp", "-f", "-"],
            &["--capacity-type reserved", "on-demand or spot only", "--catalog: a file"],
        ),
        (&["--capacity-type", "spot", "--catalog", "azure"], &["--capacity-type spot", "azure"]),
        (&["plan", "-o", "xml", "-f", "-"], &["--output", "table, json, configmaps, nodepools"]),
        (&["consolidate", "--min-savings", "115%", "-f", "-"], &["--min-savings", "0 to 1", "0% to 100%"]),
        (&["plan", "--nonsense"], &["--nonsense", "--help"]),
        (&["nonsense"], &["nonsense", "--help"]),
        (&["plan", "-f"], &["--filename"]),
        (&["--pending-interval", "soon"], &["--pending-interval", "10s"]),
        (&["--consolidation-interval", "0s"], &["--consolidation-interval"]),
        (&["--listen", "everywhere"], &["--listen"]),
    ] {
        assert_fails(&on_input(arguments, POD), 2, words);
    }
}

#[test]
fn several_files_and_standard_input_are_read_as_one() {
    let node =
        "apiVersion: v1\nkind: Node\nmetadata: {name: n}\nstatus: {allocatable: {cpu: 4, memory: 4Gi, pods: 10}}\n";
    let node = file("node.yaml", node.as_bytes());
    for files in [&["-f", &node, "-"][..], &["-f", "-", "-f", &node]] {
        let outcome = on_input(&[&["plan", "-o", "json"], files].concat(), POD);
        assert_eq!(document(&outcome)["pods"][0]["verdict"], "fitsExisting", "{outcome:?}");
    }
}

#[test]
fn every_option_can_be_set_by_its_environment_variable() {
    let environment = [
        ("MINI_KARPENTER_CATALOG", "aws"),
        ("MINI_KARPENTER_EXCLUDE_TYPES", "^c"),
        ("MINI_KARPENTER_ARCH", "arm64,amd64"),
        ("MINI_KARPENTER_CAPACITY_TYPE", "spot,on-demand"),
        ("MINI_KARPENTER_OUTPUT", "json"),
    ];
    let plan = document(&run(&["plan", "-f", "-"], &environment, POD));
    assert_eq!(plan["catalog"], "aws");
    assert_eq!(plan["options"]["excludeTypes"], "^c");
    assert_eq!(plan["options"]["arch"], serde_json::json!(["amd64", "arm64"]));
    assert_eq!(plan["options"]["capacityTypes"], serde_json::json!(["on-demand", "spot"]));
    let argument_wins = document(&run(&["plan", "-f", "-", "--catalog", "gcp"], &environment, POD));
    assert_eq!(argument_wins["catalog"], "gcp");
    // What a bound and a replacement hold under stands in a consolidation as in a plan, and what else that was asked for.
    let mut options = document(&run(&["consolidate", "-f", "-"], &environment, POD))["options"].clone();
    let own = ["threshold", "minSavings"].map(|name| options.as_object_mut().unwrap().remove(name));
    assert_eq!(own, [Some(serde_json::json!(0.2)), Some(serde_json::json!(0.15))]);
    assert_eq!(options, plan["options"]);

    let environment = [("MINI_KARPENTER_NAMESPACE", "elsewhere"), ("MINI_KARPENTER_OUTPUT", "configmaps")];
    assert!(run(&["plan", "-f", "-"], &environment, POD).stdout.contains("namespace: elsewhere\n"));

    let nodes = "apiVersion: v1\nkind: Node\nmetadata: {name: n}\nstatus: {allocatable: {cpu: 4, memory: 4Gi}}\n---\n";
    let half = format!("{nodes}{}", POD.replace("spec: {", "spec: {nodeName: n, "));
    let verdict = |threshold: &str| {
        let environment = [("MINI_KARPENTER_THRESHOLD", threshold), ("MINI_KARPENTER_OUTPUT", "json")];
        document(&run(&["consolidate", "-f", "-"], &environment, &half))["nodes"][0]["underutilized"].clone()
    };
    assert_eq!([verdict("25%"), verdict("0.26")], [false, true]);
    assert_fails(&run(&["consolidate", "-f", "-"], &[("MINI_KARPENTER_THRESHOLD", "x")], POD), 2, &["threshold"]);
    assert_fails(&run(&["plan", "-f", "-"], &[("MINI_KARPENTER_HEADROOM", "1")], POD), 2, &["headroom", "100%"]);
}

/// Measured use stands beside requests where it is asked for, and decides nothing.
#[test]
fn measured_use_is_shown_only_where_it_is_asked_for_and_no_verdict_follows_from_it() {
    let on = |arguments: &[&str], environment: &[(&str, &str)]| {
        let arguments = [&["consolidate", "-o", "json", "-f", "tests/golden/usage.yaml"], arguments].concat();
        document(&run(&arguments, environment, ""))
    };
    let verdicts = |document: &Value| {
        let mut nodes = document["nodes"].as_array().unwrap().clone();
        for node in &mut nodes {
            node.as_object_mut().unwrap().remove("measuredUsage");
        }
        nodes
    };
    let [without, with] = [on(&[], &[]), on(&["--usage"], &[])];
    assert!(!without.to_string().contains("measuredUsage"), "{without}");
    assert_eq!(with["measuredUsage"], serde_json::json!({"source": "metrics.k8s.io", "read": true}));
    assert_eq!(with["nodes"][0]["measuredUsage"]["cpu"], serde_json::json!({"used": "40m", "share": 0.01}));
    assert!(with["nodes"][2].get("measuredUsage").is_none(), "{with}");
    assert_eq!(verdicts(&with), verdicts(&without));
    assert_eq!(on(&[], &[("MINI_KARPENTER_USAGE", "true")]), with);
    assert_eq!(on(&[], &[("MINI_KARPENTER_USAGE", "false")]), without);
}

#[test]
fn files_without_measured_use_and_measured_use_that_cannot_be_read_are_told() {
    let node =
        "apiVersion: v1\nkind: Node\nmetadata: {name: n}\nstatus: {allocatable: {cpu: 4, memory: 4Gi, pods: 10}}\n";
    let table = |input: &str| on_input(&["consolidate", "--usage", "-f", "-"], input).stdout;
    let without = table(node);
    assert!(without.contains("\nMeasured use of nodes is not shown: no file holds NodeMetrics (kubectl"), "{without}");
    assert!(!without.contains("USED"), "{without}");
    let unreadable = format!(
        "{node}---\napiVersion: metrics.k8s.io/v1beta1\nkind: NodeMetrics\nmetadata: {{name: n}}\nusage: {{cpu: much, memory: 1Gi}}\n"
    );
    let told = table(&unreadable);
    assert!(told.contains("Skipped: NodeMetrics n: usage.cpu: \"much\" is not a quantity"), "{told}");
}

#[test]
fn a_search_that_the_budget_ends_is_told() {
    let cut_short =
        |budget: &str, output: &str| on_input(&["plan", "-f", "-", "--budget", budget, "-o", output], POD).stdout;
    assert!(cut_short("0s", "table").contains("--budget"));
    assert!(cut_short("0s", "json").contains("\"cutShort\": true"));
    assert!(!cut_short("1m", "table").contains("--budget"));
}

#[test]
fn every_item_of_a_long_list_is_read_and_a_wrong_one_is_named() {
    let item = |name: &str, more: &str| {
        format!("{{\"metadata\": {{\"name\": \"{name}\"{more}}}, \"spec\": {{\"containers\": []}}}}")
    };
    let list = |items: &[String]| {
        format!("{{\"items\": [{}], \"kind\": \"PodList\", \"apiVersion\": \"v1\"}}", items.join(","))
    };
    let read = on_input(&["plan", "-f", "-", "-o", "json"], &list(&[item("a", ""), item("b", "")]));
    assert_eq!(document(&read)["totals"]["pods"], 2, "{read:?}");
    let wrong = on_input(&["plan", "-f", "-"], &list(&[item("a", ""), item("b", ", \"labels\": 1")]));
    assert_fails(&wrong, 2, &["document 1", "Pod b", "metadata.labels"]);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert_fails(&on_input(&["plan", "-f", "-"], &list(&[deep])), 2, &["JSON", "recursion limit"]);
}

/// All options but that for files, whose place is the command line.
#[test]
fn the_help_names_the_environment_variable_of_every_option() {
    for command in [&["--help"][..], &["run", "--help"], &["plan", "--help"], &["consolidate", "--help"]] {
        let help = on_input(command, "").stdout;
        let options: Vec<&str> = help
            .split_whitespace()
            .filter_map(|word| word.strip_prefix("--"))
            .filter(|option| option.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'))
            .filter(|option| !["help", "version", "filename", ""].contains(option))
            .collect();
        assert!(options.len() > 3, "{help}");
        for option in options {
            let variable = format!("[env: MINI_KARPENTER_{}=", option.to_uppercase().replace('-', "_"));
            assert!(help.contains(&variable), "{command:?}: {variable}");
        }
    }
}

/// Commands that need a cluster, each with an address of its own.
const ON_THE_CLUSTER: [&[&str]; 4] =
    [&["plan"], &["consolidate"], &["run", "--listen", "127.0.0.1:0"], &["--listen", "127.0.0.1:0"]];

fn empty_home() -> String {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("empty-home");
    fs::create_dir_all(&home).unwrap();
    home.to_str().unwrap().to_owned()
}

#[test]
fn without_a_kubeconfig_the_message_says_what_to_set() {
    let home = empty_home();
    let missing = format!("{home}/no-such-kubeconfig");
    for environment in [&[("HOME", home.as_str())][..], &[("HOME", &home), ("KUBECONFIG", &missing)]] {
        for command in ON_THE_CLUSTER {
            let outcome = run(command, environment, "");
            assert_fails(&outcome, 2, &["no cluster to talk to", "KUBECONFIG", "~/.kube/config"]);
        }
    }
}

#[test]
fn a_wrong_kubeconfig_is_an_error_and_not_a_missing_one() {
    let home = empty_home();
    let broken = file("broken-kubeconfig", b"clusters: 5\n");
    for command in ON_THE_CLUSTER {
        let outcome = run(command, &[("HOME", &home), ("KUBECONFIG", &broken)], "");
        assert_fails(&outcome, 2, &["clusters"]);
    }
}

/// A server that nobody runs: the port was free a moment ago.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn an_unreachable_server_is_named_and_no_command_waits_for_it() {
    let server = format!("http://127.0.0.1:{}", closed_port());
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: '{server}'}}}}]\n\
         users: [{{name: u, user: {{token: t}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
    );
    let kubeconfig = file("unreachable-kubeconfig", kubeconfig.as_bytes());
    for command in ON_THE_CLUSTER {
        let outcome = run(command, &[("HOME", &empty_home()), ("KUBECONFIG", &kubeconfig)], "");
        assert_ne!(outcome.status, Some(0), "{outcome:?}");
        assert_fails(&outcome, outcome.status.unwrap(), &["cannot reach the API server", &server, "refused"]);
    }
}

#[test]
fn a_busy_address_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = listener.local_addr().unwrap().to_string();
    assert_fails(&run(&["--listen", &busy], &[("HOME", &empty_home())], ""), 2, &["--listen", &busy, "in use"]);
}

#[test]
fn what_is_logged_to_a_file_has_no_colours() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n";
    let outcome = on_input(&["plan", "-f", "-"], service);
    assert!(outcome.stderr.contains("Service"), "{outcome:?}");
    assert!(!outcome.stderr.contains('\u{1b}'), "{outcome:?}");
}

/// Reading takes as long as standard input stays open.
#[test]
#[expect(clippy::disallowed_methods, reason = "that nothing comes in some time is no condition to wait for")]
fn long_work_tells_of_its_progress_only_on_a_terminal() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mini-karpenter-rs"))
        .args(["plan", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(1500));
    child.stdin.take().unwrap().write_all(POD.as_bytes()).unwrap();
    let outcome = child.wait_with_output().unwrap();
    assert!(outcome.status.success());
    assert_eq!(String::from_utf8_lossy(&outcome.stderr), "");
    assert!(!outcome.stdout.contains(&b'\r'));
}

#[test]
fn catalogs_are_shown_by_name_and_from_files() {
    for name in ["generic", "aws", "azure", "gcp", "tests/data/catalog/prices.yaml", "tests/data/catalog/kwok.json"] {
        let outcome = on_input(&["catalog", name], "");
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        assert!(outcome.stdout.lines().count() > 2, "{outcome:?}");
    }
}
