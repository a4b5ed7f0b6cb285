//! Which built-in catalog suits a cluster.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::model::Node;

const GENERIC: &str = "generic";

/// The built-in catalog for the provider that a node's `spec.providerID` names: `aws:///us-east-1a/i-0abc` is `aws`.
/// `generic` for KWOK and every provider without a catalog.
#[must_use]
pub fn name_for_provider_id(provider_id: &str) -> &'static str {
    match provider_id.split_once(':').map(|(provider, _)| provider) {
        Some("aws") => "aws",
        Some("azure") => "azure",
        Some("gce") => "gcp",
        _ => GENERIC,
    }
}

/// The built-in catalog that suits most nodes; the first by name where two suit as many. Nodes without a provider id
/// have no say, and where none has one the catalog is `generic`.
#[must_use]
pub fn name_for_nodes<'n>(nodes: impl IntoIterator<Item = &'n Node>) -> &'static str {
    let mut votes: BTreeMap<&'static str, usize> = BTreeMap::new();
    for provider_id in nodes.into_iter().filter_map(|node| node.provider_id.as_deref()).filter(|id| !id.is_empty()) {
        *votes.entry(name_for_provider_id(provider_id)).or_default() += 1;
    }
    votes.into_iter().max_by_key(|(name, count)| (*count, Reverse(*name))).map_or(GENERIC, |(name, _)| name)
}
