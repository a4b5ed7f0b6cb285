//! Pods onto new nodes, first fit.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::existing::{ExistingMisses, place_until_nothing_changes};
use super::launch::Launches;
use super::least_waste::{Choice, Ranking};
use super::{Outcome, PlannedNode, Pool, Unplaceable, Verdict};
use crate::feasibility::{ClassId, NodeId, Refusal, Rule, Simulation};
use crate::model::{Catalog, Pod, PodName};

/// Higher priority first, since room may run out; then larger pods, which fit fewer holes; then by name.
pub(super) fn most_urgent_first(left: &Pod, right: &Pod) -> Ordering {
    let key = |pod: &Pod| Reverse((pod.priority, pod.requests.cpu, pod.requests.memory));
    key(left).cmp(&key(right)).then_with(|| left.name.cmp(&right.name))
}

/// New nodes, as they fill.
struct Packing<'a, 's> {
    catalog: &'s Catalog,
    launches: &'a Launches<'a>,
    simulation: &'s mut Simulation,
    nodes: Vec<PlannedNode>,
    /// The planned nodes in the simulation.
    joined: Vec<NodeId>,
    pools: BTreeMap<String, Pool>,
    /// Positions of the nodes of each kind, in the order in which they were opened.
    siblings: BTreeMap<String, Vec<usize>>,
    classes: BTreeMap<ClassId, ClassPlan<'a>>,
    outcomes: BTreeMap<&'a PodName, Outcome>,
    /// Pods in the order in which they were placed.
    order: Vec<&'a PodName>,
    /// Nodes are opened only where there are some already, as far as pods are spread over it.
    only_known_domains: bool,
}

/// What is decided once for a class of pods.
struct ClassPlan<'a> {
    /// Made when the first pod of the class comes, and dropped with the last.
    ranking: Option<Result<Ranking<'a>, Arc<Unplaceable>>>,
    existing: Arc<ExistingMisses>,
    unchecked_rules: Vec<Rule>,
    /// Choices that pods of the class came to, by their position in the ranking.
    choices: BTreeMap<usize, Arc<Choice>>,
    /// Kinds of nodes that its pods have come to, with how far it has come among their nodes: those before have no room
    /// for it, and never will.
    cursors: BTreeMap<String, usize>,
    /// When it was refused, and why.
    refused: Option<(u64, Arc<Unplaceable>)>,
    /// How many of its pods still wait.
    waiting: usize,
}

/// What was packed.
pub(super) struct Packed<'a> {
    pub(super) nodes: Vec<PlannedNode>,
    pub(super) pools: BTreeMap<String, Pool>,
    pub(super) outcomes: BTreeMap<&'a PodName, Outcome>,
    /// Those that were placed, in that order.
    pub(super) order: Vec<&'a PodName>,
}

/// Packs the pods that fit no existing node, in this order.
pub(super) fn pack<'a>(
    pods: &[&'a Arc<Pod>],
    catalog: &Catalog,
    launches: &'a Launches<'a>,
    simulation: &mut Simulation,
) -> Packed<'a> {
    let mut classes: BTreeMap<ClassId, ClassPlan<'_>> = BTreeMap::new();
    for class in pods.iter().filter_map(|pod| simulation.class_of(&pod.name)) {
        classes.entry(class).or_insert_with(|| ClassPlan::of(class, simulation)).waiting += 1;
    }
    let mut packing = Packing {
        catalog,
        launches,
        simulation,
        nodes: Vec::new(),
        joined: Vec::new(),
        pools: BTreeMap::new(),
        siblings: BTreeMap::new(),
        classes,
        outcomes: BTreeMap::new(),
        order: Vec::new(),
        only_known_domains: false,
    };
    packing.place_all(pods);
    packing.finish()
}

impl ClassPlan<'_> {
    /// Asks the existing nodes, as they are before any node joins.
    fn of(class: ClassId, simulation: &Simulation) -> Self {
        Self {
            ranking: None,
            existing: Arc::new(ExistingMisses::of(simulation, class)),
            unchecked_rules: simulation.unchecked_rules(class),
            choices: BTreeMap::new(),
            cursors: BTreeMap::new(),
            refused: None,
            waiting: 0,
        }
    }
}

impl<'a> Packing<'a, '_> {
    /// First every node that could join counts where pods are spread, so that none that joins later undoes what was
    /// decided before. Pods that find no place so may find one where nodes are already, and no others come.
    fn place_all(&mut self, pods: &[&'a Arc<Pod>]) {
        let mut waiting = pods.to_vec();
        self.simulation.expect_new_nodes(self.launches.nodes());
        place_until_nothing_changes(&mut waiting, |pod| self.place(pod));
        if waiting.iter().any(|pod| !pod.neighbours.spread.is_empty()) {
            self.simulation.expect_known_domains_only(self.launches.nodes());
            self.only_known_domains = true;
            place_until_nothing_changes(&mut waiting, |pod| self.place(pod));
        }
    }

    /// Places a pod, or says why it cannot be.
    fn place(&mut self, pod: &'a Arc<Pod>) -> bool {
        let Some(class) = self.simulation.class_of(&pod.name) else { return false };
        let Some(mut plan) = self.classes.remove(&class) else { return false };
        let verdict = self.verdict(&mut plan, class, pod);
        let placed = matches!(verdict, Verdict::Planned { .. });
        let existing = Some(Arc::clone(&plan.existing));
        self.outcomes.insert(&pod.name, Outcome { verdict, existing, unchecked_rules: plan.unchecked_rules.clone() });
        if placed {
            self.order.push(&pod.name);
            plan.waiting -= 1;
        }
        if plan.waiting > 0 {
            self.classes.insert(class, plan);
        }
        placed
    }

    fn verdict(&mut self, plan: &mut ClassPlan<'a>, class: ClassId, pod: &'a Pod) -> Verdict {
        let now = self.simulation.changed(class);
        if let Some((_, why)) = plan.refused.as_ref().filter(|(then, _)| *then == now) {
            return Verdict::Unplaceable(Arc::clone(why));
        }
        let ranking = plan.ranking.take().unwrap_or_else(|| self.ranking(class, pod).map_err(Arc::new));
        let verdict = match &ranking {
            Ok(ranking) => self.place_in(plan, ranking, class, pod),
            Err(unplaceable) => Verdict::Unplaceable(Arc::clone(unplaceable)),
        };
        plan.ranking = Some(ranking);
        if let Verdict::Unplaceable(why) = &verdict {
            plan.refused = Some((now, Arc::clone(why)));
        }
        verdict
    }

    fn ranking(&self, class: ClassId, pod: &Pod) -> Result<Ranking<'a>, Unplaceable> {
        let rank = |class, shapes| Ranking::of(class, &pod.requests, shapes, self.launches, self.simulation);
        if pod.claims_devices {
            return Err(Unplaceable::Devices);
        }
        self.launches.shapes(pod).map(|shapes| rank(class, shapes)).map_err(|error| {
            // What would do, were it not for the label that no new node can have.
            let nearest = self
                .launches
                .without_labels(pod)
                .and_then(|(shape, class)| rank(class, std::slice::from_ref(shape)).nearest_type(self.simulation));
            Unplaceable::Shape { error: error.clone(), nearest }
        })
    }

    /// Puts the pod on the first planned node of a kind that its class has come to, or on a new one, or beside the pods near
    /// which it must run.
    fn place_in(&mut self, plan: &mut ClassPlan<'a>, ranking: &Ranking<'a>, class: ClassId, pod: &Pod) -> Verdict {
        let mut closed = None;
        let found = plan.cursors.iter_mut().find_map(|(pool, cursor)| self.sibling(class, pool, cursor));
        let found =
            found.or_else(|| self.open(plan, ranking, class, &mut closed)).or_else(|| self.near(ranking, class));
        let Some(node) = found else {
            let miss = ranking.nearest_miss(closed, self.simulation);
            return Verdict::Unplaceable(Arc::new(miss.map_or(Unplaceable::NoTypes, Unplaceable::NoType)));
        };
        let position = ranking.position(&self.nodes[node]).unwrap_or_default();
        let choice = self.choice(plan, ranking, position);
        self.simulation.place(class, self.joined[node]);
        let planned = &mut self.nodes[node];
        planned.pods.push(pod.name.clone());
        plan.cursors.entry(planned.pool.clone()).or_default();
        Verdict::Planned { node: planned.name.clone(), pool: planned.pool.clone(), choice }
    }

    /// A node of the best launch that admits the pod: one that another class has opened already, or a new one.
    fn open(
        &mut self,
        plan: &mut ClassPlan<'a>,
        ranking: &Ranking<'a>,
        class: ClassId,
        closed: &mut Option<(usize, Refusal)>,
    ) -> Option<usize> {
        let usable =
            |position: &usize| !self.only_known_domains || !self.simulation.opens_domain(ranking.node(*position));
        let positions: Vec<usize> = ranking.admitting(self.simulation).filter(usable).collect();
        for position in positions {
            let choice = self.choice(plan, ranking, position);
            let pool = Pool::of(&choice.best, self.catalog);
            let name = pool.name();
            if let Some(node) = self.sibling(class, &name, &mut 0) {
                return Some(node);
            }
            match self.join(ranking.node(position), class) {
                Ok(joined) => return Some(self.add_node(joined, pool, &choice)),
                Err(refusal) => drop(closed.get_or_insert((position, refusal))),
            }
        }
        None
    }

    fn choice(&self, plan: &mut ClassPlan<'a>, ranking: &Ranking<'a>, position: usize) -> Arc<Choice> {
        let choice = || Arc::new(ranking.choice(position, self.launches, self.simulation));
        Arc::clone(plan.choices.entry(position).or_insert_with(choice))
    }

    /// A new node for a pod of the class. One that its own daemon pods close again is given up, and why is told.
    fn join(&mut self, like: NodeId, class: ClassId) -> Result<NodeId, Refusal> {
        let joined = self.simulation.join(like);
        match self.simulation.refusal(class, joined) {
            None => Ok(joined),
            Some(refusal) => {
                self.simulation.remove_joined(joined);
                Err(refusal)
            }
        }
    }

    fn add_node(&mut self, joined: NodeId, pool: Pool, choice: &Choice) -> usize {
        let position = self.nodes.len();
        let name = pool.name();
        self.nodes.push(new_node(position + 1, &name, choice));
        self.joined.push(joined);
        self.siblings.entry(name.clone()).or_default().push(position);
        self.pools.entry(name).or_insert(pool);
        position
    }

    /// A planned node of any kind that may run a pod of the class: for one that must run on the very node that others
    /// need.
    fn near(&self, ranking: &Ranking<'_>, class: ClassId) -> Option<usize> {
        let admits = |node: &usize| self.simulation.may_run(class, self.joined[*node]);
        (0..self.nodes.len()).filter(admits).find(|node| ranking.position(&self.nodes[*node]).is_some())
    }

    /// The first planned node of a kind that may run a pod of the class.
    fn sibling(&self, class: ClassId, pool: &str, cursor: &mut usize) -> Option<usize> {
        let siblings = self.siblings.get(pool)?;
        let mut rest = siblings.iter().copied().enumerate().skip(*cursor);
        let found = rest.find(|(_, node)| self.simulation.may_run(class, self.joined[*node]));
        if !self.simulation.depends_on_others(class) {
            *cursor = found.map_or(siblings.len(), |(at, _)| at);
        }
        found.map(|(_, node)| node)
    }

    fn finish(mut self) -> Packed<'a> {
        self.nodes.iter_mut().for_each(|node| node.pods.sort());
        Packed { nodes: self.nodes, pools: self.pools, outcomes: self.outcomes, order: self.order }
    }
}

fn new_node(number: usize, pool: &str, choice: &Choice) -> PlannedNode {
    let fit = &choice.best;
    PlannedNode {
        name: format!("planned-{number:04}"),
        instance_type: fit.instance_type.clone(),
        zone: fit.zone.clone(),
        capacity_type: fit.capacity_type.clone(),
        price_per_hour: fit.price_per_hour(),
        pool: pool.to_owned(),
        allocatable: fit.allocatable.clone(),
        daemon_requests: fit.daemon_requests.clone(),
        pods: Vec::new(),
    }
}
