//! Kubernetes objects -> model. The only pure room that names `k8s-openapi`.
//!
//! What cannot be lowered is an error about one object, with the field: callers skip that object, name it, and go on.

mod annotations;
mod defaults;
mod documents;
mod extras;
mod kinds;
mod manifest;
mod neighbours;
mod node;
mod object;
mod placement;
mod pod;
mod policy;
mod ports;
mod preferences;
mod priority;
mod requests;
mod selector;
mod storage;
mod usage;
mod volumes;
mod workload;
#[cfg(test)]
mod written;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub use manifest::{Manifest, ManifestError, parse_file, parse_manifest};
pub use node::lower_node;
pub use pod::lower_pod;
pub use policy::{lower_budget, lower_namespace};
pub use storage::{lower_attach_limits, lower_claim, lower_storage_class, lower_volume};
pub use usage::{NodeMetrics, lower_usage};

use crate::model::{ObjectName, Resources};
use crate::units::{Quantity, QuantityError};

/// Why an object cannot be planned with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// A quantity that does not parse.
    #[error("{field}: {source}")]
    Quantity {
        /// Path of the field: `spec.containers[0].resources.requests.cpu`.
        field: String,
        /// What is wrong with it.
        source: QuantityError,
    },
    /// A field that every such object has is missing.
    #[error("{0}: missing")]
    Missing(&'static str),
    /// Text where there must be some.
    #[error("{0}: empty")]
    Empty(String),
    /// A part of something that is had whole or not at all: a device, a pod slot.
    #[error("{field}: {quantity} is not a whole number")]
    Fraction {
        /// Path of the field.
        field: String,
        /// The quantity as it stands there.
        quantity: String,
    },
    /// A value that is none of those that Kubernetes knows.
    #[error("{field}: {value:?} is not one of {known}")]
    Unknown {
        /// Path of the field.
        field: String,
        /// What was there.
        value: String,
        /// What could be there.
        known: &'static str,
    },
}

fn name_of(metadata: &ObjectMeta) -> Result<String, LowerError> {
    metadata.name.clone().ok_or(LowerError::Missing("metadata.name"))
}

fn object_name(metadata: &ObjectMeta) -> Result<ObjectName, LowerError> {
    let namespace = metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
    Ok(ObjectName { namespace, name: name_of(metadata)? })
}

/// Quantities by resource name, exact; what sums are made of before they are rounded.
type Amounts = BTreeMap<String, Quantity>;

fn amounts(raw: Option<&BTreeMap<String, RawQuantity>>, field: &str) -> Result<Amounts, LowerError> {
    let parse = |(name, quantity): (&String, &RawQuantity)| {
        let field = || format!("{field}.{name}");
        let parsed: Quantity = quantity.0.parse().map_err(|source| LowerError::Quantity { field: field(), source })?;
        if comes_whole(name) && !parsed.is_whole() {
            return Err(LowerError::Fraction { field: field(), quantity: quantity.0.clone() });
        }
        Ok((name.clone(), parsed))
    };
    raw.into_iter().flatten().map(parse).collect()
}

/// Whether the API server takes only whole numbers of it: pod slots and what has a domain in its name, as devices have.
fn comes_whole(resource: &str) -> bool {
    resource == "pods" || resource.contains('/')
}

/// Rounds amounts to the scheduler's units.
fn resources(amounts: &Amounts) -> Resources {
    let mut resources = Resources::default();
    for (name, quantity) in amounts {
        match name.as_str() {
            "cpu" => resources.cpu = (*quantity).into(),
            "memory" => resources.memory = (*quantity).into(),
            "ephemeral-storage" => resources.ephemeral_storage = (*quantity).into(),
            "pods" => resources.pods = quantity.units(),
            _ if quantity.units() > 0 => drop(resources.extended.insert(name.clone(), quantity.units())),
            _ => {}
        }
    }
    resources
}
