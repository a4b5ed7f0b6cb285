//! Which nodes to replace: sets of them are tried, the ones that cost most for their pods first.
//!
//! At the catalog's prices (the dual of the cheapest mixture of new nodes for all pods in question) each node's pods are worth
//! so much; a node that costs about that cannot be replaced with a gain. A trial plans new nodes for all others at once, tells
//! what it costs to have each node's pods there, and gives up those that do not pay by themselves.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::super::candidates::movable;
use super::super::{NodePlan, Verdict};
use super::hypothesis::Hypothesis;
use super::worth::{Worth, share_of};
use super::{Inputs, may_go};
use crate::model::{Neighbours, Pod, PodName, key};
use crate::provision::{self, Plan, PlannedNode};
use crate::units::{FastMap, Money};

/// How much may be tried, in pods looked at: of each trial all pods of the cluster, several times those that wait, still more for
/// each launch of the catalog, and something for the trial itself. A pod that waits and has rules about others is held against
/// every node, some of which count as much as a pod that is looked at.
const EFFORT: u64 = 250_000;
const NODES_OF_EFFORT: u64 = 2;
const EFFORT_OF_WAITING: u64 = 4;
const EFFORT_OF_LAUNCH: u64 = 12;
const EFFORT_OF_TRIAL: u64 = 4_000;

/// How long a trial looks for a cheaper plan than the first, in the steps of provisioning.
const BUDGET: Duration = Duration::from_millis(5);

/// Up to so many candidates every set of them is tried, up to so many others each node is put in and out of the best set.
const MOST_FOR_ALL_SETS: usize = 5;
const MOST_FOR_EACH_NODE: usize = 24;

/// A trial that drops nodes is tried again without them, so many times.
const MOST_DESCENTS: u64 = 6;

/// Savings within this share of the most, in percent, are as good; then fewer pods disturbed are better.
const NEARLY_ALL: u128 = 99;

/// A node that could be replaced.
struct Candidate<'a> {
    plan: &'a NodePlan,
    pods: Vec<&'a Arc<Pod>>,
    /// What its pods would cost on new nodes, at the least, per hour.
    worth: f64,
    /// It goes without any replacement.
    goes_anyway: bool,
}

/// Positions of candidates.
type Set = BTreeSet<usize>;

/// New nodes for the pods of nodes that go, and what that saves.
pub(super) struct Trial {
    gone: Set,
    pub(super) plan: Plan,
    pub(super) replaced: Money,
    pub(super) further_savings: Money,
    disturbed: usize,
}

/// What has been tried.
pub(super) struct Choice<'a> {
    inputs: &'a Inputs<'a>,
    hypothesis: Hypothesis<'a>,
    worth: Worth,
    /// Those that cost most for what their pods are worth first.
    candidates: Vec<Candidate<'a>>,
    of_pod: FastMap<&'a PodName, usize>,
    tried: BTreeSet<Set>,
    launches: u64,
    effort_left: u64,
    /// Those that save enough.
    trials: Vec<Trial>,
}

impl<'a> Choice<'a> {
    pub(super) fn of(inputs: &'a Inputs<'a>) -> Self {
        let pods_by_node = inputs.snapshot.pods_by_node();
        let candidate = |plan: &'a NodePlan| {
            let goes_anyway = plan.verdict == Verdict::Remove;
            let pods = movable(pods_by_node.get(plan.node.name.as_str()).map_or(&[][..], Vec::as_slice));
            let is_candidate = may_go(plan) && (goes_anyway || plan.price_per_hour.is_some());
            is_candidate.then_some(Candidate { plan, pods, worth: 0.0, goes_anyway })
        };
        let mut candidates: Vec<Candidate<'a>> = inputs.consolidation.nodes.iter().filter_map(candidate).collect();
        let worth = Worth::of(candidates.iter().flat_map(|candidate| &candidate.pods), inputs);
        for candidate in &mut candidates {
            candidate.worth = candidate.pods.iter().map(|pod| worth.of_pod(pod)).sum();
        }
        let ratio = |candidate: &Candidate<'_>| candidate.worth / candidate.price().units().max(f64::MIN_POSITIVE);
        candidates.sort_by(|left, right| {
            ratio(left).total_cmp(&ratio(right)).then_with(|| left.plan.node.name.cmp(&right.plan.node.name))
        });
        let mut of_pod = FastMap::default();
        for (number, candidate) in candidates.iter().enumerate() {
            of_pod.extend(candidate.pods.iter().map(|pod| (&pod.name, number)));
        }
        let budget = BUDGET.min(inputs.provisioning.budget);
        let hypothesis = Hypothesis::of(inputs, budget);
        let launches = inputs.provisioning.allowed(inputs.catalog).count() as u64;
        let (tried, trials) = (BTreeSet::new(), Vec::new());
        Self { inputs, hypothesis, worth, candidates, of_pod, tried, launches, effort_left: EFFORT, trials }
    }

    /// Tries sets of nodes as far as the effort goes.
    pub(super) fn search(&mut self) {
        let all = 0..self.candidates.len();
        let (leaving, others): (Set, Set) = all.partition(|number| self.candidates[*number].goes_anyway);
        if self.candidates.len() <= MOST_FOR_ALL_SETS {
            self.try_all_sets();
            return;
        }
        let paying: Vec<usize> = others.into_iter().filter(|number| self.may_pay(*number)).collect();
        let mut count = paying.len();
        while count > 0 && self.has_effort() {
            let gone: Set = leaving.iter().chain(&paying[..count]).copied().collect();
            // Of what rules make dear, several sets had better be tried.
            if count == 1 || self.effort_of_rules(&gone) < EFFORT / MOST_DESCENTS {
                self.descend(gone);
            }
            count /= 2;
        }
        if self.candidates.len() <= MOST_FOR_EACH_NODE {
            self.climb();
        }
    }

    /// Where a pod goes if this is done.
    pub(super) fn destination<'p>(
        &'p self,
        pod: &PodName,
        Trial { plan, .. }: &'p Trial,
        gone: &BTreeSet<&str>,
    ) -> Option<&'p str> {
        if let Some(node) = self.hypothesis.destination(pod, gone) {
            return Some(node);
        }
        let at = plan.pods.binary_search_by(|planned| planned.pod.name.cmp(pod)).ok()?;
        match &plan.pods[at].verdict {
            provision::Verdict::Planned { node, .. } | provision::Verdict::FitsExisting { node } => Some(node),
            provision::Verdict::Unplaceable(_) | provision::Verdict::Ignored(_) => None,
        }
    }

    /// The best trial that is left, and the names of the nodes that go.
    pub(super) fn take_best(&mut self) -> Option<(Trial, BTreeSet<&'a str>)> {
        let most = self.trials.iter().map(|trial| trial.further_savings).max()?;
        let is_near =
            |trial: &Trial| u128::from(trial.further_savings.get()) * 100 >= u128::from(most.get()) * NEARLY_ALL;
        let near = (0..self.trials.len()).filter(|at| is_near(&self.trials[*at]));
        let best = near.min_by_key(|at| {
            let Trial { gone, plan, further_savings, disturbed, .. } = &self.trials[*at];
            (*disturbed, plan.nodes.len(), Reverse(*further_savings), gone)
        })?;
        let trial = self.trials.swap_remove(best);
        let gone = self.names(&trial.gone);
        Some((trial, gone))
    }

    /// A trial could not be carried out because of these nodes: they stay.
    pub(super) fn descend_without(&mut self, trial: Trial, stuck: &BTreeSet<String>) {
        let goes = |number: &usize| !stuck.contains(&self.candidates[*number].plan.node.name);
        let gone = trial.gone.into_iter().filter(goes).collect();
        self.descend(gone);
    }

    fn names(&self, gone: &Set) -> BTreeSet<&'a str> {
        gone.iter().map(|number| self.candidates[*number].plan.node.name.as_str()).collect()
    }

    fn has_effort(&self) -> bool {
        self.effort_left > 0
    }

    /// Whether replacing a node by itself could save enough, if no other node had room for its pods.
    fn may_pay(&self, number: usize) -> bool {
        let candidate = &self.candidates[number];
        candidate.worth < share_of(candidate.price(), self.inputs.options.min_savings)
    }

    /// Every set that the rules leave open: what has no price goes in any case.
    fn try_all_sets(&mut self) {
        for bits in 1_u32..1 << self.candidates.len() {
            let gone: Set = (0..self.candidates.len()).filter(|number| bits >> number & 1 == 1).collect();
            self.attempt(&gone);
        }
    }

    /// Tries a set, and again without the nodes that cannot be replaced or do not pay, until none is left of these.
    fn descend(&mut self, mut gone: Set) {
        for _ in 0..MOST_DESCENTS {
            match self.attempt(&gone) {
                Some(dropped) if !dropped.is_empty() => gone.retain(|number| !dropped.contains(number)),
                _ => return,
            }
        }
    }

    /// Puts each node in and out of the best set as long as that saves more.
    fn climb(&mut self) {
        let best = |choice: &Self| {
            let best = choice.trials.iter().max_by_key(|trial| (trial.further_savings, Reverse(&trial.gone)));
            best.map(|trial| (trial.further_savings, trial.gone.clone()))
        };
        while let Some((saved, gone)) = best(self) {
            let improved = (0..self.candidates.len()).any(|number| {
                if !self.has_effort() {
                    return false;
                }
                let mut other = gone.clone();
                if !other.remove(&number) {
                    other.insert(number);
                }
                self.attempt(&other);
                best(self).is_some_and(|(now, _)| now > saved)
            });
            if !improved {
                return;
            }
        }
    }

    /// Plans for a set, and keeps that if it saves enough. The nodes of the set that would better stay; `None` where it was not
    /// tried, since it was before, or nothing in it is replaced.
    fn attempt(&mut self, gone: &Set) -> Option<Set> {
        let is_open = |(number, candidate): (usize, &Candidate<'_>)| {
            candidate.plan.price_per_hour.is_some() || gone.contains(&number)
        };
        let replaces = gone.iter().any(|number| !self.candidates[*number].goes_anyway);
        let is_allowed = replaces && self.candidates.iter().enumerate().all(is_open);
        if !is_allowed || !self.tried.insert(gone.clone()) {
            return None;
        }
        let names = self.names(gone);
        let looked_at =
            self.inputs.snapshot.pods().len() as u64 + EFFORT_OF_WAITING * self.waiting(gone).count() as u64;
        let effort = looked_at + EFFORT_OF_LAUNCH * self.launches + EFFORT_OF_TRIAL + self.effort_of_rules(gone);
        self.effort_left = self.effort_left.saturating_sub(effort);

        let plan = self.hypothesis.plan(&names);
        let mut dropped = self.unplaceable(&plan);
        dropped.extend(self.replaced_by_their_like(gone, &plan));
        // Without new nodes it is what the removals have decided already, the last node that takes pods included.
        let is_sound = dropped.is_empty() && !plan.nodes.is_empty();
        dropped.extend(self.not_paying(gone, &plan));
        if let Some((replaced, further_savings)) = self.savings(gone, &plan).filter(|_| is_sound) {
            let disturbed = gone.iter().map(|number| self.candidates[*number].pods.len()).sum();
            self.trials.push(Trial { gone: gone.clone(), plan, replaced, further_savings, disturbed });
        }
        Some(dropped)
    }

    /// Pods of a set that would wait for a node.
    fn waiting<'s>(&'s self, gone: &'s Set) -> impl Iterator<Item = &'a Arc<Pod>> + use<'s, 'a> {
        let names = self.names(gone);
        let moving = gone.iter().flat_map(|number| self.candidates[*number].pods.iter().copied());
        moving.filter(move |pod| self.hypothesis.destination(&pod.name, &names).is_none())
    }

    /// What the rules of these pods about others add to a trial.
    fn effort_of_rules(&self, gone: &Set) -> u64 {
        let ruled = self.waiting(gone).filter(|pod| pod.neighbours != Neighbours::default()).count();
        (ruled * self.inputs.snapshot.nodes().len()) as u64 / NODES_OF_EFFORT
    }

    /// Nodes with a pod for which there is no place.
    fn unplaceable(&self, plan: &Plan) -> Set {
        let unplaceable =
            plan.pods.iter().filter(|planned| matches!(planned.verdict, provision::Verdict::Unplaceable(_)));
        unplaceable.filter_map(|planned| self.of_pod.get(&planned.pod.name).copied()).collect()
    }

    /// As many nodes as new ones of the same type come, in their zone and at their price: they had better stay. Of equal ones
    /// those that are fuller.
    fn replaced_by_their_like(&self, gone: &Set, plan: &Plan) -> Set {
        let mut coming: BTreeMap<(&str, &str, Option<Money>), usize> = BTreeMap::new();
        for PlannedNode { instance_type, zone, price_per_hour, .. } in &plan.nodes {
            *coming.entry((instance_type, zone, *price_per_hour)).or_default() += 1;
        }
        let mut staying = Set::new();
        for number in gone.iter().rev() {
            let NodePlan { node, price_per_hour, .. } = self.candidates[*number].plan;
            let label = |key: &str| node.labels.get(key).map_or("", String::as_str);
            let kind = (label(key::INSTANCE_TYPE), label(key::ZONE), *price_per_hour);
            if let Some(more) = coming.get_mut(&kind).filter(|more| **more > 0) {
                *more -= 1;
                staying.insert(*number);
            }
        }
        staying
    }

    /// Nodes that cost little more than the places of their pods on new nodes. A new node's price is shared by what its pods are
    /// worth.
    fn not_paying(&self, gone: &Set, plan: &Plan) -> Set {
        let mut spent: BTreeMap<usize, f64> = BTreeMap::new();
        // By new node, its price and what its pods are worth.
        let price = |node: &PlannedNode| node.price_per_hour.unwrap_or_default().units();
        let mut of_node: BTreeMap<&str, (f64, f64)> =
            plan.nodes.iter().map(|node| (node.name.as_str(), (price(node), 0.0))).collect();
        let planned = plan.pods.iter().filter_map(|planned| match &planned.verdict {
            provision::Verdict::Planned { node, .. } => Some((&planned.pod, node.as_str())),
            _ => None,
        });
        let planned: Vec<(usize, f64, &str)> = planned
            .filter_map(|(pod, node)| Some((*self.of_pod.get(&pod.name)?, self.worth.of_pod(pod), node)))
            .collect();
        for (_, worth, node) in &planned {
            if let Some((_, sum)) = of_node.get_mut(node) {
                *sum += worth;
            }
        }
        for (number, worth, node) in planned {
            let (price, sum) = of_node.get(node).copied().unwrap_or_default();
            if sum > 0.0 {
                *spent.entry(number).or_default() += price * worth / sum;
            }
        }
        let pays = |number: &usize| {
            let Some(price) = self.candidates[*number].plan.price_per_hour else { return true };
            spent.get(number).is_none_or(|spent| *spent < share_of(price, self.inputs.options.min_savings))
        };
        gone.iter().copied().filter(|number| !pays(number)).collect()
    }

    /// The price of what is replaced, and what is saved beyond the removals alone; `None` where that is not enough.
    fn savings(&self, gone: &Set, plan: &Plan) -> Option<(Money, Money)> {
        let price = |number: usize| self.candidates[number].price();
        let replaced: Money =
            gone.iter().filter(|number| !self.candidates[**number].goes_anyway).map(|number| price(*number)).sum();
        let stays = |number: &usize| self.candidates[*number].goes_anyway && !gone.contains(number);
        let staying: Money = (0..self.candidates.len()).filter(stays).map(price).sum();
        let spent = plan.cost_per_hour()?.saturating_add(staying);
        let saved = replaced.saturating_sub(spent);
        let needed = u128::from(replaced.get()) * u128::from(self.inputs.options.min_savings);
        (u128::from(saved.get()) * 1_000_000 > needed).then_some((replaced, saved))
    }
}

impl Candidate<'_> {
    fn price(&self) -> Money {
        self.plan.price_per_hour.unwrap_or_default()
    }
}
