//! Nodes as they would join: each node type in each of its offerings, with the daemon pods that come with it.

use std::borrow::Cow;
use std::collections::{BTreeMap, btree_map::Entry};

use super::{Options, Shape};
use crate::feasibility::{Target, placement_refusal};
use crate::model::{Catalog, Labels, NodeSelectorTerm, NodeType, Offering, Placement, Pod, PodName, Resources, key};
use crate::snapshot::Snapshot;

/// A node type in one of its offerings.
#[derive(Clone, Debug)]
pub(super) struct Launch<'a> {
    pub(super) kind: &'a NodeType,
    pub(super) offering: &'a Offering,
    /// What it joins with, but for the labels that its `NodePool` adds.
    pub(super) labels: Labels,
    /// What its daemon pods request, as long as its `NodePool` adds no labels that one of them asks for.
    daemon_requests: Resources,
}

/// Every way to launch a node that the options allow, in the catalog's order.
pub(super) fn launches<'a>(catalog: &'a Catalog, options: &Options, daemons: &Daemons) -> Vec<Launch<'a>> {
    options.allowed(catalog).map(|(kind, offering)| Launch::new(kind, offering, daemons)).collect()
}

impl<'c> Launch<'c> {
    fn new(kind: &'c NodeType, offering: &'c Offering, daemons: &Daemons) -> Self {
        let labels = kind.labels_as(offering);
        let mut launch = Self { kind, offering, labels, daemon_requests: Resources::default() };
        launch.daemon_requests = daemons.sum_on(&launch.target(&Labels::new()));
        launch
    }

    /// The node as the rules see it, with its `NodePool`'s labels.
    pub(super) fn target<'a>(&'a self, template_labels: &'a Labels) -> Target<'a> {
        Target {
            name: None,
            labels: &self.labels,
            extra_labels: Some(template_labels),
            taints: &[],
            unschedulable: false,
        }
    }
}

/// The daemon pods of the cluster: one for each `DaemonSet`.
#[derive(Debug)]
pub(super) struct Daemons {
    each: Vec<Daemon>,
}

/// What stands for a `DaemonSet`.
#[derive(Debug)]
struct Daemon {
    /// Its namespace and name.
    name: PodName,
    /// The most that any of its pods requests of each resource.
    requests: Resources,
    placement: Placement,
}

impl Daemons {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let mut each: BTreeMap<(&str, &str), Daemon> = BTreeMap::new();
        for pod in snapshot.pods().iter().filter(|pod| pod.is_daemon() && !pod.deleting) {
            let Some(owner) = &pod.owner else { continue };
            match each.entry((&pod.name.namespace, &owner.name)) {
                Entry::Vacant(entry) => drop(entry.insert(Daemon {
                    name: PodName { namespace: pod.name.namespace.clone(), name: owner.name.clone() },
                    requests: pod.requests.clone(),
                    placement: template_placement(pod),
                })),
                Entry::Occupied(mut entry) => {
                    let daemon = entry.get_mut();
                    daemon.requests = daemon.requests.largest(&pod.requests);
                }
            }
        }
        Self { each: each.into_values().collect() }
    }

    /// What those that would run on such a node request together, pod slots included.
    pub(super) fn requests_on<'a>(&self, launch: &'a Launch<'_>, shape: &Shape) -> Cow<'a, Resources> {
        if shape.template_labels.is_empty() {
            return Cow::Borrowed(&launch.daemon_requests);
        }
        Cow::Owned(self.sum_on(&launch.target(&shape.template_labels)))
    }

    fn sum_on(&self, target: &Target<'_>) -> Resources {
        Resources::sum(self.running_on(target).map(|daemon| &daemon.requests))
    }

    /// Namespace and name of each set that would run on such a node.
    pub(super) fn names_on(&self, target: &Target<'_>) -> Vec<PodName> {
        self.running_on(target).map(|daemon| daemon.name.clone()).collect()
    }

    fn running_on<'a>(&'a self, target: &'a Target<'_>) -> impl Iterator<Item = &'a Daemon> {
        self.each.iter().filter(|daemon| placement_refusal(&daemon.placement, target).is_none())
    }
}

/// A daemon pod's placement before the `DaemonSet` controller pinned it to its node by name.
fn template_placement(pod: &Pod) -> Placement {
    let mut placement = pod.placement.clone();
    for term in placement.node_affinity.iter_mut().flatten() {
        term.fields.retain(|field| field.key != "metadata.name");
        term.labels.retain(|requirement| requirement.key != key::HOSTNAME);
    }
    let unpinned =
        |terms: &Vec<NodeSelectorTerm>| terms.iter().any(|term| term.labels.is_empty() && term.fields.is_empty());
    if placement.node_affinity.as_ref().is_some_and(unpinned) {
        placement.node_affinity = None;
    }
    placement
}
