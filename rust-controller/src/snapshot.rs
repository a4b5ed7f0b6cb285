//! Everything the planner may look at, at one instant.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::model::{AttachLimits, Budget, Claim, Labels, Node, ObjectName, Pod, PodName, StorageClass, Usage, Volume};
use crate::units::FastMap;

/// The state of a cluster, or of a set of files: the planner's only input besides its options and a catalog.
///
/// Nodes and pods are sorted by name and no name occurs twice. Objects in any order are the same snapshot, except that
/// of two nodes or two pods with one name the last counts. What was skipped is kept beside them, whatever its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// By name.
    nodes: Vec<Arc<Node>>,
    /// By namespace and name. Shared as a whole: to share many pods one by one takes long.
    pods: Arc<[Arc<Pod>]>,
    /// Objects that were left out, sorted.
    skipped: Vec<Skipped>,
    extras: Extras,
    usage: MeasuredUsage,
}

/// What else decides where a pod may run. `None` where nobody could read objects of that kind, which is not the same as
/// that there are none: the rules that look at them go unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Labels of namespaces, by name.
    pub namespaces: Option<BTreeMap<String, Arc<Labels>>>,
    /// `PersistentVolumeClaim`s.
    pub claims: Option<BTreeMap<ObjectName, Arc<Claim>>>,
    /// `PersistentVolume`s, by name.
    pub volumes: Option<BTreeMap<String, Arc<Volume>>>,
    /// Storage classes, by name.
    pub storage_classes: Option<BTreeMap<String, Arc<StorageClass>>>,
    /// What nodes can attach, by node name.
    pub attach_limits: Option<BTreeMap<String, Arc<AttachLimits>>>,
    /// `PodDisruptionBudget`s.
    pub budgets: Option<BTreeMap<ObjectName, Arc<Budget>>>,
}

/// What nodes were measured to use. It stands beside requests, for people: no plan looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MeasuredUsage {
    /// Nobody has asked for it.
    #[default]
    NotAsked,
    /// Asked for in vain.
    Unread(NoUsage),
    /// By node; of a node that is not there nothing has been measured.
    Read(Arc<BTreeMap<String, Arc<Usage>>>),
}

/// Why nobody knows what nodes use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoUsage {
    /// RBAC does not allow it.
    Forbidden,
    /// The API server knows no `metrics.k8s.io`.
    NoApi,
    /// What serves `metrics.k8s.io` gave no answer that could be read.
    NoAnswer,
    /// No file holds any.
    NotInFiles,
}

/// Pods by the name of their node, each list by namespace and name.
pub(crate) type PodsByNode<'a> = FastMap<&'a str, Vec<&'a Arc<Pod>>>;

/// An object that could not be read, and why. The rest is planned without it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// `Pod`, `Node`, …
    pub kind: String,
    /// Name, with the namespace before a slash where it has one.
    pub name: String,
    /// Field and problem.
    pub reason: String,
    /// The node that a pod is bound to: an unknown part of its room is taken.
    pub node: Option<String>,
}

impl Snapshot {
    /// Sorts what was read. Of two objects with one name the last counts, as with `kubectl apply`.
    #[must_use]
    pub fn new(
        nodes: impl IntoIterator<Item = Arc<Node>>,
        pods: impl IntoIterator<Item = Arc<Pod>>,
        skipped: impl IntoIterator<Item = Skipped>,
    ) -> Self {
        let nodes: BTreeMap<String, Arc<Node>> = nodes.into_iter().map(|node| (node.name.clone(), node)).collect();
        let pods: BTreeMap<PodName, Arc<Pod>> = pods.into_iter().map(|pod| (pod.name.clone(), pod)).collect();
        let mut skipped: Vec<Skipped> = skipped.into_iter().collect();
        skipped.sort();
        Self {
            nodes: nodes.into_values().collect(),
            pods: pods.into_values().collect(),
            skipped,
            extras: Extras::default(),
            usage: MeasuredUsage::default(),
        }
    }

    /// The same with what else was read. A kind of which an object was left out counts as unread, but for budgets: those
    /// that were read protect their pods all the same.
    #[must_use]
    pub fn with_extras(self, mut extras: Extras) -> Self {
        for skipped in &self.skipped {
            extras.forget(&skipped.kind);
        }
        Self { extras, ..self }
    }

    /// The same cluster with nodes and pods changed, or left out where the answer is `None`. None may change its name.
    #[must_use]
    pub fn edited(
        &self,
        node: impl Fn(&Arc<Node>) -> Option<Arc<Node>>,
        pod: impl Fn(&Arc<Pod>) -> Option<Arc<Pod>>,
    ) -> Self {
        Self {
            nodes: self.nodes.iter().filter_map(node).collect(),
            pods: self.pods.iter().filter_map(pod).collect(),
            skipped: self.skipped.clone(),
            extras: self.extras.clone(),
            usage: self.usage.clone(),
        }
    }

    /// The same cluster with more nodes, none of which has the name of one that is there.
    #[must_use]
    pub fn with_more_nodes(&self, more: impl IntoIterator<Item = Arc<Node>>) -> Self {
        let mut nodes: Vec<Arc<Node>> = self.nodes.iter().cloned().chain(more).collect();
        nodes.sort_by(|left, right| left.name.cmp(&right.name));
        Self { nodes, ..self.clone() }
    }

    /// What else decides where a pod may run.
    #[must_use]
    pub fn extras(&self) -> &Extras {
        &self.extras
    }

    /// The same with what its nodes were measured to use.
    #[must_use]
    pub fn with_usage(self, usage: MeasuredUsage) -> Self {
        Self { usage, ..self }
    }

    /// What the nodes were measured to use.
    #[must_use]
    pub fn usage(&self) -> &MeasuredUsage {
        &self.usage
    }

    /// The nodes, by name.
    #[must_use]
    pub fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// The pods, by namespace and name.
    #[must_use]
    pub fn pods(&self) -> &[Arc<Pod>] {
        &self.pods
    }

    /// The same, to keep.
    #[must_use]
    pub fn shared_pods(&self) -> Arc<[Arc<Pod>]> {
        Arc::clone(&self.pods)
    }

    /// The pods on each node, by node name: those that run there, and those whose room is being made there.
    pub(crate) fn pods_by_node(&self) -> PodsByNode<'_> {
        let mut by_node = PodsByNode::default();
        for pod in self.pods() {
            if let Some(node) = pod.occupied_node() {
                by_node.entry(node).or_default().push(pod);
            }
        }
        by_node
    }

    /// Kinds of objects that nobody could read, or not all of them: the rules that look at them go unchecked.
    #[must_use]
    pub fn unread_kinds(&self) -> Vec<&'static str> {
        let skipped = |kind: &str| self.skipped.iter().any(|skipped| skipped.kind == kind);
        let kinds = self.extras.kinds().into_iter();
        kinds.filter(|(kind, unread)| *unread || skipped(kind)).map(|(kind, _)| kind).collect()
    }

    /// What was left out.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Names of the nodes that run a pod which could not be read: how much room they have left is not known.
    #[must_use]
    pub fn unreadable_nodes(&self) -> BTreeSet<&str> {
        self.skipped.iter().filter_map(|skipped| skipped.node.as_deref()).collect()
    }
}

impl Extras {
    fn forget(&mut self, kind: &str) {
        match kind {
            "Namespace" => self.namespaces = None,
            "PersistentVolumeClaim" => self.claims = None,
            "PersistentVolume" => self.volumes = None,
            "StorageClass" => self.storage_classes = None,
            "CSINode" => self.attach_limits = None,
            _ => {}
        }
    }

    /// Kinds of objects, each with whether nobody could read it.
    fn kinds(&self) -> [(&'static str, bool); 6] {
        let Self { namespaces, claims, volumes, storage_classes, attach_limits, budgets } = self;
        [
            ("Namespace", namespaces.is_none()),
            ("PersistentVolumeClaim", claims.is_none()),
            ("PersistentVolume", volumes.is_none()),
            ("StorageClass", storage_classes.is_none()),
            ("CSINode", attach_limits.is_none()),
            ("PodDisruptionBudget", budgets.is_none()),
        ]
    }

    /// Kinds of objects that nobody could read.
    #[must_use]
    pub fn unread_kinds(&self) -> Vec<&'static str> {
        self.kinds().into_iter().filter(|(_, unread)| *unread).map(|(kind, _)| kind).collect()
    }
}

impl Skipped {
    /// An object that is bound to no node.
    pub fn new(kind: impl Into<String>, name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { kind: kind.into(), name: name.into(), reason: reason.into(), node: None }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}: {}", self.kind, self.name, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Labels, Resources};

    #[test]
    fn nodes_with_a_pod_that_could_not_be_read_are_named_once_and_the_order_of_reading_is_lost() {
        let on = |name: &str, node: Option<&str>| Skipped {
            node: node.map(str::to_owned),
            ..Skipped::new("Pod", name, "spec: missing")
        };
        let skipped = [on("x/b", Some("n2")), on("x/a", Some("n1")), on("x/c", None), on("x/d", Some("n2"))];
        let snapshot = Snapshot::new([], [], skipped.clone());
        assert!(snapshot.unreadable_nodes().into_iter().eq(["n1", "n2"]));
        assert_eq!(snapshot, Snapshot::new([], [], skipped.into_iter().rev()));
        assert_eq!(snapshot.skipped()[0].to_string(), "Pod x/a: spec: missing");
    }

    #[test]
    fn of_two_nodes_with_one_name_the_last_counts() {
        let node = |unschedulable| {
            Arc::new(Node {
                name: "n".to_owned(),
                labels: Labels::default(),
                taints: Vec::new(),
                unschedulable,
                ready: true,
                deleting: false,
                allocatable: Resources::default(),
                provider_id: None,
                do_not_disrupt: None,
            })
        };
        assert!(Snapshot::new([node(false), node(true)], [], []).nodes()[0].unschedulable);
        assert!(!Snapshot::new([node(true), node(false)], [], []).nodes()[0].unschedulable);
    }
}
