//! May this pod run on that node, given what is there? The same answers as kube-scheduler, and the reason.
//!
//! [`Simulation`] holds the nodes with the pods on them and answers for classes of pods, quickly, as pods come and go.
//! [`placement_refusal`] asks the rules that look at one node by itself.
//!
//! The rules are those of the filter plugins of kube-scheduler 1.36 with their default configuration; see [`Rule`].

mod affinity;
mod class;
mod domains;
mod interner;
mod mounts;
mod node_selector;
mod numbering;
mod refusal;
mod rule;
mod selector;
mod shape;
mod sights;
mod simulation;
mod spread;
mod target;
mod verdict;
mod volume_verdict;
mod volumes;

pub use class::ClassId;
pub use node_selector::{requirement_matches, selects};
pub use refusal::{ClaimProblem, Refusal, Skew};
pub use rule::Rule;
pub use simulation::{NewNode, NodeId, Simulation};
pub use target::{Target, placement_refusal};
pub use verdict::Miss;
