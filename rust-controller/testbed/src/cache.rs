//! The folder outside the checkout that keeps what was built.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::progress::progress;
use crate::wait::wait_until;

/// The cache folder: `MINI_KARPENTER_TESTBED_CACHE`, else
/// `$XDG_CACHE_HOME/mini-karpenter-testbed`, else `~/.cache/mini-karpenter-testbed`.
///
/// # Errors
///
/// [`Error::NoCacheFolder`] if none of the three variables is set.
pub fn cache_folder() -> Result<PathBuf> {
    choose(|name| env::var_os(name).filter(|value| !value.is_empty())).ok_or(Error::NoCacheFolder)
}

fn choose(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(folder) = variable("MINI_KARPENTER_TESTBED_CACHE") {
        return Some(folder.into());
    }
    let parent = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")))?;
    Some(parent.join("mini-karpenter-testbed"))
}

/// Holds a lock file until dropped; the system frees it if the process dies.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held only to be closed")] File);

/// Takes the lock `name` in `folder` (which is made), waiting while another
/// process or thread holds it.
pub(crate) fn lock(folder: &Path, name: &str, limit: Duration) -> Result<Lock> {
    fs::create_dir_all(folder).map_err(Error::io(format!("make {}", folder.display())))?;
    let path = folder.join(name);
    let file = File::create(&path).map_err(Error::io(format!("make {}", path.display())))?;
    let mut told = false;
    wait_until(&format!("the lock {}", path.display()), limit, || match file.try_lock() {
        Ok(()) => Ok(Some(())),
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => {
            if !told {
                progress(&format!("somebody else is at work; waiting for {}", path.display()));
                told = true;
            }
            Ok(None)
        }
    })?;
    Ok(Lock(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(set: &[(&str, &str)]) -> Option<PathBuf> {
        choose(|name| {
            let found = set.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn the_named_folder_wins_over_the_home_folder() {
        let home = ("HOME", "/home/a");
        let xdg = ("XDG_CACHE_HOME", "/xdg");
        let own = ("MINI_KARPENTER_TESTBED_CACHE", "/own");
        let is = |set: &[_], path: &str| assert_eq!(chosen(set).unwrap(), Path::new(path));
        is(&[home, xdg, own], "/own");
        is(&[home, xdg], "/xdg/mini-karpenter-testbed");
        is(&[home], "/home/a/.cache/mini-karpenter-testbed");
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn a_second_lock_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path(), "lock", Duration::from_secs(1)).unwrap();
        assert!(lock(folder.path(), "lock", Duration::from_millis(50)).is_err());
        drop(first);
        lock(folder.path(), "lock", Duration::from_secs(1)).unwrap();
    }
}
