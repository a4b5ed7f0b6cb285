//! What pools leave to Karpenter to choose.

use std::collections::BTreeSet;

use super::Violation;
use crate::feasibility::requirement_matches;
use crate::model::{Phase, Pod, key, normalized_key};
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
            let mut pods = snapshot.pods().iter().filter(|_| together.len() > 1);
            if let Some(pod) = pods.find(|pod| tells_apart(pod, key, &together)) {
                complain(format!("makes nodes of any of {together:?}, and {} does not take them alike", pod.name));
            }
        }
    }
    found
}

/// What the requirements of a pool on a label allow.
fn values<'p>(pool: &'p Pool, key: &str) -> Vec<&'p String> {
    pool.requirements.iter().filter(|each| each.key == key).flat_map(|each| &each.values).collect()
}

/// Whether a pod that may come to a new node some day asks for one of these values and not for another.
fn tells_apart(pod: &Pod, key: &str, together: &[&String]) -> bool {
    let Pod { placement, preferences, .. } = pod;
    let differs = |met: &dyn Fn(&str) -> bool| {
        (1..together.len()).contains(&together.iter().filter(|each| met(each.as_str())).count())
    };
    let preferred = preferences.iter().flat_map(|soft| &soft.node_affinity).map(|weighted| &weighted.term);
    let required = placement.node_affinity.iter().flatten();
    let asked = required.chain(preferred).flat_map(|term| &term.labels);
    let mut asked = asked.filter(|asked| normalized_key(&asked.key) == key);
    let mut selected = placement.node_selector.iter().filter(|(asked, _)| normalized_key(asked) == key);
    pod.phase != Phase::Finished
        && !pod.deleting
        && !pod.ends_with_its_node()
        && (selected.any(|(_, selected)| differs(&|value| value == selected))
            || asked.any(|asked| differs(&|value| requirement_matches(asked, Some(value)))))
}
