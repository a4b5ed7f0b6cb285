//! May a pod run on a node? Every rule asked of a [`Simulation`], in the scheduler's order.

use std::cmp::Reverse;

use super::affinity::Affinity;
use super::class::ClassId;
use super::domains::NONE;
use super::guise::InGuise;
use super::refusal::Skew;
use super::simulation::{NodeId, Simulation, Site};
use super::target::RULES;
use super::{Refusal, Rule};
use crate::model::{HostPort, Shortfall};

/// Any address of the node.
const ANY_ADDRESS: &str = "0.0.0.0";

/// How far a node is from taking a pod: the smallest is the nearest. First the one that the fewest rules refuse beyond want of
/// room, where a node of the cluster that would be too small without any pod counts as one more; then the one with the least
/// share of a request missing; then the one that passes more rules before one refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Miss {
    /// How many rules other than [`Rule::NodeResourcesFit`] refuse.
    beyond_room: u32,
    /// The largest share of a request that is missing, in millionths of the request.
    short_millionths: u64,
    /// The shares of all requests together.
    short_in_all: u64,
    rule: Reverse<Rule>,
}

impl Miss {
    /// A node that is refused for another reason than room, by this rule first.
    #[must_use]
    pub fn beyond_room(rule: Rule, short_millionths: u64) -> Self {
        Self { beyond_room: 1, short_millionths, short_in_all: short_millionths, rule: Reverse(rule) }
    }

    /// A node that this rule refuses first, and that lacks these shares of requests.
    pub(super) fn new(beyond_room: bool, short: impl Iterator<Item = u64>, rule: Rule) -> Self {
        let (mut short_millionths, mut short_in_all) = (0, 0);
        for share in short {
            short_millionths = share.max(short_millionths);
            short_in_all += share;
        }
        Self { beyond_room: u32::from(beyond_room), short_millionths, short_in_all, rule: Reverse(rule) }
    }

    /// The first rule that refuses.
    #[must_use]
    pub fn rule(self) -> Rule {
        self.rule.0
    }
}

/// A part of the rules that says why it refuses.
type Explained = fn(&Simulation, ClassId, InGuise<'_>, &mut Vec<Refusal>);

impl Simulation {
    /// Whether a pod of the class may run on the node, beside what is there. Faster than asking for the reason.
    #[must_use]
    pub fn may_run(&self, class: ClassId, node: NodeId) -> bool {
        self.refusing_rules(self.classes.class(class).placement, node) == 0
            && self.fits(class, self.free_of(node))
            && (self.classes.is_plain(class) || self.may_run_beside_others(class, node))
    }

    /// The rules about pods, ports, volumes and devices.
    fn may_run_beside_others(&self, class: ClassId, node: NodeId) -> bool {
        let asked = self.classes.class(class);
        !asked.claims_devices
            && self.taken_port(class, node).is_none()
            && self.may_spread(class, node, |_| true)
            && self.may_be_near(class, node, |_| true)
            && self.volumes_fit(class, node)
    }

    /// How far the node is from taking a pod of the class; `None` where it may run. Faster than asking for the reason.
    #[must_use]
    pub fn miss(&self, class: ClassId, node: NodeId) -> Option<Miss> {
        if self.may_run(class, node) {
            return None;
        }
        let miss = self.miss_in(class, self.obstacles(class, node), self.free_of(node))?;
        Some(Miss { beyond_room: self.refusing_beyond_room(class, node), ..miss })
    }

    /// How many rules refuse for other reasons than what other pods have taken of the node's room.
    fn refusing_beyond_room(&self, class: ClassId, node: NodeId) -> u32 {
        let asked = self.classes.class(class);
        let of_node = self.refusing_rules(asked.placement, node).count_ones();
        let beside_others = if self.classes.is_plain(class) {
            0
        } else {
            let refusing = [
                asked.claims_devices,
                self.taken_port(class, node).is_some(),
                !self.may_spread(class, node, |_| true),
                !self.may_be_near(class, node, |_| true),
                !self.volumes_fit(class, node),
            ];
            u32::try_from(refusing.into_iter().filter(|refuses| *refuses).count()).unwrap_or(u32::MAX)
        };
        let is_too_small = |(resource, _): (usize, u64)| self.offers_less(node, resource, class);
        of_node + beside_others + u32::from(self.short(class, self.free_of(node)).any(is_too_small))
    }

    /// Whether a node of the cluster offers less of a resource than a pod of the class requests.
    fn offers_less(&self, node: NodeId, resource: usize, class: ClassId) -> bool {
        let Site::Existing(existing) = &self.nodes[node.0] else { return false };
        let offered = existing.allocatable.amount(&self.classes.resources[resource]);
        let requests = &self.classes.class(class).requests;
        requests.iter().any(|(other, amount)| *other == resource && i128::from(*amount) > i128::from(offered))
    }

    /// The largest share of a request of the class for which there is no room, in millionths of the request.
    #[must_use]
    pub fn short_millionths(&self, class: ClassId, room: &[i64]) -> u64 {
        self.short(class, room).map(|(_, share)| share).max().unwrap_or(0)
    }

    /// Resources of which there is too little room for a pod of the class, each with the share of the request that is missing, in
    /// millionths.
    pub(super) fn short(&self, class: ClassId, free: &[i64]) -> impl Iterator<Item = (usize, u64)> {
        let requests = self.classes.class(class).requests.iter().filter(|(number, _)| !self.is_of_slots(*number));
        requests.filter(|(resource, amount)| *amount > free[*resource]).map(|(resource, amount)| {
            let missing = u128::try_from(amount - free[*resource].clamp(0, *amount)).unwrap_or(0);
            let share = missing * 1_000_000 / u128::try_from(*amount).unwrap_or(1).max(1);
            (*resource, u64::try_from(share).unwrap_or(u64::MAX))
        })
    }

    /// The first rule that refuses of those that the scheduler asks before it looks at room.
    pub(super) fn first_before_room(&self, class: ClassId, node: NodeId) -> Option<Rule> {
        let first_of_node = self.refusing_rules(self.classes.class(class).placement, node).trailing_zeros() as usize;
        let of_port = || self.taken_port(class, node).map(|_| Rule::NodePorts);
        RULES.get(first_of_node).map(|(rule, _)| *rule).or_else(of_port)
    }

    /// The first rule that refuses of those that it asks after that.
    pub(super) fn first_after_room(&self, class: ClassId, node: NodeId) -> Option<Rule> {
        if self.classes.is_plain(class) {
            return None;
        }
        let of_volumes = self.refusal_of_volumes(class, node).map(|refusal| refusal.rule());
        of_volumes.or_else(|| {
            if !self.may_spread(class, node, |_| true) {
                return Some(Rule::PodTopologySpread);
            }
            if !self.may_be_near(class, node, |_| true) {
                return Some(Rule::InterPodAffinity);
            }
            self.classes.class(class).claims_devices.then_some(Rule::DynamicResources)
        })
    }

    /// Whether a pod of the class may run on the node as far as the pods elsewhere do not decide it: all rules but
    /// [`Rule::PodTopologySpread`] and [`Rule::InterPodAffinity`].
    #[must_use]
    pub fn suits(&self, class: ClassId, node: NodeId) -> bool {
        self.fits(class, self.free_of(node)) && self.meets_needs(class, node)
    }

    /// Whether a pod of a `DaemonSet` runs on the node, or is meant to: its controller asks neither for room nor for other pods. But
    /// one that requests a device waits in vain where there is none of it, and takes no room.
    #[must_use]
    pub fn takes_daemon(&self, class: ClassId, node: NodeId) -> bool {
        let allocatable = self.nodes[node.0].allocatable();
        let has_some = |(resource, _): &(usize, i64)| allocatable.has_some(&self.resources()[*resource]);
        let mut requests = self.classes.class(class).requests.iter().filter(|(number, _)| !self.is_of_slots(*number));
        self.admits(class, node) && requests.all(has_some)
    }

    /// Whether the rules that look at a node by itself, and the ports that are taken there, admit the class.
    #[must_use]
    pub fn admits(&self, class: ClassId, node: NodeId) -> bool {
        self.refusing_rules(self.classes.class(class).placement, node) == 0 && self.taken_port(class, node).is_none()
    }

    /// Why a pod of the class may not run on the node: the first rule that refuses; `None` where it may.
    #[must_use]
    pub fn refusal(&self, class: ClassId, node: NodeId) -> Option<Refusal> {
        if self.may_run(class, node) { None } else { self.refusals(class, node).into_iter().next() }
    }

    /// The nodes of these that refuse the class, by name, each with the first rule that does; the nearest first.
    #[must_use]
    pub fn refusals_by_node(&self, class: ClassId, nodes: &[NodeId]) -> Vec<(String, Refusal)> {
        let mut misses: Vec<(Miss, NodeId)> =
            nodes.iter().filter_map(|node| Some((self.miss(class, *node)?, *node))).collect();
        misses.sort();
        let explained = |(_, node)| Some((self.name(node).to_owned(), self.refusal(class, node)?));
        misses.into_iter().filter_map(explained).collect()
    }

    /// Why a pod of the class may not run on the node: one refusal of each rule that does, in the scheduler's order.
    #[must_use]
    pub fn refusals(&self, class: ClassId, node: NodeId) -> Vec<Refusal> {
        let target = self.nodes[node.0].target();
        self.refusals_in(class, InGuise { node, target, room: self.free_of(node) })
    }

    pub(super) fn refusals_in(&self, class: ClassId, guise: InGuise<'_>) -> Vec<Refusal> {
        const PARTS: [Explained; 6] = [
            Simulation::explain_node,
            Simulation::explain_port,
            Simulation::explain_room,
            Simulation::explain_volumes,
            Simulation::explain_spread,
            Simulation::explain_affinity,
        ];
        let mut refusals = Vec::new();
        for part in PARTS {
            part(self, class, guise, &mut refusals);
        }
        if self.classes.class(class).claims_devices {
            refusals.push(Refusal::Devices);
        }
        refusals.dedup_by_key(|refusal| refusal.rule());
        refusals
    }

    /// The rules that could not be checked for the pods of a class, since nobody could read what they look at.
    #[must_use]
    pub fn unchecked_rules(&self, class: ClassId) -> Vec<Rule> {
        let mut rules = self.classes.class(class).unchecked_rules.clone();
        if self.classes.has_unread_namespaces(class) {
            rules.push(Rule::InterPodAffinity);
        }
        rules
    }

    fn explain_node(&self, class: ClassId, InGuise { node, target, .. }: InGuise<'_>, refusals: &mut Vec<Refusal>) {
        let placement = self.classes.class(class).placement;
        if self.refusing_rules(placement, node) == 0 {
            return;
        }
        refusals.extend(RULES.iter().filter_map(|(_, rule)| rule(&self.classes.placements[placement], &target)));
    }

    fn explain_port(&self, class: ClassId, InGuise { node, .. }: InGuise<'_>, refusals: &mut Vec<Refusal>) {
        refusals.extend(self.taken_port(class, node).map(|port| Refusal::PortTaken(port.clone())));
    }

    /// The first port that the class needs and another pod has. An address that is any meets all others of its port.
    fn taken_port(&self, class: ClassId, node: NodeId) -> Option<&HostPort> {
        let meets = |wanted: &HostPort, taken: &HostPort| {
            let same_address = wanted.ip == taken.ip || wanted.ip == ANY_ADDRESS || taken.ip == ANY_ADDRESS;
            wanted.port == taken.port && wanted.protocol == taken.protocol && same_address
        };
        let taken = self.ports_of(node);
        self.classes.class(class).ports.iter().find(|wanted| taken.iter().any(|taken| meets(wanted, taken)))
    }

    fn explain_room(&self, class: ClassId, InGuise { room: free, .. }: InGuise<'_>, refusals: &mut Vec<Refusal>) {
        let requests = self.classes.class(class).requests.iter().filter(|(number, _)| !self.is_of_slots(*number));
        let short = requests.filter(|(resource, amount)| *amount > free[*resource]);
        let unsigned = |amount: i64| u64::try_from(amount).unwrap_or(0);
        let short: Vec<Shortfall> = short
            .map(|(resource, amount)| Shortfall {
                resource: self.classes.resources[*resource].clone(),
                needed: unsigned(*amount),
                free: unsigned(free[*resource]),
            })
            .collect();
        if !short.is_empty() {
            refusals.push(Refusal::TooSmall(short));
        }
    }

    /// Whether its spread constraints over certain keys allow a pod of the class on the node.
    pub(super) fn may_spread(&self, class: ClassId, node: NodeId, asked: impl Fn(usize) -> bool) -> bool {
        self.classes.class(class).rules.spread.iter().all(|rule| {
            let group = &self.classes.spread[rule.group];
            let key = self.classes.spread_key(rule.group);
            if !asked(key) {
                return true;
            }
            let domain = self.domains.of(key, node.0);
            let domains = &self.spread_domains[group.eligibility];
            domain != NONE && self.spread[rule.group].allows(rule, domain, domains)
        })
    }

    fn explain_spread(&self, class: ClassId, InGuise { node, target, .. }: InGuise<'_>, refusals: &mut Vec<Refusal>) {
        for rule in &self.classes.class(class).rules.spread {
            let group = &self.classes.spread[rule.group];
            let key = self.classes.spread_key(rule.group);
            let topology_key = self.domains.name(key).to_owned();
            let domain = self.domains.of(key, node.0);
            let (counts, domains) = (&self.spread[rule.group], &self.spread_domains[group.eligibility]);
            if domain == NONE {
                refusals.push(Refusal::NoSpreadDomain(topology_key));
            } else if !counts.allows(rule, domain, domains) {
                refusals.push(Refusal::Skewed(Box::new(Skew {
                    domain: target.label(&topology_key).unwrap_or_default().to_owned(),
                    topology_key,
                    selector: self.classes.selector(group.selector).clone(),
                    would_be: counts.would_be(rule, domain),
                    fewest: counts.fewest(rule, domains),
                    missing_domains: domains.are_too_few(rule).then_some(rule.min_domains),
                    max_skew: rule.max_skew,
                })));
            }
        }
    }

    /// Whether affinity and anti-affinity over certain keys allow a pod of the class on the node.
    pub(super) fn may_be_near(&self, class: ClassId, node: NodeId, asked: impl Fn(usize) -> bool) -> bool {
        self.affinity_of(class, node, &asked) == Affinity::Satisfied
            && self.too_near(class, node, &asked).is_none()
            && self.kept_away_by(class, node, &asked).is_none()
    }

    fn affinity_of(&self, class: ClassId, node: NodeId, asked: impl Fn(usize) -> bool) -> Affinity {
        match self.classes.class(class).rules.affinity {
            None => Affinity::Satisfied,
            Some((group, own)) => {
                self.affinity[group].verdict(&self.classes.affinity[group], own, &self.domains, node.0, asked)
            }
        }
    }

    /// An anti-affinity term of the class of which a pod is near.
    fn too_near(&self, class: ClassId, node: NodeId, asked: impl Fn(usize) -> bool) -> Option<usize> {
        let near = |term: &usize| {
            let key = self.classes.anti_affinity[*term].key;
            let domain = self.domains.of(key, node.0);
            asked(key) && domain != NONE && self.anti_affinity[*term].matching.get(domain) > 0
        };
        self.classes.class(class).rules.anti_affinity.iter().copied().find(near)
    }

    /// An anti-affinity term of a pod near that finds the class.
    fn kept_away_by(&self, class: ClassId, node: NodeId, asked: impl Fn(usize) -> bool) -> Option<usize> {
        let near = |term: &usize| {
            let key = self.classes.anti_affinity[*term].key;
            let domain = self.domains.of(key, node.0);
            asked(key) && domain != NONE && self.anti_affinity[*term].carriers.get(domain) > 0
        };
        self.classes.seen_by[self.classes.class(class).seen_by].kept_away.iter().copied().find(near)
    }

    fn explain_affinity(&self, class: ClassId, InGuise { node, .. }: InGuise<'_>, refusals: &mut Vec<Refusal>) {
        let group = self.classes.class(class).rules.affinity.map(|(group, _)| &self.classes.affinity[group]);
        let term_of = |term: usize| group.and_then(|group| group.terms.get(term));
        match self.affinity_of(class, node, |_| true) {
            Affinity::Satisfied => {}
            Affinity::NoDomain(term) => {
                let key = term_of(term).map_or("", |(_, key)| self.domains.name(*key));
                refusals.push(Refusal::NoAffinityDomain(key.to_owned()));
            }
            Affinity::NotNear(term) => refusals.extend(
                term_of(term)
                    .map(|(who, key)| Refusal::NotNear(Box::new(self.classes.term(*who, self.domains.name(*key))))),
            ),
        }
        let anti_term = |term: usize| {
            let term = &self.classes.anti_affinity[term];
            Box::new(self.classes.term(term.who, self.domains.name(term.key)))
        };
        refusals.extend(self.too_near(class, node, |_| true).map(|term| Refusal::TooNear(anti_term(term))));
        refusals.extend(self.kept_away_by(class, node, |_| true).map(|term| Refusal::KeptAway(anti_term(term))));
    }
}
