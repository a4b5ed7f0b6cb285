//! The testbed, for real: each test talks to running programs. They are one
//! test program, so that most can share one control plane.

mod cluster;
mod common;
mod identity;
mod lifecycle;
mod node_pool;
mod workloads;
