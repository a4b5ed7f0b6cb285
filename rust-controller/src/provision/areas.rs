//! Which area each pod goes to, of those with rules that areas decide.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::existing::{Waiting, place_until_nothing_changes};
use super::market::Market;
use crate::feasibility::{ClassId, NodeId, Simulation};

/// Pods that were sent to an area, in an order in which the rules allow it.
pub(super) type Settled = Vec<(usize, usize)>;

/// Which area a pod prefers: the smallest.
type Preference = (Reverse<usize>, u64, i64, usize);

/// A class of pods that wait for others to be near, how many they are, and whether it is their host that they must share.
#[derive(Clone, Copy)]
struct Followers {
    class: ClassId,
    pods: usize,
    on_host: bool,
}

/// What has been sent where.
struct Settling<'m, 'a> {
    market: &'m Market<'a>,
    /// By class, a node of each area that would suit it.
    suiting: BTreeMap<ClassId, Vec<Option<NodeId>>>,
    /// By look and area, how many pods were sent there.
    alike: BTreeMap<(usize, usize), u64>,
    /// By area, what those pods request of the first resource.
    load: Vec<i64>,
    /// By affinity group, those that may be nowhere before a pod that the group looks for has come to an area of theirs.
    waiting_for: BTreeMap<usize, Vec<Followers>>,
    settled: Settled,
}

/// Sends each pod to an area where the rules about other pods allow it: where most of those that wait for it could follow;
/// then where the fewest pods are that look the same to others, so that those who count them find them evenly spread; then
/// where least has been sent. Of pods with one priority those come first that fewest areas suit, since the others can give
/// way. Pods that may go nowhere are asked again as long as that helps, and left out in the end. The simulation is as before
/// when this returns.
///
/// Where there is one area, nothing is decided: O(pods × areas × terms), and as much for each class that waits for others
/// which have not come.
pub(super) fn settle(
    positions: &[usize],
    pods: &[Waiting<'_>],
    market: &Market<'_>,
    simulation: &mut Simulation,
) -> Settled {
    if market.area_count() < 2 {
        return Settled::new();
    }
    let mut settling = Settling::new(market);
    let with_class = positions.iter().map(|pod| (*pod, pods[*pod].class));
    let mut waiting: Vec<(usize, ClassId)> =
        with_class.filter(|(_, class)| simulation.depends_on_area(*class)).collect();
    settling.find_suiting(&waiting, simulation);
    settling.find_followers(positions.iter().map(|pod| pods[*pod].class), simulation);
    settling.sort(&mut waiting, pods);
    let mut counted: Vec<(ClassId, NodeId)> = Vec::new();
    place_until_nothing_changes(&mut waiting, |(pod, class)| {
        let Some((area, node)) = settling.choose(*class, simulation) else { return false };
        simulation.count_in_area(*class, node, true);
        settling.send(*pod, *class, area, simulation);
        settling.forget_reached(*class, area, simulation);
        counted.push((*class, node));
        true
    });
    for (class, node) in counted.into_iter().rev() {
        simulation.count_in_area(class, node, false);
    }
    settling.settled
}

impl<'m, 'a> Settling<'m, 'a> {
    fn new(market: &'m Market<'a>) -> Self {
        let load = vec![0; market.area_count()];
        let (suiting, alike, waiting_for) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { market, suiting, alike, load, waiting_for, settled: Settled::new() }
    }

    fn find_suiting(&mut self, waiting: &[(usize, ClassId)], simulation: &Simulation) {
        for (_, class) in waiting {
            let suiting = || self.market.suiting_by_area(*class, simulation);
            self.suiting.entry(*class).or_insert_with(suiting);
        }
    }

    /// Those whose group has nobody yet, or nobody in an area of theirs.
    fn find_followers(&mut self, classes: impl Iterator<Item = ClassId>, simulation: &Simulation) {
        let mut pods_of: BTreeMap<ClassId, usize> = BTreeMap::new();
        for class in classes {
            *pods_of.entry(class).or_default() += 1;
        }
        for (class, pods) in pods_of {
            let (group, waits, on_host) = match (simulation.wide_group(class), simulation.host_group(class)) {
                (Some((group, is_empty)), _) => (group, is_empty || !self.may_go_somewhere(class, simulation), false),
                (None, Some((group, _))) => (group, true, true),
                (None, None) => continue,
            };
            if waits {
                self.suiting.entry(class).or_insert_with(|| self.market.suiting_by_area(class, simulation));
                self.waiting_for.entry(group).or_default().push(Followers { class, pods, on_host });
            }
        }
    }

    /// Those that fewest areas suit come first, among those of one priority; who is urgent stays before them.
    fn sort(&self, waiting: &mut [(usize, ClassId)], pods: &[Waiting<'_>]) {
        let areas = |class: ClassId| self.suiting[&class].iter().flatten().count();
        let first = waiting.iter().position(|(pod, _)| !pods[*pod].urgent).unwrap_or(waiting.len());
        waiting[first..].sort_by_key(|(pod, class)| (Reverse(pods[*pod].pod.priority), areas(*class)));
    }

    fn may_go_somewhere(&self, class: ClassId, simulation: &Simulation) -> bool {
        self.suiting[&class].iter().flatten().any(|node| simulation.may_be_in_area(class, *node))
    }

    fn choose(&self, class: ClassId, simulation: &mut Simulation) -> Option<(usize, NodeId)> {
        let suiting = self.suiting[&class].iter().enumerate();
        let allowed = suiting.filter_map(|(area, node)| Some((area, (*node)?)));
        let allowed: Vec<(usize, NodeId)> =
            allowed.filter(|(_, node)| simulation.may_be_in_area(class, *node)).collect();
        let look = simulation.look(class);
        let waiting_for = simulation.groups_finding(class).filter_map(|group| self.waiting_for.get(&group));
        let followers: Vec<Followers> = waiting_for.flatten().copied().collect();
        let mut preference = |area: usize, node: NodeId| -> Preference {
            let reached = self.reached(&followers, (class, area, node), simulation);
            let alike = self.alike.get(&(look, area)).copied().unwrap_or(0);
            (Reverse(reached), alike, self.load[area], area)
        };
        allowed.into_iter().min_by_key(|(area, node)| preference(*area, *node))
    }

    /// How many of the pods that wait could go somewhere if a pod of the class came to the area, in which the node is.
    fn reached(
        &self,
        followers: &[Followers],
        (class, area, node): (ClassId, usize, NodeId),
        simulation: &mut Simulation,
    ) -> usize {
        if followers.is_empty() {
            return 0;
        }
        simulation.count_in_area(class, node, true);
        let could = followers.iter().filter(|followers| self.may_follow(followers, area, simulation));
        let reached = could.map(|followers| followers.pods).sum();
        simulation.count_in_area(class, node, false);
        reached
    }

    /// Whether pods that wait may go somewhere, now that one for which they wait is in the area.
    fn may_follow(&self, followers: &Followers, area: usize, simulation: &Simulation) -> bool {
        let Followers { class, on_host, .. } = *followers;
        if on_host { self.suiting[&class][area].is_some() } else { self.may_go_somewhere(class, simulation) }
    }

    /// Those that may go somewhere, now that a pod of the class has come to the area, wait no longer.
    fn forget_reached(&mut self, class: ClassId, area: usize, simulation: &Simulation) {
        for group in simulation.groups_finding(class) {
            let Some(mut waiting) = self.waiting_for.remove(&group) else { continue };
            waiting.retain(|followers| !self.may_follow(followers, area, simulation));
            if !waiting.is_empty() {
                self.waiting_for.insert(group, waiting);
            }
        }
    }

    fn send(&mut self, pod: usize, class: ClassId, area: usize, simulation: &Simulation) {
        *self.alike.entry((simulation.look(class), area)).or_default() += 1;
        let first = simulation.requests(class).first().map_or(0, |(_, amount)| *amount);
        self.load[area] = self.load[area].saturating_add(first);
        self.settled.push((pod, area));
    }
}
