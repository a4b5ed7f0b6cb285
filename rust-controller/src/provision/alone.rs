//! What one pod would need if it were the only one that waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::demands::simulate;
use super::least_waste::{Choice, Ranking};
use super::{Options, Shaper, default_requirements, place_on_existing};
use crate::feasibility::ClassId;
use crate::model::{Catalog, Pod, PodName};
use crate::snapshot::Snapshot;

/// For each of these pods, the node type that holds it with the least waste, without regard to the others that wait: what to
/// compare the joint plan with. Pods that need no node, or that no single node suits, have none.
///
/// One simulation, and O(launches × log launches) for each class of pods.
#[must_use]
pub fn alone<'p>(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &Options,
    pods: impl IntoIterator<Item = &'p Pod>,
) -> BTreeMap<PodName, Arc<Choice>> {
    let shaper = Shaper::new(catalog, default_requirements(options, snapshot));
    let (mut simulation, demands) = simulate(snapshot, &shaper, snapshot.nodes());
    place_on_existing(snapshot, &mut simulation);
    let pods: Vec<&Pod> = pods.into_iter().collect();
    let launches = demands.launches(pods.iter().copied(), (catalog, options, None), &mut simulation);
    let mut of_class: BTreeMap<ClassId, Option<Arc<Choice>>> = BTreeMap::new();
    let mut choices = BTreeMap::new();
    for pod in pods {
        let Some(class) = simulation.class_of(&pod.name) else { continue };
        let choice = of_class.entry(class).or_insert_with(|| {
            let found = launches.shapes(pod).ok()?;
            let ranking = Ranking::of(class, &pod.requests, found, &launches, &simulation);
            ranking.best(&simulation).map(Arc::new)
        });
        if let Some(choice) = choice {
            choices.insert(pod.name.clone(), Arc::clone(choice));
        }
    }
    choices
}
