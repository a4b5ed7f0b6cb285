//! Steps written into the plans of their nodes, with all that a person has to know of them.

use std::sync::Arc;

use super::evictions::Evictions;
use super::fleet::{Fleet, Passenger};
use super::replay::Step;
use super::requested::Requested;
use super::{Move, NodePlan, Verdict};

/// The plans of all nodes, as steps are written into them in their order.
pub(super) struct Writer<'f> {
    fleet: &'f Fleet<'f>,
    pub(super) plans: Vec<NodePlan>,
    evictions: &'f Evictions<'f>,
    requested: Requested<'f>,
}

impl<'f> Writer<'f> {
    pub(super) fn new(
        fleet: &'f Fleet<'f>,
        plans: Vec<NodePlan>,
        evictions: &'f Evictions<'f>,
        requested: Requested<'f>,
    ) -> Self {
        Self { fleet, plans, evictions, requested }
    }

    /// Nodes that are being deleted: their pods come to where room is kept for them, whoever evicts them.
    pub(super) fn write_displaced(&mut self, steps: &[Step]) {
        for step in steps {
            self.write_moves(step);
        }
    }

    /// Nodes that go.
    pub(super) fn write_removals(&mut self, steps: &[Step]) {
        let mut waves = self.evictions.budgets.waves();
        let being_deleted = self.fleet.stops.iter().zip(&self.plans).filter(|(_, plan)| plan.node.deleting);
        waves.spend(being_deleted.flat_map(|(stop, _)| &stop.passengers).map(|passenger| &**passenger.pod));
        for step in steps {
            self.write_moves(step);
            let plan = &mut self.plans[step.node];
            plan.verdict = Verdict::Remove;
            plan.unread_budgets = !plan.moves.is_empty() && self.evictions.budgets.are_unread();
            (plan.wave, plan.in_turns) = waves.next(plan.moves.iter().map(|each| &*each.pod));
        }
    }

    fn write_moves(&mut self, Step { node, moves }: &Step) {
        let place = |(seat, to): &(usize, usize)| {
            let Passenger { pod, class, .. } = self.fleet.stops[*node].passengers[*seat];
            let unchecked_rules = self.fleet.simulation.unchecked_rules(class);
            let warnings = self.evictions.warnings(pod);
            Move { pod: Arc::clone(pod), destination: self.plans[*to].node.name.clone(), unchecked_rules, warnings }
        };
        let placed = moves.iter().map(place).collect();
        let passengers = &self.fleet.stops[*node].passengers;
        let coming = moves.iter().map(|(seat, to)| (&**passengers[*seat].pod, *to));
        let destinations = self.requested.come(coming, &self.plans);
        let plan = &mut self.plans[*node];
        plan.destinations = destinations;
        plan.moves = placed;
    }
}
