//! Ends the components if their owner dies without a chance to do it.
//!
//! The watchdog is a shell that reads process ids from a pipe. The pipe's other
//! end is the owner's alone, so it closes when the owner is gone, however that
//! came about: `SIGKILL`, an abort, or the end of a test program that keeps its
//! control plane in a `static`. Unlike Linux's parent-death signal this needs
//! no `unsafe`, works on every Unix, and does not fire when merely the *thread*
//! that started the components ends, as test threads do.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::wait::wait_until;

/// Its argument is the folder to remove at the end, or nothing. It kills at once:
/// nobody is left who would want the data, and the sooner the ids are used, the
/// surer they are still the components'.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
exec 2>/dev/null
pids=
while read -r line; do
    if [ "$line" = done ]; then exit 0; fi
    pids="$pids $line"
done
some_alive() {
    for pid in $pids; do
        if kill -0 "$pid"; then return 0; fi
    done
    return 1
}
for pid in $pids; do kill -KILL "$pid"; done
tries=50
while [ $tries -gt 0 ] && some_alive; do
    sleep 0.1
    tries=$((tries - 1))
done
if [ -n "$1" ]; then rm -rf -- "$1"; fi
"#;

#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// Starts a watchdog, which removes `folder` (if any) after the components.
    pub(crate) fn start(folder: Option<&Path>) -> Result<Self> {
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "testbed-watchdog"])
            .arg(folder.unwrap_or(Path::new("")))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What ends the owner's process group must not end the watchdog.
            .process_group(0)
            .spawn()
            .map_err(Error::io("start /bin/sh"))?;
        Ok(Self { shell })
    }

    /// Puts a process under the watchdog's care.
    pub(crate) fn watch(&self, id: u32) -> Result<()> {
        self.tell(&id.to_string()).map_err(Error::io("talk to the watchdog"))
    }

    fn tell(&self, line: &str) -> io::Result<()> {
        // One write, so that a line is told whole or not at all.
        let told = self.shell.stdin.as_ref().map(|mut pipe| pipe.write_all(format!("{line}\n").as_bytes()));
        told.unwrap_or(Ok(()))
    }
}

impl Drop for Watchdog {
    /// Sends the watchdog home: the owner has ended the components or let go of
    /// them on purpose.
    fn drop(&mut self) {
        let _ = self.tell("done");
        let gone = wait_until("the watchdog's end", Duration::from_secs(2), || self.shell.try_wait());
        if gone.is_err() {
            let _ = self.shell.kill();
            let _ = self.shell.wait();
        }
    }
}
