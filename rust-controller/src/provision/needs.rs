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
        for series in labels {
            self.met[*series].labels.insert(number);
        }
        for series in all {
            Arc::make_mut(&mut self.met[*series].all).insert(number);
        }
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

#[cfg(test)]
mod tests {
    use super::super::{Options, Shaper, default_requirements, demands};
    use super::*;
    use crate::{catalog, lower};

    const PODS: usize = 300;
    const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];

    /// A pod with a volume of its own that is meant for its claim, in one of the zones.
    fn pod_with_volume(at: usize) -> String {
        let zone = ZONES[at % ZONES.len()];
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{at}}}\nspec: {{containers: [{{name: c}}], volumes: [{{name: v, \
             persistentVolumeClaim: {{claimName: c{at}}}}}]}}\nstatus: {{phase: Pending, conditions: [{{type: PodScheduled, \
             status: 'False', reason: Unschedulable}}]}}\n---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: \
             c{at}}}\nspec: {{storageClassName: s, accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}\n---\n\
             apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: v{at}}}\nspec: {{storageClassName: s, accessModes: \
             [ReadWriteOnce], capacity: {{storage: 1Gi}}, claimRef: {{namespace: default, name: c{at}}}, nodeAffinity: {{required: \
             {{nodeSelectorTerms: [{{matchExpressions: [{{key: topology.kubernetes.io/zone, operator: In, values: [{zone}]}}]}}]}}}}}}\n\
             status: {{phase: Available}}\n"
        )
    }

    #[test]
    fn pods_with_a_volume_each_need_no_more_than_its_zone() {
        let class = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: s}\nprovisioner: \
                     kubernetes.io/no-provisioner\nvolumeBindingMode: WaitForFirstConsumer\n";
        let manifest = (0..PODS).map(pod_with_volume).fold(class.to_owned(), |all, pod| all + &pod);
        let snapshot = lower::parse_manifest(&manifest).unwrap().into_snapshot();
        let (catalog, options) = (catalog::builtin("aws").unwrap(), Options::default());
        let shaper = Shaper::new(&catalog, default_requirements(&options, &snapshot));
        let (mut simulation, demands) = demands::simulate(&snapshot, &shaper);
        let pods = || snapshot.pods().iter().map(|pod| &**pod);
        let launches = demands.launches(pods(), (&catalog, &options, None), &mut simulation);
        let classes: BTreeMap<ClassId, &Pod> =
            pods().filter_map(|pod| Some((simulation.class_of(&pod.name)?, pod))).collect();
        assert_eq!(classes.len(), PODS, "each volume is another to the rules");
        let needs = Needs::of(&classes, &launches, &simulation);
        assert_eq!(needs.examples.len(), ZONES.len());
    }
}
