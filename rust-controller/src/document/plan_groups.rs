//! Nodes and pods of a plan in tables that stay short where there are thousands: what is alike is one line.

use std::collections::{BTreeMap, BTreeSet};

use super::plan_json::{reason, verdict_and_node};
use super::table::Table;
use super::{tables, unchecked};
use crate::provision::{Plan, PlannedNode, PodPlan, Verdict};
use crate::units::Money;

/// One line for each type and capacity type.
pub(super) fn nodes_to_add(nodes: &[PlannedNode]) -> String {
    let mut kinds: BTreeMap<_, Vec<&PlannedNode>> = BTreeMap::new();
    for node in nodes {
        kinds.entry((&node.instance_type, &node.capacity_type)).or_default().push(node);
    }
    let mut table = Table::new(&["NODES", "TYPE", "CAPACITY", "PODS", "PRICE/HOUR", "ZONES"], &[0, 3, 4]);
    for ((instance_type, capacity_type), nodes) in kinds {
        table.row([
            nodes.len().to_string(),
            instance_type.clone(),
            capacity_type.clone(),
            nodes.iter().map(|node| node.pods.len()).sum::<usize>().to_string(),
            prices(nodes.iter().map(|node| node.price_per_hour)),
            zones(nodes.iter().map(|node| node.zone.as_str())),
        ]);
    }
    table.render()
}

/// From the lowest to the highest; what is not known is said.
fn prices(prices: impl Iterator<Item = Option<Money>>) -> String {
    let all: BTreeSet<Option<Money>> = prices.collect();
    let known: Vec<Money> = all.iter().flatten().copied().collect();
    let range = match known.as_slice() {
        [] => return tables::money(None),
        [price] => price.to_string(),
        [lowest, .., highest] => format!("{lowest}–{highest}"),
    };
    if all.contains(&None) { format!("{range} or unknown") } else { range }
}

/// `us-east-1a ×12, b ×3`: zones that differ in their last letter alone are named in full once. Where it is a digit, it
/// would look like a count.
fn zones<'a>(zones: impl Iterator<Item = &'a str>) -> String {
    let counts = counted(zones);
    let [(first, _), others @ ..] = counts.as_slice() else { return String::new() };
    if others.is_empty() {
        return (*first).to_owned();
    }
    let without_letter = |zone: &'a str| zone.strip_suffix(|last: char| last.is_ascii_lowercase());
    let region = without_letter(first).filter(|region| !region.is_empty());
    let region = region.filter(|region| others.iter().all(|(zone, _)| without_letter(zone) == Some(region)));
    let shown = counts.iter().enumerate().map(|(position, (zone, count))| {
        let short = region.filter(|_| position > 0).and_then(|region| zone.strip_prefix(region));
        format!("{} ×{count}", short.unwrap_or(zone))
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// What occurs, by name, and how often.
fn counted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<(&'a str, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts.into_iter().collect()
}

/// One line for pods of one owner, or without any, that request the same and fare alike. Those that cannot be placed come
/// last, next to the totals.
pub(super) fn pending_pods(plan: &Plan) -> String {
    let mut groups: BTreeMap<_, Vec<&PodPlan>> = BTreeMap::new();
    for planned in &plan.pods {
        let pod = &planned.pod;
        let owner = pod.owner.as_ref().map(|owner| owner.name.as_str());
        let fate = (rank(&planned.verdict), what_keeps_apart(&planned.verdict), &planned.unchecked_rules);
        groups.entry((fate, &pod.name.namespace, owner, &pod.requests)).or_default().push(planned);
    }
    let mut groups: Vec<Vec<&PodPlan>> = groups.into_values().collect();
    groups.sort_by_key(|pods| pods.first().map(|first| (rank(&first.verdict), &first.pod.name)));
    let mut table = Table::new(&["POD", "CPU", "MEMORY", "VERDICT", "NODE OR REASON"], &[1, 2]);
    for pods in groups {
        let Some(first) = pods.first() else { continue };
        let requests = &first.pod.requests;
        table.row([
            names(&pods),
            requests.cpu.to_string(),
            requests.memory.to_string(),
            verdict_and_node(&first.verdict).0.to_owned(),
            outcome(plan, &pods) + &unchecked::mark(unchecked::names(&first.unchecked_rules)),
        ]);
    }
    table.render()
}

/// What needs a person's attention most comes last.
fn rank(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Planned { .. } => 0,
        Verdict::FitsExisting { .. } => 1,
        Verdict::Ignored(_) => 2,
        Verdict::Unplaceable(_) => 3,
    }
}

/// Why a pod cannot be placed is told of each that differs. Others of one verdict go together wherever they are.
fn what_keeps_apart(verdict: &Verdict) -> String {
    if matches!(verdict, Verdict::Unplaceable(_)) { reason(verdict) } else { String::new() }
}

fn names(pods: &[&PodPlan]) -> String {
    let [first, others @ ..] = pods else { return String::new() };
    let name = &first.pod.name;
    match (&first.pod.owner, others.len()) {
        (_, 0) => name.to_string(),
        (Some(owner), more) => format!("{}/{} ×{}", name.namespace, owner.name, more + 1),
        (None, 1) => format!("{name} and 1 other"),
        (None, more) => format!("{name} and {more} others"),
    }
}

/// Where pods of one group go, or why they do not.
fn outcome(plan: &Plan, pods: &[&PodPlan]) -> String {
    let places = counted(pods.iter().filter_map(|planned| match &planned.verdict {
        Verdict::Planned { node, .. } => Some(plan.node(node).map_or("", |node| &node.instance_type)),
        Verdict::FitsExisting { node } => Some(node),
        Verdict::Unplaceable(_) | Verdict::Ignored(_) => None,
    }));
    if !places.is_empty() {
        return most_frequent(places);
    }
    let reasons: BTreeSet<String> = pods.iter().map(|planned| reason(&planned.verdict)).collect();
    let first = reasons.first().cloned().unwrap_or_default();
    if reasons.len() > 1 { format!("{first} (others likewise)") } else { first }
}

/// The places that most go to, and how many others there are.
fn most_frequent(mut places: Vec<(&str, usize)>) -> String {
    /// More would not fit a line.
    const SHOWN: usize = 2;
    if let [(place, _)] = places.as_slice() {
        return (*place).to_owned();
    }
    // Equally many stay in the order of their names.
    places.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let (shown, rest) = places.split_at(places.len().min(SHOWN));
    let shown: Vec<String> = shown.iter().map(|(place, count)| format!("{place} ×{count}")).collect();
    let shown = shown.join(", ");
    if rest.is_empty() { shown } else { format!("{shown} and {} more", rest.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::builtin;
    use crate::lower::parse_manifest;
    use crate::provision::{Options, plan};

    fn pod(name: &str, cpu: &str, owner: &str) -> String {
        let owner = match owner {
            "" => String::new(),
            name => format!(
                ", ownerReferences: [{{apiVersion: v1, kind: ReplicaSet, name: {name}, uid: {name}, controller: true}}]"
            ),
        };
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}{owner}}}\nspec: {{containers: [{{name: c, resources: {{requests: {{cpu: \
             {cpu}}}}}}}]}}\n---\n"
        )
    }

    /// Lines of the table below its heading, each without its columns' widths.
    fn lines(objects: &str) -> Vec<String> {
        let snapshot = parse_manifest(objects).unwrap().into_snapshot();
        let plan = plan(&snapshot, &builtin("generic").unwrap(), &Options::default());
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        pending_pods(&plan).lines().skip(1).map(words).collect()
    }

    #[test]
    fn many_pods_that_fare_alike_are_one_line_with_or_without_an_owner() {
        let mut objects = String::new();
        for number in 0..60 {
            objects += &pod(&format!("alone-{number:02}"), if number % 2 == 0 { "1" } else { "2" }, "");
            objects += &pod(&format!("owned-{number:02}"), "1", "web");
            objects += &pod(&format!("huge-{number:02}"), "9000", "");
        }
        let lines = lines(&objects);
        let begin = |start: &str| lines.iter().position(|line| line.starts_with(start));
        assert_eq!(lines.len(), 4, "{lines:#?}");
        assert_eq!(begin("default/alone-00 and 29 others 1 0 planned "), Some(0), "{lines:#?}");
        assert_eq!(begin("default/alone-01 and 29 others 2 0 planned "), Some(1), "{lines:#?}");
        assert_eq!(begin("default/web ×60 1 0 planned "), Some(2), "{lines:#?}");
        assert_eq!(begin("default/huge-00 and 59 others 9000 0 unplaceable no node type fits"), Some(3), "{lines:#?}");
    }

    #[test]
    fn what_cannot_be_placed_comes_last_and_by_its_reason() {
        let gated = "apiVersion: v1\nkind: Pod\nmetadata: {name: gated}\nspec: {schedulingGates: [{name: g}], containers: []}\n---\n";
        let arch = |name: &str, arch: &str| {
            format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{nodeSelector: {{kubernetes.io/arch: {arch}}}, containers: []}}\n---\n"
            )
        };
        let objects = [arch("a1", "sparc"), arch("a2", "mips"), gated.to_owned(), pod("z", "1", "")].concat();
        let verdicts: Vec<String> =
            lines(&objects).iter().map(|line| line.split(' ').take(4).collect::<Vec<_>>().join(" ")).collect();
        let expected = [
            "default/z 1 0 planned",
            "default/gated 0 0 ignored",
            "default/a1 0 0 unplaceable",
            "default/a2 0 0 unplaceable",
        ];
        assert_eq!(verdicts, expected);
    }

    #[test]
    fn zones_that_differ_in_one_letter_are_named_in_full_once() {
        assert_eq!(zones(["us-east-1a"; 3].into_iter()), "us-east-1a");
        assert_eq!(zones(["europe-c", "europe-b", "europe-c"].into_iter()), "europe-b ×1, c ×2");
        assert_eq!(zones(["eastus-1", "eastus-2"].into_iter()), "eastus-1 ×1, eastus-2 ×1");
        assert_eq!(zones(["eu-1a", "us-1b"].into_iter()), "eu-1a ×1, us-1b ×1");
        assert_eq!(zones(["a", "b"].into_iter()), "a ×1, b ×1");
        assert_eq!(zones([""].into_iter()), "");
    }

    #[test]
    fn prices_that_differ_are_a_range_and_unknown_ones_are_said() {
        let price = |nanos| Some(Money::nanos(nanos));
        assert_eq!(prices([price(100_000_000); 2].into_iter()), "0.10");
        assert_eq!(prices([price(300_000_000), price(100_000_000), price(200_000_000)].into_iter()), "0.10–0.30");
        assert_eq!(prices([price(100_000_000), None].into_iter()), "0.10 or unknown");
        assert_eq!(prices([None].into_iter()), "unknown");
    }

    #[test]
    fn of_many_places_the_two_that_most_go_to_are_named() {
        assert_eq!(most_frequent(vec![("a", 5)]), "a");
        assert_eq!(most_frequent(vec![("a", 1), ("b", 3)]), "b ×3, a ×1");
        assert_eq!(most_frequent(vec![("a", 1), ("b", 1), ("c", 2), ("d", 1)]), "c ×2, a ×1 and 2 more");
    }
}
