//! Processes that are not our children: which they are, and their end.

use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::command;
use crate::error::Result;
use crate::wait::wait_until;

/// How long processes may take to end before they are killed.
const GRACE: Duration = Duration::from_secs(10);

/// A running component of a control plane.
///
/// A process id alone says little: once the process is gone, the system gives
/// its number to another. So the program's name and the time of its start are
/// kept too, as the system tells them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The program's name.
    pub name: String,
    /// The process id.
    pub id: u32,
    /// What the system says about this process and no other.
    identity: Option<String>,
}

impl Process {
    pub(crate) fn new(name: &str, id: u32) -> Self {
        Self { name: name.to_owned(), id, identity: identity(id) }
    }

    /// Is it still there, and still the same one?
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.identity.is_some() && identity(self.id) == self.identity
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id).ok().and_then(Pid::from_raw);
        if let Some(id) = id.filter(|_| self.is_running()) {
            // It may end by itself this very moment; that is as good.
            let _ = kill_process(id, signal);
        }
    }
}

/// Ends those of the processes that are still running; says how many were. They
/// are in the order of their start: all others end before the first, the store,
/// or they would spend their last seconds trying to reach it.
///
/// # Errors
///
/// [`crate::Error::Deadline`] if one is not even ended by `SIGKILL`.
pub(crate) fn end(processes: &[Process]) -> Result<usize> {
    let running = processes.iter().filter(|process| process.is_running()).count();
    let (store, clients) = processes.split_at(processes.len().min(1));
    end_all(clients)?;
    end_all(store)?;
    Ok(running)
}

fn end_all(processes: &[Process]) -> Result<()> {
    let all_ended = || {
        let all = !processes.iter().any(Process::is_running);
        Ok::<_, crate::Error>(all.then_some(()))
    };
    signal_all(processes, Signal::TERM);
    wait_until("the components' end", GRACE, all_ended).or_else(|_| {
        signal_all(processes, Signal::KILL);
        wait_until("the killed components' end", GRACE, all_ended)
    })
}

fn signal_all(processes: &[Process], signal: Signal) {
    for process in processes {
        process.signal(signal);
    }
}

/// Name and start time, or `None` if there is no such process. One that has
/// ended and merely was not waited for is none.
fn identity(id: u32) -> Option<String> {
    if cfg!(target_os = "linux") {
        linux_identity(&std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
    } else {
        let mut ps = Command::new("ps");
        ps.args(["-o", "stat=", "-o", "lstart=", "-o", "comm=", "-p", &id.to_string()]);
        ps_identity(&command::run(&mut ps, "", Duration::from_secs(10)).ok()?)
    }
}

/// Reads `/proc/<id>/stat`: `id (name) state …`, of which the 22nd field is the
/// start time in clock ticks since boot (`proc_pid_stat(5)`).
fn linux_identity(stat: &str) -> Option<String> {
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?;
    (!matches!(state, "Z" | "X")).then(|| format!("{name} {started}"))
}

/// Reads a line of `ps`: state, start, name.
fn ps_identity(line: &str) -> Option<String> {
    let (state, rest) = line.trim().split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| rest.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_says() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 10 11";
        assert_eq!(linux_identity(stat).unwrap(), "a) b 987654");
        assert_eq!(linux_identity(&stat.replace(" S ", " Z ")), None);
        assert_eq!(linux_identity("garbage"), None);
    }

    #[test]
    fn reads_what_ps_says() {
        let line = "Ss   Mon Jan  5 10:00:00 2026 /opt/etcd\n";
        assert_eq!(ps_identity(line).unwrap(), "Mon Jan  5 10:00:00 2026 /opt/etcd");
        assert_eq!(ps_identity("Z Mon Jan  5 10:00:00 2026 (etcd)"), None);
    }

    #[test]
    fn another_process_with_the_same_id_is_left_alone() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let own = Process::new("etcd", child.id());
        assert!(own.is_running());
        let other = Process { identity: Some("etcd 1".to_owned()), ..own.clone() };
        assert_eq!(end(&[other]).unwrap(), 0);
        assert!(child.try_wait().unwrap().is_none(), "it was ended");
        assert_eq!(end(std::slice::from_ref(&own)).unwrap(), 1);
        assert!(!own.is_running());
        child.wait().unwrap();
    }
}
