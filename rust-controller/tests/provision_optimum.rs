//! Plans for a handful of pods, held against the cheapest of all possible plans. `cargo bench --bench optimum` looks at more
//! cases, and says what it finds.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/compared.rs"]
mod compared;
#[path = "common/exhaustive.rs"]
mod exhaustive;
#[path = "common/random.rs"]
#[expect(dead_code, reason = "others shrink what they find")]
mod random;
#[path = "common/tiny.rs"]
mod tiny;

use compared::{Compared, compared, unplaced, worst};
use exhaustive::least_cost;
use mini_karpenter::check::check_plan;
use mini_karpenter::provision::{Options, plan};
use tiny::{Amount, Kind, Label, Pin, Rule, Tiny, Workload};

const CASES: u64 = 400;

#[test]
fn plans_for_few_pods_are_almost_always_the_cheapest() {
    let all = compared(CASES);
    assert!(all.len() > 300, "the cases say little: {}", all.len());
    assert_eq!(unplaced(&all), "", "pods for which some plan has a place");
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

/// Of each pair of pods one node is enough for both, if it may have labels that are what both ask for.
#[test]
fn pods_share_a_node_if_no_label_contradicts() {
    let nothing = || Label::Nothing;
    for labels in [
        vec![Label::Team(1), nothing()],
        vec![Label::Team(1), Label::TeamOf(0)],
        vec![Label::TeamOf(0), Label::TeamOf(1)],
        vec![Label::Team(1), Label::AnyTeam],
        vec![Label::Team(1), Label::NotTeam(0)],
        vec![Label::Team(1), Label::Tier(0)],
        vec![Label::RankAbove(5), Label::RankAbove(7)],
        vec![Label::Team(2), Label::Tier(0), Label::RankAbove(3), nothing()],
    ] {
        assert_eq!(cheapest_alike(&labels), 1, "{labels:?}");
    }
    for labels in [vec![Label::Team(1), Label::Team(2)], vec![Label::Team(1), Label::NotTeam(1)]] {
        assert_eq!(cheapest_alike(&labels), 2, "{labels:?}");
    }
}

/// How many nodes small pods get, one with each of these labels; none cost less.
fn cheapest_alike(labels: &[Label]) -> usize {
    let amount = |cpu, memory| Amount { cpu, memory, gpus: 0 };
    let workload = |label: &Label| Workload {
        rule: Rule::Nothing,
        pin: Pin::Nothing,
        label: *label,
        replicas: 1,
        requests: amount(400, 500),
    };
    let kind =
        |cores: u64| Kind { allocatable: amount(cores * 1000 - 100, cores * 4096), pods: 50, price: 10 + 40 * cores };
    let workloads = labels.iter().map(workload).collect();
    let case = Tiny { zones: 2, kinds: vec![kind(1), kind(2)], existing: Vec::new(), workloads };
    let (snapshot, catalog, options) = (case.snapshot(), case.catalog(), Options::default());
    let plan = plan(&snapshot, &catalog, &options);
    let wrong = check_plan(&snapshot, &catalog, &options, &plan);
    assert!(wrong.is_empty(), "{labels:?}: {}", wrong[0]);
    let cost = plan.cost_per_hour().unwrap().units();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number of thousandths")]
    let cost = (cost * 1e3).round() as u64;
    assert_eq!(cost, least_cost(&case, &[], u64::MAX), "{labels:?}");
    plan.nodes.len()
}

/// How many plans cost more than this.
fn count(all: &[Compared], least: impl Fn(&Compared) -> u64) -> usize {
    all.iter().filter(|each| each.cost > least(each)).count()
}
