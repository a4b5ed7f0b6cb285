//! Annotations by which the owners of pods and nodes ask to leave them where they are.

use std::collections::BTreeMap;

type Annotations = BTreeMap<String, String>;

/// Karpenter's.
const DO_NOT_DISRUPT: &str = "karpenter.sh/do-not-disrupt";

/// Annotations that forbid by one value: Karpenter's, and the cluster autoscaler's.
const FORBIDDING: [(&str, &str, &str); 2] = [
    (DO_NOT_DISRUPT, "true", "karpenter.sh/do-not-disrupt=true"),
    ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false", "cluster-autoscaler.kubernetes.io/safe-to-evict=false"),
];

/// The annotation that forbids to disturb a node, with its value.
pub(super) fn forbidding_node(annotations: Option<&Annotations>) -> Option<&'static str> {
    let says = |(key, value, _): &&(&str, &str, &str)| {
        annotations.is_some_and(|all| all.get(*key).is_some_and(|said| said == value))
    };
    FORBIDDING.iter().find(says).map(|(.., annotation)| *annotation)
}

/// The annotation that forbids to evict a pod, with its value.
///
/// Karpenter takes `true` and, from 1.14 on, a positive duration: so long from the pod's start (`pkg/utils/pod/scheduling.go`).
/// The planner has no clock, so such a pod is left alone as long as it runs. The annotation counts on pods that end with their
/// node, too; the autoscaler's does not, since it never asks whether these may go.
pub(super) fn forbidding_pod(annotations: Option<&Annotations>, ends_with_its_node: bool) -> Option<String> {
    let value = annotations?.get(DO_NOT_DISRUPT).filter(|value| *value == "true" || is_positive_duration(value));
    let by_karpenter = value.map(|value| format!("{DO_NOT_DISRUPT}={value}"));
    by_karpenter.or_else(|| forbidding_node(annotations).filter(|_| !ends_with_its_node).map(str::to_owned))
}

/// Whether Go's `time.ParseDuration` takes this for more than nothing.
fn is_positive_duration(text: &str) -> bool {
    let nanoseconds = nanoseconds(text.strip_prefix('+').unwrap_or(text));
    nanoseconds.is_some_and(|length| (1..=i64::MAX.cast_unsigned().into()).contains(&length))
}

/// The length of `1h30m`, `1.5h`, `.5s`.
fn nanoseconds(mut text: &str) -> Option<u128> {
    /// Digits after the point that are looked at: those of a nanosecond of the largest unit, and more.
    const DIGITS: usize = 18;
    let mut total = 0_u128;
    while !text.is_empty() {
        let (whole, rest) = digits(text);
        let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), digits);
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = rest.find(|letter: char| letter == '.' || letter.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(end);
        let unit = unit_nanoseconds(unit)?;
        let number =
            |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u64>().ok().map(u128::from) };
        let fraction = &fraction[..fraction.len().min(DIGITS)];
        let scale = fraction.bytes().fold(1_u128, |scale, _| scale * 10);
        total += number(whole)? * unit + number(fraction)? * unit / scale;
        text = rest;
    }
    Some(total)
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()))
}

fn unit_nanoseconds(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for positive in [
            "24h",
            "1h30m",
            "1.5h",
            "+5m",
            ".5s",
            "1.s",
            "1ns",
            "0h1ms",
            "3us",
            "3\u{b5}s",
            "3\u{3bc}s",
            "2562047h",
            "1h1h",
        ] {
            assert!(is_positive_duration(positive), "{positive}");
        }
        for other in [
            "",
            "0",
            "0s",
            "-24h",
            "24",
            "h",
            "24 h",
            " 24h",
            "1d",
            "1h-5m",
            "+-1h",
            "++1h",
            ".s",
            ".",
            "1..5h",
            "24H",
            "maybe",
            "false",
            "True",
            "0.1ns",
            "2562048h",
            "99999999999999999999h",
            "1h30",
            "\u{661}h",
        ] {
            assert!(!is_positive_duration(other), "{other}");
        }
        assert_eq!(nanoseconds("1h1.000000001s"), Some(3_601_000_000_001));
        assert_eq!(nanoseconds("0.9999999999999999999999s"), Some(999_999_999));
    }
}
