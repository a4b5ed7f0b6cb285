//! What lies where in a control plane's folder, and what is written there
//! before anything starts.

use std::fs;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};

use crate::certificates::Certificates;
use crate::error::{Error, Result};
use crate::kubeconfig::{Endpoint, write_private};
use crate::program::Program;

/// Who the programs and the person are: user name and groups.
const ADMIN: (&str, &str) = ("testbed-admin", "system:masters");

/// The folder of one control plane.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    folder: PathBuf,
}

impl Layout {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file or folder in the folder, as text for a command line.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{name}.log"))
    }

    pub(crate) fn admin_kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// The kubeconfig a component uses.
    pub(crate) fn component_kubeconfig(&self, program: Program) -> String {
        self.file(&format!("{program}.kubeconfig"))
    }

    /// Writes keys, certificates, tokens and kubeconfigs; gives the admin's token.
    pub(crate) fn write(&self, certificates: &Certificates, endpoint: &Endpoint) -> Result<String> {
        let failed = Error::io(format!("write into {}", self.folder.display()));
        self.try_write(certificates, endpoint).map_err(failed)
    }

    fn try_write(&self, certificates: &Certificates, endpoint: &Endpoint) -> std::io::Result<String> {
        fs::create_dir_all(self.folder.join("logs"))?;
        for (name, text) in [
            ("ca.crt", &certificates.authority),
            ("serving.crt", &certificates.serving),
            ("serving.key", &certificates.serving_key),
            ("front-proxy.crt", &certificates.front_proxy),
            ("front-proxy.key", &certificates.front_proxy_key),
            ("service-account.key", &certificates.service_account_key),
            ("service-account.pub", &certificates.service_account_public_key),
        ] {
            write_private(&self.folder.join(name), text)?;
        }

        let admin_token = random_token()?;
        let mut tokens = token_line(&admin_token, ADMIN.0, ADMIN.1);
        endpoint.write(&self.admin_kubeconfig(), ADMIN.0, &admin_token, "default")?;
        for (program, user, groups) in [
            (Program::KubeControllerManager, "system:kube-controller-manager", ""),
            (Program::KubeScheduler, "system:kube-scheduler", ""),
            (Program::Kwok, "kwok", "system:masters"),
        ] {
            let token = random_token()?;
            tokens.push_str(&token_line(&token, user, groups));
            let path = self.component_kubeconfig(program);
            endpoint.write(Path::new(&path), user, &token, "default")?;
        }
        write_private(&self.folder.join("tokens.csv"), &tokens)?;
        Ok(admin_token)
    }
}

/// A line of the API server's static token file.
fn token_line(token: &str, user: &str, groups: &str) -> String {
    format!("{token},{user},{user},\"{groups}\"\n")
}

fn random_token() -> std::io::Result<String> {
    let mut bytes = [0_u8; 16];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| std::io::Error::other("no random numbers"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
