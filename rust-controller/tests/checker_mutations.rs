//! The judge of consolidations, judged on random fleets with budgets: whatever is changed in a plan that passes, it objects.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/fleets.rs"]
#[expect(dead_code, reason = "tests of what is saved use the rest")]
mod fleets;
#[path = "common/random.rs"]
#[expect(dead_code, reason = "tests that show the smallest bad case use the rest")]
mod random;
#[path = "common/sums.rs"]
mod sums;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use fleets::{TYPES, fleet, manifest};
use mini_karpenter::check::{check_consolidation, check_lower_bound};
use mini_karpenter::consolidate::{
    Consolidation, FleetBound, Move, NodePlan, Objective, Options, Verdict, consolidate, lower_bound,
};
use mini_karpenter::model::{Catalog, PodName};
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::units::{Cpu, Money};
use mini_karpenter::{catalog, lower, provision};
use random::Random;
use sums::with_sums;

const CASES: u64 = 60;

/// A fleet whose pods are under one of three budgets each, and its plan.
struct Judged {
    snapshot: Snapshot,
    catalog: Catalog,
    plan: Consolidation,
}

impl Judged {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let (hosts, guests) = fleet(&mut random, [4, 14], [8, 40]);
        let mut text = manifest(&hosts, &guests);
        for app in ["none", "apart-0", "apart-1"] {
            let allowed = random.between(1, 3);
            let _ = write!(
                text,
                "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: {app}}}\nspec: {{selector: {{matchLabels: {{app: {app}}}}}}}\n\
                 status: {{disruptionsAllowed: {allowed}}}\n"
            );
        }
        let snapshot = lower::parse_manifest(&text).unwrap().into_snapshot();
        let catalog = catalog::parse("test", TYPES).unwrap();
        let mut plan = consolidate(&snapshot, &catalog, &Options::default());
        plan.bound = lower_bound(&snapshot, (&catalog, &provision::Options::default()), &plan);
        let judged = Self { snapshot, catalog, plan };
        assert!(!judged.objects(&judged.plan), "seed {seed}");
        judged
    }

    fn objects(&self, plan: &Consolidation) -> bool {
        let provisioning = provision::Options::default();
        !check_consolidation(&self.snapshot, &self.catalog, plan).is_empty()
            || !check_lower_bound(&self.snapshot, (&self.catalog, &provisioning), plan).is_empty()
    }

    /// Changes the plan of one node.
    fn changed(&self, node: &str, change: impl FnOnce(&mut NodePlan)) -> Consolidation {
        let mut plan = self.plan.clone();
        change(plan.nodes.iter_mut().find(|plan| plan.node.name == node).unwrap());
        plan
    }

    fn removed(&self) -> Vec<&NodePlan> {
        let of_name = |name: &String| self.plan.nodes.iter().find(|plan| plan.node.name == *name).unwrap();
        self.plan.removals.iter().map(of_name).collect()
    }
}

/// Makes every change of each plan, and counts them; each that the judge lets pass is a complaint.
fn every_change_is_noticed(least: usize, changes: impl Fn(&Judged) -> Vec<(String, Consolidation)>) {
    let mut made = 0;
    for seed in 0..CASES {
        let judged = Judged::new(seed);
        for (what, plan) in changes(&judged) {
            made += 1;
            assert!(judged.objects(&plan), "seed {seed}: {what} goes unnoticed");
        }
    }
    assert!(made >= least, "the cases say little: {made} changes");
}

#[test]
fn a_changed_destination() {
    every_change_is_noticed(1000, |judged| {
        let mut changes = Vec::new();
        for plan in judged.removed() {
            for (at, each) in plan.moves.iter().enumerate() {
                let others = judged.plan.nodes.iter().filter(|other| other.node.name != each.destination);
                changes.extend(others.map(|other| {
                    let to = &other.node.name;
                    let sent = judged.changed(&plan.node.name, |plan| to.clone_into(&mut plan.moves[at].destination));
                    (format!("{} sent to {to}", each.pod.name), sent)
                }));
            }
        }
        changes
    });
}

#[test]
fn two_removals_in_each_others_place() {
    every_change_is_noticed(100, |judged| {
        let destinations = |plan: &NodePlan| -> BTreeSet<String> {
            plan.destinations.iter().map(|each| each.node.name.clone()).collect()
        };
        let mut changes = Vec::new();
        for (first, earlier) in judged.removed().into_iter().enumerate() {
            for (second, later) in judged.removed().into_iter().enumerate().skip(first + 1) {
                // Two of one wave that share no destination may go in any order.
                if earlier.wave != later.wave || !destinations(earlier).is_disjoint(&destinations(later)) {
                    let mut swapped = judged.plan.clone();
                    swapped.removals.swap(first, second);
                    changes.push((format!("{} and {}", earlier.node.name, later.node.name), swapped));
                }
            }
        }
        changes
    });
}

#[test]
fn wrong_sums_of_destinations() {
    every_change_is_noticed(300, |judged| {
        let mut changes = Vec::new();
        for plan in judged.removed() {
            let name = &plan.node.name;
            for (at, destination) in plan.destinations.iter().enumerate() {
                let to = &destination.node.name;
                let more = |amounts: &mut Cpu| *amounts = amounts.saturating_add(Cpu::millicores(1));
                let before = judged.changed(name, |plan| more(&mut plan.destinations[at].before.cpu));
                let after = judged.changed(name, |plan| more(&mut plan.destinations[at].after.cpu));
                let pods = judged.changed(name, |plan| plan.destinations[at].after.pods += 1);
                let missing = judged.changed(name, |plan| drop(plan.destinations.remove(at)));
                let twice = judged.changed(name, |plan| plan.destinations.push(destination.clone()));
                let wrong = [before, after, pods, missing, twice];
                changes.extend(wrong.map(|plan| (format!("{name} to {to}"), plan)));
            }
        }
        changes
    });
}

#[test]
fn wrong_waves_and_turns() {
    let (mut waves, mut turns) = (BTreeMap::new(), 0);
    for seed in 0..CASES {
        for plan in Judged::new(seed).removed() {
            *waves.entry(plan.wave).or_insert(0) += 1;
            turns += plan.in_turns.len();
        }
    }
    assert!(waves.len() >= 4 && turns >= 20, "the cases say little: {waves:?}, {turns}");
    every_change_is_noticed(500, |judged| {
        let mut changes = Vec::new();
        for plan in judged.removed() {
            let name = &plan.node.name;
            for wave in [plan.wave + 1, plan.wave - 1, 0].into_iter().filter(|wave| *wave != plan.wave) {
                changes.push((format!("wave {wave} of {name}"), judged.changed(name, |plan| plan.wave = wave)));
            }
            for at in 0..plan.in_turns.len() {
                let none = judged.changed(name, |plan| drop(plan.in_turns.remove(at)));
                let more = judged.changed(name, |plan| plan.in_turns[at].pods += 1);
                let other = judged.changed(name, |plan| plan.in_turns[at].allowed -= 1);
                changes.extend([none, more, other].map(|plan| (format!("turns of {name}"), plan)));
            }
        }
        // All at once.
        if judged.removed().iter().any(|plan| plan.wave > 1) {
            let mut at_once = judged.plan.clone();
            at_once.nodes.iter_mut().filter(|plan| plan.wave > 1).for_each(|plan| plan.wave = 1);
            changes.push(("one wave".to_owned(), at_once));
        }
        changes
    });
}

#[test]
fn a_removal_of_a_node_that_must_stay() {
    every_change_is_noticed(500, |judged| {
        let staying = |plan: &&NodePlan| plan.verdict != Verdict::Remove;
        let mut changes = Vec::new();
        for plan in judged.plan.nodes.iter().filter(staying) {
            let name = &plan.node.name;
            for destination in judged.plan.nodes.iter().filter(staying).filter(|other| other.node.name != *name) {
                let to = &destination.node.name;
                let here = judged.snapshot.pods().iter().filter(|pod| pod.occupied_node() == Some(name));
                let moves = here.map(|pod| Move {
                    pod: pod.clone(),
                    destination: to.clone(),
                    unchecked_rules: Vec::new(),
                    warnings: Vec::new(),
                });
                let last_wave = judged.removed().last().map_or(1, |plan| plan.wave);
                let mut more = judged.changed(name, |plan| {
                    plan.verdict = Verdict::Remove;
                    plan.moves = moves.collect();
                    plan.wave = last_wave;
                });
                more.removals.push(name.clone());
                changes.push((format!("{name}, its pods to {to}"), with_sums(&judged.snapshot, &more)));
            }
        }
        changes
    });
}

#[test]
fn a_missing_move_or_removal() {
    every_change_is_noticed(200, |judged| {
        let mut changes = Vec::new();
        for (number, plan) in judged.removed().into_iter().enumerate() {
            let name = &plan.node.name;
            for (at, each) in plan.moves.iter().enumerate() {
                let less = judged.changed(name, |plan| drop(plan.moves.remove(at)));
                changes.push((format!("{} left behind", each.pod.name), with_sums(&judged.snapshot, &less)));
                let twice = judged.changed(name, |plan| plan.moves.push(each.clone()));
                changes.push((format!("{} twice", each.pod.name), with_sums(&judged.snapshot, &twice)));
            }
            let mut stays = judged.plan.clone();
            stays.removals.remove(number);
            changes.push((format!("{name} not removed"), with_sums(&judged.snapshot, &stays)));
        }
        changes
    });
}

#[test]
fn a_spoilt_lower_bound() {
    every_change_is_noticed(350, |judged| {
        let mut changes = Vec::new();
        let mut spoil = |what: String, change: &dyn Fn(&mut FleetBound)| {
            let mut plan = judged.plan.clone();
            change(plan.bound.as_mut().unwrap());
            changes.push((what, plan));
        };
        spoil("more".to_owned(), &|bound| bound.least *= 1.001);
        spoil("a price below zero".to_owned(), &|bound| bound.certificate.per_node = -0.001);
        spoil("a type left out".to_owned(), &|bound| drop(bound.certificate.node_types.pop_first()));
        let certificate = &judged.plan.bound.as_ref().unwrap().certificate;
        for resource in certificate.per_resource.keys() {
            spoil(format!("{resource} for less"), &|bound| {
                bound.certificate.per_resource.entry(resource.clone()).and_modify(|price| *price *= 0.99);
            });
            spoil(format!("{resource} for more"), &|bound| {
                bound.certificate.per_resource.entry(resource.clone()).and_modify(|price| *price *= 1.01);
            });
        }
        if certificate.per_node > 0.0 {
            spoil("a node for less".to_owned(), &|bound| bound.certificate.per_node *= 0.99);
            spoil("one node more".to_owned(), &|bound| bound.certificate.fewest_nodes += 1);
            let nobody = PodName { namespace: "default".to_owned(), name: "nobody".to_owned() };
            if certificate.fewest_nodes > 1 {
                spoil("apart like nobody".to_owned(), &|bound| bound.certificate.apart_like = Some(nobody.clone()));
                spoil("apart by nothing".to_owned(), &|bound| bound.certificate.apart_by = Some("nothing".to_owned()));
            }
        }
        for at in 0..certificate.surcharges.len() {
            spoil(format!("surcharge {at} for less"), &|bound| bound.certificate.surcharges[at].per_pod *= 0.99);
            spoil(format!("surcharge {at} for one more"), &|bound| bound.certificate.surcharges[at].pods += 1);
            spoil(format!("surcharge {at} for all"), &|bound| bound.certificate.surcharges[at].at_least.clear());
        }
        changes
    });
}

#[test]
fn a_wrong_price_or_objective() {
    every_change_is_noticed(400, |judged| {
        let mut changes = Vec::new();
        for plan in &judged.plan.nodes {
            let name = &plan.node.name;
            changes.push((format!("{name} without a price"), judged.changed(name, |plan| plan.price_per_hour = None)));
            let cheaper = judged.changed(name, |plan| plan.price_per_hour = Some(Money::nanos(1)));
            changes.push((format!("{name} for nothing"), cheaper));
        }
        changes.push(("by size".to_owned(), Consolidation { objective: Objective::Size, ..judged.plan.clone() }));
        changes
    });
}
