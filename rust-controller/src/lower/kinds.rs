//! Which objects are read: a kind alone does not tell, since anybody may define a `Deployment` in a group of their own.

/// A kind of objects that is read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// `Pod`, …
    pub(super) name: &'static str,
    /// Group and version: `v1`, `apps/v1`, …
    api_version: &'static str,
    /// Whether its objects stand in a namespace.
    pub(super) namespaced: bool,
}

const fn kind(name: &'static str, api_version: &'static str, namespaced: bool) -> Kind {
    Kind { name, api_version, namespaced }
}

const KINDS: [Kind; 15] = [
    kind("Pod", "v1", true),
    kind("Node", "v1", false),
    kind("Namespace", "v1", false),
    kind("PersistentVolumeClaim", "v1", true),
    kind("PersistentVolume", "v1", false),
    kind("StorageClass", "storage.k8s.io/v1", false),
    kind("CSINode", "storage.k8s.io/v1", false),
    kind("PodDisruptionBudget", "policy/v1", true),
    kind("PriorityClass", "scheduling.k8s.io/v1", false),
    kind("Deployment", "apps/v1", true),
    kind("ReplicaSet", "apps/v1", true),
    kind("StatefulSet", "apps/v1", true),
    kind("DaemonSet", "apps/v1", true),
    kind("Job", "batch/v1", true),
    kind("NodeMetrics", "metrics.k8s.io/v1beta1", false),
];

/// What an object's `kind` and `apiVersion` say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recognized {
    Read(&'static Kind),
    /// Another kind, by the name under which it is counted.
    Unread(String),
    /// A kind that is read, in a group of Kubernetes' own that has none of it; with where it is.
    Misplaced(&'static str),
}

/// Which kind of object this is.
pub(super) fn recognize(name: &str, api_version: &str) -> Recognized {
    match KINDS.iter().find(|kind| kind.name == name) {
        None => Recognized::Unread(name.to_owned()),
        Some(kind) if kind.api_version == api_version => Recognized::Read(kind),
        Some(kind) if is_kubernetes_own(api_version) => Recognized::Misplaced(kind.api_version),
        Some(_) => Recognized::Unread(format!("{name} ({api_version})")),
    }
}

/// Groups that others define have a domain name.
fn is_kubernetes_own(api_version: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    !group.contains('.') || group.ends_with(".k8s.io")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_that_of_its_group() {
        let unread = |name: &str| Recognized::Unread(name.to_owned());
        assert!(matches!(recognize("Job", "batch/v1"), Recognized::Read(kind) if kind.name == "Job"));
        assert_eq!(recognize("Job", "batch.volcano.sh/v1alpha1"), unread("Job (batch.volcano.sh/v1alpha1)"));
        assert_eq!(recognize("Service", "v1"), unread("Service"));
        assert_eq!(recognize("Deployment", "extensions/v1beta1"), Recognized::Misplaced("apps/v1"));
        assert_eq!(recognize("CSINode", "storage.k8s.io/v1beta1"), Recognized::Misplaced("storage.k8s.io/v1"));
        assert_eq!(recognize("Pod", "apps/v1"), Recognized::Misplaced("v1"));
    }
}
