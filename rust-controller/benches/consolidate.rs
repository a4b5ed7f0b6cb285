//! What a fleet could shrink to, and how long deciding that takes: `cargo bench --bench consolidate`, with numbers of fleets
//! after `--`, from 0 on, for some alone. Each is measured by a process of its own, so that its peak of memory is its own.
//!
//! Prints a Markdown table; `again` is the same with one pod less, after what was said before, and `changed` how many nodes
//! go that stayed, or stay that went. Nodes are of the generic catalog; pods have controllers and soft spreads over hosts, as those
//! that were given to Karpenter.

#![expect(clippy::unwrap_used, reason = "a benchmark on data of its own")]

#[path = "common/process.rs"]
mod process;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use mini_karpenter::catalog;
use mini_karpenter::check::{check_consolidation, check_lower_bound, check_replacement};
use mini_karpenter::consolidate::{
    Before, Consolidation, Options, consolidate, consolidate_after, lower_bound, replace,
};
use mini_karpenter::model::{
    AffinityTerm, Catalog, Eviction, LabelSelector, Labels, Neighbours, Node, Owner, Phase, Placement, Pod, PodName,
    Preferences, Requirement, Resources, SchedulingState, SpreadConstraint, key,
};
use mini_karpenter::provision;
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::units::{Cpu, Memory, Money};
use process::{peak_memory_mib, timed};

const MIB: u64 = 1 << 20;
const RUNS: usize = 3;

/// A fleet that takes longer is given up.
const FLEET_LIMIT: Duration = Duration::from_mins(10);

/// A cluster: nodes of one type, of which some have no pods.
struct Fleet {
    nodes: usize,
    node_type: &'static str,
    /// Of each ten nodes, so many have pods.
    busy_of_ten: usize,
    pods: usize,
    /// In turn.
    millicores: &'static [u64],
    /// In turn, each for as many pods as there are sizes of CPU.
    mebibytes: &'static [u64],
    /// No two pods of a workload share a host.
    apart: bool,
}

/// 275m on average, as in what was measured of Karpenter.
const SMALL: [u64; 10] = [50, 100, 150, 200, 250, 300, 350, 400, 450, 500];

const LARGE: Fleet = Fleet {
    nodes: 5_000,
    node_type: "s-8x-amd64-linux",
    busy_of_ten: 6,
    pods: 100_000,
    millicores: &[50, 100, 200, 250, 400],
    mebibytes: &[128],
    apart: false,
};

const IDLE: Fleet = Fleet {
    nodes: 1_000,
    node_type: "c-4x-amd64-linux",
    busy_of_ten: 10,
    pods: 1_500,
    millicores: &SMALL,
    mebibytes: &[128],
    apart: false,
};

const FLEETS: [Fleet; 6] = [
    Fleet { nodes: 100, pods: 150, ..IDLE },
    IDLE,
    Fleet { node_type: "m-4x-amd64-linux", apart: true, ..IDLE },
    LARGE,
    // With four times the memory that the pods need.
    Fleet { node_type: "m-8x-amd64-linux", ..LARGE },
    // On larger nodes, where now CPU and now the number of pods runs out.
    Fleet { node_type: "s-16x-amd64-linux", millicores: &[50, 100, 200, 500], mebibytes: &[128, 256, 512], ..LARGE },
];

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

    fn snapshot(&self, catalog: &Catalog, pods: usize) -> Snapshot {
        let kind = catalog.node_type(self.node_type).unwrap();
        let nodes = (0..self.nodes).map(|number| {
            let name = format!("node-{number:05}");
            let mut labels = kind.labels_as(&kind.offerings[0]);
            labels.insert(key::HOSTNAME.to_owned(), name.clone());
            Arc::new(Node {
                name,
                labels,
                taints: Vec::new(),
                unschedulable: false,
                ready: true,
                deleting: false,
                allocatable: kind.allocatable.clone(),
                provider_id: None,
                do_not_disrupt: None,
            })
        });
        let busy: Vec<usize> = (0..self.nodes).filter(|node| node % 10 < self.busy_of_ten).collect();
        // Shifted from round to round, so that no node has pods of one size alone.
        let pods =
            (0..pods).map(|number| Arc::new(self.pod(number, busy[(number + number / busy.len()) % busy.len()])));
        Snapshot::new(nodes, pods, [])
    }

    fn pod(&self, number: usize, node: usize) -> Pod {
        let app = format!("app-{:03}", number % 50);
        let labels = Labels::from([("app".to_owned(), app.clone())]);
        let spread = SpreadConstraint {
            topology_key: key::HOSTNAME.to_owned(),
            max_skew: 1,
            min_domains: 1,
            selector: LabelSelector::Matching(vec![Requirement::equals("app", &app)]),
            honors_node_affinity: true,
            honors_node_taints: false,
        };
        let term = AffinityTerm {
            topology_key: key::HOSTNAME.to_owned(),
            selector: LabelSelector::Matching(vec![Requirement::equals("app", &app)]),
            namespaces: BTreeSet::from(["default".to_owned()]),
            namespace_selector: LabelSelector::Nothing,
        };
        let anti_affinity = if self.apart { vec![term] } else { Vec::new() };
        Pod {
            name: PodName { namespace: "default".to_owned(), name: format!("{app}-{number:06}") },
            labels,
            owner: Some(Owner { kind: "ReplicaSet".to_owned(), name: app }),
            requests: Resources {
                cpu: Cpu::millicores(self.millicores[number % self.millicores.len()]),
                memory: Memory::bytes(self.mebibytes[number / self.millicores.len() % self.mebibytes.len()] * MIB),
                pods: 1,
                ..Resources::default()
            },
            priority: 0,
            placement: Placement::default(),
            neighbours: Neighbours { anti_affinity, ..Neighbours::default() },
            preferences: Some(Arc::new(Preferences { spread: vec![spread], ..Preferences::default() })),
            host_ports: Vec::new(),
            volumes: Vec::new(),
            claims_devices: false,
            phase: Phase::Running,
            scheduling: SchedulingState::Bound(format!("node-{node:05}")),
            deleting: false,
            mirror: false,
            eviction: Eviction::default(),
        }
    }
}
