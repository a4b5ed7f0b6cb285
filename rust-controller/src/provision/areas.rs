//! Which area each pod goes to, of those with rules that areas decide.

use std::collections::BTreeMap;

use super::existing::{Waiting, place_until_nothing_changes};
use super::market::Market;
use crate::feasibility::{ClassId, NodeId, Simulation};

/// Pods that were sent to an area, in an order in which the rules allow it.
pub(super) type Settled = Vec<(usize, usize)>;

/// Which area a pod prefers: the smallest.
type Preference = (u64, i64, usize);

/// What has been sent where.
struct Settling<'m, 'a> {
    market: &'m Market<'a>,
    /// By class, a node of each area that would suit it.
    suiting: BTreeMap<ClassId, Vec<Option<NodeId>>>,
    /// By look and area, how many pods were sent there.
    alike: BTreeMap<(usize, usize), u64>,
    /// By area, what those pods request of the first resource.
    load: Vec<i64>,
    settled: Settled,
}

/// Sends each pod to an area where the rules about other pods allow it: where the fewest pods are that look the same to
/// others, so that those who count them find them evenly spread; then where least has been sent. Pods that may go nowhere
/// are asked again as long as that helps, and left out in the end. The simulation is as before when this returns.
///
/// Where there is one area, nothing is decided: O(pods × areas × terms).
pub(super) fn settle(
    positions: &[usize],
    pods: &[Waiting<'_>],
    market: &Market<'_>,
    simulation: &mut Simulation,
) -> Settled {
    if market.area_count() < 2 {
        return Settled::new();
    }
    let load = vec![0; market.area_count()];
    let mut settling =
        Settling { market, suiting: BTreeMap::new(), alike: BTreeMap::new(), load, settled: Settled::new() };
    let with_class = positions.iter().map(|pod| (*pod, pods[*pod].class));
    let mut waiting: Vec<(usize, ClassId)> =
        with_class.filter(|(_, class)| simulation.depends_on_area(*class)).collect();
    let mut counted: Vec<(ClassId, NodeId)> = Vec::new();
    place_until_nothing_changes(&mut waiting, |(pod, class)| {
        let Some((area, node)) = settling.choose(*class, simulation) else { return false };
        simulation.count_in_area(*class, node, true);
        settling.send(*pod, *class, area, simulation);
        counted.push((*class, node));
        true
    });
    for (class, node) in counted.into_iter().rev() {
        simulation.count_in_area(class, node, false);
    }
    settling.settled
}

impl Settling<'_, '_> {
    fn choose(&mut self, class: ClassId, simulation: &Simulation) -> Option<(usize, NodeId)> {
        let market = self.market;
        let suiting = self.suiting.entry(class).or_insert_with(|| market.suiting_by_area(class, simulation));
        let look = simulation.look(class);
        let preference = |area: usize| -> Preference {
            (self.alike.get(&(look, area)).copied().unwrap_or(0), self.load[area], area)
        };
        let allowed = suiting.iter().enumerate().filter_map(|(area, node)| Some((area, (*node)?)));
        let allowed = allowed.filter(|(_, node)| simulation.may_be_in_area(class, *node));
        allowed.min_by_key(|(area, _)| preference(*area))
    }

    fn send(&mut self, pod: usize, class: ClassId, area: usize, simulation: &Simulation) {
        *self.alike.entry((simulation.look(class), area)).or_default() += 1;
        let first = simulation.requests(class).first().map_or(0, |(_, amount)| *amount);
        self.load[area] = self.load[area].saturating_add(first);
        self.settled.push((pod, area));
    }
}
