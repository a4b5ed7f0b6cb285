//! Names of ConfigMaps.

use std::collections::BTreeMap;

use crate::model::PodName;
use crate::units::stable_hash;

/// The longest name that Kubernetes takes.
const LONGEST: usize = 253;

/// A name for each pod's plan: `plan-<pod>`, or with a hash of namespace and name where two pods would share it or it
/// would be too long.
pub(super) fn plan_names<'a>(pods: impl IntoIterator<Item = &'a PodName>) -> Vec<(&'a PodName, String)> {
    let pods: Vec<&PodName> = pods.into_iter().collect();
    let mut bearers: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in &pods {
        *bearers.entry(&pod.name).or_default() += 1;
    }
    let name = |pod: &'a PodName| {
        let shared = bearers.get(pod.name.as_str()).is_some_and(|count| *count > 1);
        (pod, bounded(&format!("plan-{}", pod.name), &pod.to_string(), shared))
    };
    pods.into_iter().map(name).collect()
}

/// `consolidation-<node>`, with a hash where it would be too long.
pub(super) fn consolidation_name(node: &str) -> String {
    bounded(&format!("consolidation-{node}"), node, false)
}

fn bounded(name: &str, hashed: &str, always_hash: bool) -> String {
    if !always_hash && name.len() <= LONGEST {
        return name.to_owned();
    }
    let suffix = format!("-{:08x}", stable_hash(hashed.as_bytes()));
    let room = name.len().min(LONGEST - suffix.len());
    // Names are ASCII: Kubernetes accepts no others. Each part between dots must end with a letter or digit.
    let cut = name.get(..room).unwrap_or(name).trim_end_matches(['-', '.']);
    format!("{cut}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(namespace: &str, name: &str) -> PodName {
        PodName { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn only_pods_that_share_a_name_get_a_hash() {
        let pods = [pod("a", "web"), pod("b", "web"), pod("b", "other")];
        let names: Vec<String> = plan_names(&pods).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["plan-web-e813ae4d", "plan-web-a6b255f8", "plan-other"]);
    }

    #[test]
    fn a_name_that_is_too_long_is_cut_before_its_hash() {
        let long = format!("{}.{}", "a".repeat(238), "b".repeat(13));
        let name = plan_names(&[pod("ns", &long)]).remove(0).1;
        assert!(name.len() <= LONGEST && !name.contains(".-"), "{name}");
        assert_eq!(consolidation_name(&"n".repeat(253)).len(), LONGEST);
        assert_eq!(consolidation_name("n1"), "consolidation-n1");
    }
}
