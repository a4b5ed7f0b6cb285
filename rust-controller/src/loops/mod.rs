//! The two interval loops: wake, read the whole store, plan, check, hand over to the publisher. They decide nothing.

mod outcome;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

pub use outcome::{CatalogChoice, ResolvedCatalog, Settings, checked_consolidation, checked_plan};

use crate::cluster::{Desired, Stores};
use crate::document::{ConsolidationOutcome, PlanOutcome, consolidation_config_maps, plan_config_maps};
use crate::provision::LowerBound;
use crate::snapshot::Skipped;

/// Where the loops put what should be published.
pub type DesiredSender = Arc<watch::Sender<Desired>>;

/// Plans nodes for unschedulable pods at every tick.
///
/// # Errors
/// Where a store or the planner has ended, which only the end of the process does.
pub async fn pending_loop(
    stores: Stores,
    settings: Arc<Settings>,
    every: Duration,
    desired: DesiredSender,
) -> anyhow::Result<()> {
    let skipped = Arc::new(Mutex::new(Vec::new()));
    at_every_tick(&stores, every, || {
        let (stores, settings, desired) = (stores.clone(), Arc::clone(&settings), Arc::clone(&desired));
        let skipped = Arc::clone(&skipped);
        move || {
            let snapshot = stores.snapshot();
            name_skipped(&skipped, snapshot.skipped());
            let ResolvedCatalog { catalog, allocatable_seen } = settings.catalog.resolve(&snapshot);
            let Some(plan) = checked_plan(&snapshot, &catalog, &settings.provision) else { return };
            let outcome = PlanOutcome {
                plan: &plan,
                catalog: &catalog,
                allocatable_seen: &allocatable_seen,
                options: &settings.provision,
                bound: LowerBound::of(&plan, &catalog, &settings.provision),
                skipped: snapshot.skipped(),
                unread_kinds: snapshot.unread_kinds(),
            };
            let maps = Arc::new(plan_config_maps(&outcome, settings.max_plans));
            desired.send_modify(|desired| desired.plans = Some(maps));
        }
    })
    .await
}

/// Finds the nodes that could go at every tick.
///
/// # Errors
/// Where a store or the planner has ended, which only the end of the process does.
pub async fn consolidation_loop(
    stores: Stores,
    settings: Arc<Settings>,
    every: Duration,
    desired: DesiredSender,
) -> anyhow::Result<()> {
    at_every_tick(&stores, every, || {
        let (stores, settings, desired) = (stores.clone(), Arc::clone(&settings), Arc::clone(&desired));
        move || {
            let snapshot = stores.snapshot();
            let ResolvedCatalog { catalog, .. } = settings.catalog.resolve(&snapshot);
            let Some(plan) = checked_consolidation(&snapshot, &catalog, &settings.consolidate) else { return };
            let maps = Arc::new(consolidation_config_maps(&ConsolidationOutcome {
                consolidation: &plan,
                catalog: &catalog,
                skipped: snapshot.skipped(),
                unread_kinds: snapshot.unread_kinds(),
            }));
            desired.send_modify(|desired| desired.consolidations = Some(maps));
        }
    })
    .await
}

/// Logs the objects that are left out, once, until others are.
fn name_skipped(last: &Mutex<Vec<Skipped>>, now: &[Skipped]) {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    if *last != now {
        for skipped in now {
            tracing::warn!("skipped: {skipped}");
        }
        *last = now.to_vec();
    }
}

/// Runs `work` on a thread of its own, first when the stores are ready and then at every tick. A tick that is missed
/// because the last one took too long is left out.
async fn at_every_tick<W>(stores: &Stores, every: Duration, work: impl Fn() -> W) -> anyhow::Result<()>
where
    W: FnOnce() + Send + 'static,
{
    stores.ready().await?;
    let mut ticks: Interval = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        tokio::task::spawn_blocking(work()).await?;
    }
}
