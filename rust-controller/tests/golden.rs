//! Whole outputs, compared with the texts in `tests/golden`. After a change that is meant to change them:
//! `UPDATE_GOLDEN=1 cargo test --test golden`, and read the difference.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that reads its own files; what fails, fails the test"
)]

#[path = "common/program.rs"]
mod program;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

const FOLDER: &str = "tests/golden";

/// Names of the expected text, exit status, and arguments; `DEMO` stands for the files of the demo,
/// `NEIGHBOURS` for those of [`NEIGHBOURS`].
const SCENARIOS: [(&str, i32, &str); 31] = [
    ("demo.plan.txt", 3, "plan -f DEMO"),
    ("demo.plan.json", 3, "plan -f DEMO -o json"),
    ("demo.plan.configmaps.yaml", 3, "plan -f DEMO -o configmaps"),
    ("demo.plan.nodepools.yaml", 3, "plan -f DEMO -o nodepools"),
    ("demo.consolidate.txt", 0, "consolidate -f DEMO"),
    ("demo.consolidate.json", 0, "consolidate -f DEMO -o json"),
    ("demo.consolidate.configmaps.yaml", 0, "consolidate -f DEMO -o configmaps"),
    ("demo.consolidate.nodepools.yaml", 0, "consolidate -f DEMO -o nodepools"),
    ("pending-sample.configmaps.yaml", 0, "plan -f ../k8s/samples/pending-deploy.yaml -o configmaps"),
    ("two-namespaces.configmaps.yaml", 0, "plan -f tests/golden/two-namespaces.yaml -o configmaps"),
    ("nearest-miss.configmaps.yaml", 3, "plan -f tests/golden/nearest-miss.yaml -o configmaps --namespace other"),
    ("restricted-label.txt", 3, "plan -f tests/golden/restricted-label.yaml"),
    ("daemon-overhead.json", 0, "plan -f tests/golden/daemon-overhead.yaml -o json"),
    ("old-label-keys.nodepools.yaml", 0, "plan -f tests/golden/old-label-keys.yaml -o nodepools"),
    (
        "unknown-price.json",
        0,
        "plan -f tests/golden/unknown-price.yaml --catalog tests/data/catalog/prices.yaml -o json",
    ),
    ("unknown-price.txt", 0, "plan -f tests/golden/unknown-price.yaml --catalog tests/data/catalog/prices.yaml"),
    ("neighbours.plan.txt", 3, "plan -f NEIGHBOURS --catalog aws"),
    ("neighbours.volume-in-zone-c.txt", 0, "explain volume-in-zone-c -f NEIGHBOURS --catalog aws"),
    ("neighbours.spread.txt", 0, "explain shop/spread-deployment-4 -f NEIGHBOURS --catalog aws"),
    ("neighbours.alone-nowhere.txt", 3, "explain pod/alone-nowhere -f NEIGHBOURS --catalog aws"),
    ("neighbours.b1.txt", 0, "explain node/b1 -f tests/golden/neighbours.yaml"),
    ("neighbours.consolidate.txt", 0, "consolidate -f tests/golden/neighbours.yaml"),
    ("neighbours.b2.txt", 0, "explain b2 -f tests/golden/neighbours.yaml"),
    ("neighbours.cache-0.txt", 0, "explain cache-0 -f tests/golden/neighbours.yaml"),
    ("usage.txt", 0, "consolidate -f tests/golden/usage.yaml --usage"),
    ("usage.json", 0, "consolidate -f tests/golden/usage.yaml --usage -o json"),
    ("usage.configmaps.yaml", 0, "consolidate -f tests/golden/usage.yaml --usage -o configmaps"),
    ("demo.explain.txt", 0, "explain node/ip-10-0-32-247.ec2.internal -f DEMO"),
    ("demo.explain-goes.txt", 0, "explain node/ip-10-0-77-131.ec2.internal -f DEMO"),
    ("demo.explain-takes.txt", 0, "explain node/ip-10-0-25-170.ec2.internal -f DEMO"),
    ("pods-in-every-state.txt", 0, "plan -f tests/golden/pods-in-every-state.yaml"),
];

/// So many programs run at once: each ends within its time on a machine that is busy otherwise, too.
const AT_ONCE: usize = 4;

/// A cluster with all that pods may ask of each other, and pods that ask for it.
const NEIGHBOURS: [&str; 2] = ["tests/golden/neighbours.yaml", "tests/golden/neighbours-pending.yaml"];

fn in_crate(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn demo_files() -> Vec<String> {
    let entries = fs::read_dir(in_crate("demo")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut files: Vec<String> = yaml.map(|path| format!("demo/{}", name(path))).collect();
    files.sort();
    files
}

/// How long it took is the only thing that differs from run to run.
fn masked(text: &str) -> String {
    let masked = |line: &str| match line.split_once("\"solveSeconds\": ") {
        Some((indentation, _)) => format!("{indentation}\"solveSeconds\": \"masked\"\n"),
        None => line.to_owned(),
    };
    text.split_inclusive('\n').map(masked).collect()
}

/// The first lines that differ. A text within a text is compared by its own lines.
fn difference(expected: &str, found: &str) -> Option<String> {
    let lines = |text: &str| text.replace("\\n", "\n").lines().map(str::to_owned).collect::<Vec<_>>();
    if expected == found {
        return None;
    }
    let (expected, found) = (lines(expected), lines(found));
    let at = (0..expected.len().max(found.len())).find(|at| expected.get(*at) != found.get(*at)).unwrap_or(0);
    let show = |lines: &[String]| lines.get(at).map_or("(end)", String::as_str).to_owned();
    Some(format!("line {}:\n  expected: {}\n  found:    {}", at + 1, show(&expected), show(&found)))
}

fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// The words of a command, with the files that some of them stand for.
fn arguments<'a>(command: &'a str, demo: &'a [String]) -> Vec<&'a str> {
    let files = |word: &'a str| match word {
        "DEMO" => demo.iter().map(String::as_str).collect(),
        "NEIGHBOURS" => NEIGHBOURS.to_vec(),
        word => vec![word],
    };
    command.split(' ').flat_map(files).collect()
}

fn judge(name: &str, status: i32, command: &str) -> Result<(), String> {
    let demo = demo_files();
    let arguments = arguments(command, &demo);
    // However slow the machine is, the search is to end by itself.
    let outcome = program::run(&arguments, &[("MINI_KARPENTER_BUDGET", "1h")], "");
    if outcome.status != Some(status) {
        return Err(format!("{name}: exit status {:?}, not {status}: {}", outcome.status, outcome.stderr));
    }
    let found = masked(&outcome.stdout);
    let path = in_crate(FOLDER).join(name);
    if updating() {
        fs::write(&path, &found).unwrap();
        return Ok(());
    }
    let expected = fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
    difference(&expected, &found).map_or(Ok(()), |difference| Err(format!("{FOLDER}/{name}, {difference}")))
}

#[test]
fn outputs_are_what_they_were() {
    let mut problems: Vec<String> = Vec::new();
    for together in SCENARIOS.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let judge = |(name, status, command)| scope.spawn(move || judge(name, status, command).err());
            let judges: Vec<_> = together.iter().copied().map(judge).collect();
            problems.extend(judges.into_iter().filter_map(|judge| judge.join().unwrap()));
        });
    }
    assert!(problems.is_empty(), "\n{}\n(UPDATE_GOLDEN=1 writes what was found)", problems.join("\n"));
}

#[test]
fn every_text_belongs_to_a_scenario() {
    let used: BTreeSet<String> = SCENARIOS
        .iter()
        .flat_map(|(name, _, command)| {
            let inputs = arguments(command, &[]).into_iter().filter_map(|word| word.strip_prefix("tests/golden/"));
            std::iter::once(*name).chain(inputs).map(str::to_owned)
        })
        .collect();
    let entries = fs::read_dir(in_crate(FOLDER)).unwrap();
    let found: BTreeSet<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(updating() || found == used, "{found:#?} are there, {used:#?} are used");
}

#[test]
fn no_text_has_a_path_or_a_time_of_the_machine_that_wrote_it() {
    for (name, ..) in SCENARIOS.into_iter().filter(|_| !updating()) {
        let text = fs::read_to_string(in_crate(FOLDER).join(name)).unwrap();
        assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "{name}");
        assert!(!text.contains("\"solveSeconds\": 0") && !text.contains('\u{1b}'), "{name}");
    }
}
