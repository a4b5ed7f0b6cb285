//! Google Compute Engine machine types as nodes of GKE.
//!
//! Source of the formulas: `pkg/providers/instancetype/types.go` and `pkg/utils/utils.go` of
//! `cloudpilot-ai/karpenter-provider-gcp` at 417f047 (2026-08-06), which follow
//! <https://cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes>:
//! - memory less 7 % for the hypervisor;
//! - the kubelet reserves 255 MiB of up to 1 GiB of raw memory, else 25 % of the first 4 GiB, 20 % of the next 4, 10 %
//!   of the next 8, 6 % of the next 112 and 2 % of the rest, each share in whole MiB; 100 MiB more are kept against
//!   eviction;
//! - CPU by the steps of [`eks_and_gke_millicores`], 1060m on machines that share a core, and 100m for the kube-proxy
//!   pod that each node runs by itself;
//! - 110 pods;
//! - of a boot disk, the least of 50 %, 35 % + 6 GiB and 100 GiB is reserved, and 10 % are kept against eviction.
//!   The default disk has 100 GiB. Local SSDs do not count: a node class has to ask for that.

use crate::catalog::provider::{GIB, MIB, Machine, Provider, resources};
use crate::catalog::reserve::{PARTS, Step, eks_and_gke_millicores, shares, steps};
use crate::model::Resources;

pub(super) const PROVIDER: Provider = Provider {
    name: "gcp",
    table: include_str!("data/gcp.csv"),
    region: "us-central1",
    zones: &["us-central1-a", "us-central1-b", "us-central1-c", "us-central1-f"],
    prices_of: "2026-08-03",
    older_prices: "",
    node_class: ("karpenter.k8s.gcp", "GCENodeClass"),
    allocatable,
    labels,
};

const PODS: u64 = 110;
const EVICTION_MIB: u64 = 100;
const KUBE_PROXY_MILLICORES: u64 = 100;
const SHARED_CORE_MILLICORES: u64 = 1060;
const SHARED_CORE: [&str; 3] = ["e2-micro", "e2-small", "e2-medium"];

/// 41 GiB of the default boot disk of 100 GiB are reserved, and 10 are kept.
const EPHEMERAL_STORAGE: u64 = (100 - 41 - 10) * GIB;

fn allocatable(machine: &Machine<'_>) -> Resources {
    let millicores = machine.cores * 1000;
    let memory = machine.memory_mib * MIB;
    let capacity = memory - memory * 7 / 100;
    let kept = (reserved_mib(machine.memory_mib) + EVICTION_MIB) * MIB;
    resources(
        millicores.saturating_sub(reserved_millicores(machine.name, millicores) + KUBE_PROXY_MILLICORES),
        capacity.saturating_sub(kept),
        EPHEMERAL_STORAGE,
        PODS,
    )
}

fn reserved_millicores(name: &str, millicores: u64) -> u64 {
    if SHARED_CORE.contains(&name) { SHARED_CORE_MILLICORES } else { eks_and_gke_millicores(millicores) }
}

fn reserved_mib(memory_mib: u64) -> u64 {
    const STEPS: [Step; 5] =
        steps([(4 << 10, 2500), (8 << 10, 2000), (16 << 10, 1000), (128 << 10, 600), (u64::MAX, 200)]);
    if memory_mib <= 1024 { 255 } else { shares(memory_mib, &STEPS).map(|share| share / PARTS).sum() }
}

/// Labels that follow from name and size. Not those of accelerators: the provider takes their model from the API, and
/// counts models where it should count cards.
fn labels(machine: &Machine<'_>) -> Vec<(&'static str, String)> {
    let mut labels = vec![
        ("karpenter.k8s.gcp/instance-cpu", machine.cores.to_string()),
        ("karpenter.k8s.gcp/instance-memory", machine.memory_mib.to_string()),
    ];
    let parts: Vec<&str> = machine.name.split('-').collect();
    if let [family, shape, rest @ ..] = parts.as_slice() {
        labels.push(("karpenter.k8s.gcp/instance-family", (*family).to_owned()));
        labels.push(("karpenter.k8s.gcp/instance-shape", (*shape).to_owned()));
        labels.push(("karpenter.k8s.gcp/instance-size", (*rest.first().unwrap_or(shape)).to_owned()));
        let generation = family.chars().find(char::is_ascii_digit);
        labels.extend(generation.map(|digit| ("karpenter.k8s.gcp/instance-generation", digit.to_string())));
    }
    labels
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
    fn e2_standard_4_reserves_what_google_documents() {
        assert_eq!(reserved_millicores("e2-standard-4", 4000), 80);
        assert_eq!(reserved_mib(16_384), 2662);
        let left = allocatable(&machine_named(&PROVIDER, "e2-standard-4"));
        let capacity = 16 * GIB - 1_202_590_842;
        assert_eq!(left, resources(3820, capacity - (2662 + 100) * MIB, 49 * GIB, 110));
    }

    #[test]
    fn machines_that_share_a_core_and_the_smallest_memory_have_their_own_reservation() {
        let left = allocatable(&machine_named(&PROVIDER, "e2-micro"));
        assert_eq!(left.cpu.get(), 2000 - 1060 - 100);
        assert_eq!(left.memory.get(), GIB - GIB * 7 / 100 - 355 * MIB);
    }

    #[test]
    fn names_are_taken_apart_as_the_provider_takes_them() {
        for (name, family, shape, generation, size) in [
            ("n2d-highcpu-8", "n2d", "highcpu", "2", "8"),
            ("e2-micro", "e2", "micro", "2", "micro"),
            ("c4a-standard-72-lssd", "c4a", "standard", "4", "72"),
            ("z3-highmem-14-standardlssd", "z3", "highmem", "3", "14"),
            ("a2-highgpu-1g", "a2", "highgpu", "2", "1g"),
        ] {
            let labels = labels(&machine_named(&PROVIDER, name));
            let label = |name: &str| {
                let key = format!("karpenter.k8s.gcp/instance-{name}");
                labels.iter().find(|(found, _)| *found == key).map(|(_, value)| value.as_str())
            };
            assert_eq!(label("family"), Some(family), "{name}");
            assert_eq!(label("shape"), Some(shape), "{name}");
            assert_eq!(label("generation"), Some(generation), "{name}");
            assert_eq!(label("size"), Some(size), "{name}");
        }
    }
}
