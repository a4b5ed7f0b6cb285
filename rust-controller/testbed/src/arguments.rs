//! The command lines of the components: as in a real cluster, less what a
//! single short-lived machine does not need.

use std::path::Path;

use crate::certificates::FRONT_PROXY;
use crate::layout::Layout;
use crate::ports::PortNumbers;
use crate::program::Program;

/// What the command lines are made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) ports: PortNumbers,
}

impl Settings<'_> {
    pub(crate) fn etcd(&self) -> Vec<String> {
        let client = format!("http://127.0.0.1:{}", self.ports.etcd);
        vec![
            format!("--data-dir={}", self.layout.file("etcd")),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            // A single member never dials its peers: any port will do.
            "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
            // Nothing here has to survive a power cut.
            "--unsafe-no-fsync".to_owned(),
        ]
    }

    pub(crate) fn api_server(&self) -> Vec<String> {
        let mut arguments = self.serving(self.ports.api_server);
        arguments.extend([
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--etcd-servers=http://127.0.0.1:{}", self.ports.etcd),
            format!("--token-auth-file={}", self.layout.file("tokens.csv")),
            "--authorization-mode=RBAC".to_owned(),
            "--allow-privileged=true".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            self.with_file("--service-account-key-file", "service-account.pub"),
            self.with_file("--service-account-signing-key-file", "service-account.key"),
            // The endpoints of `kubernetes.default` may not be a loopback
            // address; nothing here dials them.
            "--endpoint-reconciler-type=none".to_owned(),
            // How other servers of this API know that it is the API server that
            // passes a request on, and for whom.
            self.with_file("--proxy-client-cert-file", "front-proxy.crt"),
            self.with_file("--proxy-client-key-file", "front-proxy.key"),
            self.with_file("--requestheader-client-ca-file", "ca.crt"),
            format!("--requestheader-allowed-names={FRONT_PROXY}"),
            "--requestheader-username-headers=X-Remote-User".to_owned(),
            "--requestheader-group-headers=X-Remote-Group".to_owned(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
            "--profiling=false".to_owned(),
        ]);
        arguments
    }

    pub(crate) fn controller_manager(&self) -> Vec<String> {
        let mut arguments = self.serving(self.ports.controller_manager);
        arguments.extend([
            self.kubeconfig(Program::KubeControllerManager),
            "--leader-elect=false".to_owned(),
            "--profiling=false".to_owned(),
            // Each controller has the rights it has in a real cluster.
            "--use-service-account-credentials=true".to_owned(),
            // The controllers ask for those all at once; at the usual 20
            // requests a second that alone takes as long as everything else.
            "--kube-api-qps=500".to_owned(),
            "--kube-api-burst=1000".to_owned(),
            self.with_file("--service-account-private-key-file", "service-account.key"),
            self.with_file("--root-ca-file", "ca.crt"),
            // KWOK renews the leases of its nodes. Should a busy machine keep
            // it from doing so for a while, no node is to be declared dead and
            // no pod evicted: tests would fail for no reason of their own.
            "--node-monitor-grace-period=1h".to_owned(),
            "--node-startup-grace-period=1h".to_owned(),
        ]);
        arguments
    }

    pub(crate) fn scheduler(&self) -> Vec<String> {
        let mut arguments = self.serving(self.ports.scheduler);
        arguments.extend([
            self.kubeconfig(Program::KubeScheduler),
            "--leader-elect=false".to_owned(),
            "--profiling=false".to_owned(),
        ]);
        arguments
    }

    /// `configs` are the files that tell KWOK what becomes of nodes and pods,
    /// and what they use.
    pub(crate) fn kwok(&self, configs: &[String]) -> Vec<String> {
        let mut arguments = vec![
            self.kubeconfig(Program::Kwok),
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".to_owned(),
            "--node-lease-duration-seconds=40".to_owned(),
            format!("--server-address=127.0.0.1:{}", self.ports.kwok),
            // Where whoever measures nodes finds their kubelets.
            "--node-ip=127.0.0.1".to_owned(),
            format!("--node-port={}", self.ports.kwok),
            self.with_file("--tls-cert-file", "serving.crt"),
            self.with_file("--tls-private-key-file", "serving.key"),
        ];
        arguments.extend(configs.iter().map(|config| format!("--config={config}")));
        arguments
    }

    /// `kubeconfig` is that of its service account.
    pub(crate) fn metrics_server(&self, kubeconfig: &Path) -> Vec<String> {
        let kubeconfig = kubeconfig.display();
        let mut arguments = self.serving(self.ports.metrics_server);
        arguments.extend([
            format!("--kubeconfig={kubeconfig}"),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            "--kubelet-use-node-status-port".to_owned(),
            self.with_file("--kubelet-certificate-authority", "ca.crt"),
            // The shortest that it takes: two of them pass before it knows a node.
            "--metric-resolution=10s".to_owned(),
            "--kubelet-request-timeout=5s".to_owned(),
            "--profiling=false".to_owned(),
        ]);
        arguments
    }

    /// Where and as whom a server shows itself.
    fn serving(&self, port: u16) -> Vec<String> {
        vec![
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            self.with_file("--tls-cert-file", "serving.crt"),
            self.with_file("--tls-private-key-file", "serving.key"),
        ]
    }

    fn kubeconfig(&self, program: Program) -> String {
        format!("--kubeconfig={}", self.layout.component_kubeconfig(program))
    }

    fn with_file(&self, flag: &str, file: &str) -> String {
        format!("{flag}={}", self.layout.file(file))
    }
}
