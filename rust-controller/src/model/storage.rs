//! Volumes, claims to them, and what the nodes can attach.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{LabelSelector, Labels, NodeSelectorTerm, ObjectName, Operator, key, normalized_key};
use crate::units::Memory;

/// A volume in a pod's spec that decides where the pod may run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodVolume {
    /// A `PersistentVolumeClaim` of the pod's namespace.
    Claim {
        /// Its name.
        name: String,
        /// Made for this pod alone, from a template in its spec.
        ephemeral: bool,
    },
    /// A network disk without a claim, which not every pod may mount at once.
    Disk(Disk),
}

/// A network disk that stands in a pod's spec itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Disk {
    /// Which kind.
    pub kind: DiskKind,
    /// What tells it from others of its kind: disk name, volume id, IQN, or pool and image.
    pub id: String,
    /// Ceph monitors, one of which two pods of the same disk share; empty for the other kinds.
    pub monitors: BTreeSet<String>,
    /// Mounted only to be read.
    pub read_only: bool,
}

/// Kinds of [`Disk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiskKind {
    /// `gcePersistentDisk`
    GcePersistentDisk,
    /// `awsElasticBlockStore`, of which two pods on a node never share one, not even to read.
    AwsElasticBlockStore,
    /// `iscsi`
    Iscsi,
    /// `rbd`
    Rbd,
}

/// A `PersistentVolumeClaim`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a claim may be each of these with or without the others")]
pub struct Claim {
    /// Namespace and name.
    pub name: ObjectName,
    /// Tells it from an earlier claim of the same name; empty where nobody said.
    pub uid: String,
    /// The volume that it is bound to, or is to be bound to.
    pub volume: Option<String>,
    /// Whether binding is complete on both sides.
    pub bound: bool,
    /// Storage class; `None` or empty for none.
    pub storage_class: Option<String>,
    /// `ReadWriteOnce`, …
    pub access_modes: BTreeSet<String>,
    /// How much it asks for.
    pub size: Memory,
    /// Volumes that it may be bound to; `None` for any.
    pub selector: Option<LabelSelector>,
    /// A raw block device instead of a file system.
    pub block: bool,
    /// The node that the scheduler has chosen for the volume that is being made for it.
    pub selected_node: Option<String>,
    /// Its volume is gone.
    pub lost: bool,
    /// Being deleted.
    pub deleting: bool,
    /// The pod that it was made for and goes with, for the claims of ephemeral volumes.
    pub owner_pod: Option<String>,
}

/// A `PersistentVolume`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a volume may be each of these with or without the others")]
pub struct Volume {
    /// Name, unique in the cluster.
    pub name: String,
    /// Labels; those of zone and region tell where it can be attached.
    pub labels: Labels,
    /// The nodes that can attach it: alternatives of which one must match. `None` for every node.
    pub node_affinity: Option<Vec<NodeSelectorTerm>>,
    /// Storage class; `None` or empty for none.
    pub storage_class: Option<String>,
    /// `ReadWriteOnce`, …
    pub access_modes: BTreeSet<String>,
    /// How much it holds.
    pub capacity: Memory,
    /// A raw block device instead of a file system.
    pub block: bool,
    /// The claim that it is for, with the claim's uid, which is empty until it is bound.
    pub claim: Option<(ObjectName, String)>,
    /// In phase Available.
    pub available: bool,
    /// Being deleted.
    pub deleting: bool,
    /// CSI driver and its name for the volume.
    pub csi: Option<(String, String)>,
    /// A disk or a folder of one node.
    pub local: bool,
}

/// A `StorageClass`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageClass {
    /// Name, unique in the cluster.
    pub name: String,
    /// Who makes its volumes; `kubernetes.io/no-provisioner` makes none.
    pub provisioner: String,
    /// Volumes are bound once a pod needs them, instead of at once.
    pub waits_for_pod: bool,
    /// Where its volumes can be made: alternatives, each of requirements `In` that must all hold; without any,
    /// everywhere.
    pub allowed_topologies: Vec<NodeSelectorTerm>,
}

/// How many volumes of each CSI driver a node can attach: a `CSINode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachLimits {
    /// Name of the node.
    pub node: String,
    /// By driver; a driver without an entry has no limit.
    pub volumes: BTreeMap<String, u32>,
    /// Drivers that are there, and have none.
    pub unlimited: BTreeSet<String>,
}

/// How many volumes of each CSI driver a node can attach, as far as that is known: `None` for any number. Of a driver without
/// an entry nobody knows.
pub type AttachCounts = BTreeMap<String, Option<u32>>;

/// A `PodDisruptionBudget`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Namespace and name.
    pub name: ObjectName,
    /// The pods of its namespace that it protects.
    pub selector: LabelSelector,
    /// How many of them may be evicted now: none as long as its status does not say.
    pub disruptions_allowed: u32,
    /// Its status does not say, or speaks of an older specification.
    pub is_stale: bool,
    /// Pods that are not Ready may be evicted whatever it allows: it says so, or enough others are healthy.
    pub lets_unready_go: bool,
}

impl Volume {
    /// The zones that its node affinity names.
    pub fn zones(&self) -> impl Iterator<Item = &str> {
        let requirements = self.node_affinity.iter().flatten().flat_map(|term| &term.labels);
        let of_zone =
            requirements.filter(|each| each.operator == Operator::In && normalized_key(&each.key) == key::ZONE);
        of_zone.flat_map(|each| &each.values).map(String::as_str)
    }
}
