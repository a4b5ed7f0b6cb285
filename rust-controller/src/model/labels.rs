//! Labels, and the label keys that mean something to the planner.

use std::collections::BTreeMap;

/// Label keys and values, sorted by key.
pub type Labels = BTreeMap<String, String>;

/// Names of well-known label keys.
pub mod key {
    /// `amd64`, `arm64`.
    pub const ARCH: &str = "kubernetes.io/arch";
    /// `linux`, `windows`.
    pub const OS: &str = "kubernetes.io/os";
    /// The node's own name, so no two nodes share it.
    pub const HOSTNAME: &str = "kubernetes.io/hostname";
    /// The provider's name of the node type.
    pub const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
    /// Availability zone.
    pub const ZONE: &str = "topology.kubernetes.io/zone";
    /// Region, the zones' parent.
    pub const REGION: &str = "topology.kubernetes.io/region";
    /// Build of a Windows node.
    pub const WINDOWS_BUILD: &str = "node.kubernetes.io/windows-build";
    /// `on-demand`, `spot`, `reserved`.
    pub const CAPACITY_TYPE: &str = "karpenter.sh/capacity-type";
    /// The Karpenter `NodePool` that a node came from.
    pub const NODE_POOL: &str = "karpenter.sh/nodepool";
    /// Present on nodes that run the control plane.
    pub const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
    /// Keys that every new node has with a value that nobody knows beforehand.
    pub const UNKNOWN_BEFOREHAND: [&str; 2] = [HOSTNAME, NODE_POOL];
    /// Stands for such a value: no label value, so that no requirement can name it.
    pub const UNKNOWN_VALUE: &str = "(unknown)";
    /// Keys by which volumes tell their zone and region.
    pub const VOLUME_ZONES: [&str; 4] =
        ["failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region", ZONE, REGION];
    /// Other keys that carry the same value as a stable one, which Karpenter reads them as: those from before the stable
    /// ones, and those of the clouds' volume drivers.
    pub const ALIASES: [(&str, &str); 8] = [
        ("beta.kubernetes.io/arch", ARCH),
        ("beta.kubernetes.io/os", OS),
        ("beta.kubernetes.io/instance-type", INSTANCE_TYPE),
        ("failure-domain.beta.kubernetes.io/zone", ZONE),
        ("failure-domain.beta.kubernetes.io/region", REGION),
        ("topology.ebs.csi.aws.com/zone", ZONE),
        ("topology.disk.csi.azure.com/zone", ZONE),
        ("topology.gke.io/zone", ZONE),
    ];
}

/// The stable form of a label key: `beta.kubernetes.io/arch` is `kubernetes.io/arch`.
#[must_use]
pub fn normalized_key(key: &str) -> &str {
    key::ALIASES.iter().find(|(alias, _)| *alias == key).map_or(key, |(_, stable)| stable)
}

/// Whether Kubernetes accepts this as a label value.
#[must_use]
pub fn is_label_value(value: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    let bytes = value.as_bytes();
    let ends = bytes.first().is_none_or(|first| plain(*first)) && bytes.last().is_none_or(|last| plain(*last));
    bytes.len() <= 63 && ends && bytes.iter().all(|byte| plain(*byte) || matches!(byte, b'-' | b'_' | b'.'))
}
