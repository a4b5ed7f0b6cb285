//! Volumes in a pod's spec that decide where it may run.
//!
//! Source of the rules: the scheduler plugins `VolumeBinding` and `VolumeRestrictions`, Kubernetes 1.36.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1 as raw;

use crate::model::{Disk, DiskKind, PodVolume};

/// In the order of the spec of the pod with this name.
pub(super) fn volumes(spec: &raw::PodSpec, pod: &str) -> Vec<PodVolume> {
    spec.volumes.iter().flatten().filter_map(|volume| pod_volume(volume, pod)).collect()
}

/// The name of the claim that is made for an ephemeral volume of a pod.
pub(super) fn ephemeral_claim(pod: &str, volume: &str) -> String {
    format!("{pod}-{volume}")
}

fn pod_volume(raw: &raw::Volume, pod: &str) -> Option<PodVolume> {
    if let Some(claim) = &raw.persistent_volume_claim {
        return Some(PodVolume::Claim { name: claim.claim_name.clone(), ephemeral: false });
    }
    if raw.ephemeral.is_some() {
        return Some(PodVolume::Claim { name: ephemeral_claim(pod, &raw.name), ephemeral: true });
    }
    disk(raw).map(PodVolume::Disk)
}

fn disk(raw: &raw::Volume) -> Option<Disk> {
    let disk = |kind, id: &str, read_only: Option<bool>| Disk {
        kind,
        id: id.to_owned(),
        monitors: BTreeSet::new(),
        read_only: read_only.unwrap_or(false),
    };
    if let Some(source) = &raw.gce_persistent_disk {
        return Some(disk(DiskKind::GcePersistentDisk, &source.pd_name, source.read_only));
    }
    if let Some(source) = &raw.aws_elastic_block_store {
        return Some(disk(DiskKind::AwsElasticBlockStore, &source.volume_id, source.read_only));
    }
    if let Some(source) = &raw.iscsi {
        return Some(disk(DiskKind::Iscsi, &source.iqn, source.read_only));
    }
    raw.rbd.as_ref().map(|source| {
        // The API server fills in this pool.
        let pool = source.pool.as_deref().filter(|pool| !pool.is_empty()).unwrap_or("rbd");
        let monitors = source.monitors.iter().cloned().collect();
        Disk { monitors, ..disk(DiskKind::Rbd, &format!("{pool}/{}", source.image), source.read_only) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn claims_and_disks_are_kept_in_order_and_the_rest_is_left_out() {
        let spec = json!({"containers": [], "volumes": [
            {"name": "rbd", "rbd": {"image": "i", "monitors": ["m2", "m1"], "readOnly": true}},
            {"name": "none", "emptyDir": {}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "db"}},
            {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
            {"name": "gce", "gcePersistentDisk": {"pdName": "pd"}},
            {"name": "aws", "awsElasticBlockStore": {"volumeID": "vol-1", "readOnly": false}},
            {"name": "iscsi", "iscsi": {"iqn": "iqn.x", "lun": 0, "targetPortal": "p", "readOnly": true}},
            {"name": "config", "configMap": {"name": "c"}},
        ]});
        let spec: raw::PodSpec = serde_json::from_value(spec).unwrap();
        let claim = |name: &str, ephemeral| PodVolume::Claim { name: name.to_owned(), ephemeral };
        let disk = |kind, id: &str, monitors: &[&str], read_only| {
            let monitors = monitors.iter().map(|monitor| (*monitor).to_owned()).collect();
            PodVolume::Disk(Disk { kind, id: id.to_owned(), monitors, read_only })
        };
        let expected = [
            disk(DiskKind::Rbd, "rbd/i", &["m1", "m2"], true),
            claim("db", false),
            claim("web-0-scratch", true),
            disk(DiskKind::GcePersistentDisk, "pd", &[], false),
            disk(DiskKind::AwsElasticBlockStore, "vol-1", &[], false),
            disk(DiskKind::Iscsi, "iqn.x", &[], true),
        ];
        assert_eq!(volumes(&spec, "web-0"), expected);
    }
}
