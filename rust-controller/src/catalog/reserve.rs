//! Graduated reservations: a share of the first so much, a smaller share of the next, and so on.

/// A step of a graduated reservation: from where the step before ends up to `up_to`, this many ten-thousandths.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) up_to: u64,
    pub(super) ten_thousandths: u64,
}

/// The parts of one unit that [`shares`] counts in.
pub(super) const PARTS: u64 = 10_000;

/// What each step takes of an amount, in [`PARTS`] of the amount's unit.
pub(super) fn shares(amount: u64, steps: &[Step]) -> impl Iterator<Item = u64> {
    let starts = std::iter::once(0).chain(steps.iter().map(|step| step.up_to));
    steps
        .iter()
        .zip(starts)
        .map(move |(step, start)| amount.min(step.up_to).saturating_sub(start).saturating_mul(step.ten_thousandths))
}

/// Steps from pairs of upper bound and ten-thousandths.
pub(super) const fn steps<const N: usize>(pairs: [(u64, u64); N]) -> [Step; N] {
    let mut steps = [Step { up_to: u64::MAX, ten_thousandths: 0 }; N];
    let mut index = 0;
    while index < N {
        steps[index] = Step { up_to: pairs[index].0, ten_thousandths: pairs[index].1 };
        index += 1;
    }
    steps
}

/// Milli-cores that EKS and GKE reserve of so many: 6 % of the first core, 1 % of the second, 0.5 % of the next two,
/// 0.25 % of the rest, each share in whole milli-cores.
pub(super) fn eks_and_gke_millicores(millicores: u64) -> u64 {
    const STEPS: [Step; 4] = steps([(1000, 600), (2000, 100), (4000, 50), (u64::MAX, 25)]);
    shares(millicores, &STEPS).map(|share| share / PARTS).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_taken_of_the_part_within_each_step() {
        let steps = steps([(10, 5000), (20, 1000), (u64::MAX, 1)]);
        for (amount, expected) in
            [(0, [0, 0, 0]), (10, [50_000, 0, 0]), (15, [50_000, 5000, 0]), (120, [50_000, 10_000, 100])]
        {
            assert_eq!(shares(amount, &steps).collect::<Vec<_>>(), expected, "{amount}");
        }
    }

    #[test]
    fn cpu_of_eks_and_gke_is_as_their_documents_list_it() {
        for (cores, millicores) in [(1, 60), (2, 70), (4, 80), (8, 90), (16, 110), (32, 150), (64, 230), (96, 310)] {
            assert_eq!(eks_and_gke_millicores(cores * 1000), millicores, "{cores}");
        }
    }
}
