//! A real Kubernetes control plane on 127.0.0.1, without Docker: for tests, and
//! for people.
//!
//! ```no_run
//! use testbed::{ControlPlane, FakeNode, Options};
//!
//! # fn main() -> testbed::Result<()> {
//! let cluster = ControlPlane::start(&Options { kwok: true, ..Options::default() })?;
//! cluster.create_fake_nodes(&[FakeNode::new("node-1").cpu("4").memory("16Gi")])?;
//! cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")?;
//! println!("{}", cluster.kubectl(&["get", "nodes"])?);
//! // Dropped here: every process ends and the temporary folder goes away.
//! # Ok(())
//! # }
//! ```
//!
//! # What runs
//!
//! etcd, kube-apiserver, kube-controller-manager, kube-scheduler and, with
//! [`Options::kwok`], KWOK: the real programs, started as plain processes, each
//! listening on 127.0.0.1 alone, on a free port. RBAC, admission (`PodSecurity`
//! among it), service accounts and their tokens, Deployments, `DaemonSets` and
//! Jobs work as anywhere. There is no kubelet, no container and no network: a
//! node is an object, and KWOK plays its part. It keeps the nodes that carry
//! the annotation `kwok.x-k8s.io/node: fake` Ready, sets the pods bound to them
//! Running, completes those of Jobs, and removes deleted ones.
//! [`ControlPlane::create_fake_nodes`] makes such nodes.
//!
//! What differs from a production cluster: etcd does not sync to disk, nothing
//! elects a leader, users other than service accounts have static tokens, the
//! service `kubernetes.default` has no endpoints, node heartbeats may be an
//! hour late before a node counts as lost, and etcd asks nobody who he is
//! (anyone with an account on the machine can reach its port).
//!
//! # For people
//!
//! `make cluster` runs `testbed up`: the same control plane in the background,
//! with three fake nodes and Karpenter's `NodePool` type. It prints the
//! `export KUBECONFIG=…` to use. `make cluster-down` runs `testbed down`, which
//! ends exactly those processes: the process ids are noted together with each
//! one's name and start time, and a process for which these are not the same
//! any more is left alone. `testbed build` only finds or builds the programs,
//! and shows versions.
//!
//! # Where the programs come from
//!
//! In this order:
//!
//! 1. the folder that `KUBEBUILDER_ASSETS` names;
//! 2. `PATH`;
//! 3. the cache, where an earlier build put them;
//! 4. a build with the Go tool, into the cache.
//!
//! Each program is looked for by itself, but `kube-apiserver`,
//! `kube-controller-manager` and `kube-scheduler` count only where all three
//! are: they belong to one Kubernetes release, and for instance a controller
//! manager newer than its API server is not supported. A folder made by
//! `setup-envtest` (etcd, kube-apiserver, kubectl) thus gives etcd and kubectl,
//! and a line on standard error says so. What is found is used as it is,
//! whatever its version; `testbed build` shows which it is.
//!
//! With neither Go nor the programs, [`Error::NoBinaries`] says what is missing
//! and what to do. Nothing is ever skipped for the lack of them.
//!
//! KWOK's stage files and the `NodePool` type are taken from their Go modules,
//! and copied into the cache, so that Go is needed once.
//!
//! # Karpenter's scheduler
//!
//! [`KarpenterScheduler`] says what Karpenter would launch for pods, with given
//! node types and `NodePool`s. It needs no control plane: a small program,
//! `karpenter/`, calls the scheduler of the real Karpenter once. It has a
//! `go.mod` of its own, since a release of Karpenter goes with the Kubernetes
//! libraries that it was tested with; `testbed build` builds it as well.
//!
//! # metrics-server
//!
//! With [`Options::metrics`], metrics-server serves `metrics.k8s.io`, as in a
//! real cluster behind the API server: an `APIService` leads to it, and both
//! know each other by certificates. KWOK plays the kubelets that it asks, and
//! what a pod uses is in the pod's annotations. It is built from a `go.mod` of
//! its own, `metrics-server/`, for the same reason.
//!
//! # Versions, and how to change them
//!
//! `control-plane/go.mod` pins everything: the programs are its `tool`
//! directives. Kubernetes is built from `k8s.io/kubernetes`, with each of its
//! staging modules `replace`d by the release of the same number. To change a
//! version, in `control-plane/`:
//!
//! ```sh
//! go get k8s.io/kubernetes@v1.X.Y   # and every `replace` to v0.X.Y
//! go get go.etcd.io/etcd/server/v3@v3.X.Y sigs.k8s.io/kwok@v0.X.Y sigs.k8s.io/karpenter@v1.X.Y
//! go mod tidy
//! cargo run -p testbed -- build
//! ```
//!
//! Karpenter's scheduler is pinned in `karpenter/go.mod`, and changed in the
//! same way: `go get sigs.k8s.io/karpenter@v1.X.Y && go mod tidy` there; and so
//! is metrics-server, in `metrics-server/go.mod`.
//!
//! The version that Kubernetes reports is read from `go.mod` too and given to
//! the linker. Nothing else names a version.
//!
//! # Cache
//!
//! `$MINI_KARPENTER_TESTBED_CACHE`, else `$XDG_CACHE_HOME/mini-karpenter-testbed`,
//! else `~/.cache/mini-karpenter-testbed` ([`cache_folder`]). Within it, a folder
//! is named by the hash of `go.mod`, `go.sum`, the build flags and the platform:
//! other versions are another folder, and old ones may be deleted at any time.
//! Karpenter's scheduler has a folder of its own, named in the same way and by
//! its sources too, and metrics-server has one. A first build takes minutes (a line on standard error says
//! that it runs) and about 0.5 GB. A file lock keeps two processes from building at once, and a
//! program appears under its name only when it is whole. The folder `cluster`
//! is that of `testbed up`.
//!
//! # Environment variables
//!
//! | variable | meaning |
//! | --- | --- |
//! | `KUBEBUILDER_ASSETS` | a folder with programs, looked into first |
//! | `PATH` | looked into next; also where Go is |
//! | `MINI_KARPENTER_TESTBED_CACHE` | the cache folder |
//! | `XDG_CACHE_HOME`, `HOME` | where the cache folder is otherwise |
//! | `TMPDIR` | where the folders of control planes for tests are |
//!
//! Go's own variables (`GOPROXY`, `GOMODCACHE` …) work as always, except those
//! the build sets itself: `GOFLAGS`, `GOWORK`, `CGO_ENABLED`.
//!
//! # Waiting and ending
//!
//! Every wait has a deadline and polls; the error names what was waited for,
//! and if a component is to blame it carries the end of its log. A start that
//! fails because somebody took one of its ports is tried again.
//!
//! Dropping a [`ControlPlane`] ends its processes, by their ids: `SIGTERM`, a
//! bounded wait, then `SIGKILL`. A panic drops it as well. If the owner dies
//! without dropping it (`SIGKILL`, an abort, Ctrl-C, or a control plane in a
//! `static`), a small shell process that each control plane has beside it sees
//! its pipe close, and ends the processes and removes the folder in the owner's
//! place. This works on every Unix; other systems are not supported.
//!
//! A control plane may therefore be shared by all tests of one test program:
//!
//! ```no_run
//! use std::sync::OnceLock;
//! use testbed::{ControlPlane, Error, Options};
//!
//! fn shared() -> Result<&'static ControlPlane, &'static Error> {
//!     static SHARED: OnceLock<Result<ControlPlane, Error>> = OnceLock::new();
//!     SHARED.get_or_init(|| ControlPlane::start(&Options::default())).as_ref()
//! }
//! # let _ = shared();
//! ```

mod arguments;
mod binaries;
mod cache;
mod certificates;
mod cluster;
mod command;
mod component;
mod control_plane;
mod error;
mod fake_node;
mod go;
mod karpenter;
mod kubeconfig;
mod kubectl;
mod layout;
mod metrics_server;
mod node_pool;
mod pins;
mod ports;
mod probe;
mod process;
mod processes;
mod program;
mod progress;
mod start;
mod wait;
mod watchdog;

pub use binaries::{Binaries, Binary, Origin};
pub use cache::cache_folder;
pub use cluster::{Cluster, Up};
pub use control_plane::{ControlPlane, Options};
pub use error::{Error, Result};
pub use fake_node::FakeNode;
pub use karpenter::{KarpenterScheduler, Launch};
pub use metrics_server::MetricsServer;
pub use process::Process;
pub use program::Program;
pub use wait::wait_until;
