//! The program against a real API server, a real scheduler and the RBAC of `k8s/`.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "what fails, fails the test; time and files are what these tests are about"
)]

mod consolidation;
mod controller;
mod failures;
mod manifests;
mod node_pools;
mod ownership;
mod pending;
mod permissions;
mod plane;
mod scheduling;
