//! The commands that print one document and end.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

use super::arguments::{
    CatalogArguments, ConsolidateArguments, ConsolidateOutput, FileArguments, PlanArguments, PlanOutput,
    UsageArguments, catalog_choice, check_capacity_types,
};
use super::progress::{Progress, StatusLine};
use super::{BadInput, PLANNED, UNPLACEABLE};
use crate::cluster::{connect, list_snapshot};
use crate::consolidate::Before;
use crate::document::{
    ConsolidationDocument, ConsolidationOutcome, Cost, PlanOutcome, catalog_table, config_maps_yaml,
    consolidation_config_maps, consolidation_table, json, node_pools_yaml, plan_config_maps, plan_table,
};
use crate::loops::{CatalogChoice, Judged, ResolvedCatalog, checked_consolidation, checked_plan, planned_alone};
use crate::provision::Verdict;
use crate::snapshot::Snapshot;

/// Without a controller nothing limits how many ConfigMaps may be printed.
const ALL_PLANS: usize = usize::MAX;

/// What is left to do once a plan has passed.
pub(super) const WRITING: &str = "writing it down";

pub(super) fn plan(arguments: &PlanArguments, line: &StatusLine) -> anyhow::Result<u8> {
    let PlanArguments { input, types, output } = arguments;
    let options = types.options()?;
    let choice = catalog_choice(&types.catalog)?;
    let (snapshot, progress) = snapshot(&input.files, false, line)?;
    let ResolvedCatalog { catalog, allocatable_seen } = choice.resolve(&snapshot);
    check_capacity_types(&catalog, &options)?;
    let Judged { passed, planning, checking } =
        checked_plan(&snapshot, &catalog, &options, &|step| progress.step(step));
    let plan = passed.ok_or_else(wrong_plan)?;
    progress.step(WRITING);
    let outcome = PlanOutcome {
        plan: &plan,
        catalog: &catalog,
        allocatable_seen: &allocatable_seen,
        options: &options,
        alone: match output {
            PlanOutput::ConfigMaps => planned_alone(&plan, &snapshot, &catalog, &options, ALL_PLANS),
            PlanOutput::Table | PlanOutput::Json | PlanOutput::NodePools => BTreeMap::new(),
        },
        skipped: snapshot.skipped(),
        unread_kinds: snapshot.unread_kinds(),
        cost_now: Cost::now(&snapshot, &catalog),
    };
    let text = match output {
        PlanOutput::Table => plan_table(&outcome),
        PlanOutput::Json => json(&outcome.document(planning + checking)),
        PlanOutput::ConfigMaps => config_maps_yaml(&plan_config_maps(&outcome, ALL_PLANS), &input.namespace),
        PlanOutput::NodePools => node_pools_yaml(plan.pools.values()),
    };
    progress.finish();
    print(&text)?;
    let unplaceable = plan.count(|verdict| matches!(verdict, Verdict::Unplaceable(_)));
    Ok(if unplaceable > 0 { UNPLACEABLE } else { PLANNED })
}

pub(super) fn consolidate(arguments: &ConsolidateArguments, line: &StatusLine) -> anyhow::Result<u8> {
    let ConsolidateArguments { input, types, threshold, usage, output } = arguments;
    let UsageArguments { usage } = usage;
    let (provisioning, options) = (types.options()?, threshold.options());
    let choice = catalog_choice(&types.catalog)?;
    let (snapshot, progress) = snapshot(&input.files, *usage, line)?;
    let ResolvedCatalog { catalog, .. } = choice.resolve(&snapshot);
    let options = (&provisioning, &options);
    let judged = checked_consolidation(&Before::default(), &snapshot, &catalog, options, &|step| progress.step(step));
    let plan = judged.passed.ok_or_else(wrong_plan)?;
    progress.step(WRITING);
    let outcome = ConsolidationOutcome {
        consolidation: &plan,
        catalog: &catalog,
        options,
        usage: snapshot.usage(),
        skipped: snapshot.skipped(),
        unread_kinds: snapshot.unread_kinds(),
    };
    let text = match output {
        ConsolidateOutput::Table => consolidation_table(&outcome),
        ConsolidateOutput::Json => json(&ConsolidationDocument::new(&outcome)),
        ConsolidateOutput::ConfigMaps => config_maps_yaml(&consolidation_config_maps(&outcome), &input.namespace),
        ConsolidateOutput::NodePools => {
            node_pools_yaml(plan.replacement.iter().flat_map(|replacement| replacement.pools.values()))
        }
    };
    progress.finish();
    print(&text)?;
    Ok(PLANNED)
}

pub(super) fn catalog(arguments: &CatalogArguments) -> anyhow::Result<u8> {
    let catalog = match catalog_choice(&arguments.catalog)? {
        CatalogChoice::Auto => {
            return Err(BadInput("auto depends on a cluster's nodes: name a catalog".to_owned()).into());
        }
        CatalogChoice::BuiltIn(catalog) | CatalogChoice::File(catalog) => catalog,
    };
    print(&catalog_table(&catalog))?;
    Ok(PLANNED)
}

/// From the files, or from the live cluster, with what nodes use if that is asked for; and the progress of what comes next.
pub(super) fn snapshot(
    FileArguments { files }: &FileArguments,
    with_usage: bool,
    line: &StatusLine,
) -> anyhow::Result<(Snapshot, Progress)> {
    if files.is_empty() {
        let progress = Progress::start(line, "reading the cluster");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let snapshot = runtime.block_on(async { list_snapshot(&connect().await?, with_usage).await })?;
        return Ok((snapshot, progress));
    }
    if files.iter().any(|file| file == "-") && std::io::stdin().is_terminal() {
        // Whoever types the objects would be disturbed.
        let snapshot = super::files::read_snapshot(files, with_usage)?;
        return Ok((snapshot, Progress::start(line, "planning")));
    }
    let progress = Progress::start(line, "reading files");
    Ok((super::files::read_snapshot(files, with_usage)?, progress))
}

pub(super) fn wrong_plan() -> anyhow::Error {
    anyhow::anyhow!("the plan did not pass its check, which is a bug: see the messages above")
}

/// A reader that has seen enough, like `head`, is no error.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
