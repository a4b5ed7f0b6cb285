//! Nodes emptied one after the other, as somebody would do it.

use super::fleet::{Fleet, Passenger};
use super::joint::Joint;
use crate::provision::place_until_nothing_changes;

/// A node that goes.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) node: usize,
    /// Its passengers by their place, each with its destination, in an order in which each finds it free.
    pub(super) moves: Vec<(usize, usize)>,
}

impl Step {
    /// The node itself, and those that its pods go to.
    pub(super) fn nodes(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.node).chain(self.moves.iter().map(|(_, to)| *to))
    }
}

/// Does what was chosen: awaited pods come first, and where one of them finds no place nothing is done; then nodes in this order,
/// and one whose pods are refused is tried again after the others. Those that could not go are back. Pods go where they were to
/// go, or, if that is refused, wherever they may.
pub(super) fn replay(fleet: &mut Fleet<'_>, joint: &Joint, mut order: Vec<usize>) -> Vec<Step> {
    for node in &order {
        fleet.open(*node, false);
    }
    let mut steps = Vec::new();
    let nowhere = fleet.nowhere();
    if !fleet.awaited.is_empty() {
        steps.extend(empty(fleet, nowhere, joint.of(nowhere)));
    }
    let have_come = fleet.awaited.is_empty() || !steps.is_empty();
    place_until_nothing_changes(&mut order, |node| {
        if !have_come {
            return false;
        }
        let step = empty(fleet, *node, joint.of(*node)).ok();
        let goes = step.is_some();
        steps.extend(step);
        goes
    });
    for node in &order {
        fleet.open(*node, true);
    }
    steps
}

/// As if the steps had not been done.
pub(super) fn undo(fleet: &mut Fleet<'_>, steps: &[Step]) {
    for Step { node, moves } in steps.iter().rev() {
        take_back(fleet, *node, moves);
        fleet.restore(*node);
        fleet.open(*node, true);
    }
}

/// Does steps once more that were undone.
pub(super) fn redo(fleet: &mut Fleet<'_>, steps: &[Step]) {
    for Step { node, moves } in steps {
        fleet.remove(*node);
        for (seat, destination) in moves {
            let class = fleet.passengers(*node)[*seat].class;
            fleet.return_to(class, *destination);
        }
    }
}

/// Empties a node. On failure nothing is changed, and the passengers without a place are returned.
pub(super) fn empty(fleet: &mut Fleet<'_>, node: usize, wanted: &[Option<usize>]) -> Result<Step, Vec<usize>> {
    fleet.remove(node);
    let mut moves = Vec::new();
    let mut waiting: Vec<usize> = (0..fleet.passengers(node).len()).collect();
    place_until_nothing_changes(&mut waiting, |seat| {
        let Passenger { class, .. } = fleet.passengers(node)[*seat];
        let wanted = wanted.get(*seat).copied().flatten();
        let destination = wanted.filter(|wanted| fleet.place_on(class, *wanted)).or_else(|| fleet.place(class));
        moves.extend(destination.map(|destination| (*seat, destination)));
        destination.is_some()
    });
    if waiting.is_empty() {
        return Ok(Step { node, moves });
    }
    take_back(fleet, node, &moves);
    fleet.restore(node);
    Err(waiting)
}

fn take_back(fleet: &mut Fleet<'_>, node: usize, moves: &[(usize, usize)]) {
    for (seat, destination) in moves.iter().rev() {
        let class = fleet.passengers(node)[*seat].class;
        fleet.take(class, *destination);
    }
}
