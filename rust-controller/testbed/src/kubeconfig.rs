//! Kubeconfig files: how a program is told where the cluster is and who it is.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The cluster's side of a kubeconfig.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Such as `https://127.0.0.1:6443`.
    pub(crate) server: String,
    /// The certificate authority, as PEM.
    pub(crate) authority: String,
}

impl Endpoint {
    /// Writes a kubeconfig for one identity. It is whole in itself (authority
    /// and token are inside), so that it may be copied anywhere.
    pub(crate) fn write(&self, path: &Path, user: &str, token: &str, namespace: &str) -> io::Result<()> {
        let config = self.config(user, token, namespace);
        // JSON is YAML, and a serializer quotes what needs quoting.
        write_private(path, &format!("{config:#}\n"))
    }

    fn config(&self, user: &str, token: &str, namespace: &str) -> Value {
        const CLUSTER: &str = "testbed";
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": CLUSTER,
                "cluster": {
                    "server": self.server,
                    "certificate-authority-data": STANDARD.encode(&self.authority),
                },
            }],
            "users": [{ "name": user, "user": { "token": token } }],
            "contexts": [{
                "name": CLUSTER,
                "context": { "cluster": CLUSTER, "user": user, "namespace": namespace },
            }],
            "current-context": CLUSTER,
        })
    }
}

/// Writes a file that nobody else on the machine can read.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
