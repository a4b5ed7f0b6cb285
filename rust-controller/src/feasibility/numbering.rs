//! Everything that pods ask for, numbered once.
//!
//! Most pods ask for exactly what others of their workload ask for. So each pod is first held against the others as a
//! whole, and its parts are numbered only where it is the first of its kind. Pods lie scattered in memory: each is looked
//! at once, and everything else is done by kind.

use std::borrow::Cow;

use super::Rule;
use super::affinity::{AffinityGroup, AntiTerm, Who};
use super::class::{NeighbourRules, stays};
use super::domains::Domains;
use super::interner::Interner;
use super::sights::NamespaceSet;
use super::spread::{Eligibility, SpreadGroup, SpreadRule};
use super::taints::Taints;
use super::volumes::{VolumeNeeds, VolumeSpace};
use crate::model::{
    AffinityTerm, HostPort, LabelSelector, Labels, Neighbours, Placement, Pod, Resources, SpreadConstraint,
};

/// Everything that pods ask for, as it is numbered.
pub(super) struct Numbering<'p> {
    pub(super) resources: Interner<String>,
    pub(super) placements: Interner<Cow<'p, Placement>>,
    pub(super) volumes: Interner<VolumeNeeds>,
    pub(super) eligibilities: Interner<Eligibility>,
    pub(super) spread: Interner<SpreadGroup>,
    pub(super) affinity: Interner<AffinityGroup>,
    pub(super) anti_affinity: Interner<AntiTerm>,
    pub(super) selectors: Interner<&'p LabelSelector>,
    pub(super) namespace_sets: Interner<NamespaceSet<'p>>,
    pub(super) namespaces: Interner<&'p str>,
    taints: Taints,
    asked: Interner<Asked<'p>>,
    /// By number of what is asked.
    pub(super) drafts: Vec<Draft<'p>>,
    pub(super) labels: Interner<&'p Labels>,
    pub(super) kinds: Interner<Kind>,
}

/// Pods that are written alike, but for their names.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    /// Number of the draft.
    pub(super) draft: usize,
    /// Number of the labels.
    pub(super) labels: usize,
    pub(super) deleting: bool,
}

/// All that a pod asks for, as it stands in its spec, but for volumes, which are looked up: they have numbers.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Asked<'p> {
    requests: &'p Resources,
    placement: &'p Placement,
    ports: &'p [HostPort],
    /// None for a pod without volumes.
    volumes: Option<usize>,
    claims_devices: bool,
    unchecked_rules: Vec<Rule>,
    namespace: &'p str,
    neighbours: &'p Neighbours,
    stays: bool,
}

/// A class before it is known which terms find its pods.
pub(super) struct Draft<'p> {
    pub(super) requests: Vec<(usize, i64)>,
    pub(super) placement: usize,
    pub(super) ports: &'p [HostPort],
    pub(super) volumes: usize,
    pub(super) claims_devices: bool,
    pub(super) unchecked_rules: Vec<Rule>,
    pub(super) namespace: usize,
    pub(super) rules: NeighbourRules,
}

/// The placement of a pod about which nobody asks.
static ANYWHERE: Placement =
    Placement { node_name: None, node_selector: Labels::new(), node_affinity: None, tolerations: Vec::new() };

impl<'p> Numbering<'p> {
    pub(super) fn new(taints: Taints) -> Self {
        let mut resources = Interner::default();
        // The order of `Resources::amounts`, so that messages list them in that order.
        for (name, _) in Resources::default().amounts() {
            resources.number(name.to_owned());
        }
        Self {
            resources,
            placements: Interner::default(),
            volumes: Interner::default(),
            eligibilities: Interner::default(),
            spread: Interner::default(),
            affinity: Interner::default(),
            anti_affinity: Interner::default(),
            selectors: Interner::default(),
            namespace_sets: Interner::default(),
            namespaces: Interner::default(),
            taints,
            asked: Interner::default(),
            drafts: Vec::new(),
            labels: Interner::default(),
            kinds: Interner::default(),
        }
    }

    /// The number of a pod's kind.
    pub(super) fn kind(&mut self, pod: &'p Pod, space: &mut VolumeSpace<'_>, domains: &mut Domains) -> usize {
        let draft = self.asked(pod, space, domains);
        let labels = self.labels.number(&pod.labels);
        self.kinds.number(Kind { draft, labels, deleting: pod.deleting })
    }

    /// The number of what a pod asks for, which is that of its draft.
    fn asked(&mut self, pod: &'p Pod, space: &mut VolumeSpace<'_>, domains: &mut Domains) -> usize {
        let stays = stays(pod);
        let asked = Asked {
            requests: &pod.requests,
            placement: if stays { &ANYWHERE } else { &pod.placement },
            ports: &pod.host_ports,
            volumes: (!pod.volumes.is_empty()).then(|| self.volumes.number(space.needs(pod, stays))),
            claims_devices: pod.claims_devices,
            unchecked_rules: if stays { Vec::new() } else { space.unchecked_rules(pod) },
            namespace: &pod.name.namespace,
            neighbours: &pod.neighbours,
            stays,
        };
        if let Some(number) = self.asked.find(&asked) {
            return number;
        }
        let draft = self.draft(asked.clone(), domains);
        self.drafts.push(draft);
        self.asked.number(asked)
    }

    fn draft(&mut self, asked: Asked<'p>, domains: &mut Domains) -> Draft<'p> {
        let Asked {
            requests,
            placement,
            ports,
            volumes,
            claims_devices,
            unchecked_rules,
            namespace,
            neighbours,
            stays,
        } = asked;
        let placement = self.placements.number(self.taints.tolerated(placement));
        let namespace = self.namespaces.number(namespace);
        Draft {
            requests: self.requests(requests),
            placement,
            ports,
            volumes: volumes.unwrap_or_else(|| self.volumes.number(VolumeNeeds::default())),
            claims_devices,
            unchecked_rules,
            namespace,
            rules: self.neighbour_rules(neighbours, stays, placement, namespace, domains),
        }
    }

    fn requests(&mut self, requests: &Resources) -> Vec<(usize, i64)> {
        let asked = requests.amounts().filter(|(_, amount)| *amount > 0);
        asked.map(|(name, amount)| (self.resources.number_of(name), signed(amount))).collect()
    }

    fn neighbour_rules(
        &mut self,
        neighbours: &'p Neighbours,
        stays: bool,
        placement: usize,
        namespace: usize,
        domains: &mut Domains,
    ) -> NeighbourRules {
        let Neighbours { spread, affinity, anti_affinity } = neighbours;
        let mut rules = NeighbourRules::default();
        for term in anti_affinity {
            let term = AntiTerm { who: self.who(term), key: domains.key(&term.topology_key) };
            rules.anti_affinity.push(self.anti_affinity.number(term));
        }
        if stays {
            return rules;
        }
        let mut all_keys: Vec<usize> = spread.iter().map(|each| domains.key(&each.topology_key)).collect();
        all_keys.sort_unstable();
        all_keys.dedup();
        for constraint in spread {
            let group = self.spread_group(constraint, all_keys.clone(), placement, namespace, domains);
            let SpreadConstraint { max_skew, min_domains, .. } = *constraint;
            let group = self.spread.number(group);
            rules.spread.push(SpreadRule { group, max_skew, min_domains, own: 0 });
        }
        if !affinity.is_empty() {
            let terms = affinity.iter().map(|term| (self.who(term), domains.key(&term.topology_key))).collect();
            rules.affinity = Some((self.affinity.number(AffinityGroup { terms }), false));
        }
        rules
    }

    fn spread_group(
        &mut self,
        constraint: &'p SpreadConstraint,
        all_keys: Vec<usize>,
        placement: usize,
        namespace: usize,
        domains: &mut Domains,
    ) -> SpreadGroup {
        let SpreadConstraint { topology_key, selector, honors_node_affinity, honors_node_taints, .. } = constraint;
        let eligibility = Eligibility {
            key: domains.key(topology_key),
            all_keys,
            placement: (*honors_node_affinity || *honors_node_taints).then_some(placement),
            honors_node_affinity: *honors_node_affinity,
            honors_node_taints: *honors_node_taints,
        };
        SpreadGroup {
            eligibility: self.eligibilities.number(eligibility),
            namespace,
            selector: self.selectors.number(selector),
        }
    }

    fn who(&mut self, term: &'p AffinityTerm) -> Who {
        Who {
            selector: self.selectors.number(&term.selector),
            namespaces: self.namespace_sets.number((&term.namespaces, &term.namespace_selector)),
        }
    }
}

/// Amounts are cut to 63 bits where they are read.
pub(super) fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
