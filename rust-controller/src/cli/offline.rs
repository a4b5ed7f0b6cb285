//! The commands that print one document and end.

use std::io::Write;
use std::time::Instant;

use super::arguments::{
    CatalogArguments, ConsolidateArguments, ConsolidateOutput, FileArguments, PlanArguments, PlanOutput, catalog_choice,
};
use super::{BadInput, PLANNED, UNPLACEABLE};
use crate::cluster::{connect, list_snapshot};
use crate::consolidate;
use crate::document::{
    ConsolidationDocument, ConsolidationOutcome, PlanOutcome, catalog_table, config_maps_yaml,
    consolidation_config_maps, consolidation_table, json, node_pools_yaml, plan_config_maps, plan_table,
};
use crate::loops::{CatalogChoice, ResolvedCatalog, checked_consolidation, checked_plan};
use crate::provision::{LowerBound, Verdict};
use crate::snapshot::Snapshot;

/// Without a controller nothing limits how many ConfigMaps may be printed.
const ALL_PLANS: usize = usize::MAX;

pub(super) fn plan(arguments: &PlanArguments) -> anyhow::Result<u8> {
    let PlanArguments { input, types, output } = arguments;
    let options = types.options()?;
    let choice = catalog_choice(&types.catalog)?;
    let snapshot = snapshot(&input.files)?;
    let ResolvedCatalog { catalog, allocatable_seen } = choice.resolve(&snapshot);
    #[expect(clippy::disallowed_methods, reason = "this is where plans are asked for")]
    let start = Instant::now();
    let plan = checked_plan(&snapshot, &catalog, &options).ok_or_else(wrong_plan)?;
    let solve_time = start.elapsed();
    let outcome = PlanOutcome {
        plan: &plan,
        catalog: &catalog,
        allocatable_seen: &allocatable_seen,
        options: &options,
        bound: LowerBound::of(&plan, &catalog, &options),
        skipped: snapshot.skipped(),
        unread_kinds: snapshot.unread_kinds(),
    };
    print(&match output {
        PlanOutput::Table => plan_table(&outcome),
        PlanOutput::Json => json(&outcome.document(solve_time)),
        PlanOutput::ConfigMaps => config_maps_yaml(&plan_config_maps(&outcome, ALL_PLANS), &input.namespace),
        PlanOutput::NodePools => node_pools_yaml(plan.pools.values()),
    })?;
    let unplaceable = plan.count(|verdict| matches!(verdict, Verdict::Unplaceable(_)));
    Ok(if unplaceable > 0 { UNPLACEABLE } else { PLANNED })
}

pub(super) fn consolidate(arguments: &ConsolidateArguments) -> anyhow::Result<u8> {
    let ConsolidateArguments { input, catalog, threshold, output } = arguments;
    let choice = catalog_choice(catalog)?;
    let snapshot = snapshot(&input.files)?;
    let options = consolidate::Options { threshold: threshold.threshold };
    let ResolvedCatalog { catalog, .. } = choice.resolve(&snapshot);
    let plan = checked_consolidation(&snapshot, &catalog, &options).ok_or_else(wrong_plan)?;
    let outcome = ConsolidationOutcome {
        consolidation: &plan,
        catalog: &catalog,
        skipped: snapshot.skipped(),
        unread_kinds: snapshot.unread_kinds(),
    };
    print(&match output {
        ConsolidateOutput::Table => consolidation_table(&outcome),
        ConsolidateOutput::Json => json(&ConsolidationDocument::new(&outcome)),
        ConsolidateOutput::ConfigMaps => config_maps_yaml(&consolidation_config_maps(&outcome), &input.namespace),
    })?;
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

/// From the files, or from the live cluster.
pub(super) fn snapshot(FileArguments { files }: &FileArguments) -> anyhow::Result<Snapshot> {
    if !files.is_empty() {
        return Ok(super::files::read_snapshot(files)?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async { list_snapshot(&connect().await?).await })?)
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
