//! Objects as they are read, and what is said where two of them have one name.

use std::collections::{BTreeMap, btree_map::Entry};
use std::sync::Arc;

use serde_json::Value;

use super::ManifestError;
use super::extras::Extra;
use super::kinds::Kind;
use super::priority::PriorityClass;
use super::workload::{Workload, WorkloadName};
use crate::model::{Node, Pod, Usage};
use crate::snapshot::Skipped;

/// What stands in a message for a name that is missing.
pub(super) const NO_NAME: &str = "(no name)";

/// What the planner sees of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Object {
    Node(Arc<Node>),
    /// With the class that decides about its priority, if one does.
    Pod(Arc<Pod>, Option<String>),
    /// No workload where it asks for no pods, or its pods cannot be planned with; and what had to be left out.
    Workload(WorkloadName, Option<Workload>, Vec<Skipped>),
    Extra(Extra),
    /// Under its name.
    PriorityClass(String, PriorityClass),
    /// What was measured of the node of this name.
    Usage(String, Usage),
    Skipped(Skipped),
}

/// Where an object stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// As the user called it; empty where nobody said.
    pub(super) file: Arc<str>,
    /// Position in the file, from 1.
    pub(super) document: usize,
}

/// Kind and name, with the namespace before a slash where the kind has one; no name where the object has none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FullName {
    pub(super) kind: &'static str,
    namespace: Option<String>,
    name: Option<String>,
}

/// Every object that was read, with the place where it stood first.
#[derive(Debug, Default)]
pub(super) struct Objects {
    by_name: BTreeMap<FullName, (Place, Object)>,
    nameless: Vec<(FullName, Place, Object)>,
}

impl Object {
    /// What had to be left out of it, or all of it.
    pub(super) fn skipped(&self) -> &[Skipped] {
        match self {
            Self::Workload(_, _, skipped) => skipped,
            Self::Skipped(skipped) => std::slice::from_ref(skipped),
            Self::Node(_) | Self::Pod(..) | Self::Extra(_) | Self::PriorityClass(..) | Self::Usage(..) => &[],
        }
    }

    /// Whether nothing of it can be planned with.
    fn is_skipped(&self) -> bool {
        match self {
            Self::Workload(_, workload, skipped) => workload.is_none() && !skipped.is_empty(),
            Self::Skipped(_) => true,
            Self::Node(_) | Self::Pod(..) | Self::Extra(_) | Self::PriorityClass(..) | Self::Usage(..) => false,
        }
    }
}

impl FullName {
    pub(super) fn of(kind: &Kind, object: &Value) -> Self {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let namespace = || text("/metadata/namespace").unwrap_or_else(|| "default".to_owned());
        Self { kind: kind.name, namespace: kind.namespaced.then(namespace), name: text("/metadata/name") }
    }

    /// As it stands in messages.
    pub(super) fn shown(&self) -> String {
        let name = self.name.as_deref().unwrap_or(NO_NAME);
        self.namespace.as_ref().map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
    }
}

impl Objects {
    /// Whether an object is new; not, where one of its name is there that says the same to the planner.
    ///
    /// # Errors
    /// Where one of its name is there that says something else.
    pub(super) fn add(&mut self, name: FullName, place: Place, object: &Object) -> Result<bool, ManifestError> {
        if name.name.is_none() {
            self.nameless.push((name, place, object.clone()));
            return Ok(true);
        }
        match self.by_name.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert((place, object.clone()));
                Ok(true)
            }
            Entry::Occupied(entry) => {
                let (first, known) = entry.get();
                if known == object {
                    return Ok(false);
                }
                let document = format!("document {}", first.document);
                Err(ManifestError::Twice {
                    document: place.document,
                    kind: entry.key().kind,
                    name: entry.key().shown(),
                    first: if first.file == place.file { document } else { format!("{}, {document}", first.file) },
                })
            }
        }
    }

    /// All of them, by name.
    pub(super) fn into_all(self) -> impl Iterator<Item = (FullName, Place, Object)> {
        let named = self.by_name.into_iter().map(|(name, (place, object))| (name, place, object));
        named.chain(self.nameless)
    }

    /// That something could be planned with, if there is anything that was meant to be.
    ///
    /// # Errors
    /// Where all objects had to be skipped: the first of them, and why.
    pub(super) fn check_use(&self) -> Result<(), ManifestError> {
        let nameless = self.nameless.iter().map(|(_, place, object)| (place, object));
        let all = || self.by_name.values().map(|(place, object)| (place, object)).chain(nameless.clone());
        let first = all().min_by_key(|(place, _)| place.document);
        let first = first.and_then(|(place, object)| Some((place, object.skipped().first()?)));
        match first {
            Some((place, skipped)) if all().all(|(_, object)| object.is_skipped()) => Err(ManifestError::AllSkipped {
                document: place.document,
                first: skipped.to_string(),
                objects: all().count(),
            }),
            _ => Ok(()),
        }
    }
}
