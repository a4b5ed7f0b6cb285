//! Random cases, the same in every run, and the smallest bad one of them.

use std::fmt::Debug;

/// A sequence of numbers that a seed determines: `SplitMix64`.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(0x1234_5678_9abc_def1))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// What can be made smaller, one part at a time.
pub(crate) trait Shrink: Clone + Debug {
    /// Each case that lacks one part of this one.
    fn smaller(&self) -> impl Iterator<Item = Self>;
}

/// Asks for complaints about as many random cases, and shows the smallest that can be found of the first bad one.
pub(crate) fn for_each_case<Case: Shrink>(
    cases: u64,
    generate: impl Fn(&mut Random) -> Case,
    mut complaints: impl FnMut(&Case, &mut Random) -> Vec<String>,
) {
    for seed in 0..cases {
        let mut case = generate(&mut Random::new(seed));
        let mut found = complaints(&case, &mut Random::new(seed));
        if found.is_empty() {
            continue;
        }
        loop {
            let judged = case.smaller().map(|smaller| (complaints(&smaller, &mut Random::new(seed)), smaller));
            let Some(bad) = judged.into_iter().find(|(found, _)| !found.is_empty()) else { break };
            (found, case) = bad;
        }
        panic!("seed {seed}:\n{}\nin {case:#?}", found.join("\n"));
    }
}
