//! May this pod run on that node, given what is there? The same answers as kube-scheduler, and the reason.
//!
//! [`Simulation`] holds the nodes with the pods on them and answers for classes of pods, quickly, as pods come and go.
//! [`placement_refusal`] asks the rules that look at one node by itself.
//!
//! The rules are those of the filter plugins of kube-scheduler 1.36 with their default configuration; see [`Rule`].

mod affinity;
mod areas;
mod class;
mod domains;
mod exchange;
mod guise;
mod interner;
mod mounts;
mod needs;
mod node_selector;
mod numbering;
mod refusal;
mod relabel;
mod rule;
mod selector;
mod shape;
mod sights;
mod simulation;
mod slots;
mod spread;
mod stock;
mod taints;
mod target;
mod verdict;
mod volume_verdict;
mod volumes;
mod wish_numbering;
mod wishes;

pub use areas::Area;
pub use class::ClassId;
pub use guise::{Guise, InGuise, Obstacles};
pub use needs::{NodeNeeds, Seat};
pub use node_selector::{requirement_matches, selects};
pub use refusal::{ClaimProblem, Refusal, Skew};
pub use relabel::{Noticed, Watchers};
pub use rule::Rule;
pub use simulation::{NewNode, NodeId, Simulation};
pub use target::{Target, placement_admits, placement_refusal, tolerates};
pub use verdict::Miss;
pub use volumes::attached_volumes;
pub use wishes::{MEDIUM_WEIGHT, Unmet, Wishes};
