//! Nodes that no rule about a node by itself can tell apart have one shape; such rules are asked once for each shape.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Rule;
use super::interner::Interner;
use super::node_selector::term_matches;
use super::target::{PlacementRule, RULES, Target};
use crate::model::{NodeSelectorTerm, Operator, Placement, Requirement, Taint, TaintEffect};
use crate::units::FastMap;

/// What rules look at on nodes: label keys, and of their values those that some rule names.
#[derive(Clone, Debug, Default)]
pub(super) struct Attention {
    keys: BTreeMap<String, Values>,
    /// Node names that some rule names.
    names: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
struct Values {
    /// The key's place among all.
    number: usize,
    named: BTreeSet<String>,
    /// Some rule compares them as numbers, so every one counts.
    all: bool,
}

/// What rules see of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Seen {
    name: Option<String>,
    /// Those that it has, by number of the key.
    labels: Vec<(usize, Look)>,
    taints: Vec<Taint>,
    unschedulable: bool,
}

/// What rules see of a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Look {
    /// A value that no rule names.
    Other,
    Value(String),
}

impl Attention {
    pub(super) fn of<'a>(placements: &'a [Placement], terms: impl IntoIterator<Item = &'a NodeSelectorTerm>) -> Self {
        let mut attention = Self::default();
        for placement in placements {
            attention.names.extend(placement.node_name.clone());
            for (key, value) in &placement.node_selector {
                attention.pay(&Requirement::equals(key, value));
            }
        }
        for term in terms {
            term.labels.iter().for_each(|requirement| attention.pay(requirement));
            attention.names.extend(term.fields.iter().flat_map(|field| field.values.iter().cloned()));
        }
        attention.keys.values_mut().enumerate().for_each(|(number, values)| values.number = number);
        attention
    }

    fn pay(&mut self, requirement: &Requirement) {
        let values = self.keys.entry(requirement.key.clone()).or_default();
        match requirement.operator {
            Operator::In | Operator::NotIn => values.named.extend(requirement.values.iter().cloned()),
            Operator::Gt | Operator::Lt => values.all = true,
            Operator::Exists | Operator::DoesNotExist => {}
        }
    }

    pub(super) fn see(&self, target: &Target<'_>) -> Seen {
        let look = |key: &String| {
            let (values, value) = (self.keys.get(key)?, target.label(key)?);
            let counts = values.all || values.named.contains(value);
            Some((values.number, if counts { Look::Value(value.to_owned()) } else { Look::Other }))
        };
        // Rules may name many keys of which each node has few.
        let mut labels: Vec<(usize, Look)> = if self.keys.len() <= target.labels.len() {
            self.keys.keys().filter_map(look).collect()
        } else {
            target.labels.keys().chain(target.template_labels.keys()).filter_map(look).collect()
        };
        labels.sort_unstable_by_key(|(number, _)| *number);
        labels.dedup_by_key(|(number, _)| *number);
        let hard = target.taints.iter().filter(|taint| taint.effect != TaintEffect::PreferNoSchedule);
        Seen {
            name: target.name.filter(|name| self.names.contains(*name)).map(str::to_owned),
            labels,
            taints: hard.cloned().collect(),
            unschedulable: target.unschedulable,
        }
    }
}

/// The shape of each node, and a node that stands for each shape.
#[derive(Clone, Debug, Default)]
pub(super) struct Shapes {
    seen: Interner<Seen>,
    /// By node.
    of_node: Vec<usize>,
    /// By shape.
    representatives: Vec<usize>,
}

impl Shapes {
    /// The next node.
    pub(super) fn add(&mut self, attention: &Attention, target: &Target<'_>) {
        let shape = self.seen.number(attention.see(target));
        if shape == self.representatives.len() {
            self.representatives.push(self.of_node.len());
        }
        self.of_node.push(shape);
    }

    /// The next node, like another one but for its name.
    pub(super) fn add_like(&mut self, other: usize) {
        self.of_node.push(self.of_node[other]);
    }

    pub(super) fn of(&self, node: usize) -> usize {
        self.of_node[node]
    }
}

/// One bit for each of [`RULES`]: set where it refuses.
pub(super) type RefusingRules = u8;

/// What stands for a shape that nobody has asked about.
const UNASKED: RefusingRules = RefusingRules::MAX;

/// By set of racks and by shape, the racks of which a node of that shape can attach the volumes.
type ReachedRacks = FastMap<(usize, usize), Arc<[usize]>>;

/// What the rules about a node by itself say, by placement or volume, and by shape. Filled in as it is asked for.
#[derive(Clone, Debug)]
pub(super) struct ShapeVerdicts {
    /// By shape. Where pods ask for many labels, most placements meet few of the shapes.
    placements: Vec<RefCell<Vec<RefusingRules>>>,
    volumes: Vec<RefCell<Vec<Option<bool>>>>,
    racks: RefCell<ReachedRacks>,
}

impl ShapeVerdicts {
    pub(super) fn new(placements: usize, volumes: usize) -> Self {
        Self {
            placements: vec![RefCell::default(); placements],
            volumes: vec![RefCell::default(); volumes],
            racks: RefCell::default(),
        }
    }

    /// Which rules refuse a placement on a shape.
    pub(super) fn refusing<'n>(
        &self,
        number: usize,
        placement: &Placement,
        (shapes, shape): (&Shapes, usize),
        target: impl Fn(usize) -> Target<'n>,
    ) -> RefusingRules {
        let mut row = self.placements[number].borrow_mut();
        let known = row.get(shape).copied().filter(|known| *known != UNASKED);
        known.unwrap_or_else(|| {
            let target = target(shapes.representatives[shape]);
            let refuses =
                |(at, (_, rule)): (usize, &(Rule, PlacementRule))| u8::from(rule(placement, &target).is_some()) << at;
            put(&mut row, shape, RULES.iter().enumerate().map(refuses).sum(), UNASKED)
        })
    }

    /// The racks of a set of which a shape can attach the volumes.
    pub(super) fn reached_racks(&self, set: usize, shape: usize, find: impl FnOnce() -> Vec<usize>) -> Arc<[usize]> {
        Arc::clone(self.racks.borrow_mut().entry((set, shape)).or_insert_with(|| find().into()))
    }

    /// Whether a shape has the labels that one of the terms asks for.
    pub(super) fn reaches<'n>(
        &self,
        number: usize,
        terms: &[NodeSelectorTerm],
        (shapes, shape): (&Shapes, usize),
        target: impl Fn(usize) -> Target<'n>,
    ) -> bool {
        let mut row = self.volumes[number].borrow_mut();
        let known = row.get(shape).copied().flatten();
        known.unwrap_or_else(|| {
            let target = target(shapes.representatives[shape]);
            let reaches = terms.iter().any(|term| term_matches(term, &target));
            put(&mut row, shape, Some(reaches), None);
            reaches
        })
    }
}

/// Puts what has been found at a place of a row, which grows as far as that.
fn put<T: Copy>(row: &mut Vec<T>, at: usize, found: T, unasked: T) -> T {
    if row.len() <= at {
        row.resize(at + 1, unasked);
    }
    row[at] = found;
    found
}
