//! What Karpenter's KWOK provider makes of an instance type.
//!
//! Source: `kwok/cloudprovider/helpers.go` and `kwok/apis/v1alpha1/labels.go` of `sigs.k8s.io/karpenter` v1.14.1.

use crate::model::{Labels, NodeClassRef, Resources, key};
use crate::units::{Cpu, Memory, Quantity};

/// Pods of a type that does not say otherwise.
pub(super) const DEFAULT_PODS: u64 = 110;

/// CPU that every node keeps for itself.
const RESERVED_CPU: Cpu = Cpu::millicores(100);

/// Memory that every node keeps for itself: 10Mi.
const RESERVED_MEMORY: Memory = Memory::bytes(10 << 20);

/// The node class of the provider's examples.
pub(super) fn node_class() -> NodeClassRef {
    let [group, kind, name] = ["karpenter.kwok.sh", "KWOKNodeClass", "default"].map(str::to_owned);
    NodeClassRef { group, kind, name }
}

/// What pods may request of a node with this capacity.
pub(super) fn allocatable(capacity: &Resources) -> Resources {
    capacity.less(&Resources { cpu: RESERVED_CPU, memory: RESERVED_MEMORY, ..Resources::default() })
}

/// The labels that the provider requires of an instance type, and so gives its nodes. `cpu` and `memory` are the
/// capacity as Kubernetes prints it.
pub(super) fn labels(name: &str, arch: &str, cpu: &str, memory: &str) -> Labels {
    let label = |name: &str, value: &str| (format!("karpenter.kwok.sh/instance-{name}"), value.to_owned());
    Labels::from([
        (key::ARCH.to_owned(), arch.to_owned()),
        (key::OS.to_owned(), "linux".to_owned()),
        label("cpu", cpu),
        label("memory", memory),
        label("family", family(name)),
        label("size", size(name).unwrap_or(cpu)),
    ])
}

/// What comes before the first dot or hyphen, else the first letter.
fn family(name: &str) -> &str {
    let first = name.char_indices().nth(1).map_or(name.len(), |(end, _)| end);
    let end = name.find(['.', '-']).unwrap_or(first);
    &name[..end]
}

/// The size in a name of Amazon's form (`c6a.2xlarge`); other names do not tell it.
fn size(name: &str) -> Option<&str> {
    let (family, size) = name.split_once('.')?;
    let is_word = !family.is_empty() && family.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_large = size.strip_suffix("xlarge").is_some_and(|times| times.bytes().all(|byte| byte.is_ascii_digit()));
    let is_size = is_large || ["nano", "micro", "small", "medium", "large", "metal"].contains(&size);
    (is_word && is_size).then_some(size)
}

/// A quantity as Kubernetes prints it: in the family of suffixes (`Ki`, `k` or `e3`) that it was written in, with the
/// largest one that leaves no fraction.
///
/// Source: `CanonicalizeBytes` of `k8s.io/apimachinery/pkg/api/resource`.
pub(super) fn canonical(text: &str, quantity: Quantity) -> String {
    const DECIMAL: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
    const EXPONENT: [&str; 7] = ["", "e3", "e6", "e9", "e12", "e15", "e18"];
    if text.ends_with('i') {
        return Memory::from(quantity).to_string();
    }
    let is_exponent = text.contains(['e', 'E']) && !text.ends_with('E');
    let suffixes = if is_exponent { EXPONENT } else { DECIMAL };
    let mut count = quantity.units();
    let is_whole = quantity.thousandths() == count.saturating_mul(1000).min(i64::MAX.unsigned_abs());
    if !is_whole {
        return format!("{}{}", quantity.thousandths(), if is_exponent { "e-3" } else { "m" });
    }
    let mut suffix = "";
    for next in &suffixes[1..] {
        if count == 0 || !count.is_multiple_of(1000) {
            break;
        }
        count /= 1000;
        suffix = next;
    }
    format!("{count}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn family_and_size_are_read_as_the_provider_reads_them() {
        for (name, expected_family, expected_size) in [
            ("c6a.2xlarge", "c6a", Some("2xlarge")),
            ("m5.xlarge", "m5", Some("xlarge")),
            ("c7i-flex.large", "c7i", None),
            ("c-4x-amd64-linux", "c", None),
            ("n2-standard-4", "n2", None),
            ("Standard_D2s_v3", "S", None),
            ("m5.metal-24xl", "m5", None),
            ("é", "é", None),
            ("", "", None),
        ] {
            assert_eq!((family(name), size(name)), (expected_family, expected_size), "{name}");
        }
    }

    #[test]
    fn quantities_print_as_kubernetes_prints_them() {
        for (text, expected) in [
            ("4096Mi", "4Gi"),
            ("2048Gi", "2Ti"),
            ("4294967296", "4294967296"),
            ("4000000000", "4G"),
            ("4000M", "4G"),
            ("2", "2"),
            ("2000m", "2"),
            ("1.5", "1500m"),
            ("1000", "1k"),
            ("4e9", "4e9"),
            ("0", "0"),
        ] {
            let quantity: Quantity = text.parse().expect(text);
            assert_eq!(canonical(text, quantity), expected, "{text}");
        }
    }
}
