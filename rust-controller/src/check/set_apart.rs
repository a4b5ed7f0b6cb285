//! Taints that come with labels, by counting the nodes that have both.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use crate::model::{Labels, Node, Taint, TaintEffect, key};
use crate::provision::Pool;
use crate::snapshot::Snapshot;
use crate::units::FastMap;

/// How many nodes have a label, and how many of these have each taint.
#[derive(Default)]
struct Counts<'a> {
    nodes: usize,
    taints: BTreeMap<&'a Taint, usize>,
}

/// What is known of each label of the nodes, by key and value; of none, where no node is tainted for good.
pub(super) struct SetApart<'a>(FastMap<(&'a str, &'a str), Counts<'a>>);

impl<'a> SetApart<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let workers = snapshot.nodes().iter().map(|node| &**node);
        let workers = workers.filter(|node| !node.deleting && !node.labels.contains_key(key::CONTROL_PLANE));
        let workers: Vec<&'a Node> = workers.collect();
        let mut counts: FastMap<(&'a str, &'a str), Counts<'a>> = FastMap::default();
        if !workers.iter().any(|node| node.taints.iter().any(lasts)) {
            return Self(counts);
        }
        for node in workers {
            let taints: BTreeSet<&'a Taint> = node.taints.iter().filter(|taint| lasts(taint)).collect();
            for (key, value) in &node.labels {
                let of_label = counts.entry((key, value)).or_default();
                of_label.nodes += 1;
                for taint in &taints {
                    *of_label.taints.entry(taint).or_default() += 1;
                }
            }
        }
        Self(counts)
    }

    /// The taints that all nodes with one of these labels have, sorted.
    pub(super) fn taints_of(&self, labels: &Labels) -> Vec<Taint> {
        let known = labels.iter().filter_map(|(key, value)| self.0.get(&(key.as_str(), value.as_str())));
        let on_all = known.flat_map(|Counts { nodes, taints }| taints.iter().filter(move |(_, with)| *with == nodes));
        let on_all: BTreeSet<&Taint> = on_all.map(|(taint, _)| *taint).collect();
        on_all.into_iter().cloned().collect()
    }
}

/// Taints of pools that come with no label of theirs.
pub(super) fn unfounded<'p>(snapshot: &Snapshot, pools: impl Iterator<Item = &'p Pool>) -> Vec<Violation> {
    let tainted: Vec<&Pool> = pools.filter(|pool| !pool.taints.is_empty()).collect();
    if tainted.is_empty() {
        return Vec::new();
    }
    let set_apart = SetApart::of(snapshot);
    let unfounded = |pool: &&'p Pool| -> Vec<Violation> {
        let founded = set_apart.taints_of(&pool.labels);
        let others = pool.taints.iter().filter(|taint| !founded.contains(taint));
        others.map(|taint| Violation::new(&pool.name, format_args!("has the taint {taint} for no reason"))).collect()
    };
    tainted.iter().flat_map(unfounded).collect()
}

/// Whether a taint keeps pods from coming, and not only for now; one that evicts may be tolerated for seconds.
fn lasts(taint: &Taint) -> bool {
    let of_the_moment = [
        "node.kubernetes.io/",
        "node.cloudprovider.kubernetes.io/",
        "node.cluster.x-k8s.io/",
        "karpenter.sh/",
        "aws-node-termination-handler/",
    ];
    let key = taint.key.as_str();
    let of_autoscaler = key.ends_with("OfClusterAutoscaler") || key.ends_with("ByClusterAutoscaler");
    let passes = of_autoscaler || key.ends_with("-not-ready") || of_the_moment.iter().any(|each| key.starts_with(each));
    taint.effect == TaintEffect::NoSchedule && !passes
}
