//! The program against a real API server, a real scheduler and the RBAC of `k8s/`, and its NodePools against Karpenter's
//! scheduler.

#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails, fails the test; time and files are what these tests are about"
)]

mod consolidation;
mod controller;
mod failures;
mod karpenter;
mod manifests;
mod node_pools;
mod ownership;
mod pending;
mod permissions;
mod plane;
#[path = "../common/pod_list.rs"]
mod pod_list;
#[path = "../common/program.rs"]
mod program;
mod scheduling;
mod usage;
#[path = "../common/workloads.rs"]
#[expect(dead_code, reason = "the benchmark and tests of plans use the rest")]
mod workloads;
