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
    let mut names: Vec<String> = pods.iter().map(|pod| plan_name(pod, 0)).collect();
    // A name with a hash may be another pod's own name, or two hashes may be equal; more hashes tell them apart.
    for hashes in 1..=4 {
        let mut bearers: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &names {
            *bearers.entry(name).or_default() += 1;
        }
        let shared: Vec<bool> = names.iter().map(|name| bearers[name.as_str()] > 1).collect();
        for ((name, pod), _) in names.iter_mut().zip(&pods).zip(shared).filter(|(_, shared)| *shared) {
            *name = plan_name(pod, hashes);
        }
    }
    pods.into_iter().zip(names).collect()
}

fn plan_name(pod: &PodName, hashes: usize) -> String {
    let once = bounded(&format!("plan-{}", pod.name), &pod.to_string(), hashes > 0);
    (1..hashes).fold(once, |name, round| bounded(&name, &format!("{pod}/{round}"), true))
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
    fn no_two_pods_share_a_name_even_if_one_is_called_like_the_hash_of_another() {
        let pods = [pod("a", "web"), pod("b", "web"), pod("c", "web-e813ae4d")];
        let mut names: Vec<String> = plan_names(&pods).into_iter().map(|(_, name)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 3, "{names:?}");
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
