//! What can go wrong, with all that is needed to see why.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a binary, a control plane or a request to one was not to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Programs are missing everywhere and there is no Go to build them with.
    #[error(
        "no {missing}: not in KUBEBUILDER_ASSETS, not on PATH, not in the cache {}, \
         and no Go on PATH to build it with. Set KUBEBUILDER_ASSETS to a folder with the \
         binaries, or install Go {go_version} or newer (nothing is skipped without them)",
        .cache.display()
    )]
    NoBinaries {
        /// The missing programs, as one readable list.
        missing: String,
        /// The cache folder that was looked into.
        cache: PathBuf,
        /// The Go version the pinned `go.mod` asks for.
        go_version: String,
    },

    /// A program of this crate is not built yet, and there is no Go.
    #[error(
        "no {program} in the cache {}, and no Go on PATH to build it with. \
         Install Go {go_version} or newer (nothing is skipped without it)",
        .cache.display()
    )]
    NoGo {
        /// The program.
        program: &'static str,
        /// The cache folder that was looked into.
        cache: PathBuf,
        /// The Go version its `go.mod` asks for.
        go_version: String,
    },

    /// `KUBEBUILDER_ASSETS` is set and is not a folder.
    #[error("KUBEBUILDER_ASSETS={} is not a folder", .0.display())]
    AssetsNotAFolder(PathBuf),

    /// Neither a cache folder nor a home folder is known.
    #[error("no cache folder: set MINI_KARPENTER_TESTBED_CACHE, XDG_CACHE_HOME or HOME")]
    NoCacheFolder,

    /// The pinned `go.mod` lacks a line this crate reads.
    #[error("{} has no line for `{wanted}`", .go_mod.display())]
    GoMod {
        /// The file.
        go_mod: PathBuf,
        /// What was looked for.
        wanted: String,
    },

    /// A helper program (Go, kubectl) failed.
    #[error("`{command}` {outcome}\n{stderr}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        outcome: String,
        /// What it wrote to standard error, or else to standard output (its
        /// tail, when long).
        stderr: String,
    },

    /// A component of the control plane did not start or has ended.
    #[error("{component} {reason}; the end of its log:\n{log}")]
    Component {
        /// The component.
        component: &'static str,
        /// What happened.
        reason: String,
        /// The tail of its log.
        log: String,
    },

    /// A wait reached its deadline.
    #[error("waited {waited:?} for {what}; last: {last}")]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// What the last look said.
        last: String,
    },

    /// The call needs KWOK, and this control plane was started without it.
    #[error("fake nodes need KWOK: start with `Options {{ kwok: true, .. }}`")]
    NoKwok,

    /// Certificates could not be made.
    #[error("cannot make certificates: {0}")]
    Certificates(String),

    /// What a program answered is not what its format says.
    #[error("cannot read {what}: {source}")]
    Json {
        /// Whose answer.
        what: String,
        /// The parser's error.
        source: serde_json::Error,
    },

    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's error.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: says what was tried when the system refused it.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
