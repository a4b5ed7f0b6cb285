//! Amazon EC2 machine types as nodes of EKS.
//!
//! Source of the formulas: `pkg/providers/instancetype/types.go` of `aws/karpenter-provider-aws` at 1d92708
//! (2026-08-21), for Linux images other than Bottlerocket with the default `spec.kubelet`:
//! - memory M MiB, less 64 MiB on arm64, less 7.5 % rounded up to a MiB for the hypervisor;
//! - the kubelet reserves 11 MiB for each pod and 255 MiB, and 100 MiB more are kept against eviction;
//! - CPU by the steps of [`eks_and_gke_millicores`];
//! - pods as the addresses of the default network card allow, in the table;
//! - of 20 GiB storage, 10 % are kept against eviction and 1 GiB is reserved.

use crate::catalog::provider::{GIB, MIB, Machine, Provider, resources};
use crate::catalog::reserve::eks_and_gke_millicores;
use crate::model::Resources;

pub(super) const PROVIDER: Provider = Provider {
    name: "aws",
    table: include_str!("data/aws.csv"),
    region: "us-east-1",
    zones: &["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d", "us-east-1e", "us-east-1f"],
    prices_of: "2026-07-20",
    older_prices: "",
    node_class: ("karpenter.k8s.aws", "EC2NodeClass"),
    allocatable,
    labels,
};

/// 10 % of 20 GiB, and 1 GiB, are kept.
const EPHEMERAL_STORAGE: u64 = 17 * GIB;

fn allocatable(machine: &Machine<'_>) -> Resources {
    let millicores = machine.cores * 1000;
    let cpu = millicores - eks_and_gke_millicores(millicores);
    let kept = 11 * machine.eni_pods + 255 + 100;
    resources(cpu, capacity_mib(machine).saturating_sub(kept) * MIB, EPHEMERAL_STORAGE, machine.eni_pods)
}

/// Memory that the node reports, in MiB.
fn capacity_mib(machine: &Machine<'_>) -> u64 {
    let graviton = if machine.arch == "arm64" { 64 } else { 0 };
    let memory = machine.memory_mib.saturating_sub(graviton);
    memory - (memory * 75).div_ceil(1000)
}

/// Labels that follow from name, size and accelerators. Not those of network, disks, hypervisor or accelerator model.
fn labels(machine: &Machine<'_>) -> Vec<(&'static str, String)> {
    let mut labels = vec![
        ("karpenter.k8s.aws/instance-cpu", machine.cores.to_string()),
        ("karpenter.k8s.aws/instance-memory", machine.memory_mib.to_string()),
    ];
    if let Some((family, size)) = machine.name.split_once('.') {
        labels.push(("karpenter.k8s.aws/instance-family", family.to_owned()));
        labels.push(("karpenter.k8s.aws/instance-size", size.to_owned()));
        labels.push(("karpenter.k8s.aws/instance-capability-flex", family.contains("-flex").to_string()));
        labels.extend(family_labels(family, machine.arch));
    }
    labels.extend(accelerator_labels(machine));
    labels
}

/// Category, generation, and the maker of the processor where the naming convention tells it: `a` for AMD, `i` for
/// Intel; every arm64 machine is Amazon's own.
///
/// Source: <https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html>
fn family_labels(family: &str, arch: &str) -> Vec<(&'static str, String)> {
    let Some(Family { category, generation, attributes }) = Family::of(family) else { return Vec::new() };
    let maker = match arch {
        "arm64" => Some("aws"),
        _ if attributes.contains('a') => Some("amd"),
        _ if attributes.contains('i') => Some("intel"),
        _ => None,
    };
    let mut labels = vec![
        ("karpenter.k8s.aws/instance-category", category.to_owned()),
        ("karpenter.k8s.aws/instance-generation", generation.to_owned()),
    ];
    labels.extend(maker.map(|maker| ("karpenter.k8s.aws/instance-cpu-manufacturer", maker.to_owned())));
    labels
}

/// `c6gn` is of category `c`, generation `6` and attributes `gn`; `u-6tb1` of `u` and `1`; `c7i-flex` of `c`, `7`, `i`.
#[derive(Debug, PartialEq, Eq)]
struct Family<'f> {
    category: &'f str,
    generation: &'f str,
    attributes: &'f str,
}

impl<'f> Family<'f> {
    fn of(family: &'f str) -> Option<Self> {
        let (category, rest) = split_at_end_of(family, |letter| letter.is_ascii_lowercase())?;
        let terabytes = rest.strip_prefix('-').and_then(|rest| split_at_end_of(rest, |digit| digit.is_ascii_digit()));
        let rest = terabytes.and_then(|(_, rest)| rest.strip_prefix("tb")).unwrap_or(rest);
        let (generation, rest) = split_at_end_of(rest, |digit| digit.is_ascii_digit())?;
        let attributes = rest.split('-').next().unwrap_or_default();
        Some(Self { category, generation, attributes })
    }
}

/// The longest start of such characters, unless it is empty, and the rest.
fn split_at_end_of(text: &str, belongs: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    let end = text.find(|next| !belongs(next)).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(start, _)| !start.is_empty())
}

fn accelerator_labels(machine: &Machine<'_>) -> Vec<(&'static str, String)> {
    let gpu = |maker: &str, count: u64| {
        vec![
            ("karpenter.k8s.aws/instance-gpu-manufacturer", maker.to_owned()),
            ("karpenter.k8s.aws/instance-gpu-count", count.to_string()),
        ]
    };
    match machine.accelerators {
        Some(("nvidia.com/gpu", count)) => gpu("nvidia", count),
        Some(("amd.com/gpu", count)) => gpu("amd", count),
        Some(("aws.amazon.com/neuron", count)) => vec![
            ("karpenter.k8s.aws/instance-accelerator-manufacturer", "aws".to_owned()),
            ("karpenter.k8s.aws/instance-accelerator-count", count.to_string()),
        ],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::provider::tests::{check, machine_named};

    #[test]
    fn every_machine_leaves_less_than_it_has_and_more_where_it_has_more() {
        check(&PROVIDER);
    }

    #[test]
    fn allocatable_is_what_nodes_report() {
        for (name, millicores, memory_mib, pods) in
            [("m5.large", 1930, 6903, 29), ("c6a.large", 1930, 3114, 29), ("m6g.large", 1930, 6844, 29)]
        {
            let left = allocatable(&machine_named(&PROVIDER, name));
            assert_eq!(left, resources(millicores, memory_mib * MIB, 17 * GIB, pods), "{name}");
        }
    }

    #[test]
    fn families_are_taken_apart_as_karpenter_takes_them() {
        for (family, category, generation, attributes) in [
            ("c6gn", "c", "6", "gn"),
            ("is4gen", "is", "4", "gen"),
            ("u-6tb1", "u", "1", ""),
            ("c7i-flex", "c", "7", "i"),
            ("p6-b200", "p", "6", ""),
            ("trn1n", "trn", "1", "n"),
        ] {
            assert_eq!(Family::of(family), Some(Family { category, generation, attributes }), "{family}");
        }
        assert_eq!(Family::of("mac"), None);
        assert_eq!(Family::of("2x"), None);
    }
}
