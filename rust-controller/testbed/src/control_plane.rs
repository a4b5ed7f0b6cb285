//! A running control plane, and what kinds of it there are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::binaries::Binaries;
use crate::error::Result;
use crate::kubeconfig::Endpoint;
use crate::layout::Layout;
use crate::process::Process;
use crate::processes::Processes;
use crate::wait::wait_until;

/// What kind of control plane to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Run KWOK too: fake nodes become Ready and pods on them Running.
    pub kwok: bool,
    /// Run metrics-server and, for it to have something to measure, KWOK: what
    /// a pod on a fake node uses is in its annotations
    /// `kwok.x-k8s.io/usage-cpu` and `kwok.x-k8s.io/usage-memory` (1m and 1Mi).
    /// `metrics.k8s.io` has answers, but knows of a node some 20 seconds later.
    pub metrics: bool,
    /// How long the whole start may take, builds not counted.
    pub start_timeout: Duration,
    /// The folder for keys, data and logs. `None` is a temporary folder that
    /// goes away with the control plane; a given one is made and kept.
    pub folder: Option<PathBuf>,
}

impl Default for Options {
    /// No KWOK and no metrics-server, two minutes, a temporary folder.
    fn default() -> Self {
        Self { kwok: false, metrics: false, start_timeout: Duration::from_mins(2), folder: None }
    }
}

/// etcd, API server, scheduler, controller manager and, if asked for, KWOK and
/// metrics-server, all on 127.0.0.1. Dropping it ends them and removes the temporary folder.
///
/// It can be shared between threads. One kept in a `static` is never dropped;
/// its processes end with the program all the same (see the crate's text).
#[derive(Debug)]
pub struct ControlPlane {
    // Declared, and so dropped, before the folder the processes write to.
    pub(crate) processes: Processes,
    pub(crate) layout: Layout,
    pub(crate) endpoint: Endpoint,
    pub(crate) binaries: Binaries,
    pub(crate) kwok: bool,
    pub(crate) _temporary: Option<TempDir>,
}

impl ControlPlane {
    /// Looks until `condition` gives a value, like [`wait_until`], but says so
    /// if the reason for waiting in vain is a component that has ended.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Deadline`], naming `what`, or [`crate::Error::Component`].
    pub fn wait_until<T, E: std::fmt::Display>(
        &self,
        what: &str,
        timeout: Duration,
        condition: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<T> {
        wait_until(what, timeout, condition).map_err(|error| self.check().err().unwrap_or(error))
    }

    /// Are all components still running?
    ///
    /// # Errors
    ///
    /// [`crate::Error::Component`], with the end of its log, for one that has ended.
    pub fn check(&self) -> Result<()> {
        self.processes.check()
    }

    /// The folder with keys, data and logs (`logs/<program>.log`).
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.layout.folder()
    }

    /// The API server's address, such as `https://127.0.0.1:40123`.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.endpoint.server
    }

    /// The kubeconfig of a user who may do everything.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.layout.admin_kubeconfig()
    }

    /// The programs it runs on.
    #[must_use]
    pub const fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The running components and their process ids.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        self.processes.each(|component| Process::new(component.name(), component.id()))
    }

    /// Lets go: the processes live on and are the caller's to end. Makes sense
    /// only with [`Options::folder`], since a temporary folder goes away.
    pub fn detach(self) -> Vec<Process> {
        let processes = self.processes();
        self.processes.release();
        processes
    }
}
