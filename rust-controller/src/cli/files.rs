//! Reading files, and standard input as `-`.

use std::io::Read;

use super::BadInput;
use crate::lower::{Manifest, ManifestError, parse_file};
use crate::snapshot::{MeasuredUsage, Snapshot};

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

/// All objects of all files together, and the pods that their workloads lack; what nodes use where that is asked for.
pub(super) fn read_snapshot(paths: &[String], with_usage: bool) -> Result<Snapshot, BadInput> {
    let mut all = Manifest::default();
    for path in paths {
        let text = read(path)?;
        let wrong = |error: ManifestError| BadInput(format!("{path}: {error}"));
        let manifest = parse_file(path, &text).map_err(wrong)?;
        for (kind, count) in &manifest.unread_kinds {
            tracing::warn!("{path}: {}", unread_warning(kind, *count));
        }
        all.append(manifest).map_err(wrong)?;
    }
    for (class, count) in all.unknown_priority_classes() {
        tracing::warn!("{}", unknown_class_warning(class, count));
    }
    let snapshot = all.into_snapshot();
    Ok(if with_usage { snapshot } else { snapshot.with_usage(MeasuredUsage::NotAsked) })
}

fn unread_warning(kind: &str, count: usize) -> String {
    format!("{count} of kind {kind} not read: nothing is planned for it")
}

fn unknown_class_warning(class: &str, count: usize) -> String {
    let who = if count == 1 { "1 object names" } else { &format!("{count} objects name") };
    format!("{who} the PriorityClass {class}, which no file has: taken as priority 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warning_about_a_class_says_what_is_done_without_it() {
        let rest = "the PriorityClass urgent, which no file has: taken as priority 0";
        assert_eq!(unknown_class_warning("urgent", 1), format!("1 object names {rest}"));
        assert_eq!(unknown_class_warning("urgent", 2), format!("2 objects name {rest}"));
    }

    #[test]
    fn the_warning_says_how_many_of_what_kind() {
        assert_eq!(unread_warning("CronJob", 2), "2 of kind CronJob not read: nothing is planned for it");
    }
}
