//! Plans Kubernetes nodes and never touches one. The code map is in `docs/ARCHITECTURE.md`.
//!
//! The modules are rooms, in the order the data flows; a room imports only from rooms above it. Those before
//! [`cluster`] are pure: no async, no clock, no environment, no files.

pub mod units;

pub mod model;

pub mod catalog;

pub mod snapshot;

pub mod lower;

pub mod feasibility;

pub mod provision;

pub mod consolidate;

pub mod check;

pub mod document;

pub mod cluster;

pub mod loops;

pub mod web;

pub mod cli;
