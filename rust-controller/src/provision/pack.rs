//! All pods that fit no existing node, onto new nodes.

use std::collections::{BTreeMap, BTreeSet};

use super::areas::{Settled, settle};
use super::bins::{Bin, Bins, Slots};
use super::bundles::Bundles;
use super::effort::Effort;
use super::existing::{Waiting, place_until_nothing_changes};
use super::launch::{Launch, Launches};
use super::lots::{Lots, Unit};
use super::market::Market;
use super::mixture::{Batch, Terms, cheapest_mixture};
use super::repack::{MOST_PODS, Repacked, repack};
use super::share::share;
use super::singles::Singles;
use super::zones::fill_up;
use super::{LowerBound, Options};
use crate::feasibility::{ClassId, Simulation};
use crate::model::{Pod, key};

/// How often the joint plan is made again for pods that found no place in the last one. Each time fewer are left, and those
/// that need more rounds are the business of [`Singles`].
const ROUNDS: usize = 4;

/// Whether nodes are sought for several pods at once: for those that must share a host, and for those that could share one in
/// spite of different labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    Sought,
    /// Each pod looks for a place by itself.
    Ignored,
}

/// What was packed. Pods by their position among those that were given.
pub(super) struct Packed<'a> {
    pub(super) bins: Vec<Bin<'a>>,
    /// Those that were placed, in that order.
    pub(super) order: Vec<usize>,
    /// The others.
    pub(super) left_out: Vec<usize>,
    /// What knows why.
    pub(super) singles: Singles<'a>,
    /// Launches that no other beats.
    pub(super) unbeaten: Vec<Launch<'a>>,
    /// The least that any nodes for those that were placed would cost.
    pub(super) bound: Option<LowerBound>,
    /// Whether the domains of all nodes that could join counted as long as pods were placed.
    pub(super) all_domains_counted: bool,
    /// Where they did not: zones that would do, if there are others.
    pub(super) fewer_zones: Option<BTreeSet<&'a str>>,
    /// Whether some pods are where they are because no other node comes and none of these is empty.
    pub(super) hosts_are_final: bool,
    /// Whether every zone has as many nodes as the options ask for.
    pub(super) zones_are_full: bool,
}

/// New nodes for pods, in this order where it matters.
///
/// First every node that could join counts where pods are spread, so that none that joins later undoes what was decided
/// before. Pods that find no place so may find one where nodes are already, and no others come; and in the end one on these
/// very nodes: daemon pods may be among those that are counted, so that no host is empty.
pub(super) fn pack<'a>(
    pods: &[Waiting<'_>],
    launches: &'a Launches<'a>,
    (options, company, effort): (&Options, Company, &Effort),
    simulation: &mut Simulation,
) -> Packed<'a> {
    let mut classes: BTreeMap<ClassId, &Pod> = BTreeMap::new();
    for Waiting { class, pod, .. } in pods {
        classes.entry(*class).or_insert(pod);
    }
    let market = Market::of(&classes, launches, simulation);
    let mut waiting: Vec<usize> = (0..pods.len()).collect();
    let mut bins = Bins::default();
    simulation.expect_new_nodes(launches.nodes());
    for _ in 0..ROUNDS {
        let before = waiting.len();
        if !bins.all.is_empty() {
            waiting.retain(|pod| !bins.place_anywhere(*pod, pods[*pod].class, &market, simulation));
        }
        waiting = round(pods, &waiting, &market, (options, company, effort), &mut bins, simulation);
        if waiting.is_empty() || waiting.len() == before {
            break;
        }
    }
    let mut singles = Singles::new(launches);
    place_until_nothing_changes(&mut waiting, |pod| singles.place(*pod, &pods[*pod], (&mut bins, &market), simulation));
    let all_domains_counted = waiting.iter().all(|pod| pods[*pod].pod.neighbours.spread.is_empty());
    let mut zones = None;
    if !all_domains_counted {
        let spread = waiting.iter().map(|pod| &pods[*pod]).filter(|waiting| is_spread_wider(waiting.pod));
        zones = fewer_zones(spread.map(|waiting| waiting.class).collect(), classes.keys(), &market, simulation);
        simulation.expect_known_domains_only(launches.nodes());
        singles.open_no_domain();
        place_until_nothing_changes(&mut waiting, |pod| {
            singles.place(*pod, &pods[*pod], (&mut bins, &market), simulation)
        });
    }
    let is_over_hosts = |pod: &usize| is_spread_over_hosts(pods[*pod].pod);
    let before = waiting.len();
    if waiting.iter().any(is_over_hosts) {
        simulation.expect_no_new_nodes(launches.nodes());
        singles.open_no_host();
        place_until_nothing_changes(&mut waiting, |pod| {
            singles.place(*pod, &pods[*pod], (&mut bins, &market), simulation)
        });
    }
    let hosts_are_final = waiting.len() < before;
    let nodes_per_zone = options.min_nodes_per_zone;
    let zones_are_full = if hosts_are_final {
        nodes_per_zone == 0
    } else {
        fill_up(nodes_per_zone, pods, (launches, &market), &mut bins, simulation)
    };
    bins.resize(&market, pods, simulation);
    // A cheaper type may have more room, of what nobody asked for.
    bins.forget_refusals();
    place_until_nothing_changes(&mut waiting, |pod| bins.place_anywhere(*pod, pods[*pod].class, &market, simulation));
    effort.spend((pods.len() + bins.asked) as u64);
    let placed: Vec<&Waiting<'_>> = bins.order.iter().map(|pod| &pods[*pod]).collect();
    Packed {
        bound: LowerBound::of(&placed, &market, simulation),
        unbeaten: market.of_types.iter().map(|offer| offer.launch).collect(),
        all_domains_counted,
        fewer_zones: zones.filter(|_| nodes_per_zone == 0),
        hosts_are_final,
        zones_are_full,
        bins: bins.all,
        order: bins.order,
        left_out: waiting,
        singles,
    }
}

fn is_spread_over_hosts(pod: &Pod) -> bool {
    pod.neighbours.spread.iter().any(|constraint| constraint.topology_key == key::HOSTNAME)
}

/// Whether over zones, or anything else that is wider than a host.
fn is_spread_wider(pod: &Pod) -> bool {
    pod.neighbours.spread.iter().any(|constraint| constraint.topology_key != key::HOSTNAME)
}

/// The zones where pods that are spread can be, and where those can be that can be in none of these: a zone that nobody opens is
/// none that is empty. `None` where that is all of them.
fn fewer_zones<'a, 'c>(
    spread: BTreeSet<ClassId>,
    all: impl Iterator<Item = &'c ClassId>,
    market: &Market<'a>,
    simulation: &Simulation,
) -> Option<BTreeSet<&'a str>> {
    let mut zones: BTreeSet<&str> =
        spread.into_iter().flat_map(|class| market.zones_suiting(class, simulation)).collect();
    if zones.is_empty() {
        return None;
    }
    for class in all {
        let own = market.zones_suiting(*class, simulation);
        if own.is_disjoint(&zones) {
            zones.extend(own);
        }
    }
    (zones.len() < market.zone_count).then_some(zones)
}

/// Nodes for pods, and the order in which pods come to areas.
struct Packing {
    settled: Settled,
    lots: Lots,
    batches: Vec<Batch>,
}

/// Plans nodes for all these pods at once, and puts on them whom the rules allow there. Returns the others.
fn round<'a>(
    pods: &[Waiting<'_>],
    waiting: &[usize],
    market: &Market<'a>,
    (options, company, effort): (&Options, Company, &Effort),
    bins: &mut Bins<'a>,
    simulation: &mut Simulation,
) -> Vec<usize> {
    let settled = settle(waiting, pods, market, simulation);
    let area_of = area_of(&settled, pods.len());
    let may_go_somewhere =
        |pod: usize| market.area_count() < 2 || area_of[pod].is_some() || !simulation.depends_on_area(pods[pod].class);
    let bundles = match company {
        Company::Sought => Bundles::of(waiting, pods, market, simulation),
        Company::Ignored => Bundles::none(pods.len()),
    };
    let placeable = waiting.iter().copied().filter(|pod| may_go_somewhere(*pod) && !bundles.follows(*pod));
    let units =
        placeable.map(|pod| Unit { pod, class: pods[pod].class, area: area_of[pod], bundle: bundles.led_by(pod) });
    let units: Vec<Unit<'_>> = units.collect();
    let lots = Lots::of(market, &units, simulation);
    let terms = terms(options, market, &lots);
    let batches = cheapest_mixture(market, &lots, terms, effort);
    let packing = Packing { settled, lots, batches };
    if terms.nodes_per_zone == 0 && company == Company::Sought {
        let may_repack = pods.len() <= MOST_PODS;
        let leading = waiting.iter().filter(|pod| !bundles.follows(**pod)).count();
        for cheaper in packing.cheaper(&units, (market, may_repack), effort, simulation) {
            let before = bins.mark();
            let left = seat(pods, waiting, (&cheaper, &bundles), market, bins, simulation);
            // All have their seats for whom there was one.
            if left.len() + cheaper.places() <= leading && !left.iter().any(|pod| bundles.follows(*pod)) {
                return left;
            }
            bins.return_to(before, pods, simulation);
        }
    }
    seat(pods, waiting, (&packing, &bundles), market, bins, simulation)
}

/// By pod, the area that it was sent to.
fn area_of(settled: &Settled, pods: usize) -> Vec<Option<usize>> {
    let mut area_of = vec![None; pods];
    for (pod, area) in settled {
        area_of[*pod] = Some(*area);
    }
    area_of
}

/// Puts pods on new nodes, as the packing has it, if the rules allow it. Returns the others.
///
/// Those that were sent to an area first, in that order, since their rules hold in that order; then those with other rules
/// about their neighbours, and then those who mind nobody.
fn seat<'a>(
    pods: &[Waiting<'_>],
    waiting: &[usize],
    (packing, bundles): (&Packing, &Bundles),
    market: &Market<'a>,
    bins: &mut Bins<'a>,
    simulation: &mut Simulation,
) -> Vec<usize> {
    let Packing { settled, lots, batches } = packing;
    let mut slots = Slots::open(&lots.all, pods.len(), batches, market, bins, simulation);
    let area_of = area_of(settled, pods.len());
    let others = waiting.iter().copied().filter(|pod| area_of[*pod].is_none());
    let (minding, plain): (Vec<usize>, Vec<usize>) =
        others.partition(|pod| simulation.depends_on_others(pods[*pod].class));
    let mut placed = vec![false; pods.len()];
    for pod in settled.iter().map(|(pod, _)| *pod).chain(minding).chain(plain) {
        let Some(bin) = slots.seat(pod, pods[pod].class, bins, simulation) else { continue };
        placed[pod] = true;
        for follower in bundles.led_by(pod).into_iter().flat_map(|bundle| &bundle.followers) {
            placed[*follower] = bins.place_on(*follower, pods[*follower].class, bin, simulation);
        }
    }
    bins.drop_empty(simulation);
    waiting.iter().copied().filter(|pod| !placed[*pod]).collect()
}

impl Packing {
    /// Others for the same units that cost less, the cheapest first: with nodes for pods that ask for different labels, and, if
    /// there are few, packed again.
    fn cheaper(
        &self,
        units: &[Unit<'_>],
        (market, may_repack): (&Market<'_>, bool),
        effort: &Effort,
        simulation: &mut Simulation,
    ) -> Vec<Self> {
        let label_sets: BTreeSet<usize> = self.batches.iter().map(|batch| market.label_set(batch.offer)).collect();
        if label_sets.len() < 2 && !may_repack {
            return Vec::new();
        }
        let lots = self.lots.in_company(market);
        let shared = (label_sets.len() > 1).then(|| share(market, &lots, &self.batches, effort)).flatten();
        let mut found: Vec<Self> = Vec::new();
        if may_repack {
            // Nodes that are shared may have no seats for all, since rules about neighbours are asked only there.
            let of_others = shared.as_deref().map(|batches| (&lots, batches));
            let in_company = (!lots.need_the_same_as(&self.lots)).then_some((&lots, &self.batches[..]));
            for (lots, batches) in of_others.into_iter().chain(in_company).chain([(&self.lots, &self.batches[..])]) {
                let repacked = repack((market, lots), units, (&self.settled, batches), simulation, effort);
                found.extend(repacked.map(|repacked| Self::of(&repacked, units.to_vec(), market, simulation)));
            }
        }
        found.extend(shared.map(|batches| Self { settled: self.settled.clone(), lots: self.lots.clone(), batches }));
        found.sort_by(|one, other| one.cost(market).total_cmp(&other.cost(market)));
        found
    }

    fn cost(&self, market: &Market<'_>) -> f64 {
        self.batches.iter().map(|batch| market.offers[batch.offer].price * f64::from(batch.nodes)).sum()
    }

    /// For how many pods that follow no other there is a place.
    fn places(&self) -> usize {
        let of_batch = |batch: &Batch| batch.nodes * batch.filling.iter().map(|(_, count)| count).sum::<u32>();
        self.batches.iter().map(|batch| of_batch(batch) as usize).sum()
    }

    /// The same units on other nodes, and in other areas.
    fn of(repacked: &Repacked, mut units: Vec<Unit<'_>>, market: &Market<'_>, simulation: &Simulation) -> Self {
        for unit in units.iter_mut().filter(|unit| unit.area.is_some()) {
            let area = repacked.settled.iter().find(|(pod, _)| *pod == unit.pod).map(|(_, area)| *area);
            unit.area = area.or(unit.area);
        }
        let lots = Lots::of(market, &units, simulation);
        let lot_of = |pod: &usize| lots.all.iter().position(|lot| lot.pods.contains(pod));
        let batch = |(offer, pods): &(usize, Vec<usize>)| {
            let mut filling: BTreeMap<usize, u32> = BTreeMap::new();
            pods.iter().filter_map(lot_of).for_each(|lot| *filling.entry(lot).or_default() += 1);
            Batch { offer: *offer, filling: filling.into_iter().collect(), nodes: 1 }
        };
        let batches = repacked.nodes.iter().map(batch).collect();
        Self { settled: repacked.settled.clone(), lots, batches }
    }
}

/// As many nodes as every zone is to have, and no more pods on a node than leave enough for so many.
fn terms(options: &Options, market: &Market<'_>, lots: &Lots) -> Terms {
    let pods: usize = lots.all.iter().map(|lot| lot.pods.len()).sum();
    let nodes_per_zone = options.min_nodes_per_zone;
    let most_pods = match nodes_per_zone * market.zone_count {
        0 => usize::MAX,
        // Pods that must be together stay together.
        nodes => (pods / nodes).max(lots.largest_bundle(market.pod_slots)),
    };
    Terms { most_pods, nodes_per_zone }
}
