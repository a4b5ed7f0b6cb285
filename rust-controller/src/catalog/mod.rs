//! Node types that could be bought: catalogs built in, and catalogs from files.
//!
//! [`builtin`] knows `generic` (the types of Karpenter's KWOK provider) and one catalog each for `aws`, `azure` and
//! `gcp`. [`parse`] reads a file. [`for_nodes`] is the built-in catalog that suits a cluster, [`in_zones`] moves it to
//! the cluster's zones, and [`with_seen`] and [`with_attach_limits`] take over what live nodes of its types report.

mod at;
mod attachable;
mod auto;
mod aws;
mod azure;
mod error;
mod file;
mod gcp;
mod generic;
mod kwok;
mod kwok_json;
mod labels;
mod provider;
mod reserve;
mod seen;
mod tree;
mod zones;

use crate::model::{Catalog, Node};

pub use attachable::{seen_attach_limits, with_attach_limits};
pub use auto::{name_for_nodes, name_for_provider_id};
pub use error::{CatalogError, Problem};
pub use labels::arch;
pub use seen::{SeenAllocatable, seen_allocatable, with_seen};
pub use zones::{NO_ZONE, in_zones};

use at::At;
use tree::Tree;

/// Names of the built-in catalogs, sorted.
pub const BUILTIN_NAMES: [&str; 4] = ["aws", "azure", "gcp", "generic"];

/// Names of the catalogs that are built in.
pub const BUILT_IN: [&str; 4] = ["generic", "aws", "azure", "gcp"];

/// A built-in catalog by its name; `None` for any other name.
///
/// Prices are in USD per hour, those of the region and day in [`Catalog::price_source`]. The offerings are in the
/// zones of that region; [`in_zones`] moves them. What a node keeps for itself is modelled as the provider's
/// Karpenter does: `aws`, `azure` and `gcp` each say how.
#[must_use]
pub fn builtin(name: &str) -> Option<Catalog> {
    match name {
        "aws" => Some(aws::PROVIDER.catalog()),
        "azure" => Some(azure::PROVIDER.catalog()),
        "gcp" => Some(gcp::PROVIDER.catalog()),
        "generic" => Some(generic::catalog()),
        _ => None,
    }
}

/// The built-in catalog that [`name_for_nodes`] names.
#[must_use]
pub fn for_nodes<'n>(nodes: impl IntoIterator<Item = &'n Node>) -> Catalog {
    builtin(name_for_nodes(nodes)).unwrap_or_else(generic::catalog)
}

/// Reads a catalog from the text of a file, in YAML or JSON. `name` becomes the catalog's name and starts every error
/// message.
///
/// A map is the format of this program:
/// ```yaml
/// version: 1
/// currency: USD
/// priceSource: us-east-1, 2026-08-01
/// nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}
/// types:
/// - name: c6a.large
///   arch: amd64
///   allocatable: {cpu: 1930m, memory: 3114Mi, pods: 29, ephemeral-storage: 17Gi}
///   labels: {karpenter.k8s.aws/instance-family: c6a}
///   zones: [us-east-1a, us-east-1b]
///   pricePerHour: {on-demand: 0.0765}
/// ```
/// May be left out: `currency` (USD), `priceSource` (region and day of the prices; then documents say that they are not
/// stated), `allocatable.pods` (110, the kubelet's default), `allocatable.ephemeral-storage`
/// (none), `labels`, `pricePerHour` or one of its prices (on-demand at a price that is not known), and `zones` (every
/// zone that another type of the file names, else [`NO_ZONE`]). Nodes run Linux unless `labels` says otherwise.
///
/// A list is the instance-type file of Karpenter's KWOK provider: less 100m CPU and 10Mi memory, 110 pods unless it
/// says otherwise, with the labels that the provider would set. Offerings that are not available are left out, and so
/// are types without any offering, types that do not run Linux and types that leave nothing for pods; a file with no other is an error. A type that is
/// listed for several architectures counts for the first. Fields that the provider does not read are ignored. Prices
/// are in USD.
///
/// # Errors
/// Where the text is not YAML or JSON, or something in it is missing, unknown, contradictory or out of range. Messages
/// name the file, the type and the field.
pub fn parse(name: &str, text: &str) -> Result<Catalog, CatalogError> {
    let at = At::file(name);
    match tree::read(text).map_err(|message| at.fail(Problem::Syntax(message)))? {
        Tree::List(types) => kwok_json::catalog(&at, &types),
        Tree::Map(fields) => file::catalog(&at, &fields),
        _ => Err(at.fail(Problem::Shape("a catalog (version, types …) or a list of KWOK instance types"))),
    }
}
