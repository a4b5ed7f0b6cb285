//! What Kubernetes accepts as a label key, and the architectures it knows.

use crate::model::is_label_value;

/// Longest prefix of a label key: a DNS subdomain.
const LONGEST_PREFIX: usize = 253;

/// Architectures as `kubernetes.io/arch` names them, which is Go's way.
const ARCHES: [&str; 7] = ["386", "amd64", "arm", "arm64", "ppc64le", "riscv64", "s390x"];

/// The name that Kubernetes gives an architecture. Amazon's names, which are in an example file of Karpenter's KWOK
/// provider, stand for the same: `x86_64` is `amd64`.
#[must_use]
pub fn arch(text: &str) -> Option<&str> {
    match text {
        "x86_64" => Some("amd64"),
        "i386" => Some("386"),
        "aarch64" => Some("arm64"),
        _ => ARCHES.contains(&text).then_some(text),
    }
}

/// Whether this may be the key of a label: a name, or a domain, a slash and a name.
pub(super) fn is_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_domain(prefix) && is_name(name),
        None => is_name(text),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && is_label_value(text)
}

fn is_domain(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let part =
        |part: &str| !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(inner);
    text.len() <= LONGEST_PREFIX && text.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_a_name_after_an_optional_domain() {
        for key in ["team", "karpenter.k8s.aws/instance-family", "a/B_c"] {
            assert!(is_key(key), "{key:?}");
        }
        for key in ["", "/a", "a/", "a/b/c", "A/b", "a..b/c", "-"] {
            assert!(!is_key(key), "{key:?}");
        }
    }
}
