//! `explain`: one pod, or one node.

use super::arguments::{ExplainArguments, catalog_choice, check_capacity_types};
use super::offline::{WRITING, print, snapshot, wrong_plan};
use super::progress::{Progress, StatusLine};
use super::{BadInput, PLANNED, UNPLACEABLE};
use crate::consolidate::{self, Before, obstacles};
use crate::document::{explain_node, explain_pending_pod, explain_replacement, explain_running_pod};
use crate::loops::{ResolvedCatalog, checked_consolidation, checked_plan};
use crate::model::{Catalog, Node, Pod};
use crate::provision::{self, Verdict, alone, verdicts_on_existing};
use crate::snapshot::Snapshot;

pub(super) fn explain(arguments: &ExplainArguments, line: &StatusLine) -> anyhow::Result<u8> {
    let ExplainArguments { name, files, types, threshold } = arguments;
    let options = types.options()?;
    let choice = catalog_choice(&types.catalog)?;
    let (snapshot, progress) = snapshot(files, false, line)?;
    let resolved = choice.resolve(&snapshot);
    let (text, status) = match find(&snapshot, name)? {
        Found::Pod(pod) => explained_pod(&snapshot, &resolved, &options, pod, &progress)?,
        Found::Node(node) => {
            let options = (&options, &threshold.options());
            (explained_node(&snapshot, &resolved.catalog, options, node, &progress)?, PLANNED)
        }
    };
    progress.finish();
    print(&text)?;
    Ok(status)
}

/// What a name stands for.
enum Found<'a> {
    Pod(&'a Pod),
    Node(&'a Node),
}

/// Everything that a name could stand for, of which there must be one.
fn find<'a>(snapshot: &'a Snapshot, name: &str) -> Result<Found<'a>, BadInput> {
    let (kind, rest) = match name.split_once('/') {
        Some((kind @ ("pod" | "node"), rest)) => (Some(kind), rest),
        _ => (None, name),
    };
    let pods = || snapshot.pods().iter().map(|pod| &**pod).filter(|_| kind != Some("node"));
    let called = |namespace: &str, name: &str| name == rest || format!("{namespace}/{name}") == rest;
    let named = pods().filter(|pod| called(&pod.name.namespace, &pod.name.name));
    let nodes = snapshot.nodes().iter().map(|node| &**node).filter(|node| node.name == rest && kind != Some("pod"));
    let mut found: Vec<Found<'_>> = named.map(Found::Pod).chain(nodes.map(Found::Node)).collect();
    if found.is_empty() {
        // The pods of a workload are alike, and those that a file makes up have names that nobody knows.
        let owned = |pod: &&Pod| pod.owner.as_ref().is_some_and(|owner| called(&pod.name.namespace, &owner.name));
        let first = pods().filter(owned).min_by_key(|pod| (pod.occupied_node().is_some(), &pod.name));
        found.extend(first.map(Found::Pod));
    }
    if found.len() > 1 {
        let candidates: Vec<String> = found.iter().map(Found::full_name).collect();
        return Err(BadInput(format!("{name:?} could be any of {}: say which", candidates.join(", "))));
    }
    found.pop().ok_or_else(|| BadInput(format!("there is no pod and no node of the name {name:?}")))
}

impl Found<'_> {
    fn full_name(&self) -> String {
        match self {
            Self::Pod(pod) => format!("pod/{}", pod.name),
            Self::Node(node) => format!("node/{}", node.name),
        }
    }
}

fn explained_pod(
    snapshot: &Snapshot,
    ResolvedCatalog { catalog, allocatable_seen }: &ResolvedCatalog<'_>,
    options: &provision::Options,
    pod: &Pod,
    progress: &Progress,
) -> anyhow::Result<(String, u8)> {
    check_capacity_types(catalog, options)?;
    let nodes = verdicts_on_existing(snapshot, pod);
    let judged = checked_plan(snapshot, catalog, options, &|step| progress.step(step));
    let plan = judged.passed.ok_or_else(wrong_plan)?;
    progress.step(WRITING);
    let planned = plan.pods.iter().find(|planned| planned.pod.name == pod.name);
    let Some(planned) = planned else { return Ok((explain_running_pod(pod, &nodes), PLANNED)) };
    let status = if matches!(planned.verdict, Verdict::Unplaceable(_)) { UNPLACEABLE } else { PLANNED };
    let on = match &planned.verdict {
        Verdict::Planned { node, .. } => plan.nodes.iter().find(|other| other.name == *node),
        Verdict::FitsExisting { .. } | Verdict::Unplaceable(_) | Verdict::Ignored(_) => None,
    };
    let alone = alone(snapshot, catalog, options, on.map(|_| pod));
    let alone = alone.get(&pod.name).map(|choice| &**choice);
    Ok((explain_pending_pod(planned, on.zip(alone), catalog, allocatable_seen, &nodes), status))
}

fn explained_node(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: (&provision::Options, &consolidate::Options),
    node: &Node,
    progress: &Progress,
) -> anyhow::Result<String> {
    let judged = checked_consolidation(&Before::default(), snapshot, catalog, options, &|step| progress.step(step));
    let consolidation = judged.passed.ok_or_else(wrong_plan)?;
    progress.step(WRITING);
    let plan = consolidation.nodes.iter().find(|plan| plan.node.name == node.name).ok_or_else(wrong_plan)?;
    let obstacles = match plan.verdict {
        consolidate::Verdict::Remove => Vec::new(),
        consolidate::Verdict::Keep(_) => obstacles(snapshot, &consolidation, plan),
    };
    Ok(explain_node(&consolidation, plan, &obstacles, catalog) + &explain_replacement(&consolidation, plan))
}
