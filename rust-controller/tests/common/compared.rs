//! Plans for a handful of pods, each with the cheapest of all possible plans.

use mini_karpenter::check::check_plan;
use mini_karpenter::provision::{Options, Plan, Verdict, plan};

use crate::exhaustive::least_cost;
use crate::random::Random;
use crate::tiny::Tiny;

/// How many pods a case has at most: with more, every plan takes too long to try.
const MOST_PODS: u64 = 8;

/// What a plan costs, in thousandths per hour.
pub(crate) struct Compared {
    seed: u64,
    case: Tiny,
    pub(crate) cost: u64,
    /// The least that any plan could cost which leaves those pods on existing nodes that fit there.
    pub(crate) least: u64,
    /// The least that any plan could cost.
    pub(crate) least_of_all: u64,
    /// Pods that the plan has no place for, where some plan has a place for all and leaves those on existing nodes that fit
    /// there; such a case says nothing of costs.
    pub(crate) unplaced: usize,
}

impl Compared {
    /// None where neither the plan nor any other has a place for all pods.
    fn of(seed: u64) -> Option<Self> {
        let case = Tiny::random(&mut Random::new(seed), MOST_PODS);
        let (snapshot, catalog, options) = (case.snapshot(), case.catalog(), Options::default());
        let plan = plan(&snapshot, &catalog, &options);
        let wrong = check_plan(&snapshot, &catalog, &options, &plan);
        assert!(wrong.is_empty(), "seed {seed}: {} in {case:#?}", wrong[0]);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number of thousandths")]
        let cost = (plan.cost_per_hour().unwrap().units() * 1e3).round() as u64;
        let unplaced = plan.count(|verdict| matches!(verdict, Verdict::Unplaceable(_)));
        if unplaced > 0 {
            let least = least_cost(&case, &on_existing(&plan), u64::MAX);
            return (least < u64::MAX).then_some(Self {
                seed,
                case,
                cost: least,
                least,
                least_of_all: least,
                unplaced,
            });
        }
        let least = least_cost(&case, &on_existing(&plan), cost);
        let least_of_all = least_cost(&case, &[], least);
        let bound = plan.bound.as_ref().map_or(0.0, |bound| bound.per_hour * 1e3);
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let least_and_a_hair = least as f64 + 1e-6;
        assert!(bound <= least_and_a_hair, "seed {seed}: {bound} is no bound on {least} in {case:#?}");
        Some(Self { seed, case, cost, least, least_of_all, unplaced })
    }

    /// By how much the plan costs more than it must: 0.02 for 2 %.
    pub(crate) fn excess(&self) -> f64 {
        share(self.cost, self.least)
    }
}

/// By how much more the one is than the other.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
pub(crate) fn share(cost: u64, least: u64) -> f64 {
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

/// The worst come first.
pub(crate) fn compared(cases: u64) -> Vec<Compared> {
    let mut all: Vec<Compared> = (0..cases).filter_map(Compared::of).collect();
    all.sort_by(|one, other| other.excess().total_cmp(&one.excess()));
    all
}

/// Those of which the plan has no place for a pod, for messages.
pub(crate) fn unplaced(all: &[Compared]) -> String {
    let unplaced = all.iter().filter(|each| each.unplaced > 0);
    let line = |each: &Compared| format!("seed {}: no place for {} pods of {:?}", each.seed, each.unplaced, each.case);
    unplaced.map(line).collect::<Vec<String>>().join("\n")
}

/// The worst, for messages.
pub(crate) fn worst(all: &[Compared]) -> String {
    let dearer = all.iter().take(3).filter(|each| each.cost > each.least);
    let line =
        |each: &Compared| format!("seed {}: {} instead of {} in {:?}", each.seed, each.cost, each.least, each.case);
    dearer.map(line).collect::<Vec<String>>().join("\n")
}
