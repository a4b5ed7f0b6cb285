//! Claims, volumes, storage classes, and what nodes can attach.
//!
//! Source of the rules: the scheduler plugin `VolumeBinding` and `k8s.io/component-helpers/storage/volume`, Kubernetes
//! 1.36.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1 as raw;
use k8s_openapi::api::storage::v1 as raw_storage;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::placement::node_selector_terms;
use super::selector::label_selector;
use super::{Amounts, LowerError, amounts, name_of, object_name};
use crate::model::{AttachLimits, Claim, NodeSelectorTerm, ObjectName, Operator, Requirement, StorageClass, Volume};
use crate::units::Memory;

/// Older than the field, and stronger.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
const BOUND_ANNOTATION: &str = "pv.kubernetes.io/bind-completed";
const NODE_ANNOTATION: &str = "volume.kubernetes.io/selected-node";

/// The planner's view of a claim.
///
/// # Errors
/// Where the name, the spec or the size is missing, or a quantity, an operator or the volume mode is not one of
/// Kubernetes'.
pub fn lower_claim(raw: &raw::PersistentVolumeClaim) -> Result<Claim, LowerError> {
    let metadata = &raw.metadata;
    let spec = raw.spec.as_ref().ok_or(LowerError::Missing("spec"))?;
    let requests = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let volume = not_empty(spec.volume_name.as_deref());
    let phase = raw.status.as_ref().and_then(|status| status.phase.as_deref());
    let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    Ok(Claim {
        name: object_name(metadata)?,
        uid: metadata.uid.clone().unwrap_or_default(),
        bound: volume.is_some() && annotation(metadata, BOUND_ANNOTATION).is_some(),
        volume,
        storage_class: storage_class(metadata, spec.storage_class_name.as_deref()),
        access_modes: access_modes(spec.access_modes.as_deref()),
        size: storage(&amounts(requests, "spec.resources.requests")?, "spec.resources.requests.storage")?,
        selector: spec.selector.as_ref().map(|raw| label_selector(Some(raw), "spec.selector")).transpose()?,
        block: is_block(spec.volume_mode.as_deref())?,
        selected_node: not_empty(annotation(metadata, NODE_ANNOTATION)),
        lost: phase == Some("Lost"),
        deleting: metadata.deletion_timestamp.is_some(),
        owner_pod: owner.filter(|owner| owner.kind == "Pod").map(|owner| owner.name.clone()),
    })
}

/// The planner's view of a volume.
///
/// # Errors
/// Where the name, the spec or the capacity is missing, or a quantity, an operator or the volume mode is not one of
/// Kubernetes'.
pub fn lower_volume(raw: &raw::PersistentVolume) -> Result<Volume, LowerError> {
    let metadata = &raw.metadata;
    let spec = raw.spec.as_ref().ok_or(LowerError::Missing("spec"))?;
    let required = spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
    let phase = raw.status.as_ref().and_then(|status| status.phase.as_deref());
    Ok(Volume {
        name: name_of(metadata)?,
        labels: metadata.labels.clone().unwrap_or_default(),
        node_affinity: required
            .map(|selector| node_selector_terms(selector, "spec.nodeAffinity.required"))
            .transpose()?,
        storage_class: storage_class(metadata, spec.storage_class_name.as_deref()),
        access_modes: access_modes(spec.access_modes.as_deref()),
        capacity: storage(&amounts(spec.capacity.as_ref(), "spec.capacity")?, "spec.capacity.storage")?,
        block: is_block(spec.volume_mode.as_deref())?,
        claim: spec.claim_ref.as_ref().map(claim_ref),
        // In a cluster every volume has a phase. One that was written by hand is about to be available.
        available: phase.map_or(spec.claim_ref.is_none(), |phase| phase == "Available"),
        deleting: metadata.deletion_timestamp.is_some(),
        csi: spec.csi.as_ref().map(|csi| (csi.driver.clone(), csi.volume_handle.clone())),
        local: spec.local.is_some() || spec.host_path.is_some(),
    })
}

/// The planner's view of a storage class.
///
/// # Errors
/// Where the name is missing, or the binding mode is not one of Kubernetes'.
pub fn lower_storage_class(raw: &raw_storage::StorageClass) -> Result<StorageClass, LowerError> {
    let waits_for_pod = match raw.volume_binding_mode.as_deref() {
        None | Some("Immediate") => false,
        Some("WaitForFirstConsumer") => true,
        Some(other) => {
            return Err(LowerError::Unknown {
                field: "volumeBindingMode".to_owned(),
                value: other.to_owned(),
                known: "Immediate, WaitForFirstConsumer",
            });
        }
    };
    Ok(StorageClass {
        name: name_of(&raw.metadata)?,
        provisioner: raw.provisioner.clone(),
        waits_for_pod,
        allowed_topologies: raw.allowed_topologies.iter().flatten().map(topology).collect(),
    })
}

/// The planner's view of what a node can attach.
///
/// # Errors
/// Where the name is missing.
pub fn lower_attach_limits(raw: &raw_storage::CSINode) -> Result<AttachLimits, LowerError> {
    let (mut volumes, mut unlimited) = (BTreeMap::new(), BTreeSet::new());
    for driver in &raw.spec.drivers {
        match driver.allocatable.as_ref().and_then(|allocatable| allocatable.count) {
            Some(count) => drop(volumes.insert(driver.name.clone(), u32::try_from(count).unwrap_or(0))),
            None => drop(unlimited.insert(driver.name.clone())),
        }
    }
    Ok(AttachLimits { node: name_of(&raw.metadata)?, volumes, unlimited })
}

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn storage_class(metadata: &ObjectMeta, field: Option<&str>) -> Option<String> {
    annotation(metadata, CLASS_ANNOTATION).or(field).map(str::to_owned)
}

fn not_empty(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn access_modes(raw: Option<&[String]>) -> BTreeSet<String> {
    raw.into_iter().flatten().cloned().collect()
}

fn storage(amounts: &Amounts, field: &'static str) -> Result<Memory, LowerError> {
    amounts.get("storage").map(|amount| (*amount).into()).ok_or(LowerError::Missing(field))
}

fn is_block(mode: Option<&str>) -> Result<bool, LowerError> {
    match mode {
        None | Some("" | "Filesystem") => Ok(false),
        Some("Block") => Ok(true),
        Some(other) => Err(LowerError::Unknown {
            field: "spec.volumeMode".to_owned(),
            value: other.to_owned(),
            known: "Filesystem, Block",
        }),
    }
}

fn claim_ref(raw: &raw::ObjectReference) -> (ObjectName, String) {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    (ObjectName { namespace: text(&raw.namespace), name: text(&raw.name) }, text(&raw.uid))
}

fn topology(raw: &raw::TopologySelectorTerm) -> NodeSelectorTerm {
    let requirement = |raw: &raw::TopologySelectorLabelRequirement| Requirement {
        key: raw.key.clone(),
        operator: Operator::In,
        values: raw.values.clone(),
    };
    let labels = raw.match_label_expressions.iter().flatten().map(requirement).collect();
    NodeSelectorTerm { labels, fields: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    fn raw<T: DeserializeOwned>(object: Value) -> T {
        serde_json::from_value(object).unwrap()
    }

    fn claim(annotations: &Value, spec: &Value) -> Result<Claim, LowerError> {
        let mut spec = spec.clone();
        spec["resources"] = json!({"requests": {"storage": "1Gi"}});
        lower_claim(&raw(
            json!({"metadata": {"name": "c", "namespace": "x", "annotations": annotations}, "spec": spec}),
        ))
    }

    #[test]
    fn a_claim_is_bound_once_both_sides_say_so() {
        let done = json!({BOUND_ANNOTATION: "yes"});
        let bound =
            |annotations: &Value, spec: Value| claim(annotations, &spec).map(|claim| (claim.volume, claim.bound));
        assert_eq!(bound(&done, json!({"volumeName": "v"})), Ok((Some("v".to_owned()), true)));
        assert_eq!(bound(&json!({}), json!({"volumeName": "v"})), Ok((Some("v".to_owned()), false)));
        assert_eq!(bound(&done, json!({"volumeName": ""})), Ok((None, false)));
    }

    #[test]
    fn the_annotation_of_a_storage_class_wins_even_when_it_is_empty() {
        let class =
            |annotations: &Value| claim(annotations, &json!({"storageClassName": "new"})).unwrap().storage_class;
        assert_eq!(class(&json!({})).as_deref(), Some("new"));
        assert_eq!(class(&json!({CLASS_ANNOTATION: "old"})).as_deref(), Some("old"));
        assert_eq!(class(&json!({CLASS_ANNOTATION: ""})).as_deref(), Some(""));
        assert_eq!(claim(&json!({}), &json!({})).unwrap().storage_class, None);
    }

    #[test]
    fn a_claim_says_what_it_asks_for_and_whose_it_is() {
        let claim = lower_claim(&raw(json!({
            "metadata": {
                "name": "web-scratch", "uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z",
                "annotations": {NODE_ANNOTATION: "n"},
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Pod", "name": "other", "uid": "1"},
                    {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "2", "controller": true},
                ],
            },
            "spec": {
                "accessModes": ["ReadWriteOnce"], "volumeMode": "Block", "selector": {},
                "resources": {"requests": {"storage": "1.5"}},
            },
            "status": {"phase": "Lost"},
        })))
        .unwrap();
        assert_eq!(claim.name.to_string(), "default/web-scratch");
        assert_eq!((claim.uid.as_str(), claim.selected_node.as_deref()), ("u", Some("n")));
        assert_eq!((claim.size.get(), claim.owner_pod.as_deref()), (2, Some("web")));
        assert!(claim.block && claim.lost && claim.deleting);
        assert!(claim.selector.unwrap().is_everything());
        assert!(claim.access_modes.contains("ReadWriteOnce"));
    }

    #[test]
    fn what_is_wrong_with_a_claim_is_named_by_its_field() {
        let error = |object: Value| lower_claim(&raw(object)).unwrap_err().to_string();
        let with = |spec: Value| json!({"metadata": {"name": "c"}, "spec": spec});
        assert_eq!(error(json!({"metadata": {"name": "c"}})), "spec: missing");
        assert_eq!(error(with(json!({}))), "spec.resources.requests.storage: missing");
        assert!(
            error(with(json!({"resources": {"requests": {"storage": "1Gb"}}})))
                .starts_with("spec.resources.requests.storage: \"1Gb\" is not a quantity")
        );
        let mode = json!({"volumeMode": "Tape", "resources": {"requests": {"storage": "1"}}});
        assert_eq!(error(with(mode)), r#"spec.volumeMode: "Tape" is not one of Filesystem, Block"#);
    }

    #[test]
    fn a_volume_says_where_it_can_be_attached_and_for_whom_it_is() {
        let volume = |phase: Value| {
            lower_volume(&raw(json!({
                "metadata": {"name": "v", "labels": {"topology.kubernetes.io/zone": "a"}},
                "spec": {
                    "capacity": {"storage": "1Ki"}, "accessModes": ["ReadOnlyMany"], "storageClassName": "fast",
                    "csi": {"driver": "d", "volumeHandle": "h"},
                    "claimRef": {"namespace": "x", "name": "c", "uid": "u"},
                    "nodeAffinity": {"required": {"nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]},
                    ]}},
                },
                "status": {"phase": phase},
            })))
            .unwrap()
        };
        let found = volume(json!("Bound"));
        let zone = NodeSelectorTerm { labels: vec![Requirement::equals("zone", "a")], fields: Vec::new() };
        assert_eq!(found.node_affinity, Some(vec![zone]));
        assert_eq!(found.capacity.get(), 1024);
        assert_eq!(found.claim.map(|(name, uid)| format!("{name} {uid}")).as_deref(), Some("x/c u"));
        assert_eq!(found.csi, Some(("d".to_owned(), "h".to_owned())));
        assert!(!found.available && !volume(Value::Null).available && volume(json!("Available")).available);
    }

    #[test]
    fn a_volume_written_by_hand_is_available() {
        let volume = json!({"metadata": {"name": "v"}, "spec": {"capacity": {"storage": "1"}}});
        let volume = lower_volume(&raw(volume)).unwrap();
        assert!(volume.available);
        assert_eq!((volume.node_affinity, volume.storage_class, volume.claim), (None, None, None));
    }

    #[test]
    fn a_storage_class_binds_at_once_unless_it_says_otherwise() {
        let class = |mode: Value| {
            let zones = json!([{"matchLabelExpressions": [{"key": "zone", "values": ["a", "b"]}]}, {}]);
            let class = json!({"metadata": {"name": "s"}, "provisioner": "p", "volumeBindingMode": mode,
                               "allowedTopologies": zones});
            lower_storage_class(&raw(class))
        };
        assert!(!class(Value::Null).unwrap().waits_for_pod);
        assert!(!class(json!("Immediate")).unwrap().waits_for_pod);
        let waiting = class(json!("WaitForFirstConsumer")).unwrap();
        assert!(waiting.waits_for_pod);
        assert_eq!(waiting.allowed_topologies[0].labels[0].to_string(), "zone in [a, b]");
        assert!(waiting.allowed_topologies[1].labels.is_empty());
        assert_eq!(
            class(json!("Never")).unwrap_err().to_string(),
            r#"volumeBindingMode: "Never" is not one of Immediate, WaitForFirstConsumer"#
        );
    }

    #[test]
    fn a_driver_without_a_count_has_no_limit() {
        let node = json!({"metadata": {"name": "n"}, "spec": {"drivers": [
            {"name": "a", "nodeID": "", "allocatable": {"count": 25}},
            {"name": "b", "nodeID": "", "allocatable": {}},
            {"name": "c", "nodeID": ""},
        ]}});
        let limits = lower_attach_limits(&raw(node)).unwrap();
        assert_eq!(limits.node, "n");
        assert!(limits.volumes.into_iter().eq([("a".to_owned(), 25)]));
        assert!(limits.unlimited.into_iter().eq(["b", "c"]));
    }
}
