//! What a unit of each resource is worth: the dual of the cheapest mixture of nodes.
//!
//! The cheapest mixture covers a demand with fractions of nodes: least `Σ price[t]·x[t]` such that
//! `Σ offered[t][r]·x[t] ≥ demand[r]` for every row `r`. Its dual asks for prices of the rows: most `Σ demand[r]·y[r]`
//! such that no node offers more than it costs, `Σ offered[t][r]·y[r] ≤ price[t]`. Both have the same value, and any
//! `y` that keeps to its limits proves that no nodes cost less.
//!
//! Of some nodes there are only so many, `x[t] ≤ supply[t]`. They may offer more than they cost, at the price of
//! `supply[t]·(Σ offered[t][r]·y[r] − price[t])` for the value.

/// Keeps every rounding on the safe side: far above the error of the floating-point operations.
const SAFETY: f64 = 1.0 - 1e-9;

/// Below this a coefficient is rounding error.
const TINY: f64 = 1e-11;

/// Prices `y ≥ 0` of the rows, with `Σ offered[t][r]·y[r] ≤ price[t]` up to rounding error for every node `t`, that give
/// the largest `Σ demand[r]·y[r]`: a simplex over the dual, from `y = 0`.
///
/// `offered` has one slice for each node, as long as `demand`; prices are not negative. Each pivot takes
/// O(nodes × rows); their number is bounded, and what is reached by then keeps to the limits, too.
#[must_use]
pub fn dual_prices<'a>(offered: impl Iterator<Item = (&'a [f64], f64)>, demand: &[f64]) -> Vec<f64> {
    prices_of(offered.map(|(amounts, price)| Limit { amounts, price, supply: f64::INFINITY }), demand)
}

/// What a node offers of each row, for how much, and how many such nodes there are; infinity for any number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit<'a> {
    pub(super) amounts: &'a [f64],
    pub(super) price: f64,
    pub(super) supply: f64,
}

impl Limit<'_> {
    /// By how much it offers more than it costs, at these prices.
    fn excess(&self, prices: &[f64]) -> f64 {
        (dot(self.amounts, prices) - self.price).max(0.0)
    }
}

fn dot(amounts: &[f64], prices: &[f64]) -> f64 {
    amounts.iter().zip(prices).map(|(each, price)| each * price).sum()
}

fn prices_of<'a>(limits: impl Iterator<Item = Limit<'a>>, demand: &[f64]) -> Vec<f64> {
    let rows = demand.len();
    // Rows are scaled to a demand of 1, so that bytes and cores are of one size.
    let scale: Vec<f64> = demand.iter().map(|demand| if *demand > 0.0 { 1.0 / demand } else { 0.0 }).collect();
    let mut tableau = Tableau::new(rows);
    for Limit { amounts, price, supply } in limits {
        tableau.limit(amounts.iter().zip(&scale).map(|(amount, scale)| amount * scale), price, supply);
    }
    for _ in 0..16 * (rows + 4) {
        if !tableau.pivot() {
            break;
        }
    }
    let scaled = tableau.solution();
    scaled.iter().zip(&scale).map(|(price, scale)| price * scale).collect()
}

/// The same, scaled down so that no node of which there is any number offers more than it costs, and what the demand is worth
/// at least at these prices, less what the other nodes offer beyond their price.
pub(super) fn safe_prices(limits: &[Limit<'_>], demand: &[f64]) -> (Vec<f64>, f64) {
    let mut prices = prices_of(limits.iter().copied(), demand);
    let (scarce, others): (Vec<&Limit<'_>>, Vec<&Limit<'_>>) =
        limits.iter().partition(|limit| limit.supply.is_finite());
    // What a node offers that costs nothing is worth nothing, and not what rounding may leave of it.
    for limit in others.iter().filter(|limit| limit.price <= 0.0) {
        prices.iter_mut().zip(limit.amounts).filter(|(_, amount)| **amount > 0.0).for_each(|(price, _)| *price = 0.0);
    }
    // What rounding has put above a limit comes down again.
    let costly = others.iter().filter(|limit| limit.price > 0.0);
    let most = costly.map(|limit| dot(limit.amounts, &prices) / limit.price).fold(1.0, f64::max);
    for price in &mut prices {
        *price *= SAFETY / most;
    }
    let excess: f64 = scarce.iter().map(|limit| limit.supply * limit.excess(&prices)).sum();
    let worth = dot(demand, &prices) * SAFETY - excess / SAFETY;
    (prices, worth)
}

/// Limits in terms of the variables that are zero now.
struct Tableau {
    rows: usize,
    /// By limit, `rows` coefficients and what is left of the limit.
    limits: Vec<f64>,
    /// What one more of each zero variable adds to the value.
    gains: Vec<f64>,
    /// Variables below `rows` are prices of rows; the others are what is left of limits.
    zero: Vec<usize>,
    basic: Vec<usize>,
    /// By limit, what a unit costs by which it is exceeded. What is left of a limit, and what it is exceeded by, share a variable:
    /// one of them is zero, and a column is turned where the other is to grow.
    supply: Vec<f64>,
}

impl Tableau {
    fn new(rows: usize) -> Self {
        Self {
            rows,
            limits: Vec::new(),
            gains: vec![1.0; rows],
            zero: (0..rows).collect(),
            basic: Vec::new(),
            supply: Vec::new(),
        }
    }

    fn limit(&mut self, amounts: impl Iterator<Item = f64>, price: f64, supply: f64) {
        self.limits.extend(amounts);
        self.limits.push(price);
        self.basic.push(self.rows + self.basic.len());
        self.supply.push(supply);
    }

    /// What a zero variable would add if its column were turned.
    fn turned_gain(&self, column: usize) -> f64 {
        let supply = self.zero[column].checked_sub(self.rows).map_or(f64::INFINITY, |limit| self.supply[limit]);
        // Not for rounding errors.
        -self.gains[column] - supply * (1.0 + 1e-9)
    }

    fn turn(&mut self, column: usize) {
        let supply = self.zero[column].checked_sub(self.rows).map_or(0.0, |limit| self.supply[limit]);
        self.gains[column] = -self.gains[column] - supply;
        self.limits.iter_mut().skip(column).step_by(self.rows + 1).for_each(|coefficient| *coefficient = -*coefficient);
    }

    /// One step to a better vertex; `false` where there is none.
    fn pivot(&mut self) -> bool {
        let gain = |column: usize| self.gains[column].max(self.turned_gain(column));
        let best = (0..self.rows).max_by(|left, right| {
            gain(*left).total_cmp(&gain(*right)).then_with(|| self.zero[*right].cmp(&self.zero[*left]))
        });
        let Some(column) = best.filter(|column| gain(*column) > TINY) else { return false };
        if self.turned_gain(column) > self.gains[column] {
            self.turn(column);
        }
        let width = self.rows + 1;
        let ratio = |limit: usize| {
            let coefficient = self.limits[limit * width + column];
            (coefficient > TINY).then(|| self.limits[limit * width + self.rows] / coefficient)
        };
        let tightest = (0..self.basic.len()).filter_map(|limit| Some((ratio(limit)?, limit))).min_by(|left, right| {
            left.0.total_cmp(&right.0).then_with(|| self.basic[left.1].cmp(&self.basic[right.1]))
        });
        // A row that no node offers has no limit, and no price.
        let Some((_, limit)) = tightest else {
            self.gains[column] = 0.0;
            return true;
        };
        self.swap(limit, column);
        true
    }

    fn swap(&mut self, limit: usize, column: usize) {
        let width = self.rows + 1;
        let (before, rest) = self.limits.split_at_mut(limit * width);
        let (row, after) = rest.split_at_mut(width);
        let pivot = row[column];
        row[column] = 1.0;
        for coefficient in row.iter_mut() {
            *coefficient /= pivot;
        }
        for other in before.chunks_exact_mut(width).chain(after.chunks_exact_mut(width)) {
            eliminate(other, row, column);
        }
        let gain = std::mem::replace(&mut self.gains[column], 0.0);
        for (each, coefficient) in self.gains.iter_mut().zip(row.iter()) {
            *each -= gain * coefficient;
        }
        std::mem::swap(&mut self.basic[limit], &mut self.zero[column]);
    }

    fn solution(&self) -> Vec<f64> {
        let mut prices = vec![0.0; self.rows];
        for (limit, variable) in self.basic.iter().enumerate() {
            if let Some(price) = prices.get_mut(*variable) {
                *price = self.limits[limit * (self.rows + 1) + self.rows].max(0.0);
            }
        }
        prices
    }
}

fn eliminate(row: &mut [f64], pivot_row: &[f64], column: usize) {
    let factor = std::mem::replace(&mut row[column], 0.0);
    if factor != 0.0 {
        for (each, coefficient) in row.iter_mut().zip(pivot_row) {
            *each -= factor * coefficient;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(types: &[(&[f64], f64)], demand: &[f64]) -> f64 {
        let prices = dual_prices(types.iter().copied(), demand);
        for (amounts, price) in types {
            let offered: f64 = amounts.iter().zip(&prices).map(|(amount, unit)| amount * unit).sum();
            assert!(offered <= price * (1.0 + 1e-9), "{prices:?} offers {offered} for {price}");
        }
        demand.iter().zip(&prices).map(|(demand, price)| demand * price).sum()
    }

    #[test]
    fn the_value_is_what_the_cheapest_mixture_costs() {
        // For 10 cores and 30 GiB: 6 nodes of 1 core and 4 GiB for 3 each, and 2 of 2 cores and 3 GiB for 4.
        let types: &[(&[f64], f64)] = &[(&[1.0, 4.0], 3.0), (&[2.0, 3.0], 4.0)];
        assert!((value(types, &[10.0, 30.0]) - 26.0).abs() < 1e-9);
        // Only cores are scarce, or only memory: five nodes of the second kind, or ten of the first.
        assert!((value(types, &[10.0, 1.0]) - 20.0).abs() < 1e-9);
        assert!((value(types, &[0.0, 40.0]) - 30.0).abs() < 1e-9);
    }

    #[test]
    fn of_a_cheap_node_that_is_there_once_only_one_is_taken() {
        let one = |price: f64, supply: f64| Limit { amounts: &[4.0], price, supply };
        let least = |limits: &[Limit<'_>], demand: f64| safe_prices(limits, &[demand]).1;
        let close = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
        // Two for 1 each, one for 2, and any number for 3.
        let limits = [one(1.0, 2.0), one(2.0, 1.0), one(3.0, f64::INFINITY)];
        for (demand, expected) in [(4.0, 1.0), (8.0, 2.0), (10.0, 3.0), (12.0, 4.0), (20.0, 10.0)] {
            close(least(&limits, demand), expected);
        }
        // One that costs nothing.
        close(least(&[one(0.0, 1.0), one(3.0, f64::INFINITY)], 8.0), 3.0);
        close(least(&[one(0.0, f64::INFINITY), one(3.0, f64::INFINITY)], 8.0), 0.0);
    }

    #[test]
    fn what_nobody_offers_has_no_price() {
        let types: &[(&[f64], f64)] = &[(&[1.0, 0.0], 3.0)];
        assert_eq!(dual_prices(types.iter().copied(), &[2.0, 5.0]), [3.0, 0.0]);
    }
}
