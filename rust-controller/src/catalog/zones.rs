//! Offerings in zones.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Catalog, NodeType, Offering, key};
use crate::units::Money;

/// The zone of an offering whose catalog names no zone at all: the empty text, which is no zone's name.
pub const NO_ZONE: &str = "";

/// The same catalog in other zones: every type is offered in each of `zones`, at the least price that it had in any
/// zone, and without its region label unless all of `zones` are of that region. Without zones, the catalog as it is.
///
/// This places a built-in catalog where the nodes of a cluster are. Its prices stay those of the region that
/// [`Catalog::price_source`] names: other regions have other prices, mostly in like proportion, so the choice between
/// types holds better than the amounts do.
#[must_use]
pub fn in_zones(catalog: Catalog, zones: &BTreeSet<String>) -> Catalog {
    if zones.is_empty() {
        return catalog;
    }
    let types = catalog.types.into_iter().map(|node_type| moved(node_type, zones)).collect();
    Catalog { types, ..catalog }
}

fn moved(mut node_type: NodeType, zones: &BTreeSet<String>) -> NodeType {
    let mut prices = BTreeMap::new();
    for Offering { zone: _, capacity_type, price_per_hour } in node_type.offerings {
        let price = prices.entry(capacity_type).or_insert(price_per_hour);
        *price = least(*price, price_per_hour);
    }
    let region = node_type.labels.get(key::REGION);
    if region.is_some_and(|region| !zones.iter().all(|zone| is_of_region(zone, region))) {
        node_type.labels.remove(key::REGION);
    }
    NodeType { offerings: offerings(zones, &prices), ..node_type }
}

/// Whether a zone's name is the region's with a letter or a hyphenated suffix: `us-east-1a`, `eastus-1`,
/// `us-central1-a`; not `eastus2-1` for `eastus`.
fn is_of_region(zone: &str, region: &str) -> bool {
    let suffix = zone.strip_prefix(region).unwrap_or_default();
    matches!(suffix.as_bytes(), [b'-', _, ..] | [b'a'..=b'z'])
}

/// An offering for each zone and each capacity type, sorted.
pub(super) fn offerings(zones: &BTreeSet<String>, prices: &BTreeMap<String, Option<Money>>) -> Vec<Offering> {
    let in_zone = |zone: &String| {
        let zone = zone.clone();
        prices.iter().map(move |(capacity_type, price)| Offering {
            zone: zone.clone(),
            capacity_type: capacity_type.clone(),
            price_per_hour: *price,
        })
    };
    zones.iter().flat_map(in_zone).collect()
}

/// One offering for each zone and capacity type, the cheapest there is, sorted.
pub(super) fn cheapest_each(offerings: Vec<Offering>) -> Vec<Offering> {
    let mut prices = BTreeMap::new();
    for Offering { zone, capacity_type, price_per_hour } in offerings {
        let price = prices.entry((zone, capacity_type)).or_insert(price_per_hour);
        *price = least(*price, price_per_hour);
    }
    let offering = |((zone, capacity_type), price_per_hour)| Offering { zone, capacity_type, price_per_hour };
    prices.into_iter().map(offering).collect()
}

/// The lesser price; one that is not known is above every other.
fn least(one: Option<Money>, other: Option<Money>) -> Option<Money> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_belongs_to_the_region_that_its_name_extends() {
        for (zone, region) in [
            ("us-east-1a", "us-east-1"),
            ("us-east-1-bos-1a", "us-east-1"),
            ("eastus-1", "eastus"),
            ("us-central1-a", "us-central1"),
        ] {
            assert!(is_of_region(zone, region), "{zone} {region}");
        }
        for (zone, region) in [
            ("us-east-2a", "us-east-1"),
            ("eastus2-1", "eastus"),
            ("us-east-1", "us-east-1"),
            ("0", "eastus"),
            ("us-central1-", "us-central1"),
        ] {
            assert!(!is_of_region(zone, region), "{zone} {region}");
        }
    }

    #[test]
    fn a_price_that_is_not_known_never_beats_one_that_is() {
        let price = Some(Money::nanos(5));
        assert_eq!(least(None, price), price);
        assert_eq!(least(price, None), price);
        assert_eq!(least(price, Some(Money::nanos(4))), Some(Money::nanos(4)));
        assert_eq!(least(None, None), None);
    }
}
