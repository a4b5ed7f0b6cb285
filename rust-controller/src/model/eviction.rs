//! What keeps pods and nodes from being disturbed.

/// What the eviction of a pod would mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Eviction {
    /// The annotation that forbids it, with its value; of a pod that ends with its node, one that forbids that, too.
    pub forbidden_by: Option<String>,
    /// It has an `emptyDir` volume, whose contents would be lost.
    pub loses_scratch: bool,
    /// It has a `hostPath` volume: what is there stays on the node.
    pub leaves_host_path: bool,
    /// It runs and is not Ready.
    pub unready: bool,
}
