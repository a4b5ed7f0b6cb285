//! Kinds of pods: those of one kind differ in nothing that a rule looks at, but for their names and volumes.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::affinity::{Affinities, OwnTerms, Spoken};
use super::room::{Requests, ResourceNames};
use super::spread::{GroupId, SpreadId, Spreads};
use crate::model::{HostPort, LabelSelector, Labels, Neighbours, Placement, Pod, Resources};
use crate::units::FastMap;

/// Number of a kind.
pub(super) type KindId = usize;

/// A pod, with the number of its kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guest<'a> {
    pub(super) pod: &'a Pod,
    pub(super) kind: KindId,
}

/// Pods by kind. Most pods of a workload are written alike, so that what concerns a pod is looked up once for them all.
#[derive(Debug, Default)]
pub(super) struct Kinds<'a> {
    numbers: FastMap<Traits<'a>, KindId>,
    /// A pod of each kind.
    examples: Vec<&'a Pod>,
}

/// All that rules look at, but for volumes.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Traits<'a> {
    requests: &'a Resources,
    /// None for pods that stay where they are.
    placement: Option<&'a Placement>,
    ports: &'a [HostPort],
    claims_devices: bool,
    has_volumes: bool,
    deleting: bool,
    namespace: &'a str,
    labels: &'a Labels,
    neighbours: &'a Neighbours,
}

impl<'a> Kinds<'a> {
    /// A pod that comes to a node.
    pub(super) fn coming(&mut self, pod: &'a Pod) -> Guest<'a> {
        self.guest(pod, Some(&pod.placement))
    }

    /// A pod that is on a node. Where it stays as long as the node does, nobody asks for its placement, which may name
    /// that node and would make a kind of each such pod.
    pub(super) fn standing(&mut self, pod: &'a Pod) -> Guest<'a> {
        let stays = pod.ends_with_its_node();
        self.guest(pod, (!stays).then_some(&pod.placement))
    }

    fn guest(&mut self, pod: &'a Pod, placement: Option<&'a Placement>) -> Guest<'a> {
        let traits = Traits {
            requests: &pod.requests,
            placement,
            ports: &pod.host_ports,
            claims_devices: pod.claims_devices,
            has_volumes: !pod.volumes.is_empty(),
            deleting: pod.deleting,
            namespace: &pod.name.namespace,
            labels: &pod.labels,
            neighbours: &pod.neighbours,
        };
        let next = self.examples.len();
        let kind = *self.numbers.entry(traits).or_insert(next);
        if kind == next {
            self.examples.push(pod);
        }
        Guest { pod, kind }
    }

    /// A pod of each kind among these, in the order of their first occurrence.
    pub(super) fn examples_of(&self, guests: impl IntoIterator<Item = Guest<'a>>) -> Vec<&'a Pod> {
        let mut seen = vec![false; self.examples.len()];
        let new = guests.into_iter().filter(|guest| !std::mem::replace(&mut seen[guest.kind], true));
        new.map(|guest| self.examples[guest.kind]).collect()
    }

    /// What is known of each kind, once every rule is.
    pub(super) fn describe(
        self,
        spreads: &Spreads<'a>,
        affinities: &Affinities<'a>,
        resources: &mut ResourceNames<'a>,
    ) -> Vec<Kind<'a>> {
        let mut profiles = Profiles::new(spreads, affinities);
        let kind = |example: &'a Pod| Kind {
            example,
            requests: resources.requests(&example.requests),
            spread: spreads.group_of(example),
            own_terms: affinities.own_terms(example),
            counting: profiles.counting(example, spreads, affinities),
        };
        self.examples.into_iter().map(kind).collect()
    }
}

/// What is known of a kind.
#[derive(Debug)]
pub(super) struct Kind<'a> {
    /// A pod like all of them, but for its name and volumes, and its placement if it stays where it is.
    pub(super) example: &'a Pod,
    pub(super) requests: Requests,
    /// The spread constraints that it has.
    pub(super) spread: Option<GroupId>,
    /// The affinity and anti-affinity that it has.
    pub(super) own_terms: OwnTerms,
    pub(super) counting: Rc<Counting>,
}

impl Kind<'_> {
    pub(super) fn has_volumes(&self) -> bool {
        !self.example.volumes.is_empty()
    }
}

/// The rules that count a pod.
#[derive(Debug)]
pub(super) struct Counting {
    pub(super) spreads: Vec<SpreadId>,
    pub(super) affinities: Spoken,
}

/// What counts which pods, found once for all kinds that selectors cannot tell apart: those of one namespace with the
/// same values of the labels that some selector looks at.
struct Profiles<'a> {
    /// Label keys that selectors look at.
    keys: Vec<&'a str>,
    known: FastMap<Profile<'a>, Rc<Counting>>,
}

/// A namespace, and the value of each key.
type Profile<'a> = (&'a str, Vec<Option<&'a str>>);

impl<'a> Profiles<'a> {
    fn new(spreads: &Spreads<'a>, affinities: &Affinities<'a>) -> Self {
        let selectors = spreads.selectors().chain(affinities.selectors());
        let keys: BTreeSet<&str> = selectors.flat_map(keys_of).collect();
        Self { keys: keys.into_iter().collect(), known: FastMap::default() }
    }

    fn counting(&mut self, pod: &'a Pod, spreads: &Spreads<'a>, affinities: &Affinities<'a>) -> Rc<Counting> {
        let namespace = pod.name.namespace.as_str();
        let values = self.keys.iter().map(|key| pod.labels.get(*key).map(String::as_str));
        let counting = self.known.entry((namespace, values.collect())).or_insert_with(|| {
            Rc::new(Counting {
                spreads: spreads.counting(namespace, &pod.labels),
                affinities: affinities.speaking_of(namespace, &pod.labels),
            })
        });
        Rc::clone(counting)
    }
}

fn keys_of(selector: &LabelSelector) -> impl Iterator<Item = &str> {
    let requirements = match selector {
        LabelSelector::Nothing => &[][..],
        LabelSelector::Matching(requirements) => requirements,
    };
    requirements.iter().map(|requirement| requirement.key.as_str())
}
