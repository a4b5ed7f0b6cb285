//! Starting, and that nothing is left behind, however the owner goes.

use std::env;
use std::io::{BufRead, BufReader};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{TIMEOUT, TestResult};
use testbed::{ControlPlane, Error, FakeNode, Options, Process, Program, wait_until};

fn assert_gone(processes: &[Process], folder: &Path) {
    for process in processes {
        assert!(!process.is_running(), "{process:?}");
    }
    assert!(!folder.exists(), "{}", folder.display());
}

#[test]
fn two_at_once_start_and_leave_nothing_behind() -> TestResult {
    let options = Options::default();
    let other = std::thread::spawn(|| ControlPlane::start(&Options::default()));
    let one = ControlPlane::start(&options)?;
    let other = other.join().map_err(|_| "the other thread panicked")??;
    assert_ne!(one.server(), other.server());

    let (processes, folder) = (one.processes(), one.folder().to_owned());
    let names: Vec<_> = processes.iter().map(|process| process.name.as_str()).collect();
    let started = Program::ALL.iter().filter(|program| !matches!(program, Program::Kwok | Program::Kubectl));
    assert_eq!(names, started.map(|program| program.name()).collect::<Vec<_>>());
    assert!(processes.iter().all(Process::is_running));

    drop(one);
    assert_gone(&processes, &folder);
    other.check()?;
    assert!(other.kubectl(&["get", "--raw", "/readyz"])?.contains("ok"));
    Ok(())
}

#[test]
fn a_panic_leaves_nothing_behind() -> TestResult {
    let control_plane = ControlPlane::start(&Options::default())?;
    let (processes, folder) = (control_plane.processes(), control_plane.folder().to_owned());
    let panicked = catch_unwind(move || {
        let owned = control_plane;
        assert!(owned.server().is_empty(), "a test that fails");
    });
    assert!(panicked.is_err());
    assert_gone(&processes, &folder);
    Ok(())
}

#[test]
fn fake_nodes_need_kwok_and_a_dead_component_is_named() -> TestResult {
    let control_plane = ControlPlane::start(&Options::default())?;
    let error = control_plane.create_fake_nodes(&[FakeNode::new("a")]);
    assert!(matches!(error, Err(Error::NoKwok)), "{error:?}");

    let processes = control_plane.processes();
    let scheduler = processes.iter().find(|process| process.name == "kube-scheduler");
    let scheduler = scheduler.ok_or("no scheduler")?;
    Command::new("kill").args(["-KILL", &scheduler.id.to_string()]).status()?;
    let error = control_plane.wait_until("nothing", Duration::from_millis(500), || Ok::<Option<()>, Error>(None));
    let error = error.expect_err("nothing comes").to_string();
    assert!(error.starts_with("kube-scheduler has ended"), "{error}");
    Ok(())
}

/// Tells [`owner_to_be_killed`] that it is the program to be killed.
const OWNER: &str = "TESTBED_TEST_OWNER";

/// Not a test by itself: the program that [`a_killed_owner_leaves_nothing_behind`]
/// kills is this function in another process.
#[test]
fn owner_to_be_killed() -> TestResult {
    if env::var_os(OWNER).is_none() {
        return Ok(());
    }
    let control_plane = ControlPlane::start(&Options::default())?;
    println!("folder {}", control_plane.folder().display());
    println!("processes {}", serde_json::to_string(&control_plane.processes())?);
    // Far longer than the other test lets it live, and yet not forever.
    std::thread::sleep(Duration::from_mins(5));
    Ok(())
}

#[test]
fn a_killed_owner_leaves_nothing_behind() -> TestResult {
    let mut owner = Command::new(env::current_exe()?)
        .args(["--exact", "lifecycle::owner_to_be_killed", "--nocapture"])
        .env(OWNER, "yes")
        .stdout(Stdio::piped())
        .spawn()?;
    let output = owner.stdout.take().ok_or("no output")?;
    let mut folder = PathBuf::new();
    let mut processes: Vec<Process> = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some(text) = line.strip_prefix("folder ") {
            folder = PathBuf::from(text);
        } else if let Some(text) = line.strip_prefix("processes ") {
            processes = serde_json::from_str(text)?;
            break;
        }
    }
    assert_eq!(processes.len(), 4);
    assert!(processes.iter().all(Process::is_running));

    owner.kill()?;
    owner.wait()?;
    wait_until("the watchdog to have done its work", TIMEOUT, || {
        let running = processes.iter().any(Process::is_running);
        Ok::<_, Error>((!running && !folder.exists()).then_some(()))
    })?;
    Ok(())
}
