//! What pools leave to Karpenter to choose.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Violation;
use crate::feasibility::requirement_matches;
use crate::model::{Phase, Pod, PodName, Requirement, key, normalized_key};
use crate::provision::{Options, Pool, default_requirements};
use crate::snapshot::Snapshot;

/// Pools with architectures or capacity types that nobody allows, or that must not be in one pool.
pub(super) fn choices<'p>(
    snapshot: &Snapshot,
    options: &Options,
    pools: impl Iterator<Item = &'p Pool>,
) -> Vec<Violation> {
    let by_default = default_requirements(options, snapshot);
    let by_default = by_default.iter().filter(|each| each.key == key::ARCH);
    let by_default: BTreeSet<&String> = by_default.flat_map(|each| &each.values).collect();
    let asking = Asking::of(snapshot);
    let mut found = Vec::new();
    for pool in pools {
        let (architectures, capacity_types) = (values(pool, key::ARCH), values(pool, key::CAPACITY_TYPE));
        let mut complain = |problem: String| found.push(Violation::new(&pool.name, problem));
        if architectures.len() > 1 && architectures.iter().any(|each| !by_default.contains(each)) {
            complain(format!("would give pods that ask for no architecture any of {architectures:?}"));
        }
        if capacity_types.iter().any(|each| !options.capacity_types.contains(*each)) {
            complain(format!("makes nodes of any of {capacity_types:?}"));
        }
        for (key, together) in [(key::ARCH, architectures), (key::CAPACITY_TYPE, capacity_types)] {
            if let Some(pod) = asking.one_that_tells_apart(key, &together) {
                complain(format!("makes nodes of any of {together:?}, and {pod} does not take them alike"));
            }
        }
    }
    found
}

/// What the requirements of a pool on a label allow.
fn values<'p>(pool: &'p Pool, key: &str) -> Vec<&'p String> {
    pool.requirements.iter().filter(|each| each.key == key).flat_map(|each| &each.values).collect()
}

/// What pods that may come to a new node some day ask of a label: its key, and the requirement or the selected value. With one
/// of the pods.
struct Asking<'a>(BTreeMap<(&'a str, Asked<'a>), &'a PodName>);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Asked<'a> {
    Selected(&'a str),
    Required(&'a Requirement),
}

impl<'a> Asking<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let lasting = |pod: &&Arc<Pod>| pod.phase != Phase::Finished && !pod.deleting && !pod.ends_with_its_node();
        let mut all = BTreeMap::new();
        for pod in snapshot.pods().iter().filter(lasting) {
            let Pod { placement, preferences, .. } = &**pod;
            let preferred = preferences.iter().flat_map(|soft| &soft.node_affinity).map(|weighted| &weighted.term);
            let terms = placement.node_affinity.iter().flatten().chain(preferred);
            let required = terms.flat_map(|term| &term.labels).map(|asked| (&asked.key, Asked::Required(asked)));
            let selected = placement.node_selector.iter().map(|(key, value)| (key, Asked::Selected(value)));
            for (key, asked) in required.chain(selected) {
                let key = normalized_key(key);
                if [key::ARCH, key::CAPACITY_TYPE].contains(&key) {
                    all.entry((key, asked)).or_insert(&pod.name);
                }
            }
        }
        Self(all)
    }

    /// A pod that takes one of these values of the label and not another.
    fn one_that_tells_apart(&self, key: &str, together: &[&String]) -> Option<&PodName> {
        let meets = |asked: &Asked<'_>, value: &str| match asked {
            Asked::Selected(selected) => value == *selected,
            Asked::Required(asked) => requirement_matches(asked, Some(value)),
        };
        let differs = |asked: &Asked<'_>| {
            (1..together.len()).contains(&together.iter().filter(|value| meets(asked, value)).count())
        };
        self.0.iter().find(|((of, asked), _)| *of == key && differs(asked)).map(|(_, pod)| *pod)
    }
}
