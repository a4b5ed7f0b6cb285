//! Catalog files in the format of this program.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::at::{At, Fields, Node};
use crate::catalog::error::{CatalogError, Problem};
use crate::catalog::labels as syntax;
use crate::catalog::tree::Tree;
use crate::catalog::zones::{NO_ZONE, offerings};
use crate::model::{Catalog, Labels, NodeClassRef, NodeType, Resources, key, normalized_key};
use crate::units::{Cpu, Memory, Money};

/// Pods of a kubelet that is not told otherwise.
const DEFAULT_PODS: u64 = 110;

const DEFAULT_CURRENCY: &str = "USD";
const ON_DEMAND: &str = "on-demand";
const CAPACITY_TYPES: [&str; 3] = [ON_DEMAND, "reserved", "spot"];

/// Characters of a text that is shown within a line.
const LONGEST_LINE: usize = 100;

/// Labels that the planner gives a node for itself.
const PER_NODE: [&str; 3] = [key::ZONE, key::CAPACITY_TYPE, key::HOSTNAME];

/// A type whose zones may still have to come from the other types.
struct Draft {
    name: String,
    allocatable: Resources,
    labels: Labels,
    zones: Option<BTreeSet<String>>,
    prices: BTreeMap<String, Option<Money>>,
}

/// A catalog from the fields of a file.
pub(super) fn catalog(at: &At, fields: &BTreeMap<String, Tree>) -> Result<Catalog, CatalogError> {
    let fields = Fields::new(at.clone(), fields);
    version(&fields)?;
    fields.only(&["version", "currency", "priceSource", "nodeClassRef", "types"])?;
    let currency =
        fields.optional("currency").map_or_else(|| Ok(DEFAULT_CURRENCY.to_owned()), |node| currency(&node))?;
    let price_source = fields.optional("priceSource").map_or_else(|| Ok(String::new()), |node| line(&node))?;
    let node_class = node_class(&fields.required("nodeClassRef")?.map()?)?;
    let types = fields.required("types")?;
    let drafts = types.list()?.map(|node| draft(at, &node)).collect::<Result<Vec<_>, _>>()?;
    if drafts.is_empty() {
        return Err(types.fail(Problem::NoTypes));
    }
    let anywhere = all_zones(&drafts);
    at.catalog(
        (currency, price_source),
        node_class,
        drafts.into_iter().map(|draft| draft.node_type(&anywhere)).collect(),
    )
}

fn version(fields: &Fields<'_>) -> Result<(), CatalogError> {
    let node = fields.required("version")?;
    match node.scalar("a number")? {
        "1" => Ok(()),
        other => Err(node.fail(Problem::UnknownVersion(other.to_owned()))),
    }
}

fn currency(node: &Node<'_>) -> Result<String, CatalogError> {
    let text = node.text()?;
    let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_code { Ok(text.to_owned()) } else { Err(node.fail(Problem::Currency(text.to_owned()))) }
}

/// Text for a person, to be shown within a line.
fn line(node: &Node<'_>) -> Result<String, CatalogError> {
    let text = node.text()?.trim();
    let is_line = !text.contains(char::is_control) && text.chars().count() <= LONGEST_LINE;
    if is_line { Ok(text.to_owned()) } else { Err(node.fail(Problem::NotALine)) }
}

fn node_class(fields: &Fields<'_>) -> Result<NodeClassRef, CatalogError> {
    fields.only(&["group", "kind", "name"])?;
    let text = |name| {
        let node = fields.required(name)?;
        let text = node.text()?;
        // A NodePool without one of them is refused by the API server.
        if text.is_empty() { Err(node.fail(Problem::Empty)) } else { Ok(text.to_owned()) }
    };
    Ok(NodeClassRef { group: text("group")?, kind: text("kind")?, name: text("name")? })
}

/// Every zone that a type names, or no zone in particular.
fn all_zones(drafts: &[Draft]) -> BTreeSet<String> {
    let named: BTreeSet<String> = drafts.iter().filter_map(|draft| draft.zones.as_ref()).flatten().cloned().collect();
    if named.is_empty() { BTreeSet::from([NO_ZONE.to_owned()]) } else { named }
}

impl Draft {
    fn node_type(self, anywhere: &BTreeSet<String>) -> NodeType {
        let Self { name, allocatable, labels, zones, prices } = self;
        let offerings = offerings(zones.as_ref().unwrap_or(anywhere), &prices);
        NodeType { name, allocatable, labels, attach_limits: Arc::default(), offerings }
    }
}

fn draft(at: &At, node: &Node<'_>) -> Result<Draft, CatalogError> {
    let name = node.map()?.required("name")?.name()?.to_owned();
    let Tree::Map(map) = node.tree else { return Err(node.fail(Problem::Shape("a map"))) };
    let fields = Fields::new(at.node_type(&name), map);
    fields.only(&["name", "arch", "allocatable", "labels", "zones", "pricePerHour"])?;
    let arch = fields.required("arch")?.arch()?;
    let allocatable = allocatable(&fields.required("allocatable")?.map()?)?;
    let labels = match fields.optional("labels") {
        Some(labels) => type_labels(&labels.map()?, &name, arch)?,
        None => own_labels(arch),
    };
    let zones = fields.optional("zones").map(|zones| some_zones(&zones)).transpose()?;
    Ok(Draft { name, allocatable, labels, zones, prices: prices(&fields)? })
}

fn allocatable(fields: &Fields<'_>) -> Result<Resources, CatalogError> {
    let some = |name| {
        let node = fields.required(name)?;
        let quantity = node.quantity()?;
        if quantity.units() == 0 { Err(node.fail(Problem::NothingForPods)) } else { Ok(quantity) }
    };
    let places = |node: &Node<'_>| match whole(node)? {
        0 => Err(node.fail(Problem::NothingForPods)),
        pods => Ok(pods),
    };
    let mut resources = Resources {
        cpu: Cpu::from(some("cpu")?),
        memory: Memory::from(some("memory")?),
        pods: fields.optional("pods").map(|node| places(&node)).transpose()?.unwrap_or(DEFAULT_PODS),
        ..Resources::default()
    };
    for (name, node) in fields.entries().filter(|(_, node)| *node.tree != Tree::Null) {
        match name {
            "cpu" | "memory" | "pods" => {}
            "ephemeral-storage" => resources.ephemeral_storage = Memory::from(node.quantity()?),
            name if is_extended(name) => {
                let amount = whole(&node)?;
                resources.extended.extend((amount > 0).then(|| (name.to_owned(), amount)));
            }
            _ => return Err(node.fail(Problem::UnknownResource)),
        }
    }
    Ok(resources)
}

/// How many there are of what is had whole or not at all.
pub(super) fn whole(node: &Node<'_>) -> Result<u64, CatalogError> {
    let quantity = node.quantity()?;
    if quantity.is_whole() { Ok(quantity.units()) } else { Err(node.fail(Problem::Fraction)) }
}

/// Whether this is one of Karpenter's capacity types.
pub(super) fn is_capacity_type(name: &str) -> bool {
    CAPACITY_TYPES.contains(&name)
}

/// Whether a resource that is none of Kubernetes' own may have this name.
fn is_extended(name: &str) -> bool {
    syntax::is_key(name)
        && (name.contains('/') || name.starts_with("hugepages-") || name.starts_with("attachable-volumes-"))
}

/// Labels that every type has.
fn own_labels(arch: &str) -> Labels {
    Labels::from([(key::ARCH.to_owned(), arch.to_owned()), (key::OS.to_owned(), "linux".to_owned())])
}

fn type_labels(fields: &Fields<'_>, name: &str, arch: &str) -> Result<Labels, CatalogError> {
    let mut labels = Labels::from([(key::ARCH.to_owned(), arch.to_owned())]);
    for (key, node) in fields.entries() {
        if !syntax::is_key(key) {
            return Err(node.fail(Problem::LabelKey));
        }
        let (key, value) = (normalized_key(key), node.label_value()?);
        if PER_NODE.contains(&key) {
            return Err(node.fail(Problem::PerNodeLabel));
        }
        let other = if key == key::INSTANCE_TYPE { Some(name) } else { labels.get(key).map(String::as_str) };
        if let Some(other) = other.filter(|other| *other != value) {
            return Err(node.fail(Problem::Contradiction { found: value.to_owned(), other: other.to_owned() }));
        }
        if key != key::INSTANCE_TYPE {
            labels.insert(key.to_owned(), value.to_owned());
        }
    }
    labels.entry(key::OS.to_owned()).or_insert_with(|| "linux".to_owned());
    Ok(labels)
}

fn some_zones(node: &Node<'_>) -> Result<BTreeSet<String>, CatalogError> {
    let zones = node.zones()?;
    if zones.is_empty() { Err(node.fail(Problem::NoZones)) } else { Ok(zones) }
}

/// Prices by capacity type; on demand at a price that is not known where there is none.
fn prices(fields: &Fields<'_>) -> Result<BTreeMap<String, Option<Money>>, CatalogError> {
    let mut prices = BTreeMap::new();
    if let Some(node) = fields.optional("pricePerHour") {
        for (capacity_type, node) in node.map()?.entries() {
            if !is_capacity_type(capacity_type) {
                return Err(node.fail(Problem::UnknownCapacityType(capacity_type.to_owned())));
            }
            let price = if *node.tree == Tree::Null { None } else { Some(node.price()?) };
            prices.insert(capacity_type.to_owned(), price);
        }
    }
    if prices.is_empty() {
        prices.insert(ON_DEMAND.to_owned(), None);
    }
    Ok(prices)
}
