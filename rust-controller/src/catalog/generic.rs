//! The generic machine types of Karpenter's KWOK provider, for Linux.
//!
//! Source: `kwok/tools/gen_instance_types.go` of `sigs.k8s.io/karpenter` v1.14.1.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::kwok;
use crate::catalog::provider::{GIB, resources};
use crate::catalog::zones::offerings;
use crate::model::{Catalog, NodeType};
use crate::units::{Memory, Money};

const CORES: [u64; 12] = [1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256];

/// Family, and its GiB of memory for each core.
const FAMILIES: [(&str, u64); 3] = [("c", 2), ("s", 4), ("m", 8)];

const ARCHES: [&str; 2] = ["amd64", "arm64"];
const ZONES: [&str; 4] = ["test-zone-a", "test-zone-b", "test-zone-c", "test-zone-d"];
const PODS_EACH_CORE: u64 = 16;
const MOST_PODS: u64 = 1024;
const EPHEMERAL_STORAGE: u64 = 20 * GIB;

/// The generic catalog.
pub(super) fn catalog() -> Catalog {
    let mut types = Vec::new();
    for cores in CORES {
        for family in FAMILIES {
            types.extend(ARCHES.map(|arch| node_type(cores, family, arch)));
        }
    }
    types.sort_by(|one, other| one.name.cmp(&other.name));
    Catalog {
        name: "generic".to_owned(),
        currency: "USD".to_owned(),
        price_source: "made up by Karpenter's KWOK provider".to_owned(),
        node_class: kwok::node_class(),
        types,
    }
}

fn node_type(cores: u64, (family, gib_each_core): (&str, u64), arch: &str) -> NodeType {
    let name = format!("{family}-{cores}x-{arch}-linux");
    let memory = cores * gib_each_core * GIB;
    let pods = (cores * PODS_EACH_CORE).min(MOST_PODS);
    let labels = kwok::labels(&name, arch, &cores.to_string(), &Memory::bytes(memory).to_string());
    let allocatable = kwok::allocatable(&resources(cores * 1000, memory, EPHEMERAL_STORAGE, pods));
    let zones: BTreeSet<String> = ZONES.map(str::to_owned).into();
    let offerings = offerings(&zones, &prices(cores, memory));
    NodeType { name, allocatable, labels, attach_limits: Arc::default(), offerings }
}

/// 0.025 for each core and 0.001 for each 10⁹ bytes an hour, rounded to a billionth; spot is 0.7 of it.
fn prices(cores: u64, memory: u64) -> BTreeMap<String, Option<Money>> {
    let trillionths = 25_000_000_000 * cores + memory;
    let price = |trillionths: u64| Some(Money::nanos((trillionths + 500) / 1000));
    BTreeMap::from([("on-demand".to_owned(), price(trillionths)), ("spot".to_owned(), price(trillionths * 7 / 10))])
}
