//! Topology spread constraints.
//!
//! Source of the rules: the scheduler plugin `PodTopologySpread`, Kubernetes 1.36.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::lookup::Lookup;
use super::objection::Objection;
use super::site::{Site, SiteId, ask_each};
use super::topology::{Change, Domain, DomainsOfSites, Topology};
use crate::feasibility::{Target, placement_refusal, selects};
use crate::model::{LabelSelector, Labels, NodeSelectorTerm, Placement, Pod, SpreadConstraint, Toleration, key};
use crate::units::FastMap;

/// The constraints of all pods that come, with what they count.
///
/// Pods of a namespace with the same constraints and the same rules about nodes share a group: they count alike.
#[derive(Debug, Default)]
pub(super) struct Spreads<'a> {
    groups: Vec<Vec<Spread<'a>>>,
    by_key: FastMap<GroupKey<'a>, GroupId>,
    counted_by: Lookup<'a>,
}

/// Position of a group.
pub(super) type GroupId = usize;

/// A constraint of a group: position of the group, and within it.
pub(super) type SpreadId = (GroupId, usize);

#[derive(Debug, PartialEq, Eq, Hash)]
struct GroupKey<'a> {
    namespace: &'a str,
    constraints: &'a [SpreadConstraint],
    node_selector: &'a Labels,
    node_affinity: Option<&'a [NodeSelectorTerm]>,
    tolerations: &'a [Toleration],
}

impl<'a> GroupKey<'a> {
    fn of(pod: &'a Pod) -> Self {
        Self {
            namespace: &pod.name.namespace,
            constraints: &pod.neighbours.spread,
            node_selector: &pod.placement.node_selector,
            node_affinity: pod.placement.node_affinity.as_deref(),
            tolerations: &pod.placement.tolerations,
        }
    }
}

/// One constraint, and how its pods are spread.
#[derive(Debug)]
struct Spread<'a> {
    constraint: &'a SpreadConstraint,
    domains: DomainsOfSites,
    /// The nodes that count, by position.
    eligible: Rc<Vec<bool>>,
    tally: Tally,
}

impl Spread<'_> {
    /// The domain of a node that counts.
    fn counted_domain(&self, site: SiteId) -> Option<Domain> {
        self.domains[site].filter(|_| self.eligible[site])
    }
}

impl<'a> Spreads<'a> {
    /// Makes ready to judge a pod. Before any node or pod is there.
    pub(super) fn expect(
        &mut self,
        pod: &'a Pod,
        sites: &[Site<'a>],
        topology: &mut Topology<'a>,
        memo: &mut EligibleNodes<'a>,
    ) {
        let key = GroupKey::of(pod);
        if key.constraints.is_empty() || self.by_key.contains_key(&key) {
            return;
        }
        let spread = |constraint: &'a SpreadConstraint| Spread {
            constraint,
            domains: topology.domains(&constraint.topology_key, sites),
            eligible: memo.of(&key, constraint, sites),
            tally: Tally::default(),
        };
        let group = self.groups.len();
        self.groups.push(key.constraints.iter().map(spread).collect());
        for constraint in key.constraints {
            self.counted_by.add([key.namespace], &constraint.selector, group);
        }
        self.by_key.insert(key, group);
    }

    /// Of every constraint.
    pub(super) fn selectors(&self) -> impl Iterator<Item = &'a LabelSelector> {
        self.groups.iter().flatten().map(|spread| &spread.constraint.selector)
    }

    /// The constraints that count a pod of this namespace with these labels. An empty selector counts none.
    pub(super) fn counting(&self, namespace: &str, labels: &Labels) -> Vec<SpreadId> {
        let groups = self.counted_by.candidates(namespace, labels).into_iter();
        let constraints = groups.flat_map(|group| (0..self.groups[group].len()).map(move |at| (group, at)));
        let counts = |selector: &LabelSelector| !selector.is_everything() && selects(selector, labels);
        constraints.filter(|(group, at)| counts(&self.groups[*group][*at].constraint.selector)).collect()
    }

    /// The constraints of a pod, if such a pod was announced.
    pub(super) fn group_of(&self, pod: &'a Pod) -> Option<GroupId> {
        self.by_key.get(&GroupKey::of(pod)).copied()
    }

    /// Nodes come or go; no pods are on them.
    pub(super) fn nodes(&mut self, sites: &[SiteId], change: Change) {
        for spread in self.groups.iter_mut().flatten() {
            for site in sites {
                if let Some(domain) = spread.counted_domain(*site) {
                    spread.tally.node(domain, change);
                }
            }
        }
    }

    /// Whether pods could not be spread as they are now, had this node been there from the start: it is one more domain beside
    /// those that there are. Of host names that is so only if some host has more pods than an empty one allows.
    pub(super) fn would_undo(&self, site: SiteId) -> bool {
        let opens =
            |spread: &&Spread<'_>| spread.counted_domain(site).is_some_and(|domain| spread.tally.is_without(domain));
        let is_too_many = |Spread { constraint, tally, .. }: &Spread<'_>| {
            constraint.topology_key != key::HOSTNAME || tally.most() > constraint.max_skew
        };
        self.groups.iter().flatten().filter(opens).any(is_too_many)
    }

    /// A pod that these constraints count comes or goes.
    pub(super) fn pod(&mut self, counting: &[SpreadId], site: SiteId, change: Change) {
        for (group, at) in counting {
            let spread = &mut self.groups[*group][*at];
            if let Some(domain) = spread.counted_domain(site) {
                spread.tally.pod(domain, change);
            }
        }
    }

    /// Whether a pod of these constraints may come to the node.
    pub(super) fn check(&self, group: GroupId, pod: &Pod, id: SiteId, site: &Site<'_>) -> Result<(), Objection> {
        for Spread { constraint, domains, tally, .. } in &self.groups[group] {
            let key = &constraint.topology_key;
            let Some(domain) = domains[id] else {
                return Err(Objection::refused(format_args!("spreads over {key}, which the node has not")));
            };
            let fewest = tally.fewest(constraint.min_domains);
            let would_be = tally.pods(domain) + u32::from(selects(&constraint.selector, &pod.labels));
            if would_be > fewest + constraint.max_skew {
                return Err(Objection::refused(format_args!(
                    "spreads {} over {key}: {:?} would have {would_be}, the fewest is {fewest}, at most {} more are \
                     allowed",
                    constraint.selector,
                    site.domain(key).unwrap_or_default(),
                    constraint.max_skew
                )));
            }
        }
        Ok(())
    }
}

/// How many pods each domain has.
#[derive(Debug, Default)]
struct Tally {
    /// By domain.
    domains: Vec<Members>,
    /// How many domains have how many pods, of the domains that have nodes.
    domains_with: BTreeMap<u32, u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Members {
    nodes: u32,
    pods: u32,
}

impl Tally {
    fn node(&mut self, domain: Domain, change: Change) {
        self.update(domain, |members| change.apply(&mut members.nodes));
    }

    fn pod(&mut self, domain: Domain, change: Change) {
        self.update(domain, |members| change.apply(&mut members.pods));
    }

    fn update(&mut self, domain: Domain, update: impl FnOnce(&mut Members)) {
        if self.domains.len() <= domain {
            self.domains.resize(domain + 1, Members::default());
        }
        let members = &mut self.domains[domain];
        let before = *members;
        update(members);
        let after = *members;
        if (before.nodes > 0, before.pods) == (after.nodes > 0, after.pods) {
            return;
        }
        if before.nodes > 0 {
            let domains = self.domains_with.entry(before.pods).or_default();
            *domains -= 1;
            if *domains == 0 {
                self.domains_with.remove(&before.pods);
            }
        }
        if after.nodes > 0 {
            *self.domains_with.entry(after.pods).or_default() += 1;
        }
    }

    /// Whether there are nodes in other domains, and none in this one.
    fn is_without(&self, domain: Domain) -> bool {
        !self.domains_with.is_empty() && self.domains.get(domain).is_none_or(|members| members.nodes == 0)
    }

    fn pods(&self, domain: Domain) -> u32 {
        self.domains.get(domain).map_or(0, |members| members.pods)
    }

    /// What the fullest domain has.
    fn most(&self) -> u32 {
        self.domains_with.keys().next_back().copied().unwrap_or(0)
    }

    /// What the emptiest domain has: nothing, where there are fewer domains than there should be.
    fn fewest(&self, min_domains: u32) -> u32 {
        let domains: u32 = self.domains_with.values().sum();
        let fewest = self.domains_with.keys().next().copied().unwrap_or(0);
        if domains < min_domains { 0 } else { fewest }
    }
}

/// Remembers which nodes count for constraints that agree on it.
#[derive(Debug, Default)]
pub(super) struct EligibleNodes<'a> {
    known: FastMap<EligibilityKey<'a>, Rc<Vec<bool>>>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct EligibilityKey<'a> {
    topology_keys: Vec<&'a str>,
    affinity: Option<(&'a Labels, Option<&'a [NodeSelectorTerm]>)>,
    tolerations: Option<&'a [Toleration]>,
}

impl<'a> EligibleNodes<'a> {
    /// A node counts if it has the labels of all constraints and its own labels and taints let the pod in, as far as
    /// the constraint asks that.
    fn of(&mut self, group: &GroupKey<'a>, constraint: &SpreadConstraint, sites: &[Site<'a>]) -> Rc<Vec<bool>> {
        let key = EligibilityKey {
            topology_keys: group.constraints.iter().map(|each| each.topology_key.as_str()).collect(),
            affinity: constraint.honors_node_affinity.then_some((group.node_selector, group.node_affinity)),
            tolerations: constraint.honors_node_taints.then_some(group.tolerations),
        };
        if let Some(known) = self.known.get(&key) {
            return Rc::clone(known);
        }
        let (node_selector, node_affinity) = key.affinity.unzip();
        let affinity = Placement {
            node_selector: node_selector.cloned().unwrap_or_default(),
            node_affinity: node_affinity.flatten().map(<[_]>::to_vec),
            ..Placement::default()
        };
        let tolerant = key.tolerations.map(|all| Placement { tolerations: all.to_vec(), ..Placement::default() });
        let eligible = |site: &Site<'_>| {
            let labels_only = Target { taints: &[], unschedulable: false, ..site.target() };
            let taints_only = Target { unschedulable: false, ..site.target() };
            key.topology_keys.iter().all(|key| site.labels.contains_key(*key))
                && placement_refusal(&affinity, &labels_only).is_none()
                && tolerant.as_ref().is_none_or(|tolerant| placement_refusal(tolerant, &taints_only).is_none())
        };
        let eligible: Rc<Vec<bool>> = Rc::new(ask_each(sites, eligible));
        self.known.insert(key, Rc::clone(&eligible));
        eligible
    }
}
