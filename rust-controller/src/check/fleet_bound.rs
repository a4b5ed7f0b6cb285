//! The lower bound of a consolidation: that its prices keep to their limits, and that it is what they make of the pods.

use std::collections::BTreeSet;

use super::Violation;
use crate::consolidate::FleetBound;
use crate::model::{Catalog, Node, Pod, Resources, in_units, key};
use crate::snapshot::Snapshot;
use crate::units::Money;

/// What is wrong with a bound.
pub(super) fn violations(snapshot: &Snapshot, catalog: &Catalog, bound: &FleetBound) -> Vec<Violation> {
    let FleetBound { per_hour, per_resource } = bound;
    let mut problems = Vec::new();
    for (resource, price) in per_resource.iter().filter(|(_, price)| !price.is_finite() || **price < 0.0) {
        problems.push(format!("has the price {price} for {resource}"));
    }
    let value = |room: &Resources| -> f64 {
        per_resource.iter().map(|(resource, price)| price * in_units(resource, room.amount(resource))).sum()
    };
    let mut over = |name: &str, room: &Resources, price: Option<Money>| match price.map(Money::units) {
        None => problems.push(format!("counts {name}, whose price nobody knows")),
        Some(price) if value(room) > price => problems.push(format!("{name} offers {} for {price}", value(room))),
        Some(_) => {}
    };
    let by_node = snapshot.pods_by_node();
    let unreadable = snapshot.unreadable_nodes();
    let (mut demand, mut free, mut ways) = (Resources::default(), Resources::default(), BTreeSet::new());
    for node in snapshot.nodes() {
        let pods = by_node.get(node.name.as_str()).map_or(&[][..], Vec::as_slice);
        let (own, others): (Vec<&Pod>, Vec<&Pod>) =
            pods.iter().map(|pod| &***pod).filter(|pod| !pod.deleting).partition(|pod| pod.ends_with_its_node());
        let own = Resources::sum(own.into_iter().map(|pod| &pod.requests));
        let others = Resources::sum(others.into_iter().map(|pod| &pod.requests));
        let room = node.allocatable.less(&own);
        if is_counted(node) && !unreadable.contains(node.name.as_str()) {
            demand.add(&others);
            ways.insert(node.labels.get(key::CAPACITY_TYPE).map_or("on-demand", String::as_str));
            over(&node.name, &room, catalog.price_per_hour(&node.labels));
        } else {
            free.add(&room.less(&others));
        }
    }
    for kind in &catalog.types {
        let offerings = kind.offerings.iter().filter(|each| ways.contains(each.capacity_type.as_str()));
        if let Some(price) = offerings.filter_map(|each| each.price_per_hour).min() {
            over(&kind.name, &kind.allocatable, Some(price));
        }
    }
    let needed = demand.less(&free);
    if *per_hour > value(&needed) {
        problems.push(format!("says {per_hour} per hour, and its prices make {} of the pods", value(&needed)));
    }
    problems.into_iter().map(|problem| Violation::new("lower bound", problem)).collect()
}

/// Whether its price would be saved if it went.
fn is_counted(node: &Node) -> bool {
    let offers = !node.allocatable.cpu.is_zero() && !node.allocatable.memory.is_zero();
    node.ready && !node.deleting && !node.unschedulable && offers && !node.labels.contains_key(key::CONTROL_PLANE)
}
