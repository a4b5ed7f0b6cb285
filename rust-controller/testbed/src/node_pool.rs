//! Karpenter's `NodePool`, as Karpenter itself defines it.

use std::path::PathBuf;

use crate::control_plane::ControlPlane;
use crate::error::Result;

const MODULE: &str = "sigs.k8s.io/karpenter";
const FILE: &str = "pkg/apis/crds/karpenter.sh_nodepools.yaml";
const NAME: &str = "crd/nodepools.karpenter.sh";

impl ControlPlane {
    /// The file that defines `NodePool`, out of the pinned Karpenter module.
    ///
    /// # Errors
    ///
    /// If the module is neither in the cache nor to be had through Go.
    pub fn nodepool_crd(&self) -> Result<PathBuf> {
        self.binaries.module_file(MODULE, FILE)
    }

    /// Installs `NodePool` and waits until the API server serves it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::nodepool_crd`] and [`ControlPlane::kubectl`].
    pub fn install_nodepool_crd(&self) -> Result<()> {
        let file = self.nodepool_crd()?;
        let file = file.to_string_lossy();
        self.kubectl(&["apply", "--server-side", "-f", &file])?;
        self.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", NAME])?;
        Ok(())
    }
}
