//! What files say beside pods, nodes and controllers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::manifest::{ManifestError, NO_NAME, Source};
use super::{
    LowerError, lower_attach_limits, lower_budget, lower_claim, lower_namespace, lower_storage_class, lower_volume,
};
use crate::model::Labels;
use crate::snapshot::{Extras, Skipped};

/// Kinds of objects that are read into [`Extras`].
pub(super) const KINDS: [&str; 6] =
    ["Namespace", "PersistentVolumeClaim", "PersistentVolume", "StorageClass", "CSINode", "PodDisruptionBudget"];

/// Those that stand in a namespace.
const NAMESPACED: [&str; 2] = ["PersistentVolumeClaim", "PodDisruptionBudget"];

/// Reads an object of one of [`KINDS`]; returns it where it cannot be planned with. A kind stays unread until an object
/// of it has been read.
pub(super) fn read(extras: &mut Extras, source: &Source<'_>, value: Value) -> Result<Option<Skipped>, ManifestError> {
    let name = full_name(source.kind, &value);
    let read = match source.kind {
        "Namespace" => {
            lowered(source, value, lower_namespace)?.map(|(name, labels)| put(&mut extras.namespaces, name, labels))
        }
        "PersistentVolumeClaim" => {
            lowered(source, value, lower_claim)?.map(|claim| put(&mut extras.claims, claim.name.clone(), claim))
        }
        "PersistentVolume" => {
            lowered(source, value, lower_volume)?.map(|volume| put(&mut extras.volumes, volume.name.clone(), volume))
        }
        "StorageClass" => lowered(source, value, lower_storage_class)?
            .map(|class| put(&mut extras.storage_classes, class.name.clone(), class)),
        "CSINode" => lowered(source, value, lower_attach_limits)?
            .map(|limits| put(&mut extras.attach_limits, limits.node.clone(), limits)),
        _ => lowered(source, value, lower_budget)?.map(|budget| put(&mut extras.budgets, budget.name.clone(), budget)),
    };
    Ok(read.err().map(|error| Skipped::new(source.kind, name, error.to_string())))
}

/// Objects of this kind were asked for, whether there are any or not. Of no other kind than [`KINDS`] it says anything.
pub(super) fn mark_read(extras: &mut Extras, kind: &str) {
    match kind {
        "Namespace" => drop(extras.namespaces.get_or_insert_default()),
        "PersistentVolumeClaim" => drop(extras.claims.get_or_insert_default()),
        "PersistentVolume" => drop(extras.volumes.get_or_insert_default()),
        "StorageClass" => drop(extras.storage_classes.get_or_insert_default()),
        "CSINode" => drop(extras.attach_limits.get_or_insert_default()),
        "PodDisruptionBudget" => drop(extras.budgets.get_or_insert_default()),
        _ => {}
    }
}

/// A namespace that a pod is in exists, with the label that the API server gives each, even if no file holds it.
pub(super) fn name_namespace(namespaces: &mut BTreeMap<String, Arc<Labels>>, name: &str) {
    if !namespaces.contains_key(name) {
        let labels = Labels::from([("kubernetes.io/metadata.name".to_owned(), name.to_owned())]);
        namespaces.insert(name.to_owned(), Arc::new(labels));
    }
}

/// Adds what was read from another file. Of two objects with one name the last counts.
pub(super) fn append(extras: &mut Extras, next: Extras) {
    let Extras { namespaces, claims, volumes, storage_classes, attach_limits, budgets } = next;
    extend(&mut extras.namespaces, namespaces);
    extend(&mut extras.claims, claims);
    extend(&mut extras.volumes, volumes);
    extend(&mut extras.storage_classes, storage_classes);
    extend(&mut extras.attach_limits, attach_limits);
    extend(&mut extras.budgets, budgets);
}

fn lowered<R: DeserializeOwned, T>(
    source: &Source<'_>,
    value: Value,
    lower: impl FnOnce(&R) -> Result<T, LowerError>,
) -> Result<Result<T, LowerError>, ManifestError> {
    Ok(lower(&source.typed(value)?))
}

fn put<K: Ord, T>(objects: &mut Option<BTreeMap<K, Arc<T>>>, name: K, object: T) {
    objects.get_or_insert_default().insert(name, Arc::new(object));
}

fn extend<K: Ord, T>(objects: &mut Option<BTreeMap<K, T>>, next: Option<BTreeMap<K, T>>) {
    if let Some(next) = next {
        objects.get_or_insert_default().extend(next);
    }
}

/// With the namespace before a slash where the kind has one.
fn full_name(kind: &str, object: &Value) -> String {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str);
    let name = text("/metadata/name").unwrap_or(NO_NAME);
    if NAMESPACED.contains(&kind) {
        format!("{}/{name}", text("/metadata/namespace").unwrap_or("default"))
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::{Manifest, parse_manifest};

    /// One object of each kind.
    const ALL: &str = "kind: Namespace\nmetadata: {name: shop, labels: {team: a}}\n---\n\
        kind: PersistentVolumeClaim\nmetadata: {name: data, namespace: shop}\nspec: {resources: {requests: {storage: 1}}}\n---\n\
        kind: PersistentVolume\nmetadata: {name: v}\nspec: {capacity: {storage: 5}}\n---\n\
        kind: StorageClass\nmetadata: {name: s}\nprovisioner: p\n---\n\
        kind: CSINode\nmetadata: {name: n}\nspec: {drivers: [{name: d, nodeID: x, allocatable: {count: 7}}]}\n---\n\
        kind: PodDisruptionBudget\nmetadata: {name: b}\nspec: {selector: {}}\nstatus: {disruptionsAllowed: 1}\n";

    fn extras(text: &str) -> Extras {
        parse_manifest(text).unwrap().into_snapshot().extras().clone()
    }

    #[test]
    fn every_kind_is_read_and_what_no_file_holds_stays_unread() {
        let manifest = parse_manifest(ALL).unwrap();
        assert!(manifest.unread_kinds.is_empty() && manifest.skipped.is_empty());
        assert!(manifest.extras.unread_kinds().is_empty());
        let Extras { namespaces, claims, attach_limits, .. } = manifest.extras;
        assert_eq!(namespaces.unwrap()["shop"]["kubernetes.io/metadata.name"], "shop");
        assert_eq!(claims.unwrap().into_keys().next().unwrap().to_string(), "shop/data");
        assert_eq!(attach_limits.unwrap()["n"].volumes["d"], 7);
        assert_eq!(extras("kind: Pod\nmetadata: {name: p}\nspec: {containers: []}\n").unread_kinds(), KINDS);
    }

    #[test]
    fn an_object_without_what_makes_it_one_is_skipped() {
        let budget = "kind: PodDisruptionBudget\nmetadata: {name: b}\n\
                      spec: {selector: {matchExpressions: [{key: k, operator: Like}]}}\n";
        let manifest = parse_manifest(budget).unwrap();
        let skipped: Vec<String> = manifest.skipped.iter().map(Skipped::to_string).collect();
        let reason = "\"Like\" is not one of In, NotIn, Exists, DoesNotExist";
        let operator = "PodDisruptionBudget default/b: spec.selector.matchExpressions[0].operator";
        assert_eq!(skipped, [format!("{operator}: {reason}")]);
        assert!(manifest.extras.budgets.is_none());
        let volume = parse_manifest("kind: PersistentVolume\nmetadata: {name: v, namespace: x}\n").unwrap();
        assert_eq!(volume.skipped[0].to_string(), "PersistentVolume v: spec: missing");
    }

    #[test]
    fn of_two_with_one_name_the_last_counts_within_a_file_and_between_files() {
        let namespace = |team: &str| format!("kind: Namespace\nmetadata: {{name: x, labels: {{team: {team}}}}}\n");
        let team = |extras: Extras| extras.namespaces.unwrap()["x"]["team"].clone();
        assert_eq!(team(extras(&format!("{}---\n{}", namespace("a"), namespace("b")))), "b");
        let mut all = Manifest::default();
        for text in [namespace("a"), namespace("b"), ALL.to_owned(), String::new()] {
            all.append(parse_manifest(&text).unwrap());
        }
        assert_eq!(all.extras.namespaces.as_ref().unwrap().len(), 2);
        assert_eq!(team(all.into_snapshot().extras().clone()), "b");
    }

    #[test]
    fn a_field_of_the_wrong_type_is_an_error() {
        let error = parse_manifest("kind: StorageClass\nmetadata: {name: s}\nprovisioner: 5\n").unwrap_err();
        assert!(error.to_string().starts_with("document 1: StorageClass s: provisioner: invalid type"), "{error}");
    }
}
