//! The sets of labels that `NodePool`s could add.

use std::collections::BTreeSet;

use super::Shape;
use super::shape::labels_meeting;
use crate::model::{Labels, Requirement};

/// So many sets at most are there only for nodes that pods share which ask for different labels.
const MOST_SHARED: usize = 16;

/// None are where pods ask for labels in more ways than this: pairs would be looked at by the thousand.
const MOST_WAYS: usize = 64;

/// What a pod asks of labels that node types do not have.
type Asked<'s> = BTreeSet<&'s Requirement>;

/// Those that each shape asks for, none, and those that several shapes ask for together, as far as they contradict each other in
/// nothing. A set for several has no label whose values are domains over which pods spread: it could be one domain more.
///
/// O(shapes + pairs of ways in which labels are asked for).
pub(super) fn label_sets<'s>(
    shapes: impl Iterator<Item = &'s Shape> + Clone,
    spread_keys: &BTreeSet<&str>,
) -> BTreeSet<Labels> {
    let mut sets: BTreeSet<Labels> = shapes.clone().map(|shape| shape.template_labels.clone()).collect();
    sets.insert(Labels::new());
    let ways: BTreeSet<Asked<'s>> = shapes.map(|shape| shape.own.iter().collect()).collect();
    let mut ways: Vec<Asked<'s>> = ways.into_iter().filter(|way| !way.is_empty()).collect();
    if ways.len() > MOST_WAYS {
        return sets;
    }
    let most = sets.len() + MOST_SHARED;
    let mut right = 1;
    while right < ways.len() {
        for left in 0..right {
            let both: Asked<'s> = ways[left].union(&ways[right]).copied().collect();
            let labels = labels_meeting(&both).filter(|labels| !labels.keys().any(|key| spread_keys.contains(&**key)));
            if let Some(labels) = labels
                && sets.len() < most
                && sets.insert(labels)
            {
                ways.push(both);
            }
        }
        right += 1;
    }
    sets
}
