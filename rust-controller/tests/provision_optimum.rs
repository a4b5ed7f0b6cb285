//! Plans for a handful of pods, held against the cheapest of all possible plans.
//!
//! `cargo test --release --test provision_optimum -- --ignored --nocapture` looks at more cases and says what it finds.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/exhaustive.rs"]
mod exhaustive;
#[path = "common/random.rs"]
#[expect(dead_code, reason = "others shrink what they find")]
mod random;
#[path = "common/tiny.rs"]
mod tiny;

use exhaustive::least_cost;
use mini_karpenter::check::check_plan;
use mini_karpenter::provision::{Options, Plan, Verdict, plan};
use random::Random;
use tiny::Tiny;

const CASES: u64 = 400;
const MEASURED_CASES: u64 = 8_000;

/// How many pods a case has at most: with more, every plan takes too long to try.
const MOST_PODS: u64 = 8;

/// What a plan costs, in thousandths per hour.
struct Compared {
    seed: u64,
    case: Tiny,
    cost: u64,
    /// The least that any plan could cost which leaves those pods on existing nodes that fit there.
    least: u64,
    /// The least that any plan could cost.
    least_of_all: u64,
}

impl Compared {
    fn of(seed: u64) -> Self {
        let case = Tiny::random(&mut Random::new(seed), MOST_PODS);
        let (snapshot, catalog, options) = (case.snapshot(), case.catalog(), Options::default());
        let plan = plan(&snapshot, &catalog, &options);
        let wrong = check_plan(&snapshot, &catalog, &options, &plan);
        assert!(wrong.is_empty(), "seed {seed}: {} in {case:#?}", wrong[0]);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number of thousandths")]
        let cost = (plan.cost_per_hour().unwrap().units() * 1e3).round() as u64;
        let least = least_cost(&case, &on_existing(&plan), cost);
        let least_of_all = least_cost(&case, &[], least);
        Self { seed, case, cost, least, least_of_all }
    }

    /// By how much the plan costs more than it must: 0.02 for 2 %.
    fn excess(&self) -> f64 {
        share(self.cost, self.least)
    }
}

/// By how much more the one is than the other.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn share(cost: u64, least: u64) -> f64 {
    if cost == least { 0.0 } else { cost as f64 / least as f64 - 1.0 }
}

/// The pods that fit existing nodes, by the numbers of their workload and node.
fn on_existing(plan: &Plan) -> Vec<(usize, usize)> {
    let number = |name: &str| name[1..].parse().unwrap();
    let fits = plan.pods.iter().filter_map(|planned| match &planned.verdict {
        Verdict::FitsExisting { node } => Some((number(&planned.pod.labels["app"]), number(node))),
        _ => None,
    });
    fits.collect()
}

/// One line of figures.
fn figures(excesses: &[f64]) -> String {
    let above = |least: f64| excesses.iter().filter(|excess| **excess > least).count();
    let worst = excesses.iter().copied().fold(0.0, f64::max) * 100.0;
    let (dearer, by_2, by_10) = (above(0.0), above(0.02), above(0.1));
    format!(
        "{} plans, {dearer} dearer than the least, {by_2} > 2 %, {by_10} > 10 %, worst {worst:.1} %",
        excesses.len()
    )
}

/// The worst come first.
fn compared(cases: u64) -> Vec<Compared> {
    let mut all: Vec<Compared> = (0..cases).map(Compared::of).collect();
    all.sort_by(|one, other| other.excess().total_cmp(&one.excess()));
    all
}

/// The worst, for messages.
fn worst(all: &[Compared]) -> String {
    let dearer = all.iter().take(3).filter(|each| each.cost > each.least);
    let line =
        |each: &Compared| format!("seed {}: {} instead of {} in {:?}", each.seed, each.cost, each.least, each.case);
    dearer.map(line).collect::<Vec<String>>().join("\n")
}

#[test]
fn plans_for_few_pods_are_almost_always_the_cheapest() {
    let all = compared(CASES);
    let (dearer, dearer_of_all) = (count(&all, |each| each.least), count(&all, |each| each.least_of_all));
    assert!(
        dearer * 100 <= all.len(),
        "{dearer} of {} plans are dearer than they must be:\n{}",
        all.len(),
        worst(&all)
    );
    assert!(all[0].excess() <= 0.1, "a plan is more than 10 % dearer than it must be:\n{}", worst(&all));
    assert!(
        dearer_of_all * 50 <= all.len(),
        "{dearer_of_all} of {} plans would be cheaper with others on existing nodes",
        all.len()
    );
}

/// How many plans cost more than this.
fn count(all: &[Compared], least: impl Fn(&Compared) -> u64) -> usize {
    all.iter().filter(|each| each.cost > least(each)).count()
}

/// Says what `docs/BENCHMARKS.md` says.
#[test]
#[ignore = "measures; takes a minute without optimization"]
fn how_often_plans_for_few_pods_are_the_cheapest() {
    let all = compared(MEASURED_CASES);
    let excesses =
        |least: fn(&Compared) -> u64| all.iter().map(|each| share(each.cost, least(each))).collect::<Vec<f64>>();
    println!("those stay on existing nodes that fit: {}", figures(&excesses(|each| each.least)));
    println!("anybody may be on existing nodes: {}", figures(&excesses(|each| each.least_of_all)));
    println!("{}", worst(&all));
}
