//! The market in parts that have nothing to do with one another.
//!
//! A node has the labels of one `NodePool`. Pods that ask for different ones are served apart: prices, fillings and mergers then
//! cost what each set of labels costs by itself, not the product of sets and pods. What their nodes have left is shared later.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::lots::{Lot, Lots};
use super::market::{Groups, Market};
use super::mixture::Batch;

/// Offers, and all the lots that they may hold.
pub(super) struct Part<'l> {
    /// Positions among the market's.
    pub(super) offers: Cow<'l, [usize]>,
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

/// The parts of the market that somebody needs, each with its lots. Parts between which pods that must be together could
/// choose are one. O(lots + seats they take), and O(offers) more for each lot of pods that need different things.
pub(super) fn parts<'l>(market: &'l Market<'_>, lots: &'l Lots) -> Vec<Part<'l>> {
    let mut groups = Groups::of(market.part_count());
    let mut any_part = Vec::new();
    for (number, lot) in lots.all.iter().enumerate() {
        let parts = market.parts_of(&lot.needs);
        let Some(first) = parts.first().copied() else { continue };
        for part in parts {
            groups.join(first, part);
        }
        any_part.push((number, first));
    }
    let mut of_part: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, part) in any_part {
        of_part.entry(groups.first(part)).or_default().push(number);
    }
    let mut joined: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for part in 0..market.part_count() {
        joined.entry(groups.first(part)).or_default().push(part);
    }
    let is_whole = |numbers: &Vec<usize>| numbers.len() == lots.all.len();
    let part = |(part, numbers): (usize, Vec<usize>)| {
        let offers = offers(market, &joined[&part]);
        if is_whole(&numbers) {
            return Part { offers, lots: Cow::Borrowed(lots), numbers: None };
        }
        Part { offers, lots: Cow::Owned(some(lots, &numbers)), numbers: Some(numbers) }
    };
    of_part.into_iter().map(part).collect()
}

/// Those of some parts of the market, in its order.
fn offers<'l>(market: &'l Market<'_>, parts: &[usize]) -> Cow<'l, [usize]> {
    if let [part] = parts {
        return Cow::Borrowed(market.offers_of_part(*part));
    }
    let mut offers: Vec<usize> = parts.iter().flat_map(|part| market.offers_of_part(*part)).copied().collect();
    offers.sort_unstable();
    Cow::Owned(offers)
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
