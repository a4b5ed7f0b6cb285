//! Finding the programs: given folder, `PATH`, cache, and at last a build.

use std::env;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cache::cache_folder;
use crate::command;
use crate::error::{Error, Result};
use crate::go::{self, Recipe};
use crate::pins;
use crate::program::Program;
use crate::progress::progress;

/// Where a program was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In the folder `KUBEBUILDER_ASSETS`.
    Assets,
    /// On `PATH`.
    Path,
    /// Built here from the pinned modules.
    Built,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Assets => "KUBEBUILDER_ASSETS",
            Self::Path => "PATH",
            Self::Built => "built from go.mod",
        })
    }
}

/// A program that is there to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// Which one.
    pub program: Program,
    /// Its file.
    pub path: PathBuf,
    /// Where it was found.
    pub origin: Origin,
}

impl Binary {
    /// What the program says its version is. A found binary is used whatever
    /// its version; this is how a person sees which it was.
    ///
    /// # Errors
    ///
    /// If the program cannot be run.
    pub fn version(&self) -> Result<String> {
        let mut command = Command::new(&self.path);
        command.args(self.program.version_arguments());
        let answer = command::run(&mut command, "", Duration::from_secs(30))?;
        Ok(answer.lines().next().unwrap_or_default().trim().to_owned())
    }
}

/// All programs of a control plane.
#[derive(Debug, Clone)]
pub struct Binaries {
    found: [Binary; Program::ALL.len()],
    cache: PathBuf,
}

impl Binaries {
    /// Finds every program, building what is nowhere to be found.
    ///
    /// The order is `KUBEBUILDER_ASSETS`, `PATH`, the cache, a build into the
    /// cache. It is followed for each program by itself, except that
    /// `kube-apiserver`, `kube-controller-manager` and `kube-scheduler` are a
    /// set: a place counts only if it has all three, since parts of different
    /// Kubernetes releases do not belong together.
    ///
    /// # Errors
    ///
    /// [`Error::NoBinaries`] if something is missing and there is no Go;
    /// [`Error::Command`] if the build fails.
    pub fn locate() -> Result<Self> {
        Search::from_environment()?.locate(&GoTool)
    }

    /// One of the programs.
    #[must_use]
    pub fn get(&self, program: Program) -> &Binary {
        // Both the array and the enum are in the order of `Program::ALL`.
        &self.found[program as usize]
    }

    /// The path of one of the programs.
    #[must_use]
    pub fn path(&self, program: Program) -> &Path {
        &self.get(program).path
    }

    /// All programs, in the order of [`Program::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = &Binary> {
        self.found.iter()
    }

    /// A file of a pinned Go module, such as KWOK's stages.
    pub(crate) fn module_file(&self, module: &str, path: &str) -> Result<PathBuf> {
        go::module_file(module, path, &self.cache)
    }
}

/// Builds programs; a stand-in takes its place in tests.
trait Builder {
    fn can_build(&self) -> bool;
    fn build(&self, programs: &[Program], folder: &Path) -> Result<()>;
}

struct GoTool;

impl Builder for GoTool {
    fn can_build(&self) -> bool {
        go::is_installed()
    }

    fn build(&self, programs: &[Program], folder: &Path) -> Result<()> {
        let recipes: Result<Vec<Recipe>> = programs.iter().map(|&program| recipe(program)).collect();
        go::build(&recipes?, folder)
    }
}

fn recipe(program: Program) -> Result<Recipe> {
    Ok(Recipe {
        name: program.name(),
        module_folder: pins::module_folder(),
        package: program.package(),
        linker_flags: pins::linker_flags()?,
    })
}

/// `a, b and c`, for messages.
fn list(programs: &[Program]) -> String {
    let names: Vec<&str> = programs.iter().map(|program| program.name()).collect();
    go::list(&names)
}

/// The places to look into.
#[derive(Debug)]
struct Search {
    assets: Option<PathBuf>,
    path: Vec<PathBuf>,
    /// The part of the cache that belongs to the pinned versions.
    cache: PathBuf,
}

impl Search {
    fn from_environment() -> Result<Self> {
        let assets = env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty());
        let path = env::var_os("PATH").unwrap_or_default();
        Ok(Self {
            assets: assets.map(PathBuf::from),
            path: env::split_paths(&path).collect(),
            cache: cache_folder()?.join(pins::cache_key()?),
        })
    }

    fn locate(&self, builder: &impl Builder) -> Result<Binaries> {
        if let Some(assets) = self.assets.as_ref().filter(|assets| !assets.is_dir()) {
            return Err(Error::AssetsNotAFolder(assets.clone()));
        }
        let places = Program::SETS.map(|set| (set, self.find_set(set)));
        let missing: Vec<Program> = places
            .iter()
            .filter(|(_, place)| place.is_none())
            .flat_map(|(set, _)| set.iter().copied())
            .filter(|program| !is_executable(&self.cache.join(program.name())))
            .collect();
        if !missing.is_empty() {
            if !builder.can_build() {
                return Err(go::no_go(&list(&missing), &self.cache));
            }
            builder.build(&missing, &self.cache)?;
        }
        Ok(Binaries {
            found: Program::ALL.map(|program| {
                let place = places.iter().find(|(set, _)| set.contains(&program));
                self.found_or_built(program, place.and_then(|(_, origin)| *origin))
            }),
            cache: self.cache.clone(),
        })
    }

    fn found_or_built(&self, program: Program, origin: Option<Origin>) -> Binary {
        let found = origin.and_then(|origin| Some((self.find(program, origin)?, origin)));
        let (path, origin) = found.unwrap_or_else(|| (self.cache.join(program.name()), Origin::Built));
        Binary { program, path, origin }
    }

    /// The first place that has the whole set.
    fn find_set(&self, set: &[Program]) -> Option<Origin> {
        let places = [Origin::Assets, Origin::Path];
        places.into_iter().find(|&origin| {
            let count = set.iter().filter(|&&program| self.find(program, origin).is_some()).count();
            if count > 0 && count < set.len() {
                progress(&format!("{origin} has {count} of {}: they are taken together or not at all", list(set)));
            }
            count == set.len()
        })
    }

    fn find(&self, program: Program, origin: Origin) -> Option<PathBuf> {
        let folders = match origin {
            Origin::Assets => self.assets.as_slice(),
            Origin::Path => &self.path,
            Origin::Built => &[],
        };
        let mut files = folders.iter().map(|folder| folder.join(program.name()));
        files.find(|file| is_executable(file))
    }
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests;
