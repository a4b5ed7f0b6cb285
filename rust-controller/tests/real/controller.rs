//! The program as a process.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::plane::Plane;

/// The controller, running with one identity. It ends with this value.
pub(crate) struct Controller {
    child: Child,
    log: PathBuf,
}

impl Controller {
    /// With the rights of the ServiceAccount of `k8s/` and short intervals, ready.
    pub(crate) fn start(plane: &Plane) -> Self {
        Self::start_with(plane, &["--pending-interval", "1s", "--consolidation-interval", "1s"])
    }

    /// With the rights of the ServiceAccount of `k8s/` and these arguments, ready.
    pub(crate) fn start_with(plane: &Plane, arguments: &[&str]) -> Self {
        let controller = Self::spawn(&plane.service_account_kubeconfig(), plane.control_plane.folder(), arguments);
        plane.wait("the controller to be ready", || {
            controller.get("/readyz").filter(|answer| answer.contains("200 OK"))
        });
        controller
    }

    /// With a kubeconfig and these arguments, as it comes. Its log goes to `folder`.
    pub(crate) fn spawn(kubeconfig: &Path, folder: &Path, arguments: &[&str]) -> Self {
        let log = folder.join("controller.log");
        let child = Command::new(env!("CARGO_BIN_EXE_mini-karpenter-rs"))
            .args(["run", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Head and body of an answer, once the log tells the address.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let log = self.log();
        let address = log.split("health on http://").nth(1)?.split("/healthz").next()?;
        let mut stream = TcpStream::connect(address).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Asks it to end, as the kubelet does, and returns how it ended.
    pub(crate) fn terminate(mut self, plane: &Plane) -> ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let child = std::cell::RefCell::new(&mut self.child);
        plane.wait("the controller to end", || child.borrow_mut().try_wait().unwrap())
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
