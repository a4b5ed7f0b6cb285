//! Pods onto nodes, first fit.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::least_waste::Choice;
use super::{PlannedNode, Pool, Verdict};
use crate::feasibility::{Target, may_run};
use crate::model::{Catalog, Node, Pod, Resources};
use crate::snapshot::Snapshot;

/// Higher priority first, since room may run out; then larger pods, which fit fewer holes; then by name.
pub(super) fn most_urgent_first(left: &Pod, right: &Pod) -> Ordering {
    let key = |pod: &Pod| Reverse((pod.priority, pod.requests.cpu, pod.requests.memory));
    key(left).cmp(&key(right)).then_with(|| left.name.cmp(&right.name))
}

/// The cluster's nodes and the room that is left on them. A node with a pod that could not be read has an unknown room,
/// and is left out.
pub(super) struct ExistingNodes<'a> {
    nodes: Vec<(&'a Node, Resources)>,
}

impl<'a> ExistingNodes<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let pods_by_node = snapshot.pods_by_node();
        let free = |node: &'a Node| {
            let pods = pods_by_node.get(node.name.as_str()).into_iter().flatten();
            node.allocatable.less(&Resources::sum(pods.map(|pod| &pod.requests)))
        };
        let unreadable = snapshot.unreadable_nodes();
        let usable = |node: &&Arc<Node>| !node.deleting && !unreadable.contains(node.name.as_str());
        let nodes = snapshot.nodes().iter().filter(usable);
        Self { nodes: nodes.map(|node| (&**node, free(node))).collect() }
    }

    /// Takes room for the pod on the first node that may run it.
    ///
    /// A pod with rules that are not checked here is placed nowhere: the scheduler, which checks them, has refused
    /// every node.
    pub(super) fn place(&mut self, pod: &Pod) -> Option<String> {
        if !pod.unchecked_rules.is_empty() {
            return None;
        }
        let fits = |(node, free): &&mut (&Node, Resources)| may_run(pod, &Target::existing(node), free);
        let (node, free) = self.nodes.iter_mut().find(fits)?;
        *free = free.less(&pod.requests);
        Some(node.name.clone())
    }
}

/// Nodes planned so far, by kind.
#[derive(Default)]
pub(super) struct PlannedNodes {
    nodes: Vec<PlannedNode>,
    free: Vec<Resources>,
    pools: BTreeMap<String, Pool>,
    /// Indices of the nodes of each kind and zone, in the order they were opened.
    siblings: BTreeMap<(String, String), Vec<usize>>,
}

/// How far a class of equal pods has come: siblings before this one have no room for it, and never will.
pub(super) type Cursor = usize;

impl PlannedNodes {
    /// The name of the kind of node that a choice needs, which from now on is among the pools.
    pub(super) fn pool(&mut self, choice: &Choice, catalog: &Catalog) -> String {
        let kind = Pool::of(&choice.best, catalog);
        let name = kind.name();
        self.pools.entry(name.clone()).or_insert(kind);
        name
    }

    /// Puts the pod on the first planned node of its kind that has room, or on a new one.
    pub(super) fn place(&mut self, pod: &Pod, choice: &Arc<Choice>, pool: &str, cursor: &mut Cursor) -> Verdict {
        let siblings = self.siblings.entry((pool.to_owned(), choice.best.zone.clone())).or_default();
        let full = |index: &&usize| !pod.requests.fits(&self.free[**index]);
        *cursor += siblings[*cursor..].iter().take_while(full).count();
        let index = siblings.get(*cursor).copied().unwrap_or_else(|| {
            let node = new_node(self.nodes.len() + 1, pool, choice);
            siblings.push(self.nodes.len());
            self.free.push(node.allocatable.less(&node.daemon_requests));
            self.nodes.push(node);
            self.nodes.len() - 1
        });
        self.free[index] = self.free[index].less(&pod.requests);
        self.nodes[index].pods.push(pod.name.clone());
        Verdict::Planned { node: self.nodes[index].name.clone(), pool: pool.to_owned(), choice: Arc::clone(choice) }
    }

    pub(super) fn into_parts(mut self) -> (Vec<PlannedNode>, BTreeMap<String, Pool>) {
        self.nodes.iter_mut().for_each(|node| node.pods.sort());
        (self.nodes, self.pools)
    }
}

fn new_node(number: usize, pool: &str, choice: &Choice) -> PlannedNode {
    let fit = &choice.best;
    PlannedNode {
        name: format!("planned-{number:04}"),
        instance_type: fit.instance_type.clone(),
        zone: fit.zone.clone(),
        capacity_type: fit.capacity_type.clone(),
        price_per_hour: fit.price_per_hour(),
        pool: pool.to_owned(),
        allocatable: fit.allocatable.clone(),
        daemon_requests: fit.daemon_requests.clone(),
        pods: Vec::new(),
    }
}
