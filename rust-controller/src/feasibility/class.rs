//! Pods that no rule can tell apart are one class.
//!
//! Everything that pods ask for is numbered once; what is left of a pod is a handful of numbers. Two pods are of one
//! class where these are equal: the same requests, the same constraints, and labels that the selectors around them see
//! alike. Names, annotations, and volumes that no rule looks at make no difference.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::rc::Rc;

use super::Rule;
use super::affinity::{AffinityGroup, AntiTerm, Who};
use super::domains::Domains;
use super::interner::Interner;
use super::numbering::{Kind, Numbering};
use super::selector::SeenLabels;
use super::sights::Sights;
use super::slots::{self, Slots};
use super::spread::{Eligibility, SpreadGroup, SpreadRule};
use super::taints::Taints;
use super::volumes::{VolumeNeeds, VolumeSpace};
use crate::model::{AffinityTerm, HostPort, LabelSelector, NodeSelectorTerm, Phase, Placement, Pod};
use crate::snapshot::Extras;
use crate::units::FastMap;

/// A class of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassId(pub(super) usize);

/// What the rules know of the pods of a class.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Class {
    /// Number and amount of each resource that is requested at all, and then of slots for volumes, which have the numbers
    /// after those of all resources.
    pub(super) requests: Vec<(usize, i64)>,
    /// Number of the placement.
    pub(super) placement: usize,
    pub(super) ports: Vec<HostPort>,
    /// Number of what its volumes ask for.
    pub(super) volumes: usize,
    pub(super) claims_devices: bool,
    /// Rules about its volumes that cannot be checked.
    pub(super) unchecked_rules: Vec<Rule>,
    pub(super) rules: NeighbourRules,
    /// Number of the terms of others that find its pods.
    pub(super) seen_by: usize,
}

/// A class's own rules about other pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct NeighbourRules {
    pub(super) spread: Vec<SpreadRule>,
    /// Number of the group, and whether its pods match their own terms.
    pub(super) affinity: Option<(usize, bool)>,
    pub(super) anti_affinity: Vec<usize>,
}

/// Which terms of other pods find a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct SeenBy {
    pub(super) spread: Vec<usize>,
    pub(super) affinity: Vec<usize>,
    /// Anti-affinity terms of pods that come, while it is there.
    pub(super) anti_affinity: Vec<usize>,
    /// Anti-affinity terms of pods that are there, when it comes.
    pub(super) kept_away: Vec<usize>,
}

/// Everything that pods ask for, numbered, and the class of each pod.
#[derive(Debug, Default)]
pub(super) struct Classes {
    all: Vec<Class>,
    /// By pod, in the order in which they were given; none for a pod that is over.
    pub(super) of_pod: Vec<Option<ClassId>>,
    pub(super) resources: Vec<String>,
    /// Slots for volumes that some pod requests.
    pub(super) slots: Vec<Slots>,
    /// Drivers of which waiting pods share volumes with others.
    pub(super) shared_drivers: BTreeSet<usize>,
    pub(super) placements: Vec<Placement>,
    pub(super) volumes: Vec<VolumeNeeds>,
    pub(super) seen_by: Vec<SeenBy>,
    pub(super) eligibilities: Vec<Eligibility>,
    pub(super) spread: Vec<SpreadGroup>,
    pub(super) affinity: Vec<AffinityGroup>,
    pub(super) anti_affinity: Vec<AntiTerm>,
    selectors: Vec<LabelSelector>,
    namespace_sets: Vec<(BTreeSet<String>, LabelSelector)>,
    /// By class, whether it asks for nothing beyond room, and a node with the right name, labels and taints.
    plain: Vec<bool>,
    /// By number of what volumes ask for, whether that is anything.
    mounting: Vec<bool>,
    /// Terms whose namespaces depend on labels that nobody could read, by number of the set.
    unread_namespaces: Vec<bool>,
}

/// Room is taken by pods that are not over.
fn is_there(pod: &Pod) -> bool {
    pod.phase != Phase::Finished
}

/// Whether a pod runs, or is about to, on a node that it will not leave for another: nobody asks where else it could.
pub(super) fn stays(pod: &Pod) -> bool {
    pod.occupied_node().is_some() && pod.ends_with_its_node()
}

impl Classes {
    /// Numbers everything. Keys of all terms are added to `domains`, selectors of volumes to `space`.
    pub(super) fn of(
        pods: &[&Pod],
        (taints, extras): (Taints, &Extras),
        space: &mut VolumeSpace<'_>,
        domains: &mut Domains,
    ) -> Self {
        let mut numbering = Numbering::new(taints);
        let kinds: Vec<Option<usize>> =
            pods.iter().map(|pod| is_there(pod).then(|| numbering.kind(pod, space, domains))).collect();
        let slots::Asked { all: slots, shared: shared_drivers, of_draft } = slots::Asked::of(pods, &kinds, &numbering);
        let mut finish = Finish::new(&numbering, extras, of_draft);
        let of_kind: Vec<ClassId> = numbering.kinds.values().iter().map(|kind| finish.class_of(*kind)).collect();
        let of_pod = kinds.into_iter().map(|kind| Some(of_kind[kind?])).collect();
        let Finish { sights, classes, seen_by, .. } = finish;
        let classes = Self {
            all: classes.into_values().into_iter().map(Rc::unwrap_or_clone).collect(),
            of_pod,
            resources: numbering.resources.into_values(),
            slots,
            shared_drivers,
            placements: numbering.placements.into_values().into_iter().map(Cow::into_owned).collect(),
            volumes: numbering.volumes.into_values(),
            seen_by: seen_by.into_values(),
            eligibilities: numbering.eligibilities.into_values(),
            spread: numbering.spread.into_values(),
            affinity: numbering.affinity.into_values(),
            anti_affinity: numbering.anti_affinity.into_values(),
            selectors: numbering.selectors.into_values().into_iter().cloned().collect(),
            namespace_sets: numbering
                .namespace_sets
                .into_values()
                .into_iter()
                .map(|(names, selector)| (names.clone(), selector.clone()))
                .collect(),
            unread_namespaces: sights.unread,
            plain: Vec::new(),
            mounting: Vec::new(),
        };
        let mounting: Vec<bool> = classes.volumes.iter().map(|needs| *needs != VolumeNeeds::default()).collect();
        Self { plain: classes.plainness(&mounting), mounting, ..classes }
    }

    pub(super) fn class(&self, id: ClassId) -> &Class {
        &self.all[id.0]
    }

    /// Whether a class asks for nothing beyond room, and a node with the right name, labels and taints.
    pub(super) fn is_plain(&self, id: ClassId) -> bool {
        self.plain[id.0]
    }

    fn plainness(&self, mounting: &[bool]) -> Vec<bool> {
        let plain = |class: &Class| {
            !class.claims_devices
                && class.ports.is_empty()
                && !mounting[class.volumes]
                && class.rules == NeighbourRules::default()
                && self.seen_by[class.seen_by].kept_away.is_empty()
        };
        self.all.iter().map(plain).collect()
    }

    /// Whether no pod that comes can let the class in somewhere. A volume may come with another pod, and an emptier domain with
    /// one that is spread.
    pub(super) fn is_only_hindered(&self, id: ClassId) -> bool {
        let NeighbourRules { spread, affinity, .. } = &self.class(id).rules;
        spread.is_empty() && affinity.is_none() && !self.has_volumes(id)
    }

    pub(super) fn has_volumes(&self, id: ClassId) -> bool {
        self.mounting[self.class(id).volumes]
    }

    /// Topology key of a spread group.
    pub(super) fn spread_key(&self, group: usize) -> usize {
        self.eligibilities[self.spread[group].eligibility].key
    }

    pub(super) fn selector(&self, number: usize) -> &LabelSelector {
        &self.selectors[number]
    }

    /// A term as it stands in specs, for messages.
    pub(super) fn term(&self, who: Who, topology_key: &str) -> AffinityTerm {
        let (namespaces, namespace_selector) = self.namespace_sets[who.namespaces].clone();
        let selector = self.selectors[who.selector].clone();
        AffinityTerm { topology_key: topology_key.to_owned(), selector, namespaces, namespace_selector }
    }

    /// Whether a term speaks of namespaces whose labels nobody could read.
    pub(super) fn is_unread(&self, who: &Who) -> bool {
        self.unread_namespaces[who.namespaces]
    }

    /// Whether a term of the class, or one that could keep it away, speaks of namespaces whose labels nobody could read.
    pub(super) fn has_unread_namespaces(&self, id: ClassId) -> bool {
        let unread = |who: &Who| self.is_unread(who);
        let class = self.class(id);
        let affinity = class.rules.affinity.iter().flat_map(|(group, _)| &self.affinity[*group].terms);
        let anti = class.rules.anti_affinity.iter().chain(&self.seen_by[class.seen_by].kept_away);
        affinity.map(|(who, _)| who).any(unread) || anti.map(|term| &self.anti_affinity[*term].who).any(unread)
    }
}

/// Turns kinds of pods into classes.
struct Finish<'n, 'p> {
    numbering: &'n Numbering<'p>,
    sights: Sights,
    /// By draft, the slots for volumes that it requests.
    slots: FastMap<usize, Vec<(usize, i64)>>,
    /// Labels as selectors see them.
    seen: Interner<SeenLabels>,
    /// Their numbers, by number of the labels as they are.
    of_labels: Vec<usize>,
    /// By draft, number of the labels as they are seen, and whether the pods are being deleted.
    known: FastMap<(usize, usize, bool), ClassId>,
    /// Shared by number and value, since each holds several lists.
    classes: Interner<Rc<Class>>,
    /// Number of what finds pods, by namespace, number of the labels as they are seen, and whether they are being deleted.
    finders: FastMap<(usize, usize, bool), usize>,
    seen_by: Interner<SeenBy>,
}

impl<'n, 'p> Finish<'n, 'p> {
    fn new(numbering: &'n Numbering<'p>, extras: &Extras, slots: FastMap<usize, Vec<(usize, i64)>>) -> Self {
        let sights = Sights::new(numbering, extras);
        let mut seen = Interner::default();
        let labels = numbering.labels.values().iter();
        Self {
            of_labels: labels.map(|labels| seen.number(sights.labels.seen(labels))).collect(),
            numbering,
            sights,
            slots,
            seen,
            known: FastMap::default(),
            classes: Interner::default(),
            finders: FastMap::default(),
            seen_by: Interner::default(),
        }
    }

    fn class_of(&mut self, kind: Kind) -> ClassId {
        let Kind { draft, labels, deleting } = kind;
        let seen = self.of_labels[labels];
        if let Some(class) = self.known.get(&(draft, seen, deleting)) {
            return *class;
        }
        let class = self.class(draft, seen, deleting);
        let class = ClassId(self.classes.number(Rc::new(class)));
        self.known.insert((draft, seen, deleting), class);
        class
    }

    fn class(&mut self, draft: usize, seen: usize, deleting: bool) -> Class {
        let resources = self.numbering.resources.values().len();
        let slots = self.slots.get(&draft).into_iter().flatten().map(|(slots, count)| (resources + slots, *count));
        let draft = &self.numbering.drafts[draft];
        let labels = &self.seen.values()[seen];
        let mut rules = draft.rules.clone();
        for rule in &mut rules.spread {
            let selector = self.numbering.spread.values()[rule.group].selector;
            rule.own = u32::from(self.sights.selectors.matches(selector, labels));
        }
        if let Some((group, own)) = &mut rules.affinity {
            let terms = &self.numbering.affinity.values()[*group].terms;
            *own = terms.iter().all(|(who, _)| self.sights.finds(*who, draft.namespace, labels));
        }
        Class {
            requests: draft.requests.iter().copied().chain(slots).collect(),
            placement: draft.placement,
            ports: draft.ports.to_vec(),
            volumes: draft.volumes,
            claims_devices: draft.claims_devices,
            unchecked_rules: draft.unchecked_rules.clone(),
            rules,
            seen_by: self.seen_by(draft.namespace, seen, deleting),
        }
    }

    fn seen_by(&mut self, namespace: usize, seen: usize, deleting: bool) -> usize {
        let Self { numbering, sights, seen_by, finders, .. } = self;
        let labels = &self.seen.values()[seen];
        *finders.entry((namespace, seen, deleting)).or_insert_with(|| {
            let mut finding = sights.all_that_see(numbering, namespace, labels);
            if deleting {
                // A pod that goes does not count where pods are spread.
                finding.spread.clear();
            }
            seen_by.number(finding)
        })
    }
}

/// Requirements on node labels and names of everything that may be asked about a node.
pub(super) fn node_requirements<'a>(
    placements: &'a [Placement],
    volume_terms: &'a [Vec<NodeSelectorTerm>],
) -> impl Iterator<Item = &'a NodeSelectorTerm> {
    placements.iter().filter_map(|placement| placement.node_affinity.as_ref()).chain(volume_terms).flatten()
}
