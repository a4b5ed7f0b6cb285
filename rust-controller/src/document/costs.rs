//! What nodes cost, also where not every price is known.

use super::prices;
use super::table::Table;
use crate::model::Catalog;
use crate::snapshot::Snapshot;
use crate::units::Money;

/// Hours in a month as clouds bill it: 365 days in 12 months.
pub(super) const HOURS_PER_MONTH: f64 = 730.0;

/// What a number of nodes cost together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    nodes: usize,
    /// Those of them whose price is not known.
    unknown: usize,
    /// What the others cost.
    known_per_hour: Money,
}

impl Cost {
    /// Of one node for each price per hour.
    pub fn of(prices: impl IntoIterator<Item = Option<Money>>) -> Self {
        prices.into_iter().fold(Self::default(), |cost, price| cost.and(Self::of_one(price)))
    }

    /// Of the nodes that are there, by what they say that they are.
    #[must_use]
    pub fn now(snapshot: &Snapshot, catalog: &Catalog) -> Self {
        Self::of(snapshot.nodes().iter().map(|node| catalog.price_per_hour(&node.labels)))
    }

    fn of_one(price: Option<Money>) -> Self {
        Self { nodes: 1, unknown: usize::from(price.is_none()), known_per_hour: price.unwrap_or_default() }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            nodes: self.nodes + other.nodes,
            unknown: self.unknown + other.unknown,
            known_per_hour: self.known_per_hour.saturating_add(other.known_per_hour),
        }
    }

    /// How many nodes that is.
    pub(super) fn nodes(self) -> usize {
        self.nodes
    }

    /// The price of how many of them is not known.
    pub(super) fn unknown(self) -> usize {
        self.unknown
    }

    /// What those cost whose price is known.
    pub(super) fn known_per_hour(self) -> Money {
        self.known_per_hour
    }

    /// `None` where a price is not known.
    pub(super) fn per_hour(self) -> Option<Money> {
        (self.unknown == 0).then_some(self.known_per_hour)
    }

    /// An amount that is made of the known prices; they alone are the least that the nodes can cost.
    pub(super) fn cell(self, amount: String) -> String {
        match self.unknown {
            0 => amount,
            unknown if unknown == self.nodes => "unknown".to_owned(),
            _ => format!("≥ {amount}"),
        }
    }

    fn row(self, what: &str) -> [String; 5] {
        [
            what.to_owned(),
            self.nodes.to_string(),
            self.cell(format!("{:.4}", self.known_per_hour.units())),
            self.cell(format!("{:.2}", self.known_per_hour.units() * HOURS_PER_MONTH)),
            if self.unknown == 0 { String::new() } else { format!("price of {} not known", self.unknown) },
        ]
    }
}

/// What the nodes cost now, those to add, and all of them together; empty where there are none.
pub(super) fn cost_table(now: Cost, to_add: Cost, catalog: &Catalog) -> String {
    if now.and(to_add).nodes == 0 {
        return String::new();
    }
    let heading = format!("COST IN {}", catalog.currency);
    let mut table = Table::new(&[&heading, "NODES", "PER HOUR", "PER MONTH", ""], &[1, 2, 3]);
    if now.nodes > 0 {
        table.row(now.row("now"));
    }
    if to_add.nodes > 0 {
        table.row(to_add.row("to add"));
    }
    // Files without nodes say nothing of what a cluster costs.
    if now.nodes > 0 && to_add.nodes > 0 {
        table.row(now.and(to_add).row("after"));
    }
    format!("{}Prices: {}\n", table.render(), prices::origin(catalog))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::builtin;

    fn cost(prices: &[Option<f64>]) -> Cost {
        Cost::of(prices.iter().map(|price| price.map(|price| Money::from_units(price).unwrap())))
    }

    fn lines(now: Cost, to_add: Cost) -> Vec<String> {
        cost_table(now, to_add, &builtin("aws").unwrap()).lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_is_there_and_what_is_added_come_to_what_it_will_cost() {
        let lines = lines(cost(&[Some(0.1), Some(0.25)]), cost(&[Some(1.0)]));
        assert_eq!(
            lines[..4],
            [
                "COST IN USD  NODES  PER HOUR  PER MONTH",
                "now              2    0.3500     255.50",
                "to add           1    1.0000     730.00",
                "after            3    1.3500     985.50",
            ]
        );
        assert!(lines[4].starts_with("Prices: aws, us-east-1, "), "{lines:?}");
    }

    #[test]
    fn unknown_prices_are_counted_and_never_zero() {
        let (some, none) = (cost(&[Some(0.1), None, None]), cost(&[None]));
        assert_eq!((some.per_hour(), none.per_hour()), (None, None));
        let lines = lines(some, none);
        assert_eq!(lines[1], "now              3  ≥ 0.1000    ≥ 73.00  price of 2 not known");
        assert_eq!(lines[2], "to add           1   unknown    unknown  price of 1 not known");
        assert_eq!(lines[3], "after            4  ≥ 0.1000    ≥ 73.00  price of 3 not known");
    }

    #[test]
    fn without_nodes_there_is_no_cost_and_without_a_cluster_only_that_of_new_ones() {
        assert!(lines(Cost::default(), Cost::default()).is_empty());
        assert_eq!(Cost::default().per_hour(), Some(Money::ZERO));
        let new_ones = lines(Cost::default(), cost(&[Some(1.0)]));
        assert!(new_ones[1].starts_with("to add ") && new_ones.len() == 3, "{new_ones:?}");
        let nothing_new = lines(cost(&[Some(1.0)]), Cost::default());
        assert!(nothing_new[1].starts_with("now ") && nothing_new.len() == 3, "{nothing_new:?}");
    }
}
