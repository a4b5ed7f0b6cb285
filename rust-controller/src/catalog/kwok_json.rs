//! The instance-type file of Karpenter's KWOK provider, `[{name, offerings, architecture, operatingSystems,
//! resources}]`.
//!
//! Source: `kwok/cloudprovider/helpers.go` of `sigs.k8s.io/karpenter` v1.14.1, which reads it. That provider makes
//! every offering available; here, one that says it is not is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::at::{At, Fields, Node};
use crate::catalog::error::{CatalogError, Problem};
use crate::catalog::file::{is_capacity_type, whole};
use crate::catalog::kwok;
use crate::catalog::labels::is_key;
use crate::catalog::tree::Tree;
use crate::catalog::zones::cheapest_each;
use crate::model::{Catalog, NodeType, Offering, Resources, key};
use crate::units::{Cpu, Memory};

/// Catalog of the types in a list.
pub(super) fn catalog(at: &At, list: &[Tree]) -> Result<Catalog, CatalogError> {
    let mut types: Vec<NodeType> = Vec::new();
    for (index, tree) in list.iter().enumerate() {
        types.extend(node_type(at, &Node { at: at.element(index), tree })?);
    }
    if types.is_empty() {
        return Err(at.fail(if list.is_empty() { Problem::NoTypes } else { Problem::NoUsableTypes }));
    }
    at.catalog(("USD".to_owned(), String::new()), kwok::node_class(), first_architectures(types))
}

/// Leaves out a type that is listed again for another architecture: the provider launches the first of a name.
fn first_architectures(mut types: Vec<NodeType>) -> Vec<NodeType> {
    let mut first: BTreeMap<String, Option<String>> = BTreeMap::new();
    types.retain(|node_type| {
        let arch = node_type.labels.get(key::ARCH).cloned();
        *first.entry(node_type.name.clone()).or_insert_with(|| arch.clone()) == arch
    });
    types
}

/// The type, unless it does not run Linux, leaves nothing for pods or has no offering.
fn node_type(at: &At, node: &Node<'_>) -> Result<Option<NodeType>, CatalogError> {
    let name = node.map()?.required("name")?.name()?;
    let Tree::Map(map) = node.tree else { return Err(node.fail(Problem::Shape("a map"))) };
    let fields = Fields::new(at.node_type(name), map);
    if !runs_linux(&fields)? {
        return Ok(None);
    }
    let arch = fields.required("architecture")?.arch()?;
    let resources = fields.required("resources")?.map()?;
    let labels = kwok::labels(name, arch, &printed(&resources, "cpu")?, &printed(&resources, "memory")?);
    let allocatable = kwok::allocatable(&capacity(&resources)?);
    let offerings = offerings(&fields)?;
    let is_useful = has_room(&allocatable) && !offerings.is_empty();
    let attach_limits = Arc::default();
    Ok(is_useful.then(|| NodeType { name: name.to_owned(), allocatable, labels, attach_limits, offerings }))
}

/// Where no operating system is named, none is ruled out.
fn runs_linux(fields: &Fields<'_>) -> Result<bool, CatalogError> {
    let Some(systems) = fields.optional("operatingSystems") else { return Ok(true) };
    let names = systems.list()?.map(|system| system.text()).collect::<Result<Vec<_>, _>>()?;
    Ok(names.is_empty() || names.contains(&"linux"))
}

fn printed(resources: &Fields<'_>, name: &str) -> Result<String, CatalogError> {
    let node = resources.required(name)?;
    Ok(kwok::canonical(node.scalar("a quantity")?, node.quantity()?))
}

fn capacity(resources: &Fields<'_>) -> Result<Resources, CatalogError> {
    let mut capacity = Resources { pods: kwok::DEFAULT_PODS, ..Resources::default() };
    for (name, node) in resources.entries() {
        match name {
            "cpu" => capacity.cpu = Cpu::from(node.quantity()?),
            "memory" => capacity.memory = Memory::from(node.quantity()?),
            "ephemeral-storage" => capacity.ephemeral_storage = Memory::from(node.quantity()?),
            "pods" => capacity.pods = whole(&node)?,
            name if !is_key(name) => return Err(node.fail(Problem::UnknownResource)),
            _ => {
                let amount = whole(&node)?;
                capacity.extended.extend((amount > 0).then(|| (name.to_owned(), amount)));
            }
        }
    }
    Ok(capacity)
}

/// Whether a pod could ever run there. Karpenter's own example has a type of half a GiB, which it rounds to none.
fn has_room(allocatable: &Resources) -> bool {
    ["cpu", "memory", "pods"].into_iter().all(|resource| allocatable.amount(resource) > 0)
}

fn offerings(fields: &Fields<'_>) -> Result<Vec<Offering>, CatalogError> {
    let mut offerings = Vec::new();
    for node in fields.required("offerings")?.list()? {
        offerings.extend(offering(&node.map()?)?);
    }
    Ok(cheapest_each(offerings))
}

/// One entry of the list: an offering for each zone and capacity type that it names, none where it is not available.
fn offering(fields: &Fields<'_>) -> Result<Vec<Offering>, CatalogError> {
    let price_per_hour = fields.any_case("Price").map(|price| price.price()).transpose()?;
    if fields.any_case("Available").is_some_and(|available| *available.tree == Tree::Bool(false)) {
        return Ok(Vec::new());
    }
    let requirements = fields.any_case("Requirements").map(|node| requirements(&node)).transpose()?.unwrap_or_default();
    let values = |key: &str| {
        let at = fields.at.field("Requirements").field(key);
        match requirements.get(key) {
            None => Err(at.fail(Problem::Missing)),
            Some(values) if values.is_empty() => Err(at.fail(Problem::Empty)),
            Some(values) => Ok(values),
        }
    };
    let (zones, capacity_types) = (values(key::ZONE)?, values(key::CAPACITY_TYPE)?);
    if let Some(unknown) = capacity_types.iter().find(|name| !is_capacity_type(name)) {
        let at = fields.at.field("Requirements").field(key::CAPACITY_TYPE);
        return Err(at.fail(Problem::UnknownCapacityType(unknown.clone())));
    }
    let in_zone = |zone: &String| {
        let zone = zone.clone();
        capacity_types.iter().map(move |capacity_type| Offering {
            zone: zone.clone(),
            capacity_type: capacity_type.clone(),
            price_per_hour,
        })
    };
    Ok(zones.iter().flat_map(in_zone).collect())
}

/// The values that each key may have. Other operators than `In` name none.
fn requirements(node: &Node<'_>) -> Result<BTreeMap<String, BTreeSet<String>>, CatalogError> {
    let mut requirements = BTreeMap::new();
    for requirement in node.list()? {
        let fields = requirement.map()?;
        if fields.required("operator")?.text()? == "In" {
            let key = fields.required("key")?.text()?.to_owned();
            requirements.insert(key, fields.required("values")?.zones()?);
        }
    }
    Ok(requirements)
}
