//! A control plane for people: it runs in the background until told to end.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cache::{self, cache_folder};
use crate::control_plane::{ControlPlane, Options};
use crate::error::{Error, Result};
use crate::fake_node::FakeNode;
use crate::process::{self, Process};

/// Bringing a cluster up may wait for another `up` that builds the programs.
const LOCK_LIMIT: Duration = Duration::from_hours(1);

/// The zones the fake nodes are spread over.
const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];

/// The folder of a background cluster: its kubeconfig, logs and data, and in
/// `state.json` the processes.
#[derive(Debug, Clone)]
pub struct Cluster {
    folder: PathBuf,
}

/// What [`Cluster::up`] found or did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Up {
    /// It was started.
    Started,
    /// It was running before, and nothing was changed.
    AlreadyRunning,
}

impl Cluster {
    /// The person's cluster: the folder `cluster` in the cache folder.
    ///
    /// # Errors
    ///
    /// [`Error::NoCacheFolder`].
    pub fn of_user() -> Result<Self> {
        Ok(Self::in_folder(cache_folder()?.join("cluster")))
    }

    /// A cluster in a folder of its own. The folder is made by [`Self::up`] and
    /// removed, with all that is in it, by [`Self::down`].
    #[must_use]
    pub const fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where everything lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The admin's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Starts the cluster with `nodes` fake nodes and the `NodePool` type,
    /// unless it is running. One that has partly ended is ended and replaced.
    ///
    /// # Errors
    ///
    /// Those of [`ControlPlane::start`] and of the system. After a failure
    /// nothing runs, and the logs are still in the folder.
    pub fn up(&self, nodes: usize) -> Result<Up> {
        let _lock = self.lock()?;
        let processes = self.processes()?;
        if !processes.is_empty() && processes.iter().all(Process::is_running) {
            return Ok(Up::AlreadyRunning);
        }
        self.remove(&processes)?;
        let control_plane =
            ControlPlane::start(&Options { kwok: true, folder: Some(self.folder.clone()), ..Options::default() })?;
        control_plane.install_nodepool_crd()?;
        control_plane.create_fake_nodes(&fake_nodes(nodes))?;
        // Noted before they are let go of: at no moment are there processes
        // that neither this program nor the note would end.
        self.note(&control_plane.processes())?;
        control_plane.detach();
        Ok(Up::Started)
    }

    /// Ends exactly the processes [`Self::up`] started, as far as they are
    /// still there, and removes the folder. Gives their number.
    ///
    /// # Errors
    ///
    /// [`Error::Deadline`] if a process does not end; those of the system.
    pub fn down(&self) -> Result<usize> {
        let _lock = self.lock()?;
        self.remove(&self.processes()?)
    }

    fn lock(&self) -> Result<cache::Lock> {
        let parent = self.folder.parent().unwrap_or(Path::new("."));
        let name = self.folder.with_extension("lock");
        let name = name.file_name().unwrap_or_default().to_string_lossy();
        cache::lock(parent, &name, LOCK_LIMIT)
    }

    fn state_file(&self) -> PathBuf {
        self.folder.join("state.json")
    }

    /// The noted processes; none if there is no note.
    fn processes(&self) -> Result<Vec<Process>> {
        let path = self.state_file();
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            text => text.map_err(Error::io(format!("read {}", path.display())))?,
        };
        serde_json::from_str(&text).map_err(|source| Error::Json { what: path.display().to_string(), source })
    }

    fn note(&self, processes: &[Process]) -> Result<()> {
        let path = self.state_file();
        let text = serde_json::to_string_pretty(processes)
            .map_err(|source| Error::Json { what: path.display().to_string(), source })?;
        fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))
    }

    fn remove(&self, processes: &[Process]) -> Result<usize> {
        let ended = process::end(processes)?;
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io(format!("remove {}", self.folder.display()))(error))
            }
            _ => Ok(ended),
        }
    }
}

fn fake_nodes(count: usize) -> Vec<FakeNode> {
    let zones = ZONES.iter().cycle();
    let numbered = (1..=count).zip(zones);
    let nodes = numbered
        .map(|(number, zone)| FakeNode::new(&format!("fake-node-{number}")).label("topology.kubernetes.io/zone", zone));
    nodes.collect()
}
