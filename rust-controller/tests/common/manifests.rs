//! Nodes and pods as a person writes them, for clusters made by hand.

use mini_karpenter::lower;
use mini_karpenter::snapshot::Snapshot;

pub(crate) fn snapshot(text: &str) -> Snapshot {
    lower::parse_manifest(text).unwrap().into_snapshot()
}

/// A node with so much to request of it, and more in its labels, metadata and spec.
pub(crate) fn node_with(name: &str, allocatable: &str, labels: &str, metadata: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{kubernetes.io/hostname: {name}, {labels}}}{metadata}}}\n\
         spec: {{{spec}}}\nstatus: {{allocatable: {{{allocatable}}}}}\n"
    )
}

/// A running pod of a `ReplicaSet` with these requests, and more in its metadata and spec.
pub(crate) fn pod_with(name: &str, node: &str, requests: &str, metadata: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, {OWNED}{metadata}}}\nspec: {{nodeName: {node}, {spec}containers: [{{name: c, \
         resources: {{requests: {{{requests}}}}}}}]}}\nstatus: {{phase: Running}}\n"
    )
}

/// The metadata that makes a pod one of a `ReplicaSet`.
pub(crate) const OWNED: &str =
    "ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: r, uid: u, controller: true}]";
