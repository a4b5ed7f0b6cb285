//! Nodes that pods share which ask for different labels.
//!
//! A mixture is put together for each set of labels by itself, which leaves room on the nodes bought last of each. A node may
//! have more labels than some of its pods ask for. So where that costs less, the pods of a node move to what others have left,
//! or two nodes become one with the labels of both.

use std::collections::BTreeMap;

use super::effort::Effort;
use super::fill::Filling;
use super::lots::Lots;
use super::market::{Market, Offer};
use super::mixture::{Batch, may_hold};

/// So many nodes are looked at, those bought last for each set of labels.
const MOST_NODES: usize = 1_000;

/// So many of them are held against each other in pairs.
const MOST_PAIRED: usize = 24;

/// What saves less saves nothing.
const LEAST_SAVING: f64 = 1e-9;

/// The same pods on nodes that cost less, if some are found. `lots` need what they do in company.
///
/// O(nodes² × lots of a node + pairs × offers) for the nodes that are looked at.
pub(super) fn share(market: &Market<'_>, lots: &Lots, batches: &[Batch], effort: &Effort) -> Option<Vec<Batch>> {
    let mut sharing = Sharing::of(market, lots, batches);
    let moved = sharing.move_to_others();
    let merged = sharing.merge_pairs();
    effort.spend(sharing.steps);
    (moved || merged).then(|| sharing.into_batches())
}

/// A node with its pods.
#[derive(Clone)]
struct Node {
    offer: usize,
    /// How many pods of each lot.
    pods: BTreeMap<usize, u32>,
    /// What they leave, by number of the resource.
    free: Vec<i64>,
}

struct Sharing<'s, 'a> {
    market: &'s Market<'a>,
    lots: &'s Lots,
    nodes: Vec<Node>,
    /// Those that are not looked at.
    others: Vec<Batch>,
    /// By set of labels, the offers with them by price.
    offers: BTreeMap<usize, Vec<usize>>,
    /// What has been looked at, as [`Effort`] counts it.
    steps: u64,
}

impl<'s, 'a> Sharing<'s, 'a> {
    fn of(market: &'s Market<'a>, lots: &'s Lots, batches: &[Batch]) -> Self {
        let mut offers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for offer in 0..market.offers.len() {
            offers.entry(market.label_set(offer)).or_default().push(offer);
        }
        let price = |offer: &usize| market.offers[*offer].price;
        for offers in offers.values_mut() {
            offers.sort_by(|one, other| price(one).total_cmp(&price(other)));
        }
        let mut sharing = Self { market, lots, nodes: Vec::new(), others: Vec::new(), offers, steps: 0 };
        sharing.take_last(batches);
        sharing
    }

    /// Takes the nodes bought last for each set of labels, first one of each, then another.
    fn take_last(&mut self, batches: &[Batch]) {
        let mut of_set: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, batch) in batches.iter().enumerate() {
            of_set.entry(self.market.label_set(batch.offer)).or_default().push(number);
        }
        let mut left: Vec<u32> = batches.iter().map(|batch| batch.nodes).collect();
        while self.nodes.len() < MOST_NODES && !of_set.is_empty() {
            for numbers in of_set.values_mut() {
                while numbers.last().is_some_and(|last| left[*last] == 0) {
                    numbers.pop();
                }
                if let Some(last) = numbers.last().filter(|_| self.nodes.len() < MOST_NODES) {
                    left[*last] -= 1;
                    let Batch { offer, filling, .. } = &batches[*last];
                    self.nodes.push(self.node(*offer, filling.iter().copied().collect()));
                }
            }
            of_set.retain(|_, numbers| !numbers.is_empty());
        }
        let rest = batches.iter().zip(left).filter(|(_, nodes)| *nodes > 0);
        self.others = rest
            .map(|(Batch { offer, filling, .. }, nodes)| Batch { offer: *offer, filling: filling.clone(), nodes })
            .collect();
    }

    fn node(&self, offer: usize, pods: BTreeMap<usize, u32>) -> Node {
        let mut free = self.offer(offer).room.clone();
        for (lot, count) in &pods {
            for (free, asked) in free.iter_mut().zip(&self.lots.all[*lot].requests) {
                *free = free.saturating_sub(asked.saturating_mul(i64::from(*count)));
            }
        }
        Node { offer, pods, free }
    }

    fn offer(&self, number: usize) -> &'s Offer<'a> {
        &self.market.offers[number]
    }

    /// How many more pods of a lot a node takes.
    fn takes(&self, node: &Node, lot: usize) -> u32 {
        let asked = &self.lots.all[lot];
        let room = asked.requests.iter().zip(&node.free).filter(|(asked, _)| **asked > 0);
        let room = room.map(|(asked, free)| (*free).max(0) / asked).min().unwrap_or(i64::MAX);
        let seats = asked.seats.iter().map(|seat| self.lots.seats[*seat].saturating_sub(self.taken(node, *seat)));
        let fitting = seats.min().unwrap_or(u32::MAX).min(u32::try_from(room).unwrap_or(u32::MAX));
        if fitting > 0 && may_hold(self.offer(node.offer), asked) { fitting } else { 0 }
    }

    fn taken(&self, node: &Node, seat: usize) -> u32 {
        node.pods.iter().filter(|(lot, _)| self.lots.all[**lot].seats.contains(&seat)).map(|(_, count)| count).sum()
    }

    /// Pods of one node after the other, the dearest first, move to what nodes for other labels have left, if all do or what is
    /// left fits a cheaper node. Whether any did.
    fn move_to_others(&mut self) -> bool {
        let mut improved = false;
        let price = |node: &usize| self.offer(self.nodes[*node].offer).price;
        let mut dearest: Vec<usize> = (0..self.nodes.len()).collect();
        dearest.sort_by(|one, other| price(other).total_cmp(&price(one)).then(other.cmp(one)));
        for from in dearest {
            improved |= self.move_from(from);
        }
        self.nodes.retain(|node| !node.pods.is_empty());
        improved
    }

    fn move_from(&mut self, from: usize) -> bool {
        let own = self.market.label_set(self.nodes[from].offer);
        let mut rest = self.nodes[from].pods.clone();
        let mut moves: Vec<(usize, Node)> = Vec::new();
        for to in 0..self.nodes.len() {
            self.steps += rest.len() as u64;
            let node = &self.nodes[to];
            if rest.is_empty() || to == from || node.pods.is_empty() || self.market.label_set(node.offer) == own {
                continue;
            }
            if rest.keys().all(|lot| self.takes(node, *lot) == 0) {
                continue;
            }
            let mut receiver = node.clone();
            for (lot, left) in &mut rest {
                let count = self.takes(&receiver, *lot).min(*left);
                if count > 0 {
                    *left -= count;
                    let mut pods = receiver.pods;
                    *pods.entry(*lot).or_default() += count;
                    receiver = self.node(receiver.offer, pods);
                }
            }
            rest.retain(|_, left| *left > 0);
            if receiver.pods != node.pods {
                moves.push((to, receiver));
            }
        }
        let before = self.offer(self.nodes[from].offer).price;
        let left = if rest.is_empty() {
            Some(self.node(self.nodes[from].offer, rest))
        } else {
            self.cheapest(&[own], rest, before)
        };
        let Some(left) = left.filter(|_| !moves.is_empty()) else { return false };
        self.nodes[from] = left;
        for (to, receiver) in moves {
            self.nodes[to] = receiver;
        }
        true
    }

    /// The cheapest node with one of these sets of labels that holds so many pods, if it costs less than this.
    fn cheapest(&mut self, sets: &[usize], pods: BTreeMap<usize, u32>, less_than: f64) -> Option<Node> {
        let mut best: Option<(f64, usize)> = None;
        for set in sets {
            let limit = best.map_or(less_than - LEAST_SAVING, |(price, _)| price);
            let offers = self.offers.get(set).into_iter().flatten().copied();
            let mut affordable = offers.take_while(|offer| self.offer(*offer).price < limit);
            let holds = |offer: &usize| {
                let all_there = pods.keys().all(|lot| may_hold(self.offer(*offer), &self.lots.all[*lot]));
                all_there && self.node(*offer, pods.clone()).free.iter().all(|free| *free >= 0)
            };
            if let Some(offer) = affordable.find(holds) {
                best = Some((self.offer(offer).price, offer));
            }
            self.steps += self.offers.get(set).map_or(0, Vec::len) as u64;
        }
        best.map(|(_, offer)| self.node(offer, pods))
    }

    /// Two nodes become one that costs less than both, with labels that are what the pods of both ask for, as long as there
    /// are such: always those that save the most. Whether any did.
    fn merge_pairs(&mut self) -> bool {
        let mut improved = false;
        while let Some((left, right, merged)) = self.best_merge() {
            self.nodes[left] = merged;
            self.nodes.remove(right);
            improved = true;
        }
        improved
    }

    fn best_merge(&mut self) -> Option<(usize, usize, Node)> {
        let mut best: Option<(f64, usize, usize, Node)> = None;
        for right in 1..self.nodes.len().min(MOST_PAIRED) {
            for left in 0..right {
                let (one, other) = (&self.nodes[left], &self.nodes[right]);
                let mut pods = one.pods.clone();
                for (lot, count) in &other.pods {
                    *pods.entry(*lot).or_default() += count;
                }
                let now = self.offer(one.offer).price + self.offer(other.offer).price;
                let sets = self.sets_for(one.offer, other.offer);
                let limit = best.as_ref().map_or(now, |(saving, ..)| now - saving);
                if sets.is_empty() || self.are_crowded(&pods) {
                    continue;
                }
                if let Some(merged) = self.cheapest(&sets, pods, limit) {
                    best = Some((now - self.offer(merged.offer).price, left, right, merged));
                }
            }
        }
        best.map(|(_, left, right, merged)| (left, right, merged))
    }

    /// The sets of labels that a node for the pods of two nodes may have; none where both have the same.
    fn sets_for(&self, one: usize, other: usize) -> Vec<usize> {
        let (one, other) = (self.market.label_set(one), self.market.label_set(other));
        if one == other {
            return Vec::new();
        }
        [one, other].into_iter().chain(self.market.shared_label_sets().iter().copied()).collect()
    }

    /// Whether no node has seats for so many.
    fn are_crowded(&self, pods: &BTreeMap<usize, u32>) -> bool {
        let mut taken: BTreeMap<usize, u32> = BTreeMap::new();
        for (lot, count) in pods {
            self.lots.all[*lot].seats.iter().for_each(|seat| *taken.entry(*seat).or_default() += count);
        }
        taken.into_iter().any(|(seat, taken)| taken > self.lots.seats[seat])
    }

    fn into_batches(self) -> Vec<Batch> {
        let filling = |pods: BTreeMap<usize, u32>| pods.into_iter().collect::<Filling>();
        let nodes =
            self.nodes.into_iter().map(|Node { offer, pods, .. }| Batch { offer, filling: filling(pods), nodes: 1 });
        self.others.into_iter().chain(nodes).collect()
    }
}
