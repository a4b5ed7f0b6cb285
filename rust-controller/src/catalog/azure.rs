//! Azure virtual machine sizes as nodes of AKS.
//!
//! Source of the formulas: `pkg/providers/instancetype/instancetype.go` of `Azure/karpenter-provider-azure` at 352646f
//! (2026-08-21):
//! - memory in whole GiB, less 7.5 % rounded up to a byte for the hypervisor;
//! - the kubelet reserves 25 % of the first 4 GiB of raw memory, 20 % of the next 4, 10 % of the next 8, 6 % of the
//!   next 112 and 2 % of the rest, and 750 MiB more are kept against eviction;
//! - CPU: 6 % of the first core, 4 % of the second, 2 % of the next two, 1 % of the rest.
//!
//! Since 1.29 AKS itself reserves min(20 MB for each pod + 50 MB, 25 %) and keeps 100 MiB against eviction; Karpenter
//! still models the older set, which is more conservative.
//!
//! Pods: 250, as on Azure CNI Overlay, the network that Microsoft recommends for node auto-provisioning. On others a
//! node takes fewer, 30 on the node subnet and else 110: then a file with the right numbers is the better catalog.
//!
//! Storage: the default OS disk of 128 GB less the 10 % that the kubelet keeps against eviction. Karpenter models no
//! reservation here, nodes report one.

use crate::catalog::provider::{GIB, MIB, Machine, Provider, resources};
use crate::catalog::reserve::{PARTS, Step, shares, steps};
use crate::model::Resources;

pub(super) const PROVIDER: Provider = Provider {
    name: "azure",
    table: include_str!("data/azure.csv"),
    region: "eastus",
    zones: &["eastus-1", "eastus-2", "eastus-3"],
    prices_of: "2026-06-18",
    older_prices: "28 sizes older, from 2023-12-18 on",
    node_class: ("karpenter.azure.com", "AKSNodeClass"),
    allocatable,
    labels,
};

const PODS: u64 = 250;
const EVICTION_MIB: u64 = 750;
const EPHEMERAL_STORAGE: u64 = 128_000_000_000 / 10 * 9;

fn allocatable(machine: &Machine<'_>) -> Resources {
    let millicores = machine.cores * 1000;
    let capacity = machine.memory_mib / 1024 * GIB;
    let overhead = (capacity * 75).div_ceil(1000);
    let kept = (reserved_mib(machine.memory_mib) + EVICTION_MIB) * MIB;
    resources(
        millicores - reserved_millicores(millicores),
        (capacity - overhead).saturating_sub(kept),
        EPHEMERAL_STORAGE,
        PODS,
    )
}

fn reserved_millicores(millicores: u64) -> u64 {
    const STEPS: [Step; 4] = steps([(1000, 600), (2000, 400), (4000, 200), (u64::MAX, 100)]);
    shares(millicores, &STEPS).sum::<u64>() / PARTS
}

fn reserved_mib(memory_mib: u64) -> u64 {
    const STEPS: [Step; 5] =
        steps([(4 << 10, 2500), (8 << 10, 2000), (16 << 10, 1000), (128 << 10, 600), (u64::MAX, 200)]);
    shares(memory_mib, &STEPS).sum::<u64>() / PARTS
}

/// Labels that follow from name, size and accelerators. Premium storage is told only where the name says `s`: some old
/// sizes have it without saying so. Not those of network, temporary disks or, where the name has none, GPU model.
fn labels(machine: &Machine<'_>) -> Vec<(&'static str, String)> {
    let gpus = machine.accelerators.map_or(0, |(_, count)| count);
    let mut labels = vec![
        ("karpenter.azure.com/sku-name", machine.name.to_owned()),
        ("karpenter.azure.com/sku-cpu", machine.cores.to_string()),
        ("karpenter.azure.com/sku-memory", machine.memory_mib.to_string()),
        ("kubernetes.azure.com/sku-cpu", machine.cores.to_string()),
        ("kubernetes.azure.com/sku-memory", machine.memory_mib.to_string()),
        ("karpenter.azure.com/sku-gpu-count", gpus.to_string()),
    ];
    if gpus > 0 {
        labels.push(("karpenter.azure.com/sku-gpu-manufacturer", "nvidia".to_owned()));
    }
    if let Some(size) = Size::of(machine.name) {
        labels.extend(size.labels());
    }
    labels
}

/// The parts of a size's name.
///
/// Source: <https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions>, read as `vmsize.go` of
/// `Azure/skewer` reads it.
#[derive(Debug, PartialEq, Eq)]
struct Size<'n> {
    /// Family and subfamily: `NC`.
    families: &'n str,
    features: &'n str,
    accelerator: Option<&'n str>,
    /// With its `v`; the first version has none.
    version: Option<&'n str>,
}

impl<'n> Size<'n> {
    fn of(name: &'n str) -> Option<Self> {
        let mut parts = name.strip_prefix("Standard_")?.split('_');
        let first = parts.next()?;
        let digits = first.find(|next: char| next.is_ascii_digit()).filter(|digits| *digits > 0)?;
        let (families, rest) = first.split_at(digits);
        let mut size = Self {
            families,
            features: rest.trim_start_matches(|next: char| next.is_ascii_digit()),
            accelerator: None,
            version: None,
        };
        for part in parts {
            match part.as_bytes() {
                [b'v', b'1'..=b'9'] => size.version = Some(part),
                [b'A'..=b'Z', .., b'0'..=b'9'] => size.accelerator = Some(part),
                _ => {}
            }
        }
        Some(size)
    }

    fn labels(&self) -> Vec<(&'static str, String)> {
        let Self { families, features, accelerator, version } = self;
        let separator = if version.is_some() { "_" } else { "" };
        let (family, _) = families.split_at(1);
        let version_number = version.map_or("1", |version| version.trim_start_matches('v'));
        let mut labels = vec![
            ("karpenter.azure.com/sku-family", family.to_owned()),
            (
                "karpenter.azure.com/sku-series",
                format!("{families}{features}{separator}{}", version.unwrap_or_default()),
            ),
            ("karpenter.azure.com/sku-version", version_number.to_owned()),
        ];
        labels.extend(accelerator.map(|model| ("karpenter.azure.com/sku-gpu-name", model.to_owned())));
        if features.contains('s') {
            labels.push(("karpenter.azure.com/sku-storage-premium-capable", "true".to_owned()));
        }
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::provider::machines;
    use crate::catalog::provider::tests::{check, machine_named};

    #[test]
    fn every_machine_leaves_less_than_it_has_and_more_where_it_has_more() {
        check(&PROVIDER);
    }

    #[test]
    fn the_sizes_whose_prices_are_older_are_listed_and_counted() {
        let comments = PROVIDER.table.lines().take_while(|line| line.starts_with('#'));
        let listed: Vec<&str> = comments
            .flat_map(|line| line.trim_start_matches('#').split_whitespace())
            .filter(|word| word.starts_with("Standard_"))
            .collect();
        assert!(PROVIDER.older_prices.starts_with(&format!("{} sizes ", listed.len())), "{}", listed.len());
        assert!(machines(PROVIDER.table).filter(|machine| listed.contains(&machine.name)).count() == listed.len());
        let oldest = PROVIDER.older_prices.split_whitespace().find(|word| word.starts_with("20"));
        assert!(oldest.is_some_and(|day| PROVIDER.table.contains(&format!("\n# {day}: Standard_"))));
    }

    #[test]
    fn cpu_is_reserved_as_the_table_of_aks_lists_it() {
        for (cores, millicores) in [(1, 60), (2, 100), (4, 140), (8, 180), (16, 260), (32, 420), (64, 740)] {
            assert_eq!(reserved_millicores(cores * 1000), millicores, "{cores}");
        }
    }

    #[test]
    fn memory_is_reserved_in_steps_of_raw_memory() {
        for (gib, mib) in [(4, 1024), (8, 1843), (16, 2662), (128, 9543), (256, 12_165)] {
            assert_eq!(reserved_mib(gib * 1024), mib, "{gib}");
        }
    }

    #[test]
    fn the_smallest_size_leaves_what_karpenter_says() {
        let left = allocatable(&machine_named(&PROVIDER, "Standard_D2s_v3"));
        let capacity = 8 * GIB - 644_245_095;
        assert_eq!(left, resources(1900, capacity - (1843 + 750) * MIB, 115_200_000_000, 250));
    }

    #[test]
    fn sizes_that_karpenter_would_not_use_are_not_in_the_table() {
        for machine in machines(PROVIDER.table) {
            assert!(machine.cores >= 2 && machine.memory_mib >= 3584, "{}", machine.name);
            let size = Size::of(machine.name).expect(machine.name);
            assert!(!["DC", "EC"].contains(&size.families) && !size.features.contains('-'), "{}", machine.name);
        }
    }

    #[test]
    fn names_are_taken_apart_as_skewer_takes_them() {
        for (name, families, features, accelerator, version) in [
            ("Standard_D2s_v3", "D", "s", None, Some("v3")),
            ("Standard_B2ms", "B", "ms", None, None),
            ("Standard_E112iads_v5", "E", "iads", None, Some("v5")),
            ("Standard_FX4mds", "FX", "mds", None, None),
            ("Standard_M416s_10_v2", "M", "s", None, Some("v2")),
            ("Standard_NC80adis_H100_v5", "NC", "adis", Some("H100"), Some("v5")),
            ("Standard_D2_v3", "D", "", None, Some("v3")),
        ] {
            assert_eq!(Size::of(name), Some(Size { families, features, accelerator, version }), "{name}");
        }
        assert_eq!(Size::of("Basic_A1"), None);
        assert_eq!(Size::of("Standard_1"), None);
    }
}
