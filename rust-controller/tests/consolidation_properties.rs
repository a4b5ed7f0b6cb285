//! Laws of consolidations, on random small clusters: a naive simulator can do what they say, step by step.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/clusters.rs"]
mod clusters;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clusters::{Amounts, Case, Random, accepts, any_case, for_each_case, free_on, has_room, subtract};
use mini_karpenter::check::{check_consolidation, check_lower_bound};
use mini_karpenter::consolidate::{
    BlockReason, Consolidation, NodePlan, Options, Verdict, WhyKept, consolidate, lower_bound, obstacles,
};
use mini_karpenter::document::{
    ConsolidationDocument, ConsolidationOutcome, config_maps_yaml, consolidation_config_maps, consolidation_table, json,
};
use mini_karpenter::model::{Node, Owner, Phase, Placement, Pod, PodName, SchedulingState, TaintEffect, key};
use mini_karpenter::provision;
use mini_karpenter::snapshot::MeasuredUsage;
use mini_karpenter::units::{Cpu, Memory};
use serde_json::Value;

const CASES: u64 = 1500;

/// A cluster of which most pods run.
fn running_case(random: &mut Random) -> Case {
    let mut case = any_case(random);
    let nodes = case.nodes.clone();
    let scale = *random.pick(&[1, 2, 4, 8]);
    for pod in &mut case.pods {
        let pod = Arc::make_mut(pod);
        if pod.scheduling == SchedulingState::Unschedulable && !nodes.is_empty() && random.chance(90) {
            pod.phase = Phase::Running;
            pod.scheduling = SchedulingState::Bound(random.pick(&nodes).name.clone());
        }
        // Few pods that block their node by themselves, and many that could go to several others.
        if pod.owner.is_none() && random.chance(70) {
            pod.owner = Some(Owner { kind: "StatefulSet".to_owned(), name: "s".to_owned() });
        }
        if random.chance(60) && !ends_with_its_node(pod) {
            pod.placement = Placement::default();
        }
        pod.requests.cpu = Cpu::millicores(pod.requests.cpu.get() / scale);
        pod.requests.memory = Memory::bytes(pod.requests.memory.get() / scale);
    }
    case
}

fn options(random: &mut Random) -> Options {
    Options { threshold: *random.pick(&[200_000, 500_000, 800_000, 1_000_000]), ..Options::default() }
}

fn consolidation(case: &Case, options: &Options) -> Consolidation {
    consolidate(&case.snapshot(), &case.catalog, options)
}

fn node<'a>(case: &'a Case, name: &str) -> Option<&'a Node> {
    case.nodes.iter().find(|node| node.name == name).map(|node| &**node)
}

fn pods_on<'a>(case: &'a Case, name: &str) -> Vec<&'a Pod> {
    let here = |pod: &&Pod| match &pod.scheduling {
        SchedulingState::Bound(at) | SchedulingState::Nominated(at) => pod.phase != Phase::Finished && at == name,
        _ => false,
    };
    case.pods.iter().map(|pod| &**pod).filter(here).collect()
}

/// Pods that end with their node: its own, static ones, and those that are ending already.
fn ends_with_its_node(pod: &Pod) -> bool {
    pod.mirror || pod.deleting || pod.owner.as_ref().is_some_and(|owner| owner.kind == "DaemonSet")
}

/// Whether a node may go, destinations aside.
fn may_go(case: &Case, node: &Node) -> bool {
    let pods = pods_on(case, &node.name);
    let stuck = |pod: &&Pod| pod.owner.is_none() || matches!(pod.scheduling, SchedulingState::Nominated(_));
    !node.allocatable.cpu.is_zero()
        && !node.allocatable.memory.is_zero()
        && node.ready
        && !node.deleting
        && !node.unschedulable
        && !node.labels.contains_key(key::CONTROL_PLANE)
        && !expected(case).iter().any(|(_, at)| *at == node.name)
        && !pods.into_iter().filter(|pod| !ends_with_its_node(pod)).any(|pod| stuck(&pod))
}

/// Pods that are to come before anything goes, each with its node: unschedulable ones, and those of nodes that are being
/// deleted, where the consolidation keeps room for them.
fn expected(case: &Case) -> Vec<(Arc<Pod>, String)> {
    let consolidation = consolidation(case, &Options::default());
    consolidation.expected().map(|(pod, node)| (Arc::clone(pod), node.to_owned())).collect()
}

/// Nodes that pods may move to, with the room that is left beside the pods that are to come there.
fn rooms(case: &Case, removed: &BTreeSet<&str>) -> BTreeMap<String, Amounts> {
    let stays = |node: &&Arc<Node>| {
        let is_worker = !node.labels.contains_key(key::CONTROL_PLANE);
        node.ready && !node.deleting && is_worker && !removed.contains(node.name.as_str())
    };
    let mut rooms: BTreeMap<String, Amounts> =
        case.nodes.iter().filter(stays).map(|node| (node.name.clone(), free_on(node, &case.pods))).collect();
    for (pod, node) in expected(case) {
        if let Some(room) = rooms.get_mut(&node) {
            subtract(room, &pod.requests);
        }
    }
    rooms
}

/// Whether one of the nodes is left that take pods, and one of those that take pods without tolerations, if there are any.
fn some_node_stays(case: &Case, removed: &BTreeSet<&str>) -> bool {
    let takes_pods = |node: &&Arc<Node>| {
        let is_open = node.ready && !node.deleting && !node.unschedulable;
        is_open && !node.labels.contains_key(key::CONTROL_PLANE)
    };
    let is_hard = |effect: TaintEffect| effect == TaintEffect::NoSchedule || effect == TaintEffect::NoExecute;
    let takes_any = |node: &&Arc<Node>| !node.taints.iter().any(|taint| is_hard(taint.effect));
    let stays = |node: &&Arc<Node>| !removed.contains(node.name.as_str());
    let taking: Vec<&Arc<Node>> = case.nodes.iter().filter(takes_pods).collect();
    let taking_any: Vec<&Arc<Node>> = taking.iter().copied().filter(takes_any).collect();
    taking.iter().any(stays) && (taking_any.is_empty() || taking_any.iter().any(stays))
}

#[test]
fn room_is_kept_for_the_pods_that_a_plan_sends_to_existing_nodes() {
    let mut kept = [0, 0];
    for_each_case(CASES, running_case, |case, random| {
        let reserved = consolidation(case, &options(random)).reserved;
        let plan = provision::plan(&case.snapshot(), &case.catalog, &provision::Options::default());
        let fits = |planned: &&provision::PodPlan| matches!(planned.verdict, provision::Verdict::FitsExisting { .. });
        let fitting: BTreeSet<&PodName> = plan.pods.iter().filter(fits).map(|planned| &planned.pod.name).collect();
        let is_judged = |pod: &&Arc<Pod>| pod.scheduling == SchedulingState::Unschedulable;
        let reserved: Vec<&Arc<Pod>> = reserved.iter().map(|(pod, _)| pod).collect();
        kept[0] += reserved.len();
        let judged: BTreeSet<&PodName> = reserved.into_iter().filter(is_judged).map(|pod| &pod.name).collect();
        kept[1] += judged.len();
        judged.symmetric_difference(&fitting).map(|pod| format!("{pod} fits, or has room kept for it")).collect()
    });
    // Room is kept as well for those that the scheduler has not judged yet.
    assert!(kept[0] > kept[1] && kept[1] > 100, "the cases say little: room for {kept:?} pods");
}

#[test]
fn the_checker_finds_nothing() {
    let mut bounds = [0, 0];
    for_each_case(CASES, running_case, |case, random| {
        let (snapshot, catalog) = (case.snapshot(), &case.catalog);
        let mut decided = consolidation(case, &options(random));
        let mut found = check_consolidation(&snapshot, catalog, &decided);
        let provisioning =
            provision::Options { headroom: *random.pick(&[0, 100_000]), ..provision::Options::default() };
        decided.bound = lower_bound(&snapshot, (catalog, &provisioning), &decided);
        bounds[decided.objective as usize] += usize::from(decided.bound.is_some());
        found.extend(check_lower_bound(&snapshot, (catalog, &provisioning), &decided));
        found.iter().map(ToString::to_string).collect()
    });
    assert!(bounds.iter().all(|count| *count > 100), "the cases say little: {bounds:?} bounds");
}

/// Does what a consolidation says, and writes down what cannot be done.
fn replay(case: &Case, consolidation: &Consolidation) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut rooms = rooms(case, &BTreeSet::new());
    let mut moved: BTreeSet<&PodName> = BTreeSet::new();
    let plans: BTreeMap<&str, &NodePlan> =
        consolidation.nodes.iter().map(|plan| (plan.node.name.as_str(), plan)).collect();
    for removed in &consolidation.removals {
        let plan = plans[removed.as_str()];
        if rooms.remove(removed).is_none() || !may_go(case, node(case, removed).unwrap()) {
            complaints.push(format!("{removed} may not go"));
        }
        let mut destinations: BTreeMap<&PodName, &str> =
            plan.moves.iter().map(|each| (&each.pod.name, each.destination.as_str())).collect();
        for pod in pods_on(case, removed).into_iter().filter(|pod| !ends_with_its_node(pod)) {
            let Some(destination) = destinations.remove(&pod.name) else {
                complaints.push(format!("{} is left behind", pod.name));
                continue;
            };
            let Some(room) = rooms.get_mut(destination) else {
                complaints.push(format!("{} moves to {destination}, which is no place to be", pod.name));
                continue;
            };
            if !has_room(room, &pod.requests) || !accepts(node(case, destination).unwrap(), pod) {
                complaints.push(format!("{} does not fit {destination}", pod.name));
            }
            subtract(room, &pod.requests);
            if !moved.insert(&pod.name) {
                complaints.push(format!("{} moves twice", pod.name));
            }
        }
        complaints.extend(destinations.keys().map(|pod| format!("{pod} is not on {removed} and moves")));
    }
    let removed: BTreeSet<&str> = consolidation.removals.iter().map(String::as_str).collect();
    if !removed.is_empty() && !some_node_stays(case, &removed) {
        complaints.push("no node is left".to_owned());
    }
    for plan in &consolidation.nodes {
        let goes = consolidation.removals.contains(&plan.node.name);
        if goes != (plan.verdict == Verdict::Remove) || (!goes && !plan.node.deleting && !plan.moves.is_empty()) {
            complaints.push(format!("{} goes, or does not", plan.node.name));
        }
        for destination in plan.moves.iter().map(|each| &each.destination) {
            if consolidation.removals.contains(destination) {
                complaints.push(format!("{destination} goes and receives pods"));
            }
        }
    }
    complaints
}

#[test]
fn a_naive_simulator_can_do_it_step_by_step() {
    let (mut removals, mut moves) = (0, 0);
    for_each_case(CASES, running_case, |case, random| {
        let options = options(random);
        let consolidation = consolidation(case, &options);
        removals += consolidation.removals.len();
        moves += consolidation.nodes.iter().map(|plan| plan.moves.len()).sum::<usize>();
        replay(case, &consolidation)
    });
    assert!(removals > 300 && moves > 300, "the cases say little: {removals} removals, {moves} moves");
}

#[test]
fn a_node_that_stays_says_what_keeps_it() {
    for_each_case(CASES, running_case, |case, random| {
        let consolidation = consolidation(case, &options(random));
        let mut complaints = Vec::new();
        let mut rooms = rooms(case, &consolidation.removals.iter().map(String::as_str).collect());
        let removed = consolidation.nodes.iter().filter(|plan| plan.verdict == Verdict::Remove);
        for each in removed.flat_map(|plan| &plan.moves) {
            subtract(rooms.get_mut(&each.destination).unwrap(), &each.pod.requests);
        }
        for plan in &consolidation.nodes {
            let name = &plan.node.name;
            let movable: Vec<&Pod> = pods_on(case, name).into_iter().filter(|pod| !ends_with_its_node(pod)).collect();
            let is_destination = consolidation.moves().any(|each| each.destination == *name);
            for blocker in &plan.blockers {
                let Some(pod) = movable.iter().find(|pod| pod.name == blocker.pod) else {
                    complaints.push(format!("{} blocks {name} and does not need to move", blocker.pod));
                    continue;
                };
                let agrees = match &blocker.reason {
                    BlockReason::NoController => pod.owner.is_none(),
                    BlockReason::Nominated => matches!(pod.scheduling, SchedulingState::Nominated(_)),
                    // These clusters have no budgets, annotations or local volumes.
                    BlockReason::Budget(_)
                    | BlockReason::StaleBudget(_)
                    | BlockReason::SeveralBudgets(_)
                    | BlockReason::DoNotDisrupt(_)
                    | BlockReason::LocalVolume(_) => false,
                    BlockReason::NoDestination { alone, .. } => {
                        let takers = rooms.iter().filter(|(other, room)| {
                            *other != name && has_room(room, &pod.requests) && accepts(node(case, other).unwrap(), pod)
                        });
                        // What its neighbours take would be enough for it.
                        takers.count() == *alone && (*alone == 0 || movable.len() > 1 || is_destination)
                    }
                };
                if !agrees {
                    complaints.push(format!(
                        "{} on {name} is no blocker: {:?} {:?}",
                        blocker.pod, blocker.reason, plan.verdict
                    ));
                }
            }
        }
        complaints
    });
}

/// Who needs another place if a node goes, and could have one: pods that come there, and its own.
fn movers<'a>(case: &'a Case, consolidation: &'a Consolidation, plan: &NodePlan) -> Vec<&'a Pod> {
    let name = &plan.node.name;
    let removed = consolidation.nodes.iter().filter(|other| other.verdict == Verdict::Remove);
    let guests = removed.flat_map(|other| &other.moves).filter(|each| each.destination == *name);
    let is_lost = |pod: &Pod| pod.owner.is_none() || matches!(pod.scheduling, SchedulingState::Nominated(_));
    let own = pods_on(case, name).into_iter().filter(|pod| !ends_with_its_node(pod) && !is_lost(pod));
    let mut movers: Vec<&Pod> = guests.map(|each| &*each.pod).chain(own).collect();
    movers.sort_by_key(|pod| std::cmp::Reverse((pod.requests.cpu, pod.requests.memory)));
    movers
}

/// All that is said of those without a place says the same, and what is said to be the least is the least.
#[test]
fn pods_without_a_place_are_the_same_everywhere_and_as_few_as_possible() {
    let (mut least, mut as_tried) = (0, 0);
    for_each_case(CASES, running_case, |case, random| {
        let consolidation = consolidation(case, &options(random));
        let snapshot = case.snapshot();
        let mut complaints = Vec::new();
        let mut rooms = rooms(case, &consolidation.removals.iter().map(String::as_str).collect());
        let removed = consolidation.nodes.iter().filter(|plan| plan.verdict == Verdict::Remove);
        for each in removed.flat_map(|plan| &plan.moves) {
            subtract(rooms.get_mut(&each.destination).unwrap(), &each.pod.requests);
        }
        for plan in consolidation.nodes.iter().filter(|plan| plan.verdict != Verdict::Remove) {
            let explained: BTreeSet<PodName> =
                obstacles(&snapshot, &consolidation, plan).into_iter().map(|each| each.pod).collect();
            let homeless = plan.blockers.iter().filter(|each| matches!(each.reason, BlockReason::NoDestination { .. }));
            let own: BTreeSet<&PodName> = homeless.map(|blocker| &blocker.pod).collect();
            let here = pods_on(case, &plan.node.name);
            let explained_own: BTreeSet<&PodName> =
                explained.iter().filter(|name| here.iter().any(|pod| pod.name == **name)).collect();
            let why = plan.receives.as_ref().map(|receives| receives.why);
            let count = if let Some(WhyKept::WithoutPlace { pods, .. }) = why { pods } else { own.len() };
            if explained_own != own || explained.len() != count {
                complaints.push(format!("{}: {own:?} and {explained:?} of {why:?}", plan.node.name));
            }
            if let Some(WhyKept::WithoutPlace { pods, is_least }) = why {
                let movers = movers(case, &consolidation, plan);
                let mut rooms = rooms.clone();
                rooms.remove(&plan.node.name);
                let fewer = pack(case, &movers, pods - 1, &mut rooms);
                (least, as_tried) = (least + usize::from(is_least), as_tried + usize::from(!is_least));
                if fewer && is_least {
                    complaints.push(format!("{}: fewer than {pods} of {} are enough", plan.node.name, movers.len()));
                }
            }
        }
        complaints
    });
    println!("{least} counts are the least, {as_tried} are as tried");
    assert!(least > 100 && as_tried * 20 < least, "{least} counts are the least, {as_tried} are as tried");
}

/// Whether all of these pods but so many find room, by trying everything.
fn pack(case: &Case, pods: &[&Pod], spare: usize, rooms: &mut BTreeMap<String, Amounts>) -> bool {
    let Some((pod, rest)) = pods.split_first() else { return true };
    let names: Vec<String> = rooms.keys().cloned().collect();
    for name in names {
        if has_room(&rooms[&name], &pod.requests) && accepts(node(case, &name).unwrap(), pod) {
            let before = rooms[&name].clone();
            subtract(rooms.get_mut(&name).unwrap(), &pod.requests);
            if pack(case, rest, spare, rooms) {
                return true;
            }
            rooms.insert(name, before);
        }
    }
    spare > 0 && pack(case, rest, spare - 1, rooms)
}

/// What each node that may go counts: its price, or, where one is not known, its size, a core as much as 4 GiB.
fn weights(case: &Case) -> BTreeMap<&str, u64> {
    let may_go: Vec<&Arc<Node>> = case.nodes.iter().filter(|node| may_go(case, node)).collect();
    let prices: Option<Vec<u64>> =
        may_go.iter().map(|node| Some(case.catalog.price_per_hour(&node.labels)?.get())).collect();
    let size = |node: &&Arc<Node>| node.allocatable.cpu.get() + node.allocatable.memory.get() / (4 << 20);
    let weights = prices.unwrap_or_else(|| may_go.iter().map(size).collect());
    may_go.iter().map(|node| node.name.as_str()).zip(weights).collect()
}

/// The most weight that could go together, over all sets of nodes. Pods that can all be where they end up can get there
/// in any order, since room on the nodes that stay only shrinks.
fn most_removable(case: &Case, weights: &BTreeMap<&str, u64>) -> u64 {
    let candidates: Vec<&str> = weights.keys().copied().collect();
    let mut most = 0;
    for subset in 0_u32..1 << candidates.len() {
        let chosen = |at: usize| subset >> at & 1 == 1;
        let removed: BTreeSet<&str> = (0..candidates.len()).filter(|at| chosen(*at)).map(|at| candidates[at]).collect();
        let weight = removed.iter().map(|name| weights[name]).sum();
        if weight <= most {
            continue;
        }
        let mut pods: Vec<&Pod> = removed.iter().flat_map(|name| pods_on(case, name)).collect();
        pods.retain(|pod| !ends_with_its_node(pod));
        pods.sort_by_key(|pod| std::cmp::Reverse((pod.requests.cpu, pod.requests.memory)));
        if some_node_stays(case, &removed) && pack(case, &pods, 0, &mut rooms(case, &removed)) {
            most = weight;
        }
    }
    most
}

#[test]
fn what_goes_is_the_most_that_exhaustive_search_can_remove() {
    let (mut optimal, mut compared) = (0, 0);
    for_each_case(CASES, running_case, |case, random| {
        let options = options(random);
        let weights = weights(case);
        let removed: u64 = consolidation(case, &options).removals.iter().map(|name| weights[name.as_str()]).sum();
        let most = most_removable(case, &weights);
        optimal += u32::from(most > 0 && removed == most);
        compared += u32::from(most > 0);
        if removed > most { vec![format!("removes {removed} of at most {most}")] } else { Vec::new() }
    });
    println!("{optimal} of {compared} clusters with something to remove are at the optimum");
    assert!(compared > 300, "the cases say little");
    assert!(optimal * 100 >= compared * 99, "{optimal} of {compared} are at the optimum");
}

fn documents(case: &Case, options: &Options) -> [String; 3] {
    let consolidation = consolidation(case, options);
    let outcome = ConsolidationOutcome {
        consolidation: &consolidation,
        catalog: &case.catalog,
        options: (&provision::Options::default(), options),
        usage: &MeasuredUsage::NotAsked,
        skipped: &[],
        unread_kinds: Vec::new(),
    };
    [
        json(&ConsolidationDocument::new(&outcome)),
        consolidation_table(&outcome),
        config_maps_yaml(&consolidation_config_maps(&outcome), "aula07"),
    ]
}

#[test]
fn the_same_objects_in_any_order_give_the_same_bytes() {
    for_each_case(CASES / 3, running_case, |case, random| {
        let options = options(random);
        let expected = documents(case, &options);
        let agree = (0..3).all(|_| documents(&case.shuffled(random), &options) == expected);
        if agree { Vec::new() } else { vec!["another order, another document".to_owned()] }
    });
}

#[test]
fn totals_add_up_and_a_config_map_stands_for_each_underutilized_node() {
    for_each_case(CASES / 3, running_case, |case, random| {
        let options = options(random);
        let [document, _, maps] = documents(case, &options);
        let document: Value = serde_json::from_str(&document).unwrap();
        let totals = &document["totals"];
        let number = |name: &str| totals[name].as_f64();
        let mut complaints = Vec::new();
        let removals = document["removals"].as_array().unwrap().len();
        if totals["nodesBefore"] != case.nodes.len() || totals["nodesAfter"] != case.nodes.len() - removals {
            complaints.push(format!("{totals}"));
        }
        if let (Some(before), Some(after), Some(savings)) =
            (number("costBefore"), number("costAfter"), number("savingsPerHour"))
            && (before - after - savings).abs() > 1e-9
        {
            complaints.push(format!("{totals}"));
        }
        for entry in document["nodes"].as_array().unwrap() {
            let name = entry["node"].as_str().unwrap();
            let published = maps.contains(&format!("name: consolidation-{name}\n"));
            let usage = ["cpu", "memory"].map(|resource| entry["utilization"][resource].as_f64().unwrap());
            #[expect(clippy::cast_precision_loss, reason = "at most a million")]
            let under = usage[0].max(usage[1]) < options.threshold as f64 / 1e6;
            if under != (entry["underutilized"] == true) || under != published {
                complaints.push(format!("{entry}, published: {published}"));
            }
        }
        complaints
    });
}
