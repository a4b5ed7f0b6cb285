//! One running component: its process and its log.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::command::tail;
use crate::error::{Error, Result};

/// A process this crate has started and will end. Until it is waited for, its
/// process id belongs to it: no signal can reach anybody else.
#[derive(Debug)]
pub(crate) struct Component {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Component {
    /// Starts a component. It gets a process group of its own, so that Ctrl-C
    /// at a terminal reaches the owner alone, who then ends it in order.
    pub(crate) fn spawn(
        name: &'static str,
        path: &Path,
        arguments: &[String],
        folder: &Path,
        log: PathBuf,
    ) -> Result<Self> {
        let failed = || Error::io(format!("start {}", path.display()));
        let output = File::create(&log).map_err(failed())?;
        let child = Command::new(path)
            .args(arguments)
            .current_dir(folder)
            // Nothing of the person's own settings is read or written.
            .env("HOME", folder)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(failed())?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .map_err(failed())?;
        Ok(Self { name, child, log })
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error with the end of the log, if the process is no longer there.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.exit_status() {
            None => Ok(()),
            Some(status) => Err(self.error(format!("has ended ({status})"))),
        }
    }

    /// An error about this component, with the end of its log.
    pub(crate) fn error(&self, reason: String) -> Error {
        let log = fs::read(&self.log).unwrap_or_default();
        Error::Component { component: self.name, reason, log: tail(&String::from_utf8_lossy(&log)).to_owned() }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.exit_status().is_some()
    }

    /// Asks it to end. A refusal is no matter: [`Self::kill`] follows.
    pub(crate) fn terminate(&mut self) {
        if !self.has_ended() {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
    }

    /// Ends it now, whatever it is doing.
    pub(crate) fn kill(&mut self) {
        if !self.has_ended() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wait::wait_until;

    fn shell(script: &str, folder: &Path) -> Component {
        let arguments = ["-c".to_owned(), script.to_owned()];
        let log = folder.join("log");
        Component::spawn("etcd", Path::new("/bin/sh"), &arguments, folder, log).unwrap()
    }

    #[test]
    fn one_that_ends_is_an_error_with_the_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut component = shell("echo no room >&2; exit 3", folder.path());
        let error = wait_until("its end", Duration::from_secs(10), || Ok::<_, Error>(component.check().err()));
        let error = error.unwrap().to_string();
        assert!(error.starts_with("etcd has ended"), "{error}");
        assert!(error.contains("no room") && error.contains('3'), "{error}");
    }

    #[test]
    fn one_that_will_not_end_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let mut component = shell("trap '' TERM; while :; do sleep 0.05; done", folder.path());
        component.terminate();
        assert!(component.check().is_ok());
        component.kill();
        assert!(component.has_ended());
    }
}
