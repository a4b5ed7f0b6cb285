//! Taints that come with labels: what keeps others off the nodes that pods select.
//!
//! Nodes that are set apart have a label by which their pods find them, and a taint that those pods tolerate and others do
//! not. A pod says nothing of the taint that it needs there; nodes that have the label do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::feasibility::tolerates;
use crate::model::{Labels, Node, Taint, TaintEffect, Toleration, TolerationMatch, key};
use crate::units::FastMap;

/// Domains of taints that say how a node fares for now, or that it is about to go.
const PASSING_DOMAINS: [&str; 5] = [
    "node.kubernetes.io",
    "node.cloudprovider.kubernetes.io",
    "node.cluster.x-k8s.io",
    "karpenter.sh",
    "aws-node-termination-handler",
];

/// Ends of the keys of taints that say so: those of cluster-autoscaler, and of agents that take theirs away once they run.
const PASSING_ENDS: [&str; 3] = ["OfClusterAutoscaler", "ByClusterAutoscaler", "-not-ready"];

/// Tolerates every taint.
static EVERYTHING: [Toleration; 1] = [Toleration { key: String::new(), value: TolerationMatch::Exists, effect: None }];

/// A label by key and value.
type Label<'a> = (&'a str, &'a str);

/// The taints that come with each label; labels without any are absent.
#[derive(Clone, Debug, Default)]
pub(super) struct SetApart(BTreeMap<(String, String), BTreeSet<Taint>>);

impl SetApart {
    /// For each label that some shape of pods adds, the taints that every one of the nodes with that label has, of which there
    /// must be one, and that all pods tolerate which have such a shape. Nodes of the control plane tell nothing of others.
    ///
    /// O(labels of nodes + labels asked for), and less where no node has taints that stay.
    pub(super) fn of<'a>(nodes: &[Arc<Node>], asked: impl Iterator<Item = (&'a Labels, &'a [Toleration])>) -> Self {
        let tells = |node: &&Arc<Node>| !node.deleting && !node.labels.contains_key(key::CONTROL_PLANE);
        let nodes: Vec<&Arc<Node>> = nodes.iter().filter(tells).collect();
        if nodes.iter().all(|node| lasting_taints(node).is_empty()) {
            return Self::default();
        }
        let mut tolerations: FastMap<Label<'_>, BTreeSet<&[Toleration]>> = FastMap::default();
        for (labels, tolerated) in asked {
            for (key, value) in labels {
                tolerations.entry((key, value)).or_default().insert(tolerated);
            }
        }
        let mut common: BTreeMap<Label<'_>, BTreeSet<&Taint>> = BTreeMap::new();
        for node in nodes {
            let own = lasting_taints(node);
            let labels = node.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            for label in labels.filter(|label| tolerations.contains_key(label)) {
                common
                    .entry(label)
                    .and_modify(|taints| taints.retain(|taint| own.contains(taint)))
                    .or_insert(own.clone());
            }
        }
        let accepted = |label: &Label<'_>, taint: &Taint| {
            tolerations.get(label).into_iter().flatten().all(|tolerated| tolerates(tolerated, taint))
        };
        let of_label = |(label, mut taints): (Label<'_>, BTreeSet<&Taint>)| {
            taints.retain(|taint| accepted(&label, taint));
            ((label.0.to_owned(), label.1.to_owned()), taints.into_iter().cloned().collect::<BTreeSet<Taint>>())
        };
        Self(common.into_iter().map(of_label).filter(|(_, taints)| !taints.is_empty()).collect())
    }

    /// The same, whatever the pods tolerate that have these labels in their shapes.
    pub(super) fn whoever_asks<'a>(nodes: &[Arc<Node>], asked: impl Iterator<Item = &'a Labels>) -> Self {
        Self::of(nodes, asked.map(|labels| (labels, EVERYTHING.as_slice())))
    }

    /// Whether no label comes with a taint.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every taint that comes with some label, sorted.
    pub(super) fn taints(&self) -> BTreeSet<&Taint> {
        self.0.values().flatten().collect()
    }

    /// Those of a node with these labels, sorted.
    pub(super) fn taints_of(&self, labels: &Labels) -> Arc<[Taint]> {
        if self.is_empty() {
            return Arc::default();
        }
        let of_label = |(key, value): (&String, &String)| self.0.get(&(key.clone(), value.clone()));
        let taints: BTreeSet<&Taint> = labels.iter().filter_map(of_label).flatten().collect();
        taints.into_iter().cloned().collect()
    }
}

/// Those taints of a node that keep pods off whatever happens to it. Not those with the effect `NoExecute`: who tolerates one may do
/// so for seconds only, and would be evicted from a new node for good.
fn lasting_taints(node: &Node) -> BTreeSet<&Taint> {
    let passes = |taint: &Taint| {
        let of_domain = taint.key.split_once('/').is_some_and(|(domain, _)| PASSING_DOMAINS.contains(&domain));
        of_domain || PASSING_ENDS.iter().any(|end| taint.key.ends_with(end))
    };
    let stays = |taint: &&Taint| taint.effect == TaintEffect::NoSchedule && !passes(taint);
    node.taints.iter().filter(stays).collect()
}
