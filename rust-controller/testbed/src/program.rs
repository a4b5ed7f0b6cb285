//! The programs a control plane is made of.

use std::fmt;

/// A program of the control plane, or one that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// The store.
    Etcd,
    /// The API server.
    KubeApiserver,
    /// The controllers: Deployments, service accounts, node lifecycle and so on.
    KubeControllerManager,
    /// The scheduler.
    KubeScheduler,
    /// Keeps fake nodes Ready and the pods on them Running.
    Kwok,
    /// The command-line client.
    Kubectl,
}

impl Program {
    /// All of them, in the order they start.
    pub const ALL: [Self; 6] =
        [Self::Etcd, Self::KubeApiserver, Self::KubeControllerManager, Self::KubeScheduler, Self::Kwok, Self::Kubectl];

    /// Programs that are taken from one place together. The three of a
    /// Kubernetes release belong to each other: a controller manager newer than
    /// its API server is not supported, and a folder made by `setup-envtest`
    /// holds an API server alone. The others speak to any recent release.
    pub(crate) const SETS: [&'static [Self]; 4] = [
        &[Self::KubeApiserver, Self::KubeControllerManager, Self::KubeScheduler],
        &[Self::Etcd],
        &[Self::Kwok],
        &[Self::Kubectl],
    ];

    /// The file name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kwok => "kwok",
            Self::Kubectl => "kubectl",
        }
    }

    /// The Go package it is built from.
    pub(crate) const fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::KubeScheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kwok => "sigs.k8s.io/kwok/cmd/kwok",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
        }
    }

    /// How it is asked for its version.
    pub(crate) const fn version_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Kubectl => &["version", "--client"],
            _ => &["--version"],
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
