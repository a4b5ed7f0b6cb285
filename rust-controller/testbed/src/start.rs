//! Starting a control plane: one component after the other, each made ready.

use std::fs;
use std::io;
use std::path::{self, Path, PathBuf};
use std::time::Instant;

use tempfile::TempDir;

use crate::arguments::Settings;
use crate::binaries::Binaries;
use crate::certificates::Certificates;
use crate::component::Component;
use crate::control_plane::{ControlPlane, Options};
use crate::error::{Error, Result};
use crate::kubeconfig::Endpoint;
use crate::layout::Layout;
use crate::metrics_server::{self, MetricsServer};
use crate::ports::{Port, Ports};
use crate::probe::{Probe, http};
use crate::processes::Processes;
use crate::program::Program;
use crate::progress::progress;
use crate::wait::wait_until;
use crate::watchdog::Watchdog;

/// How often a start is tried when somebody else took a port in between.
const ATTEMPTS: u32 = 4;

/// The module KWOK's stages come from, and the stages: what becomes of a fake
/// node and of a pod on it.
const KWOK_MODULE: &str = "sigs.k8s.io/kwok";
const KWOK_STAGES: [&str; 4] = [
    "kustomize/stage/node/fast/node-initialize.yaml",
    "kustomize/stage/pod/fast/pod-ready.yaml",
    "kustomize/stage/pod/fast/pod-complete.yaml",
    "kustomize/stage/pod/fast/pod-delete.yaml",
];

/// How KWOK plays the kubelets that metrics-server asks, and what pods use.
const KWOK_METRICS: [&str; 2] =
    ["kustomize/metrics/resource/metrics-resource.yaml", "kustomize/metrics/usage/usage-from-annotation.yaml"];

/// What is ready before the clock of a start runs.
struct Prepared {
    binaries: Binaries,
    /// KWOK's files, if it is to run.
    kwok: Option<Vec<String>>,
    metrics_server: Option<MetricsServer>,
}

impl ControlPlane {
    /// Finds or builds the programs, starts them and waits until the API
    /// server, the scheduler, the controller manager (seen by the default
    /// service account it makes), KWOK and metrics-server are ready.
    ///
    /// # Errors
    ///
    /// Those of [`Binaries::locate`]; [`Error::Component`], with the end of its
    /// log, for a component that ends or is not ready in time.
    pub fn start(options: &Options) -> Result<Self> {
        let binaries = Binaries::locate()?;
        let kwok = (options.kwok || options.metrics).then(|| kwok_files(&binaries, options.metrics)).transpose()?;
        let metrics_server = options.metrics.then(MetricsServer::locate).transpose()?;
        let prepared = Prepared { binaries, kwok, metrics_server };
        let mut attempt = 1;
        loop {
            match start_once(&prepared, options) {
                Err(error) if attempt < ATTEMPTS && is_port_conflict(&error) => {
                    progress("a port was taken by somebody else; starting again");
                    attempt += 1;
                }
                result => return result,
            }
        }
    }
}

fn start_once(prepared: &Prepared, options: &Options) -> Result<ControlPlane> {
    let (folder, temporary) = folder(options)?;
    let layout = Layout::new(&folder);
    let ports = Ports::reserve()?;
    let certificates = Certificates::generate()?;
    let endpoint = Endpoint {
        server: format!("https://127.0.0.1:{}", ports.api_server.number()),
        authority: certificates.authority.clone(),
    };
    let token = layout.write(&certificates, &endpoint)?;
    let watchdog = Watchdog::start(temporary.as_ref().map(TempDir::path))?;
    let control_plane = ControlPlane {
        processes: Processes::new(watchdog),
        layout,
        endpoint,
        binaries: prepared.binaries.clone(),
        kwok: prepared.kwok.is_some(),
        _temporary: temporary,
    };
    let start = Start {
        control_plane: &control_plane,
        probe: Probe::new(certificates.authority_der, &token)
            .map_err(|error| Error::Certificates(error.to_string()))?,
        deadline: Instant::now() + options.start_timeout,
    };
    start.all(ports, prepared)?;
    Ok(control_plane)
}

/// A start under way. Should it fail, dropping the control plane ends what runs.
struct Start<'a> {
    control_plane: &'a ControlPlane,
    probe: Probe,
    deadline: Instant,
}

impl Start<'_> {
    fn all(&self, ports: Ports, prepared: &Prepared) -> Result<()> {
        let numbers = ports.numbers();
        let settings = Settings { layout: &self.control_plane.layout, ports: numbers };

        self.spawn(Program::Etcd, ports.etcd, &settings.etcd())?;
        self.ready(Program::Etcd, || http(numbers.etcd, "/health"))?;

        self.spawn(Program::KubeApiserver, ports.api_server, &settings.api_server())?;
        let api_server = |path| self.probe.https(numbers.api_server, path);
        self.ready(Program::KubeApiserver, || api_server("/readyz"))?;

        let controllers = settings.controller_manager();
        self.spawn(Program::KubeControllerManager, ports.controller_manager, &controllers)?;
        self.spawn(Program::KubeScheduler, ports.scheduler, &settings.scheduler())?;
        if let Some(files) = &prepared.kwok {
            self.spawn(Program::Kwok, ports.kwok, &settings.kwok(files))?;
            self.ready(Program::Kwok, || http(numbers.kwok, "/readyz"))?;
        }
        self.ready(Program::KubeScheduler, || self.probe.https(numbers.scheduler, "/readyz"))?;
        self.ready(Program::KubeControllerManager, || {
            self.probe.https(numbers.controller_manager, "/healthz")?;
            // Healthy comes before useful: no pod can be made without this.
            api_server("/api/v1/namespaces/default/serviceaccounts/default")
        })?;
        match &prepared.metrics_server {
            None => Ok(()),
            Some(program) => self.metrics_server(program, ports.metrics_server, &settings),
        }
    }

    /// It comes last: all others are what it needs.
    fn metrics_server(&self, program: &MetricsServer, port: Port, settings: &Settings<'_>) -> Result<()> {
        const NAME: &str = MetricsServer::NAME;
        let Self { control_plane, probe, .. } = self;
        let objects = metrics_server::objects(port.number(), &control_plane.endpoint.authority);
        control_plane.apply(&objects.to_string())?;
        let kubeconfig = control_plane.service_account_kubeconfig(metrics_server::NAMESPACE, NAME)?;
        self.spawn_file(NAME, program.path(), port, &settings.metrics_server(&kubeconfig))?;
        self.ready_named(NAME, || probe.https(settings.ports.api_server, "/apis/metrics.k8s.io/v1beta1"))
    }

    fn spawn(&self, program: Program, port: Port, arguments: &[String]) -> Result<()> {
        self.spawn_file(program.name(), self.control_plane.binaries.path(program), port, arguments)
    }

    fn spawn_file(&self, name: &'static str, path: &Path, port: Port, arguments: &[String]) -> Result<()> {
        let layout = &self.control_plane.layout;
        port.release();
        let component = Component::spawn(name, path, arguments, layout.folder(), layout.log(name))?;
        self.control_plane.processes.add(component)
    }

    fn ready(&self, program: Program, look: impl Fn() -> io::Result<Option<()>>) -> Result<()> {
        self.ready_named(program.name(), look)
    }

    /// Waits until `look` succeeds. A component that has ended ends the wait.
    fn ready_named(&self, name: &'static str, look: impl Fn() -> io::Result<Option<()>>) -> Result<()> {
        let processes = &self.control_plane.processes;
        let left = self.deadline.saturating_duration_since(Instant::now());
        let waited = wait_until(name, left, || match processes.check() {
            Ok(()) => look(),
            Err(_) => Ok(Some(())),
        });
        // Looked at again after an answer too: it may have come from somebody
        // else's server, on a port that ours failed to get.
        processes.check()?;
        waited.map_err(|error| processes.error(name, &format!("is not ready: {error}")))
    }
}

/// The folder to use, and its guard if it is to go away.
fn folder(options: &Options) -> Result<(PathBuf, Option<TempDir>)> {
    let (folder, temporary) = if let Some(folder) = &options.folder {
        (folder.clone(), None)
    } else {
        let temporary = tempfile::Builder::new().prefix("testbed-").tempdir();
        let temporary = temporary.map_err(Error::io("make a temporary folder"))?;
        (temporary.path().to_owned(), Some(temporary))
    };
    // Absolute, since the components run in it.
    let absolute = path::absolute(&folder).and_then(|folder| fs::create_dir_all(&folder).map(|()| folder));
    let folder = absolute.map_err(Error::io(format!("make {}", folder.display())))?;
    Ok((folder, temporary))
}

fn kwok_files(binaries: &Binaries, with_metrics: bool) -> Result<Vec<String>> {
    let metrics: &[&str] = if with_metrics { &KWOK_METRICS } else { &[] };
    let files = KWOK_STAGES.iter().chain(metrics).map(|file| {
        let file = binaries.module_file(KWOK_MODULE, file)?;
        Ok(file.to_string_lossy().into_owned())
    });
    files.collect()
}

fn is_port_conflict(error: &Error) -> bool {
    matches!(error, Error::Component { log, .. } if log.contains("address already in use"))
}
