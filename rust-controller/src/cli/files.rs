//! Reading files, and standard input as `-`.

use std::io::Read;

use super::BadInput;
use crate::lower::{Manifest, parse_manifest};
use crate::snapshot::Snapshot;

/// The text of a file.
pub(super) fn read(path: &str) -> Result<String, BadInput> {
    let text = if path == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        #[expect(clippy::disallowed_methods, reason = "this is where files are read")]
        std::fs::read_to_string(path)
    };
    text.map_err(|error| BadInput(format!("cannot read {path}: {error}")))
}

/// All objects of all files together.
pub(super) fn read_snapshot(paths: &[String]) -> Result<Snapshot, BadInput> {
    let mut all = Manifest::default();
    for path in paths {
        let text = read(path)?;
        let manifest = parse_manifest(&text).map_err(|error| BadInput(format!("{path}: {error}")))?;
        all.nodes.extend(manifest.nodes);
        all.pods.extend(manifest.pods);
        all.skipped.extend(manifest.skipped);
        for (kind, count) in manifest.unread_kinds {
            tracing::warn!("{path}: {count} of kind {kind} not read: plans do not depend on that kind");
        }
    }
    Ok(Snapshot::new(all.nodes, all.pods, all.skipped))
}
