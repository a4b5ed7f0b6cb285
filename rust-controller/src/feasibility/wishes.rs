//! Rules that never refuse a node: which of a pod's preferences a node meets, beside the pods that are there.
//!
//! Source of the rules: the scoring half of the plugins `NodeAffinity`, `InterPodAffinity`, `PodTopologySpread` and
//! `TaintToleration` of kube-scheduler 1.36. Pods of one class may have different wishes, so that a class, by which hard
//! rules are asked, is none the smaller for them. Terms count pods by domain as hard rules do.

use std::iter::Sum;
use std::ops::Add;
use std::sync::Arc;

use super::domains::{Counts, Domains, NONE};
use super::node_selector::term_matches;
use super::spread::{Eligibility, SpreadCounts, SpreadDomains, SpreadRule};
use super::target::{AFFINITY, RULES, TAINTS, Target, tolerates};
use super::wish_numbering::{Numbered, number};
use crate::model::{Placement, Pod, Preferences, TaintEffect};
use crate::snapshot::Snapshot;

/// What a spread constraint or a taint counts for beside terms, whose weights are from 1 to 100.
pub const MEDIUM_WEIGHT: u32 = 50;

/// How many soft rules are not met, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unmet {
    /// Preferred node affinity terms that the node does not match.
    pub node_affinity: u32,
    /// Preferred pod affinity terms without a matching pod near.
    pub pod_affinity: u32,
    /// Preferred pod anti-affinity terms with a matching pod near.
    pub pod_anti_affinity: u32,
    /// Topology spread constraints (`ScheduleAnyway`) whose skew is above what they ask for, or whose key the node lacks.
    pub schedule_anyway: u32,
    /// Taints (`PreferNoSchedule`) of the node that are not tolerated.
    pub prefer_no_schedule: u32,
    /// The weights of all of them together.
    pub weight: u32,
}

impl Unmet {
    /// The kinds by name, with how many of each there are.
    #[must_use]
    pub fn kinds(&self) -> [(&'static str, u32); 5] {
        [
            ("preferredNodeAffinity", self.node_affinity),
            ("preferredPodAffinity", self.pod_affinity),
            ("preferredPodAntiAffinity", self.pod_anti_affinity),
            ("scheduleAnyway", self.schedule_anyway),
            ("preferNoSchedule", self.prefer_no_schedule),
        ]
    }
}

impl Add for Unmet {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            node_affinity: self.node_affinity + other.node_affinity,
            pod_affinity: self.pod_affinity + other.pod_affinity,
            pod_anti_affinity: self.pod_anti_affinity + other.pod_anti_affinity,
            schedule_anyway: self.schedule_anyway + other.schedule_anyway,
            prefer_no_schedule: self.prefer_no_schedule + other.prefer_no_schedule,
            weight: self.weight.saturating_add(other.weight),
        }
    }
}

impl Sum for Unmet {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// The soft rules of pods that need a node, and what they count. Pods are named by their position in the snapshot; nodes
/// by theirs, and those that are added by the number that they are given.
#[derive(Debug)]
pub struct Wishes {
    /// By pod.
    of_pod: Vec<Option<usize>>,
    pub(super) all: Vec<Wish>,
    /// By pod, the number of what finds it; those given on top come after the snapshot's.
    pub(super) found: Vec<usize>,
    pub(super) found_by: Vec<FoundBy>,
    pub(super) domains: Domains,
    nodes: usize,
    /// Topology key of each term, and the pods that it finds.
    pub(super) terms: Vec<(usize, Counts)>,
    /// Eligibility of each spread group, and the pods that it counts.
    pub(super) spread: Vec<(usize, SpreadCounts)>,
    pub(super) eligibilities: Vec<Eligibility>,
    placements: Vec<Placement>,
    /// By eligibility, whether each node counts, and how many of them each domain has.
    pub(super) eligible: Vec<(Vec<bool>, SpreadDomains)>,
    /// Whether some node of the cluster has a taint that is a wish.
    has_soft_taints: bool,
}

/// The soft rules of a pod, in numbers.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) preferences: Arc<Preferences>,
    /// Number of each term, in the order of the preferences, and 1 where it finds the pod itself, else 0.
    pub(super) affinity: Vec<(usize, u32)>,
    pub(super) anti_affinity: Vec<(usize, u32)>,
    pub(super) spread: Vec<SpreadRule>,
}

/// What finds a pod.
#[derive(Clone, Debug, Default)]
pub(super) struct FoundBy {
    /// Terms of affinity and anti-affinity.
    pub(super) terms: Vec<usize>,
    /// Groups of spread constraints.
    pub(super) spread: Vec<usize>,
}

impl Wishes {
    /// The soft rules of the pods at these positions of a snapshot, with all pods that have a node. `None` where there
    /// are none to look at: no such pod has any, and no node has a taint that is one. Terms find the pods given on top as
    /// well, whose positions come after those of the snapshot's.
    ///
    /// O(pods + eligibilities × nodes), an eligibility being what spread constraints ask of the nodes that they look at.
    #[must_use]
    pub fn of(snapshot: &Snapshot, pods: &[usize], more_pods: &[Arc<Pod>]) -> Option<Self> {
        let is_soft = |effect: TaintEffect| effect == TaintEffect::PreferNoSchedule;
        let has_soft_taints = snapshot.nodes().iter().flat_map(|node| &node.taints).any(|taint| is_soft(taint.effect));
        let have_preferences = pods.iter().any(|pod| snapshot.pods()[*pod].preferences.is_some());
        if !have_preferences && (!has_soft_taints || pods.is_empty()) {
            return None;
        }
        let mut wishes = Self::numbered(number(snapshot, pods, more_pods), has_soft_taints);
        for node in snapshot.nodes() {
            wishes.add_existing(&Target::existing(node));
        }
        wishes.count_those_there(snapshot);
        Some(wishes)
    }

    fn numbered(numbered: Numbered, has_soft_taints: bool) -> Self {
        let Numbered { of_pod, all, found, found_by, domains, terms, spread, eligibilities, placements } = numbered;
        Self {
            of_pod,
            all,
            found,
            found_by,
            domains,
            nodes: 0,
            terms: terms.into_iter().map(|key| (key, Counts::default())).collect(),
            spread: spread.into_iter().map(|eligibility| (eligibility, SpreadCounts::default())).collect(),
            eligible: vec![(Vec::new(), SpreadDomains::default()); eligibilities.len()],
            eligibilities,
            placements,
            has_soft_taints,
        }
    }

    fn count_those_there(&mut self, snapshot: &Snapshot) {
        if self.terms.is_empty() && self.spread.is_empty() {
            return;
        }
        for (position, pod) in snapshot.pods().iter().enumerate() {
            let number = |name: &str| snapshot.nodes().binary_search_by(|node| node.name.as_str().cmp(name)).ok();
            if let Some(node) = pod.occupied_node().and_then(number) {
                self.place(position, node);
            }
        }
    }

    /// The next node of the cluster.
    fn add_existing(&mut self, target: &Target<'_>) {
        self.domains.add(target);
        self.count_next(target);
    }

    /// One more node, with a host name of its own. Returns its number.
    pub fn add_new(&mut self, target: &Target<'_>) -> usize {
        // One that is not there, to be like.
        self.domains.add(target);
        self.domains.add_like(self.nodes);
        self.nodes += 1;
        self.count_next(target)
    }

    fn count_next(&mut self, target: &Target<'_>) -> usize {
        let node = self.nodes;
        self.nodes += 1;
        for number in 0..self.eligibilities.len() {
            let counts = self.is_eligible(number, node, target);
            let (eligible, domains) = &mut self.eligible[number];
            eligible.resize(node, false);
            eligible.push(counts);
            if counts {
                domains.change(self.domains.of(self.eligibilities[number].key, node), true);
            }
        }
        node
    }

    /// Whether a node counts for the constraints of an eligibility.
    pub(super) fn is_eligible(&self, eligibility: usize, node: usize, target: &Target<'_>) -> bool {
        let Eligibility { placement, honors_node_affinity, honors_node_taints, .. } = self.eligibilities[eligibility];
        let refuses = |rule: usize| {
            placement.is_some_and(|placement| (RULES[rule].1)(&self.placements[placement], target).is_some())
        };
        self.eligibilities[eligibility].has_all_keys(&self.domains, node)
            && !(honors_node_affinity && refuses(AFFINITY))
            && !(honors_node_taints && refuses(TAINTS))
    }

    /// Whether a pod may care where it is.
    #[must_use]
    pub fn has(&self, pod: usize) -> bool {
        self.has_soft_taints || self.of_pod[pod].is_some()
    }

    /// A number that pods share whose preferences are the same, and which the same terms find; none for pods without.
    #[must_use]
    pub fn number(&self, pod: usize) -> Option<usize> {
        self.of_pod[pod]
    }

    /// The positions of pods given on top, of those at these places among them.
    pub fn of_more<'p>(&self, more_pods: &'p [usize]) -> impl Iterator<Item = usize> + use<'p> {
        let first = self.of_pod.len();
        more_pods.iter().map(move |place| first + place)
    }

    /// A pod comes to a node.
    pub fn place(&mut self, pod: usize, node: usize) {
        self.count(pod, node, true);
    }

    /// A pod leaves a node.
    pub fn take(&mut self, pod: usize, node: usize) {
        self.count(pod, node, false);
    }

    /// O(what finds the pod × log domains).
    fn count(&mut self, pod: usize, node: usize, come: bool) {
        let FoundBy { terms, spread } = &self.found_by[self.found[pod]];
        for term in terms {
            let (key, pods) = &mut self.terms[*term];
            pods.change(self.domains.of(*key, node), come);
        }
        for group in spread {
            let (eligibility, pods) = &mut self.spread[*group];
            if self.eligible[*eligibility].0[node] {
                pods.change(self.domains.of(self.eligibilities[*eligibility].key, node), come);
            }
        }
    }

    /// What a node would leave unmet for the pod at this position, which is on no node now. `target` is that node.
    ///
    /// O(its soft rules × log domains).
    #[must_use]
    pub fn unmet(&self, position: usize, pod: &Pod, node: usize, target: &Target<'_>) -> Unmet {
        self.unmet_of(position, pod, (node, target), false)
    }

    /// What a node leaves unmet for the pod at this position, which is there.
    #[must_use]
    pub fn unmet_there(&self, position: usize, pod: &Pod, node: usize, target: &Target<'_>) -> Unmet {
        self.unmet_of(position, pod, (node, target), true)
    }

    fn unmet_of(&self, position: usize, pod: &Pod, (node, target): (usize, &Target<'_>), is_there: bool) -> Unmet {
        let taints = target.taints.iter().filter(|taint| taint.effect == TaintEffect::PreferNoSchedule);
        let untolerated = taints.filter(|taint| !tolerates(&pod.placement.tolerations, taint)).count();
        let prefer_no_schedule = u32::try_from(untolerated).unwrap_or(u32::MAX);
        let mut unmet =
            Unmet { prefer_no_schedule, weight: prefer_no_schedule.saturating_mul(MEDIUM_WEIGHT), ..Unmet::default() };
        let Some(Wish { preferences, affinity, anti_affinity, spread }) =
            self.of_pod[position].map(|number| &self.all[number])
        else {
            return unmet;
        };
        let add = |kind: &mut u32, total: &mut u32, weight: u32| {
            *kind += 1;
            *total = total.saturating_add(weight);
        };
        for preferred in preferences.node_affinity.iter().filter(|preferred| !term_matches(&preferred.term, target)) {
            add(&mut unmet.node_affinity, &mut unmet.weight, preferred.weight);
        }
        let is_near = |(term, own): &(usize, u32)| self.pods_near(*term, node) > if is_there { *own } else { 0 };
        for (preferred, _) in preferences.affinity.iter().zip(affinity).filter(|(_, term)| !is_near(term)) {
            add(&mut unmet.pod_affinity, &mut unmet.weight, preferred.weight);
        }
        for (preferred, _) in preferences.anti_affinity.iter().zip(anti_affinity).filter(|(_, term)| is_near(term)) {
            add(&mut unmet.pod_anti_affinity, &mut unmet.weight, preferred.weight);
        }
        for rule in spread {
            // A pod that is there is counted already.
            let own = if is_there { 0 } else { rule.own };
            if !self.is_even(&SpreadRule { own, ..*rule }, node) {
                add(&mut unmet.schedule_anyway, &mut unmet.weight, MEDIUM_WEIGHT);
            }
        }
        unmet
    }

    /// How many pods that the term finds are near the node.
    fn pods_near(&self, term: usize, node: usize) -> u32 {
        let (key, pods) = &self.terms[term];
        let domain = self.domains.of(*key, node);
        if domain == NONE { 0 } else { pods.get(domain) }
    }

    fn is_even(&self, rule: &SpreadRule, node: usize) -> bool {
        let (eligibility, pods) = &self.spread[rule.group];
        let domain = self.domains.of(self.eligibilities[*eligibility].key, node);
        self.eligible[*eligibility].0[node] && pods.allows(rule, domain, &self.eligible[*eligibility].1)
    }
}
