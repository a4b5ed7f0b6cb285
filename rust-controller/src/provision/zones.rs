//! As many nodes in each zone as the options ask for, as far as there are pods for them.
//!
//! The mixture buys nodes where zones lack some first, but does not know which pods a zone will be short of. Where one got too
//! few, pods that may go there leave nodes on which they are not alone.

use std::collections::BTreeSet;

use super::bins::Bins;
use super::existing::Waiting;
use super::launch::{Launch, Launches, Series};
use super::market::Market;
use crate::feasibility::{ClassId, Simulation};

/// Opens nodes in the zones that have fewer than this. Whether all of them have as many then.
///
/// Only pods move that mind nobody and that nobody minds: what was decided about the others holds. O(zones × (pods + classes ×
/// launches)) for each node that is opened, of which there are few.
pub(super) fn fill_up<'a>(
    least: usize,
    pods: &[Waiting<'_>],
    (launches, market): (&'a Launches<'a>, &Market<'a>),
    bins: &mut Bins<'a>,
    simulation: &mut Simulation,
) -> bool {
    let zones: BTreeSet<&str> =
        launches.without_template_labels().map(|launch| launch.offering.zone.as_str()).collect();
    let mut all_have = true;
    for zone in zones {
        let here = bins.all.iter().filter(|bin| bin.launch.offering.zone == zone).count();
        for _ in here..least {
            let Some((bin, pod, launch)) = next(zone, pods, (launches, market), bins, simulation) else {
                all_have = false;
                break;
            };
            bins.move_to_new(pod, pods[pod].class, bin, launch, simulation);
        }
    }
    all_have
}

/// A pod that may have a node of its own in a zone, with the node that it leaves, the fullest that has such a pod.
fn next<'a>(
    zone: &str,
    pods: &[Waiting<'_>],
    (launches, market): (&'a Launches<'a>, &Market<'a>),
    bins: &Bins<'a>,
    simulation: &Simulation,
) -> Option<(usize, usize, Launch<'a>)> {
    let mut crowded: Vec<usize> = (0..bins.all.len()).filter(|bin| bins.all[*bin].pods.len() > 1).collect();
    crowded.sort_by_key(|bin| std::cmp::Reverse(bins.all[*bin].pods.len()));
    let mut asked: BTreeSet<ClassId> = BTreeSet::new();
    for (bin, pod) in crowded.into_iter().flat_map(|bin| bins.all[bin].pods.iter().map(move |pod| (bin, *pod))) {
        let class = pods[pod].class;
        if !asked.insert(class) || !simulation.minds_nobody(class) {
            continue;
        }
        let suits = |series: &&Series| {
            market.makes(series, class)
                && simulation.meets_needs(class, series.node)
                && !simulation.opens_domain(series.node)
        };
        let suiting = launches.series().iter().filter(suits).flat_map(|series| launches.worthwhile(series));
        let here = suiting.filter(|launch| launch.offering.zone == zone && launch.fits(simulation.requests(class)));
        // A price that is not known comes last.
        let price = |Launch { offering, position, .. }: &Launch<'_>| {
            (offering.price_per_hour.is_none(), offering.price_per_hour, *position)
        };
        if let Some(launch) = here.min_by_key(price) {
            return Some((bin, pod, launch));
        }
    }
    None
}
