//! Pods, nodes and node types as the planner sees them: plain values, nothing of Kubernetes' client.

mod labels;
mod node;
mod node_type;
mod placement;
mod pod;
mod resources;

pub use labels::{Labels, is_label_value, key, normalized_key};
pub use node::Node;
pub use node_type::{Catalog, NodeClassRef, NodeType, Offering};
pub use placement::{
    NodeSelectorTerm, Operator, Placement, Requirement, Taint, TaintEffect, Toleration, TolerationMatch,
};
pub use pod::{Owner, Phase, Pod, PodName, SchedulingState};
pub use resources::{Resources, Shortfall, printed_amount};
