//! How far the fleets shrink that were given to Karpenter as well. `cargo bench --bench consolidate` measures what that takes, and
//! larger ones.

#![expect(clippy::unwrap_used, reason = "what fails, fails the test")]

#[path = "common/idle_fleets.rs"]
mod idle_fleets;

use idle_fleets::{FLEETS, Fleet};
use mini_karpenter::check::{check_consolidation, check_lower_bound};
use mini_karpenter::consolidate::{Options, consolidate, lower_bound};
use mini_karpenter::{catalog, provision};

/// So many nodes are left of a fleet, and their cost per hour and by how much that is above the bound are at most these.
fn shrinks_to(fleet: &Fleet, nodes: usize, cost: f64, gap: f64) {
    let catalog = catalog::builtin("generic").unwrap();
    let snapshot = fleet.snapshot(&catalog, fleet.pods);
    let provisioning = provision::Options::default();
    let mut decided = consolidate(&snapshot, &catalog, &Options::default());
    decided.bound = lower_bound(&snapshot, (&catalog, &provisioning), &decided);
    let mut wrong = check_consolidation(&snapshot, &catalog, &decided);
    wrong.extend(check_lower_bound(&snapshot, (&catalog, &provisioning), &decided));
    assert!(wrong.is_empty(), "{}", wrong[0]);
    let left = fleet.nodes - decided.removals.len();
    let costs = decided.costs_per_hour().1.unwrap().units();
    let above = decided.gap().unwrap();
    println!("{left} nodes are left of {}, for {costs:.2}, {:.2} % above the bound", fleet.nodes, 100.0 * above);
    assert!(left <= nodes && costs <= cost && above <= gap);
}

/// Karpenter stops at 15.
#[test]
fn eleven_of_a_hundred_nodes_are_enough() {
    shrinks_to(&FLEETS[0], 11, 1.20, 0.08);
}

/// Karpenter is at 100 nodes for 12.03 after ten minutes and some replacements.
#[test]
fn a_thousand_nodes_shrink_to_a_hundred_and_seven_at_most() {
    shrinks_to(&FLEETS[1], 107, 11.62, 0.04);
}

/// Half of the nodes at least must stay for what the pods request, whatever else is decided.
#[test]
fn five_thousand_nodes_shrink_to_what_their_pods_request() {
    shrinks_to(&FLEETS[3], 2_532, 593.41, 0.10);
}
