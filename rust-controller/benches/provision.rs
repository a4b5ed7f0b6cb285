//! How long planning takes, and what the plans cost: `cargo bench --bench provision`, with the names of kinds or numbers
//! of pods after `--` for some rows alone, `--large` for large clusters, or `--karpenter` for what Karpenter's scheduler makes
//! of the same pods on this machine.
//!
//! Prints a Markdown table. Each row is measured by a process of its own, so that its peak of memory is its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark on data of its own")]

#[path = "../tests/common/workloads.rs"]
#[expect(dead_code, reason = "tests of random cases use the rest")]
mod workloads;

#[path = "../tests/common/pod_list.rs"]
mod pod_list;

#[path = "common/process.rs"]
mod process;

use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use mini_karpenter::check::check_plan;
use mini_karpenter::model::Catalog;
use mini_karpenter::provision::{Options, Plan, Verdict, plan};
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::units::Money;
use pod_list::pod_list;
use process::{field, peak_memory_mib, timed};
use testbed::{KarpenterScheduler, Launch};
use workloads::{Karpenter, Kind, OPEN_NODE_POOL, catalog, instance_types, snapshot};

/// Numbers of pods, each with the seeds by which they are drawn.
const SIZES: [(usize, &[u64]); 3] = [(1_000, &[1]), (5_000, &[1, 2, 3]), (20_000, &[1])];
const LARGE_SIZES: [(usize, &[u64]); 3] = [(50_000, &[1]), (100_000, &[1]), (200_000, &[1])];

/// A row that takes longer is given up.
const ROW_LIMIT: Duration = Duration::from_mins(10);

/// Where Karpenter's scheduler is measured as well.
const KARPENTER_ROW_LIMIT: Duration = Duration::from_mins(40);

const KARPENTER_FLAG: &str = "--karpenter";

/// Planning is repeated until this much time has gone into it, at least [`LEAST_RUNS`] times.
const PLANNING_TIME: Duration = Duration::from_secs(3);
const LEAST_RUNS: usize = 3;

/// Names and widths of the columns.
const COLUMNS: [(&str, usize); 16] = [
    ("pods", 14),
    ("seed", 4),
    ("plan s", 8),
    ("pods/s", 8),
    ("check s", 8),
    ("MiB", 6),
    ("nodes", 6),
    ("$/h", 9),
    ("bound $/h", 9),
    ("gap", 8),
    ("K $/h", 7),
    ("K gap", 7),
    ("K nodes", 7),
    ("K s", 6),
    ("unplaced", 8),
    ("wrong", 5),
];

const LEGEND: &str = "
Seconds are medians for planning, and of one run for the checker; MiB is the process's peak.
unplaced: pods without a planned node. wrong: violations that the checker finds.
K: what the scheduler of Karpenter 1.14.1 launches first: with --karpenter for the same pods, measured here in the same run;
else for as many other pods drawn in the same way, as noted in tests/common/workloads.rs.";

fn main() -> anyhow::Result<()> {
    // Cargo itself adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [flag, kind, pods, seed, rest @ ..] = arguments.as_slice()
        && flag == "--row"
    {
        let (kind, beside_karpenter) = (kind_named(kind).context("kind")?, !rest.is_empty());
        let row = Row { kind, pods: pods.parse()?, seed: seed.parse()?, beside_karpenter };
        println!("{}", line(&row.measure()));
        return Ok(());
    }
    let rows = Row::chosen(&arguments)?;
    println!("{}\n", circumstances());
    println!("{}", line(&COLUMNS.map(|(name, _)| name.to_owned())));
    println!("{}", line(&COLUMNS.map(|(_, width)| "-".repeat(width - 1) + ":")));
    for row in rows {
        println!("{}", row.measure_apart()?);
    }
    println!("{LEGEND}");
    Ok(())
}

fn kind_named(name: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.name() == name)
}

/// One row of the table.
#[derive(Clone, Copy)]
struct Row {
    kind: Kind,
    pods: usize,
    seed: u64,
    /// Karpenter's scheduler plans for the same pods; else what was noted of it is shown.
    beside_karpenter: bool,
}

impl Row {
    /// The rows that the arguments ask for.
    fn chosen(arguments: &[String]) -> anyhow::Result<Vec<Self>> {
        let (mut kinds, mut counts) = (Vec::new(), Vec::<usize>::new());
        let (mut large, mut beside_karpenter) = (false, false);
        for argument in arguments {
            match (argument.as_str(), kind_named(argument), argument.parse()) {
                ("--large", ..) => large = true,
                (KARPENTER_FLAG, ..) => beside_karpenter = true,
                (_, Some(kind), _) => kinds.push(kind),
                (_, _, Ok(count)) => counts.push(count),
                _ => bail!(
                    "{argument}: neither a kind (generic, fleet, diverse) nor a number of pods nor --large or --karpenter"
                ),
            }
        }
        if kinds.is_empty() {
            kinds = Kind::ALL.to_vec();
        }
        let sizes: Vec<(usize, &[u64])> = match (counts.is_empty(), large) {
            (false, _) => counts.into_iter().map(|count| (count, [1].as_slice())).collect(),
            (true, true) => LARGE_SIZES.to_vec(),
            (true, false) => SIZES.to_vec(),
        };
        let of_kind = |kind| {
            let each = sizes.iter().flat_map(|(pods, seeds)| seeds.iter().map(move |seed| (*pods, *seed)));
            each.map(move |(pods, seed)| Self { kind, pods, seed, beside_karpenter })
        };
        Ok(kinds.into_iter().flat_map(of_kind).collect())
    }

    /// The row's first cells.
    fn name(self) -> [String; 2] {
        [format!("{}-{}", self.kind.name(), self.pods), self.seed.to_string()]
    }

    /// The line that a new process prints for this row.
    fn measure_apart(self) -> anyhow::Result<String> {
        let Self { kind, pods, seed, beside_karpenter } = self;
        let mut arguments = vec!["--row".to_owned(), kind.name().to_owned(), pods.to_string(), seed.to_string()];
        arguments.extend(beside_karpenter.then(|| KARPENTER_FLAG.to_owned()));
        let limit = if beside_karpenter { KARPENTER_ROW_LIMIT } else { ROW_LIMIT };
        let [name, seed] = self.name();
        let given_up = || format!("| {name:>14} | {seed:>4} | over {} s |", limit.as_secs());
        Ok(process::apart(&arguments, limit)?.unwrap_or_else(given_up))
    }

    /// What Karpenter launches: for these very pods, or what was noted for as many others.
    fn karpenter(self, bound: Option<f64>) -> Option<Karpenter> {
        if !self.beside_karpenter {
            return self.kind.karpenter(self.pods);
        }
        let pods = pod_list(&self.kind.pods(self.pods, self.seed));
        let scheduler = KarpenterScheduler::locate().unwrap();
        let Launch { cost_per_hour, nodes, seconds, unscheduled } =
            scheduler.launch(&pods, &instance_types(), OPEN_NODE_POOL).unwrap();
        assert_eq!(unscheduled.len(), 0, "Karpenter places all of them");
        let nodes = nodes.values().sum::<usize>().try_into().unwrap();
        Some(Karpenter { cost: cost_per_hour, bound, nodes, seconds })
    }

    fn measure(self) -> [String; COLUMNS.len()] {
        let (catalog, options) = (catalog(), Options::default());
        let snapshot = snapshot(self.kind.pods(self.pods, self.seed));
        let (plan, planning) = planned(&snapshot, &catalog, &options);
        let bound = plan.bound.as_ref().map(|bound| bound.per_hour);
        let (violations, checking) = timed(|| check_plan(&snapshot, &catalog, &options, &plan));
        let cost = plan.cost_per_hour().map(Money::units);
        let gap = cost.zip(bound).map(|(cost, bound)| cost / bound - 1.0);
        let memory = peak_memory_mib();
        let karpenter = self.karpenter(bound);
        let [name, seed] = self.name();
        [
            name,
            seed,
            seconds(planning),
            format!("{:.0}", count(self.pods) / planning.as_secs_f64()),
            seconds(checking),
            known(memory, |mib| mib.to_string()),
            plan.nodes.len().to_string(),
            known(cost, |cost| format!("{cost:.2}")),
            known(bound, |bound| format!("{bound:.2}")),
            known(gap, percent),
            known(karpenter, |karpenter| format!("{:.2}", karpenter.cost)),
            known(karpenter.and_then(|karpenter| karpenter.gap()), percent),
            known(karpenter, |karpenter| karpenter.nodes.to_string()),
            known(karpenter, |karpenter| format!("{:.2}", karpenter.seconds)),
            (self.pods - plan.count(|verdict| matches!(verdict, Verdict::Planned { .. }))).to_string(),
            violations.len().to_string(),
        ]
    }
}

/// The plan, and the median of how long it took to make.
fn planned(snapshot: &Snapshot, catalog: &Catalog, options: &Options) -> (Plan, Duration) {
    let mut times = Vec::new();
    loop {
        // The plan before it is dropped first, or two would count for the peak of memory.
        let (plan, time) = timed(|| plan(snapshot, catalog, options));
        times.push(time);
        if times.len() >= LEAST_RUNS && times.iter().sum::<Duration>() >= PLANNING_TIME {
            times.sort_unstable();
            return (plan, times[times.len() / 2]);
        }
    }
}

/// One line of the table.
fn line(cells: &[String; COLUMNS.len()]) -> String {
    let padded = cells.iter().zip(COLUMNS).map(|(cell, (_, width))| format!("{cell:>width$}"));
    format!("| {} |", padded.collect::<Vec<_>>().join(" | "))
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn known<T>(value: Option<T>, print: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), print)
}

fn count(pods: usize) -> f64 {
    f64::from(u32::try_from(pods).unwrap())
}

/// Versions and machine.
fn circumstances() -> String {
    let rustc = Command::new("rustc").arg("--version").output().ok();
    let rustc = rustc.and_then(|output| String::from_utf8(output.stdout).ok());
    let rustc = rustc.as_deref().map_or("rustc unknown", str::trim);
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let cores = thread::available_parallelism().map_or(0, usize::from);
    format!("mini-karpenter-rs {}, {rustc}, {cores} cores of {processor}", env!("CARGO_PKG_VERSION"))
}
