//! The cluster: watch-backed stores of what the planner reads, and the publisher, which alone writes.

mod access;
mod difference;
mod listing;
mod optional;
mod publisher;
mod stores;
mod usage;
mod view;
mod watched;

pub use access::{AccessError, connect, preflight};
pub use listing::list_snapshot;
pub use publisher::{Desired, Publisher};
pub use stores::Stores;
