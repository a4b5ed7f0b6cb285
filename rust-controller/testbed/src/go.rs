//! What the Go tool does for us: programs and files out of pinned modules.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cache;
use crate::command;
use crate::error::{Error, Result};
use crate::pins;
use crate::progress::progress;

/// A whole first build, downloads included, on a slow machine.
const BUILD_LIMIT: Duration = Duration::from_hours(1);
/// One module's download.
const DOWNLOAD_LIMIT: Duration = Duration::from_mins(5);

/// How a program is built.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// The file name of the program.
    pub(crate) name: &'static str,
    /// The folder Go runs in: that of the `go.mod` with the versions.
    pub(crate) module_folder: PathBuf,
    /// The Go package of the program.
    pub(crate) package: &'static str,
    pub(crate) linker_flags: String,
}

/// Is there a Go tool on `PATH`?
pub(crate) fn is_installed() -> bool {
    command::succeeds(Command::new("go").arg("version"), Duration::from_secs(30))
}

/// The program of a recipe in the cache, in a folder called `key`; built if it
/// is not there. `go_version` says which Go that takes.
pub(crate) fn find_or_build(
    recipe: Recipe,
    key: impl AsRef<Path>,
    go_version: impl FnOnce() -> Result<String>,
) -> Result<PathBuf> {
    let cache = cache::cache_folder()?.join(key);
    let path = cache.join(recipe.name);
    if !path.is_file() {
        if !is_installed() {
            return Err(Error::NoGo { program: recipe.name, cache, go_version: go_version()? });
        }
        build(&[recipe], &cache)?;
    }
    Ok(path)
}

/// Builds programs into `folder`. Those that another process has built in the
/// meantime are left alone.
pub(crate) fn build(recipes: &[Recipe], folder: &Path) -> Result<()> {
    let _lock = cache::lock(folder, "build.lock", BUILD_LIMIT)?;
    let missing: Vec<&Recipe> = recipes.iter().filter(|recipe| !folder.join(recipe.name).is_file()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|recipe| recipe.name).collect();
    progress(&format!(
        "building {} with Go into {}; this takes minutes the first time",
        list(&names),
        folder.display()
    ));
    missing.iter().try_for_each(|recipe| build_one(recipe, folder))
}

fn build_one(recipe: &Recipe, folder: &Path) -> Result<()> {
    let Recipe { name, module_folder, package, linker_flags } = recipe;
    let start = Instant::now();
    // A build that is cut short must not leave a file under the final name.
    let partial = folder.join(format!("{name}.partial"));
    let mut go = go(module_folder);
    go.args(["build", "-trimpath", "-ldflags", linker_flags, "-o"]);
    go.arg(&partial).arg(package);
    command::run(&mut go, "", BUILD_LIMIT)?;
    let finished = folder.join(name);
    fs::rename(&partial, &finished).map_err(Error::io(format!("make {}", finished.display())))?;
    progress(&format!("built {name} in {} s", start.elapsed().as_secs()));
    Ok(())
}

/// A file of a pinned module, copied into `folder` so that Go is needed once.
pub(crate) fn module_file(module: &str, path: &str, folder: &Path) -> Result<PathBuf> {
    let copy = folder.join("modules").join(module).join(path);
    if copy.is_file() {
        return Ok(copy);
    }
    let source = module_source(module, folder)?.join(path);
    let text = fs::read(&source).map_err(Error::io(format!("read {}", source.display())))?;
    let parent = copy.parent().unwrap_or(folder);
    let copied = || -> std::io::Result<()> {
        fs::create_dir_all(parent)?;
        let mut partial = tempfile::NamedTempFile::new_in(parent)?;
        std::io::Write::write_all(&mut partial, &text)?;
        partial.persist(&copy)?;
        Ok(())
    };
    copied().map_err(Error::io(format!("make {}", copy.display())))?;
    Ok(copy)
}

/// Where a module lies in Go's module cache; downloads it if it is not there.
fn module_source(module: &str, folder: &Path) -> Result<PathBuf> {
    if !is_installed() {
        return Err(no_go(&format!("files of {module}"), folder));
    }
    let answer =
        command::run(go(&pins::module_folder()).args(["mod", "download", "-json", module]), "", DOWNLOAD_LIMIT)?;
    let answer: Value = serde_json::from_str(&answer)
        .map_err(|source| Error::Json { what: format!("`go mod download -json {module}`"), source })?;
    let source = answer["Dir"].as_str().map(PathBuf::from);
    source.ok_or_else(|| Error::Command {
        command: format!("go mod download -json {module}"),
        outcome: "named no folder".to_owned(),
        stderr: answer.to_string(),
    })
}

pub(crate) fn no_go(missing: &str, folder: &Path) -> Error {
    Error::NoBinaries {
        missing: missing.to_owned(),
        cache: folder.to_owned(),
        go_version: pins::go_version().to_owned(),
    }
}

/// The Go tool in a folder with pins. The checkout is never written to
/// (`-mod=readonly`), and no workspace or C compiler of the person matters.
fn go(module_folder: &Path) -> Command {
    let mut go = Command::new("go");
    go.current_dir(module_folder)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly -buildvcs=false")
        .env("GOWORK", "off");
    go
}

/// `a, b and c`, for messages.
pub(crate) fn list(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}
