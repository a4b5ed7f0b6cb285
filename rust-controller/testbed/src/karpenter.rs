//! Karpenter's scheduler, to be asked what it would launch.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use crate::command;
use crate::error::{Error, Result};
use crate::go::{self, Recipe};
use crate::pins;

const MODULE: &str = "sigs.k8s.io/karpenter";

/// Removes the symbol tables.
const LINKER_FLAGS: &str = "-s -w";

/// Tens of thousands of pods with rules about each other take minutes.
const LAUNCH_LIMIT: Duration = Duration::from_mins(30);

/// The scheduler of the real Karpenter, in a program that runs it once.
#[derive(Debug, Clone)]
pub struct KarpenterScheduler {
    path: PathBuf,
}

/// What Karpenter would launch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Launch {
    /// The least price of each node together, in the currency of the node types.
    pub cost_per_hour: f64,
    /// How many nodes of each type.
    pub nodes: BTreeMap<String, usize>,
    /// How long its scheduler took, once everything was read.
    pub seconds: f64,
    /// For which pods (`namespace/name`) nothing would be launched, and why.
    pub unscheduled: BTreeMap<String, String>,
}

impl KarpenterScheduler {
    /// The file name of the program.
    pub const NAME: &str = "karpenter-scheduler";

    /// Finds the program in the cache, or builds it into the cache.
    ///
    /// # Errors
    ///
    /// [`Error::NoGo`] if it is not built and there is no Go;
    /// [`Error::Command`] if the build fails.
    pub fn locate() -> Result<Self> {
        let path = go::find_or_build(recipe(), cache_key()?, || pinned("go"))?;
        Ok(Self { path })
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version of Karpenter, such as `v1.14.1`.
    ///
    /// # Errors
    ///
    /// If `go.mod` cannot be read or does not name it.
    pub fn version(&self) -> Result<String> {
        pinned(MODULE)
    }

    /// What Karpenter launches in its first round, in a cluster without nodes
    /// and `DaemonSets`, where these pods wait. Later it consolidates, and of
    /// that nothing is said here.
    ///
    /// `pods` is a `PodList` in JSON or YAML, `node_types` what Karpenter's KWOK
    /// provider reads, `node_pools` are documents in YAML.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] if Karpenter would not take one of the three.
    pub fn launch(&self, pods: &str, node_types: &str, node_pools: &str) -> Result<Launch> {
        let folder = tempfile::tempdir().map_err(Error::io("make a temporary folder"))?;
        let mut command = Command::new(&self.path);
        for (flag, text) in [("-pods", pods), ("-node-types", node_types), ("-node-pools", node_pools)] {
            let file = folder.path().join(&flag[1..]);
            fs::write(&file, text).map_err(Error::io(format!("write {}", file.display())))?;
            command.arg(flag).arg(file);
        }
        let answer = command::run(&mut command, "", LAUNCH_LIMIT)?;
        serde_json::from_str(&answer)
            .map_err(|source| Error::Json { what: format!("the answer of {}", Self::NAME), source })
    }
}

fn recipe() -> Recipe {
    Recipe {
        name: KarpenterScheduler::NAME,
        module_folder: module_folder(),
        package: ".",
        linker_flags: LINKER_FLAGS.to_owned(),
    }
}

/// The folder of the program's source and of its pins.
fn module_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("karpenter")
}

/// Other sources, another build.
fn cache_key() -> Result<String> {
    let mut sources = sources().map_err(Error::io(format!("read {}", module_folder().display())))?;
    sources.push(LINKER_FLAGS.to_owned());
    Ok(pins::key_of(&sources.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// Names and texts of all files that the program is built from.
fn sources() -> std::io::Result<Vec<String>> {
    let entries: std::io::Result<Vec<_>> = fs::read_dir(module_folder())?.collect();
    let mut files: Vec<PathBuf> = entries?.iter().map(fs::DirEntry::path).filter(|file| is_source(file)).collect();
    files.sort();
    let mut sources = Vec::with_capacity(2 * files.len());
    for file in files {
        sources.extend(file.file_name().map(|name| name.to_string_lossy().into_owned()));
        sources.push(fs::read_to_string(file)?);
    }
    Ok(sources)
}

/// Not what an editor has left there.
fn is_source(file: &Path) -> bool {
    file.extension().is_some_and(|extension| ["go", "mod", "sum"].iter().any(|each| extension == *each))
}

/// The second word of the line in `go.mod` that begins with this one.
fn pinned(first: &str) -> Result<String> {
    let go_mod = module_folder().join("go.mod");
    let text = fs::read_to_string(&go_mod).map_err(Error::io(format!("read {}", go_mod.display())))?;
    let word = pins::second_word(&text, first).map(str::to_owned);
    word.ok_or_else(|| Error::GoMod { go_mod, wanted: first.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_pins() {
        assert!(pinned(MODULE).unwrap().starts_with("v1."));
        assert!(pinned("go").unwrap().starts_with("1."));
        assert!(pinned("example.com/absent").is_err());
    }

    #[test]
    fn every_source_is_in_the_cache_key() {
        let sources = sources().unwrap();
        for name in ["go.mod", "go.sum", "main.go"] {
            assert!(sources.iter().any(|source| source == name), "{name}");
        }
    }
}
