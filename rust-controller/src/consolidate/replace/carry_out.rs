//! A replacement done step by step: the new nodes are there, and the others are emptied one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::candidates::survey;
use super::super::evictions::Evictions;
use super::super::fleet::Fleet;
use super::super::joint::Joint;
use super::super::replay::replay;
use super::super::requested::Requested;
use super::super::written::Writer;
use super::super::{NodePlan, displaced};
use super::choice::{Choice, Trial};
use super::{Inputs, Replacement};
use crate::feasibility::{ClassId, Simulation};
use crate::model::{AttachLimits, Node, Offering, Pod, PodName, Resources, key};
use crate::provision::{Plan, PlannedNode, daemon_pods, unknown_attach_limits};
use crate::snapshot::Snapshot;

/// The replacement in its order.
///
/// # Errors
/// Names the nodes that could not be emptied, since rules refuse a pod at its turn; none where a new node got no pod.
pub(super) fn carry_out(
    inputs: &Inputs<'_>,
    choice: &Choice<'_>,
    (trial, gone): (&Trial, &BTreeSet<&str>),
) -> Result<Replacement, BTreeSet<String>> {
    let Inputs { catalog, consolidation, options, .. } = inputs;
    if inputs.snapshot.nodes().iter().any(|node| trial.plan.node(&node.name).is_some()) {
        // A node that is there is called like a planned one, and nobody could tell them apart.
        return Err(BTreeSet::new());
    }
    let snapshot = joined(inputs, &trial.plan);
    let pods_by_node = snapshot.pods_by_node();
    let evictions = Evictions::of(&snapshot);
    let plans = survey(&snapshot, &pods_by_node, &evictions, catalog, options);
    let pods_on = |node: &str| pods_by_node.get(node).map_or(&[][..], Vec::as_slice);
    let simulation = simulation(inputs, &snapshot, &trial.plan);
    let mut fleet = Fleet::of(simulation, &plans, &snapshot);
    let number = |name: &str| plans.binary_search_by(|plan| plan.node.name.as_str().cmp(name)).ok();
    displaced::redo(&mut fleet, consolidation, &number);
    let mut order: Vec<usize> = gone.iter().filter_map(|name| number(name)).collect();
    // From the emptiest up.
    order.sort_by_key(|node| (plans[*node].utilization().largest(), *node));
    let joint = joint(&fleet, &order, &|pod| number(choice.destination(pod, trial, gone)?));
    let steps = replay(&mut fleet, &joint, order.clone());
    let emptied: BTreeSet<usize> = steps.iter().map(|step| step.node).collect();
    let stuck = order.iter().filter(|node| !emptied.contains(node)).map(|node| plans[*node].node.name.clone());
    let stuck: BTreeSet<String> = stuck.collect();
    if !stuck.is_empty() {
        return Err(stuck);
    }
    let requested_of = |name: &str| {
        let daemons = trial.plan.node(name).map(|node| &node.daemon_requests);
        Resources::sum(pods_on(name).iter().map(|pod| &pod.requests).chain(daemons))
    };
    let expected = consolidation.expected().map(|(pod, node)| (&**pod, node));
    let requested = Requested::new(expected, &requested_of, &plans);
    let mut writer = Writer::new(&fleet, plans, &evictions, requested);
    writer.write_removals(&steps);
    let removals: Vec<NodePlan> = steps.iter().map(|step| writer.plans[step.node].clone()).collect();
    replacement(inputs, trial, removals, gone).ok_or_else(BTreeSet::new)
}

/// The cluster with the new nodes.
fn joined(Inputs { snapshot, catalog, provisioning, .. }: &Inputs<'_>, plan: &Plan) -> Snapshot {
    let node = |planned: &PlannedNode| {
        let kind = catalog.node_type(&planned.instance_type)?;
        let is_offered =
            |offering: &&Offering| (&offering.zone, &offering.capacity_type) == (&planned.zone, &planned.capacity_type);
        let mut labels = kind.labels_as(kind.offerings.iter().find(is_offered)?);
        let pool = plan.pools.get(&planned.pool)?;
        labels.extend(pool.labels.clone());
        // A host of its own; what it will be called matters to nobody.
        labels.insert(key::HOSTNAME.to_owned(), planned.name.clone());
        Some(Arc::new(Node {
            name: planned.name.clone(),
            labels,
            taints: pool.taints.clone(),
            unschedulable: false,
            ready: true,
            deleting: false,
            allocatable: provisioning.usable(&planned.allocatable),
            provider_id: None,
            do_not_disrupt: None,
        }))
    };
    let attachable = |planned: &PlannedNode| {
        let limits = &catalog.node_type(&planned.instance_type)?.attach_limits;
        let counted = limits.iter().filter_map(|(driver, count)| Some((driver.clone(), (*count)?)));
        Some(AttachLimits { node: planned.name.clone(), volumes: counted.collect(), unlimited: BTreeSet::new() })
    };
    let mut extras = snapshot.extras().clone();
    if let Some(limits) = &mut extras.attach_limits {
        let of_new = plan.nodes.iter().filter_map(attachable);
        limits.extend(of_new.map(|of_node| (of_node.node.clone(), Arc::new(of_node))));
    }
    snapshot.with_more_nodes(plan.nodes.iter().filter_map(node)).with_extras(extras)
}

/// All pods where they are; those that wait and fit existing nodes, and the daemon pods of the new nodes, have come.
fn simulation(inputs: &Inputs<'_>, joined: &Snapshot, plan: &Plan) -> Simulation {
    let daemons = daemon_pods(inputs.snapshot);
    let mut simulation = Simulation::with_more_pods(joined, &daemons, []);
    for (pod, node) in &inputs.consolidation.reserved {
        if let Some((class, node)) = simulation.class_of(&pod.name).zip(simulation.node(node)) {
            simulation.place(class, node);
        }
    }
    let classes: Vec<ClassId> = (0..daemons.len()).filter_map(|daemon| simulation.class_of_more(daemon)).collect();
    for node in plan.nodes.iter().filter_map(|planned| simulation.node(&planned.name)).collect::<Vec<_>>() {
        for class in &classes {
            if simulation.takes_daemon(*class, node) {
                simulation.place(*class, node);
            }
        }
    }
    simulation
}

/// Where the pods of these nodes are to go.
fn joint(fleet: &Fleet<'_>, nodes: &[usize], destination: &dyn Fn(&PodName) -> Option<usize>) -> Joint {
    let of_node = |node: &usize| {
        let passengers = fleet.stops[*node].passengers.iter();
        (*node, passengers.map(|passenger| destination(&passenger.pod.name)).collect())
    };
    Joint { removed: nodes.to_vec(), destinations: nodes.iter().map(of_node).collect() }
}

/// What becomes of all nodes, once it is known where the pods go; `None` where a new node would have none.
fn replacement(
    inputs: &Inputs<'_>,
    trial: &Trial,
    removals: Vec<NodePlan>,
    gone: &BTreeSet<&str>,
) -> Option<Replacement> {
    let mut pods_on: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for each in removals.iter().flat_map(|plan| &plan.moves) {
        pods_on.entry(&each.destination).or_default().push(&each.pod);
    }
    let Trial { plan, replaced, further_savings, .. } = trial;
    let mut nodes = plan.nodes.clone();
    for node in &mut nodes {
        node.pods = pods_on.get(node.name.as_str())?.iter().map(|pod| pod.name.clone()).collect();
        node.pods.sort();
    }
    let with_pods = nodes.iter().filter_map(|node| Some((&*node.instance_type, pods_on.remove(node.name.as_str())?)));
    let unknown_attach_limits = unknown_attach_limits(with_pods, inputs.catalog, inputs.snapshot.extras());
    let stays = |name: &&String| !gone.contains(name.as_str());
    let staying = inputs.consolidation.removals.iter().filter(stays).cloned().collect();
    Some(Replacement {
        nodes,
        pools: plan.pools.clone(),
        unknown_attach_limits,
        removals,
        staying,
        replaced_per_hour: *replaced,
        further_savings_per_hour: *further_savings,
    })
}
