//! What a fleet could shrink to, and how long deciding that takes: `cargo bench --bench consolidate`, with numbers of fleets
//! after `--`, from 0 on, for some alone. Each is measured by a process of its own, so that its peak of memory is its own.
//!
//! Prints a Markdown table; `again` is the same with one pod less, after what was said before, and `changed` how many nodes
//! go that stayed, or stay that went. Nodes are of the generic catalog; pods have controllers and soft spreads over hosts, as those
//! that were given to Karpenter.

#![expect(clippy::unwrap_used, reason = "a benchmark on data of its own")]

#[path = "../tests/common/idle_fleets.rs"]
mod idle_fleets;

#[path = "common/process.rs"]
mod process;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use idle_fleets::{FLEETS, Fleet};
use mini_karpenter::catalog;
use mini_karpenter::check::{check_consolidation, check_lower_bound, check_replacement};
use mini_karpenter::consolidate::{
    Before, Consolidation, Options, consolidate, consolidate_after, lower_bound, replace,
};
use mini_karpenter::model::Catalog;
use mini_karpenter::provision;
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::units::Money;
use process::{peak_memory_mib, timed};

const RUNS: usize = 3;

/// A fleet that takes longer is given up.
const FLEET_LIMIT: Duration = Duration::from_mins(10);

fn main() -> anyhow::Result<()> {
    // Cargo itself adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [flag, fleet] = arguments.as_slice()
        && flag == "--fleet"
    {
        let fleet = &FLEETS[fleet.parse::<usize>()?];
        fleet.measure(&catalog::builtin("generic").context("catalog")?);
        return Ok(());
    }
    let chosen: Vec<usize> = arguments.iter().map(|fleet| fleet.parse()).collect::<Result<_, _>>()?;
    println!(
        "| nodes | pods | | decide s | check s | MiB | after | $/h before | $/h after | bound $/h | gap | moved | changed | wrong |"
    );
    println!("| --: | --: | -- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |");
    for fleet in (0..FLEETS.len()).filter(|fleet| chosen.is_empty() || chosen.contains(fleet)) {
        let lines = process::apart(&["--fleet".to_owned(), fleet.to_string()], FLEET_LIMIT)?;
        println!("{}", lines.unwrap_or_else(|| format!("| fleet {fleet} | over {} s |", FLEET_LIMIT.as_secs())));
    }
    Ok(())
}

/// A line of the table.
struct Line {
    what: &'static str,
    deciding: Duration,
    checking: Duration,
    nodes: usize,
    after: Option<Money>,
    gap: Option<f64>,
    moved: usize,
    /// How many removals are others than those that were said before.
    changed: Option<usize>,
    wrong: usize,
}

/// What comes of it, and the median of what it takes.
fn median<T>(work: impl Fn() -> T) -> (T, Duration) {
    let mut runs: Vec<(T, Duration)> = (0..RUNS).map(|_| timed(&work)).collect();
    runs.sort_by_key(|(_, time)| *time);
    runs.swap_remove(RUNS / 2)
}

impl Fleet {
    fn measure(&self, catalog: &Catalog) {
        let snapshot = self.snapshot(catalog, self.pods);
        let (provisioning, options) = (provision::Options::default(), Options::default());
        let sale = (catalog, &provisioning);
        let bounded = |snapshot: &Snapshot, mut decided: Consolidation| {
            decided.bound = lower_bound(snapshot, sale, &decided);
            decided
        };
        let judged = |snapshot: &Snapshot, decided: &Consolidation| {
            check_consolidation(snapshot, catalog, decided).len() + check_lower_bound(snapshot, sale, decided).len()
        };
        let (mut decided, deciding) = median(|| bounded(&snapshot, consolidate(&snapshot, catalog, &options)));
        let (wrong, checking) = timed(|| judged(&snapshot, &decided));
        self.print(&decided, &self.line("removals", &decided, [deciding, checking], (None, wrong)));

        let before = Before::of(&decided, None);
        let smaller = self.snapshot(catalog, self.pods - 1);
        let (again, deciding) = timed(|| bounded(&smaller, consolidate_after(&before, &smaller, catalog, &options)));
        let (wrong, checking) = timed(|| judged(&smaller, &again));
        let went: BTreeSet<&String> = decided.removals.iter().collect();
        let changed = went.symmetric_difference(&again.removals.iter().collect()).count();
        self.print(&again, &self.line("a pod less", &again, [deciding, checking], (Some(changed), wrong)));

        let (replacement, deciding) = median(|| replace(&snapshot, catalog, &decided, &provisioning, &options));
        decided.replacement = replacement;
        let (wrong, checking) = timed(|| check_replacement(&snapshot, catalog, (&provisioning, &options), &decided));
        let Some(replacement) = &decided.replacement else {
            println!("| {} | {} | no replacement | {:.3} |", self.nodes, self.pods, deciding.as_secs_f64());
            return;
        };
        let line = Line {
            nodes: self.nodes - replacement.removals.len() + replacement.nodes.len(),
            after: replacement.cost_after(&decided),
            gap: replacement.gap(&decided),
            moved: replacement.pods_disturbed(),
            ..self.line("replacement", &decided, [deciding, checking], (None, wrong.len()))
        };
        self.print(&decided, &line);
    }

    fn line(
        &self,
        what: &'static str,
        decided: &Consolidation,
        [deciding, checking]: [Duration; 2],
        (changed, wrong): (Option<usize>, usize),
    ) -> Line {
        Line {
            what,
            deciding,
            checking,
            nodes: self.nodes - decided.removals.len(),
            after: decided.costs_per_hour().1,
            gap: decided.gap(),
            moved: decided.pods_disturbed(),
            changed,
            wrong,
        }
    }

    fn print(&self, decided: &Consolidation, line: &Line) {
        let Line { what, deciding, checking, nodes, after, gap, moved, changed, wrong } = line;
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let money = |cost: Option<Money>| or_dash(cost.map(|cost| format!("{:.2}", cost.units())));
        println!(
            "| {} | {} | {what} | {:.3} | {:.3} | {} | {nodes} | {} | {} | {} | {} | {moved} | {} | {wrong} |",
            self.nodes,
            self.pods,
            deciding.as_secs_f64(),
            checking.as_secs_f64(),
            or_dash(peak_memory_mib().map(|mib| mib.to_string())),
            money(decided.costs_per_hour().0),
            money(*after),
            or_dash(decided.bound.as_ref().map(|bound| format!("{:.2}", bound.least))),
            or_dash(gap.map(|gap| format!("{:.2} %", gap * 100.0))),
            or_dash(changed.map(|changed| changed.to_string())),
        );
    }
}
