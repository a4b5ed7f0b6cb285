//! What files say beside pods, nodes and controllers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::manifest::{ManifestError, Source};
use super::{
    LowerError, lower_attach_limits, lower_budget, lower_claim, lower_namespace, lower_storage_class, lower_volume,
};
use crate::model::{AttachLimits, Budget, Claim, Labels, StorageClass, Volume};
use crate::snapshot::Extras;

/// An object of a kind that [`Extras`] hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Extra {
    Namespace(String, Arc<Labels>),
    Claim(Arc<Claim>),
    Volume(Arc<Volume>),
    StorageClass(Arc<StorageClass>),
    AttachLimits(Arc<AttachLimits>),
    Budget(Arc<Budget>),
}

/// Reads an object of one of these kinds, which may have a value that cannot be planned with.
pub(super) fn read(source: &Source<'_>, value: Value) -> Result<Result<Extra, LowerError>, ManifestError> {
    Ok(match source.kind {
        "Namespace" => {
            lower_namespace(&source.typed(value)?).map(|(name, labels)| Extra::Namespace(name, Arc::new(labels)))
        }
        "PersistentVolumeClaim" => lower_claim(&source.typed(value)?).map(|claim| Extra::Claim(Arc::new(claim))),
        "PersistentVolume" => lower_volume(&source.typed(value)?).map(|volume| Extra::Volume(Arc::new(volume))),
        "StorageClass" => lower_storage_class(&source.typed(value)?).map(|class| Extra::StorageClass(Arc::new(class))),
        "CSINode" => lower_attach_limits(&source.typed(value)?).map(|limits| Extra::AttachLimits(Arc::new(limits))),
        _ => lower_budget(&source.typed(value)?).map(|budget| Extra::Budget(Arc::new(budget))),
    })
}

impl Extra {
    /// Puts it with the others of its kind, which has been read from now on.
    pub(super) fn put(self, extras: &mut Extras) {
        match self {
            Self::Namespace(name, labels) => put(&mut extras.namespaces, name, labels),
            Self::Claim(claim) => put(&mut extras.claims, claim.name.clone(), claim),
            Self::Volume(volume) => put(&mut extras.volumes, volume.name.clone(), volume),
            Self::StorageClass(class) => put(&mut extras.storage_classes, class.name.clone(), class),
            Self::AttachLimits(limits) => put(&mut extras.attach_limits, limits.node.clone(), limits),
            Self::Budget(budget) => put(&mut extras.budgets, budget.name.clone(), budget),
        }
    }
}

/// Objects of this kind were asked for, whether there are any or not. Of kinds that are no extras it says nothing.
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

/// Objects of all kinds were asked for that others were asked for.
pub(super) fn mark_read_as(extras: &mut Extras, others: &Extras) {
    let unread = others.unread_kinds();
    for kind in Extras::default().unread_kinds() {
        if !unread.contains(&kind) {
            mark_read(extras, kind);
        }
    }
}

fn put<K: Ord, T>(objects: &mut Option<BTreeMap<K, Arc<T>>>, name: K, object: Arc<T>) {
    objects.get_or_insert_default().insert(name, object);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::written::NODE;
    use crate::lower::{Manifest, parse_manifest};
    use crate::snapshot::Skipped;

    /// One object of each kind.
    const ALL: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}\n---\n\
        apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data, namespace: shop}\nspec: {resources: {requests: {storage: 1}}}\n---\n\
        apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: v}\nspec: {capacity: {storage: 5}}\n---\n\
        apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: s}\nprovisioner: p\n---\n\
        apiVersion: storage.k8s.io/v1\nkind: CSINode\nmetadata: {name: n}\nspec: {drivers: [{name: d, nodeID: x, allocatable: {count: 7}}]}\n---\n\
        apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b}\nspec: {selector: {}}\nstatus: {disruptionsAllowed: 1}\n";

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
        let of_pod = extras("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: []}\n");
        assert_eq!(of_pod.unread_kinds(), Extras::default().unread_kinds());
    }

    #[test]
    fn an_object_without_what_makes_it_one_is_skipped() {
        let budget = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b}\n\
                      spec: {selector: {matchExpressions: [{key: k, operator: Like}]}}\n";
        let manifest = parse_manifest(&format!("{budget}---\n{NODE}")).unwrap();
        let skipped: Vec<String> = manifest.skipped.iter().map(Skipped::to_string).collect();
        let reason = "\"Like\" is not one of In, NotIn, Exists, DoesNotExist";
        let operator = "PodDisruptionBudget default/b: spec.selector.matchExpressions[0].operator";
        assert_eq!(skipped, [format!("{operator}: {reason}")]);
        assert!(manifest.extras.budgets.is_none());
        let volume = "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: v, namespace: x}\n";
        let volume = parse_manifest(&format!("{volume}---\n{NODE}")).unwrap();
        assert_eq!(volume.skipped[0].to_string(), "PersistentVolume v: spec: missing");
    }

    #[test]
    fn kinds_are_read_where_any_file_has_them() {
        let mut all = Manifest::default();
        for text in [ALL, "", NODE, "{apiVersion: v1, kind: PodList, items: []}"] {
            all.append(parse_manifest(text).unwrap()).unwrap();
        }
        assert!(all.extras.unread_kinds().is_empty());
        let mut none = Manifest::default();
        let list = |api_version| format!("{{apiVersion: {api_version}, kind: StorageClassList, items: []}}");
        none.append(parse_manifest(&list("example.com/v1")).unwrap()).unwrap();
        assert!(none.extras.storage_classes.is_none());
        none.append(parse_manifest(&list("storage.k8s.io/v1")).unwrap()).unwrap();
        assert_eq!(none.extras.storage_classes, Some(BTreeMap::new()));
    }

    #[test]
    fn a_field_of_the_wrong_type_is_an_error() {
        let error =
            parse_manifest("apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: s}\nprovisioner: 5\n")
                .unwrap_err();
        assert!(error.to_string().starts_with("document 1: StorageClass s: provisioner: invalid type"), "{error}");
    }
}
