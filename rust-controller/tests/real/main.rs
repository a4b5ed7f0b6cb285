//! The program against a real API server, a real scheduler and the RBAC of `k8s/`.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod consolidation;
mod controller;
mod failures;
mod manifests;
mod node_pools;
mod ownership;
mod pending;
mod permissions;
mod plane;
