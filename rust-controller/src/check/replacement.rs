//! Replacements of nodes by new ones, replayed step by step: the new nodes come, then the others go in order.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use super::choices::choices;
use super::consolidation::Replay;
use super::daemons::daemon_pods;
use super::kinds::{Guest, Kinds};
use super::planned_node::{LaunchId, Launches};
use super::set_apart::unfounded;
use crate::consolidate::{self, Consolidation, Replacement};
use crate::model::{Catalog, Labels, Pod, PodName, key};
use crate::provision::{self, PlannedNode};
use crate::snapshot::Snapshot;
use crate::units::Money;

/// Everything that is wrong with the replacement of a consolidation, sorted; nothing, where it may be shown or there is none.
#[must_use]
pub fn check_replacement(
    snapshot: &Snapshot,
    catalog: &Catalog,
    (provisioning, options): (&provision::Options, &consolidate::Options),
    consolidation: &Consolidation,
) -> Vec<Violation> {
    let Some(replacement) = &consolidation.replacement else { return Vec::new() };
    let daemons = daemon_pods(snapshot);
    let mut launches = Launches::new(catalog, provisioning, &replacement.pools, &daemons);
    let mut found = names(snapshot, replacement);
    found.extend(choices(snapshot, provisioning, replacement.pools.values()));
    found.extend(unfounded(snapshot, replacement.pools.values()));
    found.extend(lists(replacement));
    found.extend(savings(snapshot, catalog, options, (consolidation, replacement)));
    let obtainable = launches.obtainable(&replacement.nodes, &mut found);
    found.extend(steps(snapshot, (consolidation, replacement), (&launches, &obtainable, &daemons)));
    found.sort();
    found
}

/// No new node is called like another node, and no node goes twice.
fn names(snapshot: &Snapshot, replacement: &Replacement) -> Vec<Violation> {
    let mut names: BTreeSet<&str> = snapshot.nodes().iter().map(|node| node.name.as_str()).collect();
    let again = replacement.nodes.iter().filter(|node| !names.insert(&node.name));
    let mut found: Vec<Violation> =
        again.map(|node| Violation::new(&node.name, "is the name of another node, too")).collect();
    let mut gone = BTreeSet::new();
    let twice = replacement.removals.iter().filter(|plan| !gone.insert(&plan.node.name));
    found.extend(twice.map(|plan| Violation::new(&plan.node.name, "is replaced twice")));
    found
}

/// New nodes list the pods that move there, and each has some; nobody moves to a node that goes.
fn lists(replacement: &Replacement) -> Vec<Violation> {
    let mut coming: BTreeMap<&str, BTreeSet<&PodName>> = BTreeMap::new();
    for each in replacement.removals.iter().flat_map(|plan| &plan.moves) {
        coming.entry(&each.destination).or_default().insert(&each.pod.name);
    }
    let going = replacement.removals.iter().map(|plan| plan.node.name.as_str());
    let mut found: Vec<Violation> = going
        .filter(|node| coming.contains_key(node))
        .map(|node| Violation::new(node, "goes, and pods move there"))
        .collect();
    for PlannedNode { name, pods, .. } in &replacement.nodes {
        let listed: BTreeSet<&PodName> = pods.iter().collect();
        let there = coming.get(name.as_str());
        if listed.len() != pods.len() || there.is_none_or(|there| *there != listed) {
            found.push(Violation::new(name, "does not list just the pods that move there, or there are none"));
        }
    }
    found
}

/// The sums are right, enough is saved, and nothing is replaced by its like.
fn savings(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &consolidate::Options,
    (consolidation, replacement): (&Consolidation, &Replacement),
) -> Vec<Violation> {
    let complaint = |problem: String| Violation::new("replacement", problem);
    let mut found = Vec::new();
    let mut price = |name: &str| {
        let at = snapshot.nodes().binary_search_by(|node| node.name.as_str().cmp(name));
        let price = at.ok().and_then(|at| catalog.price_per_hour(&snapshot.nodes()[at].labels));
        if price.is_none() {
            found.push(complaint(format!("counts {name}, whose price nobody knows")));
        }
        price.unwrap_or_default().get()
    };
    let gone: BTreeSet<&str> = replacement.removals.iter().map(|plan| plan.node.name.as_str()).collect();
    let anyway: BTreeSet<&str> = consolidation.removals.iter().map(String::as_str).collect();
    let replaced: u64 = gone.difference(&anyway).map(|name| price(name)).sum();
    let staying: Vec<&str> =
        consolidation.removals.iter().map(String::as_str).filter(|name| !gone.contains(name)).collect();
    let kept: u64 = staying.iter().map(|name| price(name)).sum();
    if replacement.nodes.iter().any(|node| node.price_per_hour.is_none()) {
        found.push(complaint("counts a new node whose price nobody knows".to_owned()));
    }
    let added: u64 = replacement.nodes.iter().filter_map(|node| node.price_per_hour).map(Money::get).sum();
    if !replacement.staying.iter().map(String::as_str).eq(staying) {
        found.push(complaint("does not name the nodes that stay for it".to_owned()));
    }
    let saved = i128::from(replaced) - i128::from(kept) - i128::from(added);
    let said = (replacement.replaced_per_hour.get(), i128::from(replacement.further_savings_per_hour.get()));
    if said != (replaced, saved) {
        found.push(complaint(format!(
            "says to save {} of {}, and saves {saved} of {replaced} billionths",
            said.1, said.0
        )));
    }
    if saved * 1_000_000 <= i128::from(replaced) * i128::from(options.min_savings) {
        found.push(complaint(format!("saves {saved} of {replaced} billionths, which is not enough")));
    }
    found.extend(replaced_by_its_like(snapshot, catalog, replacement));
    found
}

/// A node that goes, where a new one of its type comes in its zone and at its price.
fn replaced_by_its_like(snapshot: &Snapshot, catalog: &Catalog, replacement: &Replacement) -> Option<Violation> {
    let kind = |node: &PlannedNode| (node.instance_type.clone(), node.zone.clone(), node.price_per_hour);
    let coming: BTreeSet<(String, String, Option<Money>)> = replacement.nodes.iter().map(kind).collect();
    let is_like = |labels: &Labels| {
        let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
        coming.contains(&(label(key::INSTANCE_TYPE), label(key::ZONE), catalog.price_per_hour(labels)))
    };
    let gone: BTreeSet<&str> = replacement.removals.iter().map(|plan| plan.node.name.as_str()).collect();
    let node = snapshot.nodes().iter().find(|node| gone.contains(node.name.as_str()) && is_like(&node.labels))?;
    Some(Violation::new(&node.name, "goes, and a node of its type comes in its zone at its price"))
}

/// The replacement, done.
fn steps<'a>(
    snapshot: &'a Snapshot,
    (consolidation, replacement): (&'a Consolidation, &'a Replacement),
    (launches, obtainable, daemons): (&'a Launches<'a>, &[(&'a PlannedNode, LaunchId)], &'a [Pod]),
) -> Vec<Violation> {
    let sites = obtainable.iter().map(|(node, launch)| launches.site(node, *launch)).collect();
    let mut kinds = Kinds::default();
    let daemons: Vec<Guest<'a>> = daemons.iter().map(|daemon| kinds.coming(daemon)).collect();
    let mut replay = Replay::with_planned(snapshot, consolidation, &replacement.removals, (sites, kinds, &daemons));
    let mut found = replay.expect(consolidation);
    for (position, (node, launch)) in obtainable.iter().enumerate() {
        replay.come((position, &node.name), launches.daemons(*launch).iter().map(|daemon| daemons[*daemon]));
    }
    for plan in &replacement.removals {
        found.extend(replay.remove(plan));
    }
    found
}
