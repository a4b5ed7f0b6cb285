//! Consolidations of small fleets against an exhaustive search over every set of nodes and every place of their pods.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/random.rs"]
#[expect(dead_code, reason = "tests that show the smallest bad case use the rest")]
mod random;

#[path = "common/fleets.rs"]
mod fleets;

use std::cmp::Reverse;

use fleets::{Guest, Host, SIZES, TYPES, come, fleet, manifest, takes};
use mini_karpenter::check::check_consolidation;
use mini_karpenter::consolidate::{Options, consolidate};
use mini_karpenter::units::Money;
use mini_karpenter::{catalog, lower};
use random::Random;

const CASES: u64 = 400;

/// Whether all of these find a place, by trying everything.
fn fit(hosts: &mut [Host], removed: u32, guests: &[Guest]) -> bool {
    let Some((guest, rest)) = guests.split_first() else { return true };
    for at in (0..hosts.len()).filter(|at| removed >> at & 1 == 0) {
        if takes(&hosts[at], guest) {
            let before = hosts[at].clone();
            come(&mut hosts[at], guest);
            if fit(hosts, removed, rest) {
                return true;
            }
            hosts[at] = before;
        }
    }
    false
}

/// The most that could be saved, in thousandths.
fn most_savings(hosts: &[Host], guests: &[Guest]) -> u64 {
    let mut most = 0;
    for removed in 1..(1_u32 << hosts.len()) - 1 {
        let gone = |at: &usize| removed >> at & 1 == 1;
        let saved = (0..hosts.len()).filter(gone).map(|at| SIZES[hosts[at].size].2).sum();
        let mut moving: Vec<Guest> = guests.iter().copied().filter(|guest| gone(&guest.host)).collect();
        moving.sort_by_key(|guest| Reverse(guest.asked));
        if saved > most && fit(&mut hosts.to_vec(), removed, &moving) {
            most = saved;
        }
    }
    most
}

#[test]
fn small_fleets_shrink_as_far_as_exhaustive_search_finds() {
    let catalog = catalog::parse("test", TYPES).unwrap();
    let (mut optimal, mut removals) = (0, 0);
    for seed in 0..CASES {
        let (hosts, guests) = fleet(&mut Random::new(seed), 8, 16);
        let snapshot = lower::parse_manifest(&manifest(&hosts, &guests)).unwrap().into_snapshot();
        let decided = consolidate(&snapshot, &catalog, &Options::default());
        let wrong = check_consolidation(&snapshot, &catalog, &decided);
        assert!(wrong.is_empty(), "seed {seed}: {}", wrong[0]);
        let most = most_savings(&hosts, &guests);
        let saved = decided.savings_per_hour().map(Money::get).unwrap_or_default() / 1_000_000;
        assert!(saved <= most, "seed {seed}: saves {saved} of at most {most}");
        let bound = decided.bound.as_ref().map_or(0.0, |bound| bound.per_hour);
        let after = decided.costs_per_hour().1.unwrap().units();
        assert!(bound <= after, "seed {seed}: costs {after}, and no less than {bound} is possible");
        optimal += u64::from(saved == most);
        removals += decided.removals.len();
    }
    println!("{optimal} of {CASES} fleets are at the optimum; {removals} removals");
    assert!(optimal * 100 >= CASES * 99, "{optimal} of {CASES} are at the optimum");
    assert!(removals > 500, "the cases say little: {removals} removals");
}
