//! Laws of replacements, on random scenes with volumes, `DaemonSet`s and rules about neighbours: the judge has nothing against
//! them, they cost no more than removals alone, and the order of objects changes nothing.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/crowds.rs"]
mod crowds;
#[path = "common/scenes.rs"]
#[expect(dead_code, reason = "laws of plans use the rest")]
mod scenes;

use std::sync::Arc;

use crowds::{any_crowd, catalog_for};
use mini_karpenter::check::{check_lower_bound, check_replacement};
use mini_karpenter::consolidate::{Consolidation, Options, consolidate, lower_bound, replace};
use mini_karpenter::model::{Catalog, Owner, Phase, SchedulingState, key};
use mini_karpenter::provision;
use mini_karpenter::units::Money;
use scenes::{Random, Scene, for_each_case};

const CASES: u64 = 500;

/// Every node is of this type.
const DEAR: &str = "zz-dear";

/// With a type that costs far more than what it offers.
fn with_dear_type(scene: &Scene) -> Catalog {
    let mut catalog = catalog_for(scene);
    let mut dear = catalog.types.last().unwrap().clone();
    DEAR.clone_into(&mut dear.name);
    for offering in &mut dear.offerings {
        offering.price_per_hour = Some(Money::nanos(2_000_000_000));
    }
    catalog.types.push(dear);
    catalog
}

/// Most pods that wait run somewhere instead, whatever the rules said.
fn dear(scene: &Scene, random: &mut Random) -> Scene {
    let mut scene = scene.with_pods(|pod| {
        pod.owner.get_or_insert(Owner { kind: "ReplicaSet".to_owned(), name: "r".to_owned() });
    });
    let names: Vec<String> = scene.nodes.iter().map(|node| node.name.clone()).collect();
    for pod in scene.pods.iter_mut().map(Arc::make_mut) {
        if pod.scheduling == SchedulingState::Unschedulable && !names.is_empty() && random.chance(80) {
            (pod.phase, pod.scheduling) = (Phase::Running, SchedulingState::Bound(random.pick(&names).clone()));
        }
    }
    for node in &mut scene.nodes {
        Arc::make_mut(node).labels.insert(key::INSTANCE_TYPE.to_owned(), DEAR.to_owned());
    }
    scene
}

fn decided(scene: &Scene, catalog: &Catalog, options: &Options) -> Consolidation {
    let snapshot = scene.snapshot();
    let mut decided = consolidate(&snapshot, catalog, options);
    decided.replacement = replace(&snapshot, catalog, &decided, &provision::Options::default(), options);
    decided.bound = lower_bound(&snapshot, (catalog, &provision::Options::default()), &decided);
    decided
}

#[test]
fn replacements_pass_the_judge_save_something_and_do_not_depend_on_the_order_of_objects() {
    let (mut found, mut moved, mut bounds) = (0, 0, 0);
    for_each_case(CASES, any_crowd, |scene, random| {
        let (scene, catalog) = (dear(scene, random), with_dear_type(scene));
        let options = Options { min_savings: *random.pick(&[0, 150_000, 500_000]), ..Options::default() };
        let decided = decided(&scene, &catalog, &options);
        let checked = (&provision::Options::default(), &options);
        let mut violations = check_replacement(&scene.snapshot(), &catalog, checked, &decided);
        violations.extend(check_lower_bound(&scene.snapshot(), (&catalog, checked.0), &decided));
        bounds += usize::from(decided.bound.is_some());
        let mut complaints: Vec<String> = violations.iter().map(ToString::to_string).collect();
        if let Some(replacement) = &decided.replacement {
            found += 1;
            moved += replacement.pods_disturbed();
            if replacement.cost_after(&decided) >= decided.costs_per_hour().1 {
                complaints.push("costs as much as removals alone".to_owned());
            }
        }
        if decided != self::decided(&scene.shuffled(random), &catalog, &options) {
            complaints.push("depends on the order of objects".to_owned());
        }
        complaints
    });
    println!("{found} of {CASES} scenes have replacements, which move {moved} pods");
    assert!(found > 50 && moved > 200, "{found} replacements that move {moved} pods");
    assert!(bounds > 200, "the cases say little: {bounds} bounds");
}
