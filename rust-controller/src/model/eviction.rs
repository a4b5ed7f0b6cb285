//! What keeps pods and nodes from being disturbed.

/// What the eviction of a pod would mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Eviction {
    /// The annotation that forbids it, with its value.
    pub forbidden_by: Option<&'static str>,
    /// It has an `emptyDir` volume, whose contents would be lost.
    pub loses_scratch: bool,
    /// It has a `hostPath` volume: what is there stays on the node.
    pub leaves_host_path: bool,
    /// It runs and is not Ready.
    pub unready: bool,
}

/// Annotations of pods and nodes by which their owners ask to be left alone: Karpenter's, and the cluster autoscaler's.
pub const FORBIDDING: [(&str, &str, &str); 2] = [
    ("karpenter.sh/do-not-disrupt", "true", "karpenter.sh/do-not-disrupt=true"),
    ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false", "cluster-autoscaler.kubernetes.io/safe-to-evict=false"),
];
