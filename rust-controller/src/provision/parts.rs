//! The market in parts that have nothing to do with one another.
//!
//! A node has the labels of one `NodePool`, so pods that ask for different ones never share a node. They are served apart:
//! prices, fillings and mergers then cost what each set of labels costs by itself, not the product of sets and pods.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::lots::{Lot, Lots};
use super::market::Market;
use super::mixture::Batch;

/// Offers, and all the lots that they may hold.
pub(super) struct Part<'l> {
    /// Positions among the market's.
    pub(super) offers: &'l [usize],
    pub(super) lots: Cow<'l, Lots>,
    /// By number of the lot here, its number among all; none where they are the same.
    numbers: Option<Vec<usize>>,
}

impl Part<'_> {
    /// A batch of this part, with the numbers that offers and lots have in the whole.
    pub(super) fn in_market(&self, batch: Batch) -> Batch {
        let lot = |lot: usize| self.numbers.as_ref().map_or(lot, |numbers| numbers[lot]);
        // Numbers here are in the order of those there, so the filling stays sorted.
        let filling = batch.filling.into_iter().map(|(number, count)| (lot(number), count)).collect();
        Batch { offer: self.offers[batch.offer], filling, nodes: batch.nodes }
    }
}

/// The parts of the market that somebody needs, each with its lots. O(lots + seats they take).
pub(super) fn parts<'l>(market: &'l Market<'_>, lots: &'l Lots) -> Vec<Part<'l>> {
    let mut of_part: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, lot) in lots.all.iter().enumerate() {
        if let Some(part) = market.part_of(lot.needs) {
            of_part.entry(part).or_default().push(number);
        }
    }
    let is_whole = |numbers: &Vec<usize>| numbers.len() == lots.all.len();
    let part = |(part, numbers): (usize, Vec<usize>)| {
        let offers = market.offers_of_part(part);
        if is_whole(&numbers) {
            return Part { offers, lots: Cow::Borrowed(lots), numbers: None };
        }
        Part { offers, lots: Cow::Owned(some(lots, &numbers)), numbers: Some(numbers) }
    };
    of_part.into_iter().map(part).collect()
}

/// Some of the lots, with the seats that they take.
fn some(lots: &Lots, numbers: &[usize]) -> Lots {
    let mut seats = Vec::new();
    let mut seat_numbers: BTreeMap<usize, usize> = BTreeMap::new();
    let mut seat = |seat: &usize| {
        *seat_numbers.entry(*seat).or_insert_with(|| {
            seats.push(lots.seats[*seat]);
            seats.len() - 1
        })
    };
    let lot = |number: &usize| {
        let lot = &lots.all[*number];
        Lot { seats: lot.seats.iter().map(&mut seat).collect(), ..lot.clone() }
    };
    let all = numbers.iter().map(lot).collect();
    Lots { all, seats }
}
