//! What pods need of a node beside room, and which series of launches meet it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::launch::{Launches, Series};
use super::need_set::NeedSet;
use crate::feasibility::{ClassId, NodeNeeds, Simulation, requirement_matches};
use crate::model::{Labels, Operator, Pod, Requirement};

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
    /// By number, that of the same in company: it is met by nodes that have other labels than those that were chosen for the
    /// pods by themselves, too, as long as they are what the pods ask for. It is beyond all the others where it is not the same.
    pub(super) in_company: Vec<usize>,
    /// By series.
    pub(super) met: Vec<Met>,
}

/// Numbers of the series that have the right labels, and of those of them that meet all needs; the sets of labels that are
/// what is asked for; and the needs themselves, where pods also depend on each other by them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    labels: Vec<usize>,
    all: Vec<usize>,
    label_sets: Arc<[usize]>,
    own: Option<NodeNeeds>,
}

impl<'p> Needs<'p> {
    /// Asks the series about each distinct need. O(series with the labels of a shape) for each, and O(series that suit it in
    /// company) for each number.
    pub(super) fn of(classes: &BTreeMap<ClassId, &'p Pod>, launches: &Launches<'_>, simulation: &Simulation) -> Self {
        let mut needs = Self {
            of_class: BTreeMap::new(),
            examples: Vec::new(),
            in_company: Vec::new(),
            met: launches.series().iter().map(|_| Met::default()).collect(),
        };
        let mut label_sets = LabelSets::of(launches);
        let mut known: BTreeMap<NodeNeeds, usize> = BTreeMap::new();
        let mut numbers: BTreeMap<Answer, usize> = BTreeMap::new();
        let mut in_company: Vec<(ClassId, Arc<[usize]>)> = Vec::new();
        for (class, pod) in classes {
            let of_node = simulation.node_needs(*class);
            let number = known.get(&of_node).copied().unwrap_or_else(|| {
                let own = simulation.shares_volumes(*class).then(|| of_node.clone());
                let (labels, all) = answer(*class, pod, launches, simulation);
                let answer = Answer { labels, all, label_sets: label_sets.suiting(pod, launches), own };
                let number = *numbers.entry(answer).or_insert_with_key(|answer| {
                    in_company.push((*class, Arc::clone(&answer.label_sets)));
                    needs.add(pod, &answer.labels, &answer.all)
                });
                known.insert(of_node, number);
                number
            });
            needs.of_class.insert(*class, number);
        }
        needs.meet_in_company(&in_company, launches, simulation);
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

    /// Numbers what is needed in company, by number a class that needs it and the sets of labels that are what it asks for. A
    /// series for which nobody has a use by himself is none for company either, unless it is there for that alone.
    fn meet_in_company(
        &mut self,
        classes: &[(ClassId, Arc<[usize]>)],
        launches: &Launches<'_>,
        simulation: &Simulation,
    ) {
        let is_asked_for = |labels: usize| {
            launches.with_label_set(labels).iter().any(|series| !self.met[series.number].labels.is_empty())
        };
        let asked_for: Vec<bool> = (0..launches.label_sets()).map(is_asked_for).collect();
        let is_of_use: Vec<bool> = launches
            .series()
            .iter()
            .map(|series| !asked_for[launches.number_of_labels(series)] || !self.met[series.number].all.is_empty())
            .collect();
        let exact = self.examples.len();
        let mut next = exact;
        for (number, (class, label_sets)) in classes.iter().enumerate() {
            let pod = self.examples[number];
            let others = label_sets.iter().flat_map(|labels| launches.with_label_set(*labels));
            let suits = |series: &&Series| {
                is_of_use[series.number]
                    && !self.met[series.number].all.contains(number)
                    && launches.are_asked_for(pod, series.node, simulation)
                    && simulation.meets_needs(*class, series.node)
            };
            let more: Vec<usize> = others.filter(suits).map(|series| series.number).collect();
            self.in_company.push(if more.is_empty() { number } else { next });
            if more.is_empty() {
                continue;
            }
            for met in self.met.iter_mut().filter(|met| met.all.contains(number)) {
                Arc::make_mut(&mut met.all).insert(next);
            }
            for series in more {
                Arc::make_mut(&mut self.met[series].all).insert(next);
            }
            next += 1;
        }
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

/// Which sets of labels are what pods ask for.
struct LabelSets<'l> {
    all: Vec<&'l Labels>,
    /// By label, numbers of those that have it.
    with: BTreeMap<(&'l str, &'l str), Vec<usize>>,
    /// By what is asked of labels, numbers of those that are just that.
    meeting: BTreeMap<Vec<Requirement>, Arc<[usize]>>,
}

impl<'l> LabelSets<'l> {
    fn of(launches: &'l Launches<'_>) -> Self {
        let all: Vec<&Labels> = launches.all_labels().collect();
        let mut with: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for (number, labels) in all.iter().enumerate() {
            for (key, value) in *labels {
                with.entry((key, value)).or_default().push(number);
            }
        }
        Self { all, with, meeting: BTreeMap::new() }
    }

    /// Those that one of a pod's shapes asks for, whatever else they have.
    fn suiting(&mut self, pod: &Pod, launches: &Launches<'_>) -> Arc<[usize]> {
        let shapes = launches.shapes(pod).unwrap_or_default();
        let mut of_shapes: Vec<Arc<[usize]>> = shapes.iter().map(|shape| self.meeting(&shape.shape.own)).collect();
        if of_shapes.len() == 1
            && let Some(only) = of_shapes.pop()
        {
            return only;
        }
        let together: BTreeSet<usize> = of_shapes.iter().flat_map(|numbers| numbers.iter().copied()).collect();
        together.into_iter().collect()
    }

    fn meeting(&mut self, asked: &[Requirement]) -> Arc<[usize]> {
        let Self { all, with, meeting } = self;
        if let Some(known) = meeting.get(asked) {
            return Arc::clone(known);
        }
        let meets = |number: &usize| {
            let value = |key: &str| all[*number].get(key).map(String::as_str);
            asked.iter().all(|requirement| requirement_matches(requirement, value(&requirement.key)))
        };
        // Where one of few values is asked for, few sets have one.
        let found: Arc<[usize]> = match asked.iter().find(|requirement| requirement.operator == Operator::In) {
            Some(Requirement { key, values, .. }) => {
                let mut having = BTreeSet::new();
                for value in values {
                    having.extend(with.get(&(key.as_str(), value.as_str())).into_iter().flatten().copied());
                }
                having.into_iter().filter(meets).collect()
            }
            None => (0..all.len()).filter(meets).collect(),
        };
        meeting.insert(asked.to_vec(), Arc::clone(&found));
        found
    }
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
        let (mut simulation, demands) = demands::simulate(&snapshot, &shaper, snapshot.nodes());
        let pods = || snapshot.pods().iter().map(|pod| &**pod);
        let launches = demands.launches(pods(), (&catalog, &options, None), &mut simulation);
        let classes: BTreeMap<ClassId, &Pod> =
            pods().filter_map(|pod| Some((simulation.class_of(&pod.name)?, pod))).collect();
        assert_eq!(classes.len(), PODS, "each volume is another to the rules");
        let needs = Needs::of(&classes, &launches, &simulation);
        assert_eq!(needs.examples.len(), ZONES.len());
    }
}
