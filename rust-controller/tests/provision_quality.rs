//! What plans for thousands of pods are held to: valid, complete, near the certified bound, and the same for the same pods.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/workloads.rs"]
#[expect(dead_code, reason = "the benchmark and tests of random cases use the rest")]
mod workloads;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use mini_karpenter::check::check_plan;
use mini_karpenter::document::{Cost, PlanOutcome, json};
use mini_karpenter::model::{Catalog, Pod};
use mini_karpenter::provision::{Options, Plan, Verdict, plan};
use mini_karpenter::snapshot::Snapshot;
use workloads::{Kind, Random, catalog, snapshot};

/// Numbers of pods, each with the seeds by which they are drawn.
const SIZES: [(usize, &[u64]); 2] = [(1_000, &[1, 2, 3]), (LARGEST, &[1, 2])];

/// With fewer pods the last, half empty node is a large part of the cost, so only these are held to a gap.
const LARGEST: usize = 5_000;

/// Seeds of the fleets of which, of the first sixty, one manner of putting a mixture together leaves the widest gaps: more than
/// 2 % for one of them.
const WIDE_FOR_ONE_MANNER: [u64; 3] = [40, 53, 60];

static CATALOG: LazyLock<Catalog> = LazyLock::new(catalog);
static OPTIONS: LazyLock<Options> = LazyLock::new(Options::default);

/// A plan for pods of a kind; every test looks at the same ones.
struct Planned {
    kind: Kind,
    seed: u64,
    pods: Vec<Arc<Pod>>,
    snapshot: Snapshot,
    plan: Plan,
}

impl Planned {
    fn new(kind: Kind, count: usize, seed: u64) -> Self {
        let pods = kind.pods(count, seed);
        let snapshot = snapshot(pods.clone());
        let plan = plan(&snapshot, &CATALOG, &OPTIONS);
        Self { kind, seed, pods, snapshot, plan }
    }

    /// For messages.
    fn name(&self) -> String {
        format!("{}-{} of seed {}", self.kind.name(), self.pods.len(), self.seed)
    }

    fn cost_per_hour(&self) -> f64 {
        self.plan.cost_per_hour().unwrap().units()
    }

    /// By how much the plan costs more than the least that any could: 0.02 for 2 %.
    fn gap(&self) -> f64 {
        self.cost_per_hour() / self.plan.bound.as_ref().unwrap().per_hour - 1.0
    }
}

/// The plans for pods of this kind, made once for all tests.
fn plans(kind: Kind) -> &'static [Planned] {
    static GENERIC: LazyLock<Vec<Planned>> = LazyLock::new(|| plan_each(Kind::Generic));
    static DIVERSE: LazyLock<Vec<Planned>> = LazyLock::new(|| plan_each(Kind::Diverse));
    static FLEET: LazyLock<Vec<Planned>> = LazyLock::new(|| plan_each(Kind::Fleet));
    match kind {
        Kind::Generic => &GENERIC,
        Kind::Diverse => &DIVERSE,
        Kind::Fleet => &FLEET,
    }
}

fn plan_each(kind: Kind) -> Vec<Planned> {
    let each = SIZES.into_iter().flat_map(|(count, seeds)| seeds.iter().map(move |seed| (count, *seed)));
    each.map(|(count, seed)| Planned::new(kind, count, seed)).collect()
}

/// Collects what is wrong with each plan of this kind, and shows all of it.
fn assert_none(kind: Kind, complaints_about: impl Fn(&Planned) -> Vec<String>) {
    let complaints = |planned| complaints_about(planned).into_iter().map(move |each| (planned.name(), each));
    let found: Vec<String> =
        plans(kind).iter().flat_map(complaints).map(|(name, each)| format!("{name}: {each}")).collect();
    assert!(found.is_empty(), "{} complaints, of which the first:\n{}", found.len(), first_lines(&found));
}

fn first_lines(found: &[String]) -> String {
    found[..found.len().min(20)].join("\n")
}

fn violations(planned: &Planned) -> Vec<String> {
    let Planned { snapshot, plan, .. } = planned;
    check_plan(snapshot, &CATALOG, &OPTIONS, plan).iter().map(ToString::to_string).collect()
}

fn pods_without_node(planned: &Planned) -> Vec<String> {
    let missing = planned.pods.len() - planned.plan.pods.len();
    let left_out = (missing > 0).then(|| format!("{missing} pods without a verdict"));
    let others = planned.plan.pods.iter().filter(|pod| !matches!(pod.verdict, Verdict::Planned { .. }));
    left_out.into_iter().chain(others.map(|pod| format!("{}: {:?}", pod.pod.name, pod.verdict))).collect()
}

/// That the gap of the largest plans is at most so wide.
fn wide_gaps(planned: &Planned, most: f64) -> Vec<String> {
    let gap = planned.gap();
    let is_wide = planned.pods.len() == LARGEST && gap > most;
    is_wide.then(|| format!("{:.2} % above the bound, not {:.0} %", gap * 100.0, most * 100.0)).into_iter().collect()
}

/// The document of `plan -o json`, but for how long planning took.
fn document(snapshot: &Snapshot, plan: &Plan) -> String {
    let outcome = PlanOutcome {
        plan,
        catalog: &CATALOG,
        options: &OPTIONS,
        allocatable_seen: &[],
        alone: BTreeMap::new(),
        skipped: snapshot.skipped(),
        unread_kinds: snapshot.unread_kinds(),
        cost_now: Cost::now(snapshot, &CATALOG),
    };
    json(&outcome.document(Duration::ZERO))
}

/// Whether the smaller plans are others where the pods are given in another order.
fn dependence_on_order(planned: &Planned) -> Vec<String> {
    if planned.pods.len() == LARGEST {
        return Vec::new();
    }
    let mut pods = planned.pods.clone();
    Random::new(planned.seed).shuffle(&mut pods);
    let again = snapshot(pods);
    let other = plan(&again, &CATALOG, &OPTIONS);
    let mut complaints = Vec::new();
    if other != planned.plan {
        complaints.push("another order of the pods gives another plan".to_owned());
    }
    if document(&again, &other) != document(&planned.snapshot, &planned.plan) {
        complaints.push("another order of the pods gives another document".to_owned());
    }
    complaints
}

#[test]
fn the_checker_finds_nothing_in_plans_for_generic_pods() {
    assert_none(Kind::Generic, violations);
}

#[test]
fn the_checker_finds_nothing_in_plans_for_diverse_pods() {
    assert_none(Kind::Diverse, violations);
}

#[test]
fn the_checker_finds_nothing_in_plans_for_a_fleet() {
    assert_none(Kind::Fleet, violations);
}

#[test]
fn every_pod_gets_a_planned_node() {
    for kind in Kind::ALL {
        assert_none(kind, pods_without_node);
    }
}

#[test]
fn generic_pods_cost_at_most_2_percent_more_than_the_bound() {
    assert_none(Kind::Generic, |planned| wide_gaps(planned, 0.02));
}

#[test]
fn a_fleet_costs_at_most_2_percent_more_than_the_bound() {
    assert_none(Kind::Fleet, |planned| wide_gaps(planned, 0.02));
}

/// How full the last nodes of a fleet are is chance.
#[test]
fn nor_does_a_fleet_whose_last_nodes_are_hard_to_fill() {
    let gaps = WIDE_FOR_ONE_MANNER.map(|seed| (Planned::new(Kind::Fleet, LARGEST, seed).gap(), seed));
    assert!(gaps.iter().all(|(gap, _)| *gap <= 0.02), "{gaps:?}");
}

#[test]
fn diverse_pods_cost_at_most_8_percent_more_than_the_bound() {
    assert_none(Kind::Diverse, |planned| wide_gaps(planned, 0.08));
}

/// Karpenter's is the cost of what it launches first; its later consolidation is not counted.
#[test]
fn diverse_pods_cost_at_least_a_quarter_less_than_what_karpenter_launches_for_them() {
    let karpenter = Kind::Diverse.karpenter(LARGEST).unwrap().cost;
    assert_none(Kind::Diverse, |planned| {
        let cost = planned.cost_per_hour();
        let is_dear = planned.pods.len() == LARGEST && cost > 0.75 * karpenter;
        is_dear.then(|| format!("{cost:.2} per hour, {karpenter:.2} with Karpenter")).into_iter().collect()
    });
}

#[test]
fn the_order_in_which_pods_are_given_changes_nothing() {
    for kind in Kind::ALL {
        assert_none(kind, dependence_on_order);
    }
}
