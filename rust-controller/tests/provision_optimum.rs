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

/// How many plans cost more than this.
fn count(all: &[Compared], least: impl Fn(&Compared) -> u64) -> usize {
    all.iter().filter(|each| each.cost > least(each)).count()
}
