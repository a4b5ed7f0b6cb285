//! Objects as somebody might write them, for tests.

use super::Manifest;

/// Names of the pods, in order.
pub(super) fn names(manifest: Manifest) -> Vec<String> {
    manifest.into_snapshot().pods().iter().map(|pod| pod.name.name.clone()).collect()
}

/// A node, of which nothing is wrong.
pub(super) const NODE: &str = "apiVersion: v1\nkind: Node\nmetadata: {name: fine}\n";

/// A workload of one kind with these fields in its specification.
pub(super) fn workload(kind: &str, name: &str, fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { ", " };
    let api_version = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    format!(
        "apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{fields}{comma}template: {{spec: {{containers: []}}}}}}\n"
    )
}

/// A pod of this owner.
pub(super) fn pod(name: &str, owner_kind: &str, owner: &str) -> String {
    let owner = format!("{{apiVersion: v1, kind: {owner_kind}, name: {owner}, uid: u, controller: true}}");
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, ownerReferences: [{owner}]}}\nspec: {{containers: []}}\n"
    )
}
