//! Pods, nodes and node types as the planner sees them: plain values, nothing of Kubernetes' client.

mod eviction;
mod labels;
mod name;
mod node;
mod node_type;
mod placement;
mod pod;
mod preferences;
mod resources;
mod selector;
mod storage;
mod topology;
mod usage;

pub use eviction::Eviction;
pub use labels::{Labels, is_label_value, key, normalized_key};
pub use name::ObjectName;
pub use node::Node;
pub use node_type::{Catalog, NodeClassRef, NodeType, Offering};
pub use placement::{NodeSelectorTerm, Placement, Taint, TaintEffect, Toleration, TolerationMatch};
pub use pod::{Owner, Phase, Pod, PodName, SchedulingState};
pub use preferences::{Preferences, Weighted};
pub use resources::{Resources, Shortfall, in_units, printed_alike, printed_amount};
pub use selector::{LabelSelector, Operator, Requirement};
pub use storage::{AttachCounts, AttachLimits, Budget, Claim, Disk, DiskKind, PodVolume, StorageClass, Volume};
pub use topology::{AffinityTerm, HostPort, Neighbours, SpreadConstraint};
pub use usage::Usage;
