//! Talking to a control plane through `kubectl`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::command;
use crate::control_plane::ControlPlane;
use crate::error::{Error, Result};
use crate::program::Program;

/// One call of `kubectl`.
const LIMIT: Duration = Duration::from_mins(1);

/// How long a service account's token is valid.
const TOKEN_DURATION: &str = "--duration=24h";

impl ControlPlane {
    /// Runs `kubectl` as the admin and gives its standard output. A call may
    /// take a minute at most.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with the standard error.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_as(&self.admin_kubeconfig(), arguments, "")
    }

    /// Runs `kubectl` with another kubeconfig, and `input` on standard input.
    ///
    /// # Errors
    ///
    /// As [`Self::kubectl`].
    pub fn kubectl_as(&self, kubeconfig: &Path, arguments: &[&str], input: &str) -> Result<String> {
        let mut kubectl = Command::new(self.binaries.path(Program::Kubectl));
        kubectl
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(arguments)
            // Neither the person's settings nor their caches are touched.
            .env("HOME", self.layout.folder())
            .env("KUBERC", "off")
            .env_remove("KUBECONFIG");
        command::run(&mut kubectl, input, LIMIT)
    }

    /// Runs `kubectl … -o json` as the admin and reads the answer.
    ///
    /// # Errors
    ///
    /// As [`Self::kubectl`]; [`Error::Json`] if the answer is none.
    pub fn kubectl_json(&self, arguments: &[&str]) -> Result<Value> {
        let arguments = [arguments, &["-o", "json"]].concat();
        let answer = self.kubectl(&arguments)?;
        serde_json::from_str(&answer)
            .map_err(|source| Error::Json { what: format!("`kubectl {}`", arguments.join(" ")), source })
    }

    /// Applies YAML (server-side, taking over fields others have set).
    ///
    /// # Errors
    ///
    /// As [`Self::kubectl`].
    pub fn apply(&self, yaml: &str) -> Result<String> {
        let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        self.kubectl_as(&self.admin_kubeconfig(), &apply, yaml)
    }

    /// A kubeconfig with which a program is just this service account, with its
    /// namespace as the default one. The token is a real one, issued by the API
    /// server and valid for a day.
    ///
    /// # Errors
    ///
    /// As [`Self::kubectl`], for instance if there is no such account.
    pub fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let token = self.kubectl(&["create", "token", name, "--namespace", namespace, TOKEN_DURATION])?;
        let path = self.layout.folder().join(format!("{namespace}.{name}.kubeconfig"));
        let user = format!("system:serviceaccount:{namespace}:{name}");
        self.endpoint
            .write(&path, &user, token.trim(), namespace)
            .map_err(Error::io(format!("write {}", path.display())))?;
        Ok(path)
    }
}
