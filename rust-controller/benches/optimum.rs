//! How often plans for a handful of pods are the cheapest of all possible plans: `cargo bench --bench optimum`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark on data of its own")]

#[path = "../tests/common/compared.rs"]
mod compared;
#[path = "../tests/common/exhaustive.rs"]
mod exhaustive;
#[path = "../tests/common/random.rs"]
#[expect(dead_code, reason = "tests of random cases use the rest")]
mod random;
#[path = "../tests/common/tiny.rs"]
mod tiny;

use compared::{Compared, compared, share, unplaced, worst};

const CASES: u64 = 8_000;

fn main() {
    let all = compared(CASES);
    let excesses =
        |least: fn(&Compared) -> u64| all.iter().map(|each| share(each.cost, least(each))).collect::<Vec<f64>>();
    println!("those stay on existing nodes that fit: {}", figures(&excesses(|each| each.least)));
    println!("anybody may be on existing nodes: {}", figures(&excesses(|each| each.least_of_all)));
    println!("{}", worst(&all));
    println!("{}", unplaced(&all));
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
