//! What pods need of a node beside room, and which series of launches meet it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::launch::Launches;
use super::need_set::NeedSet;
use crate::feasibility::{ClassId, NodeNeeds, Simulation};
use crate::model::Pod;

/// The needs that a series meets, in one of the shapes that their pods ask for.
#[derive(Clone, Debug, Default)]
pub(super) struct Met {
    /// Its labels do, but perhaps not the volumes that it can reach, or its free ports.
    pub(super) labels: NeedSet,
    pub(super) all: Arc<NeedSet>,
}

/// What classes need, numbered: two need the same if the same launches will do, whatever they ask for. Thousands of pods with
/// a volume each need no more than a few zones.
pub(super) struct Needs<'p> {
    /// By class.
    pub(super) of_class: BTreeMap<ClassId, usize>,
    /// By number, one of the pods that need it.
    pub(super) examples: Vec<&'p Pod>,
    /// By series.
    pub(super) met: Vec<Met>,
}

/// Numbers of the series that have the right labels, and of those of them that meet all needs; and the needs themselves, where
/// pods also depend on each other by them.
type Answer = (Vec<usize>, Vec<usize>, Option<NodeNeeds>);

impl<'p> Needs<'p> {
    /// Asks the series about each distinct need. O(series with the labels of a shape) for each.
    pub(super) fn of(classes: &BTreeMap<ClassId, &'p Pod>, launches: &Launches<'_>, simulation: &Simulation) -> Self {
        let mut needs = Self {
            of_class: BTreeMap::new(),
            examples: Vec::new(),
            met: launches.series().iter().map(|_| Met::default()).collect(),
        };
        let mut known: BTreeMap<NodeNeeds, usize> = BTreeMap::new();
        let mut numbers: BTreeMap<Answer, usize> = BTreeMap::new();
        for (class, pod) in classes {
            let of_node = simulation.node_needs(*class);
            let number = known.get(&of_node).copied().unwrap_or_else(|| {
                let own = simulation.shares_volumes(*class).then(|| of_node.clone());
                let (labels, all) = answer(*class, pod, launches, simulation);
                let number = *numbers
                    .entry((labels, all, own))
                    .or_insert_with_key(|(labels, all, _)| needs.add(pod, labels, all));
                known.insert(of_node, number);
                number
            });
            needs.of_class.insert(*class, number);
        }
        needs
    }

    fn add(&mut self, pod: &'p Pod, labels: &[usize], all: &[usize]) -> usize {
        let number = self.examples.len();
        self.examples.push(pod);
        labels.iter().for_each(|series| self.met[*series].labels.insert(number));
        all.iter().for_each(|series| Arc::make_mut(&mut self.met[*series].all).insert(number));
        number
    }
}

/// Numbers of the series that have the right labels for a class, and of those of them that meet all that it needs.
fn answer(class: ClassId, pod: &Pod, launches: &Launches<'_>, simulation: &Simulation) -> (Vec<usize>, Vec<usize>) {
    let of_shapes = launches.shapes(pod).unwrap_or_default().iter().flat_map(|shape| {
        launches.with_labels(&shape.shape).iter().filter(|series| shape.is_of(simulation, series.node))
    });
    let mut labels: Vec<usize> = of_shapes.map(|series| series.number).collect();
    labels.sort_unstable();
    labels.dedup();
    let meets = |number: &&usize| simulation.meets_needs(class, launches.series()[**number].node);
    let all = labels.iter().filter(meets).copied().collect();
    (labels, all)
}
