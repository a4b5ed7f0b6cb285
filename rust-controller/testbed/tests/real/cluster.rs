//! The cluster for people: up, up again, down.

use std::fs;

use crate::common::TestResult;
use testbed::{Binaries, Cluster, Process, Program, Up};

#[test]
fn up_runs_until_down() -> TestResult {
    let parent = tempfile::tempdir()?;
    let cluster = Cluster::in_folder(parent.path().join("cluster"));
    assert_eq!(cluster.down()?, 0, "nothing runs yet");
    assert_eq!(cluster.up(2)?, Up::Started);
    let checked = check(&cluster);
    let state = fs::read_to_string(cluster.folder().join("state.json"))?;
    // Ended before anything is asserted, so that a failure leaves nothing behind.
    let ended = cluster.down()?;
    checked?;
    assert_eq!(ended, 5);
    let processes: Vec<Process> = serde_json::from_str(&state)?;
    assert!(!processes.iter().any(Process::is_running));
    assert!(!cluster.folder().exists());
    assert_eq!(cluster.down()?, 0);
    Ok(())
}

fn check(cluster: &Cluster) -> TestResult {
    if cluster.up(2)? != Up::AlreadyRunning {
        return Err("it was started twice".into());
    }
    let output = std::process::Command::new(Binaries::locate()?.path(Program::Kubectl))
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        .args(["get", "nodes,nodepools", "-o", "name"])
        .output()?;
    let nodes = String::from_utf8(output.stdout)?;
    if nodes != "node/fake-node-1\nnode/fake-node-2\n" {
        return Err(format!("unexpected: {nodes}{}", String::from_utf8(output.stderr)?).into());
    }
    Ok(())
}
