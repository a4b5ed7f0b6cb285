//! The two interval loops: wake, read the whole store, plan, check, hand over to the publisher. They decide nothing.

mod outcome;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

pub use outcome::{
    Announce, CatalogChoice, Judged, ResolvedCatalog, Settings, checked_consolidation, checked_plan, planned_alone,
};

use crate::cluster::{Desired, Stores};
use crate::document::{
    ConsolidationOutcome, Cost, Metrics, PlanMetrics, PlanOutcome, consolidation_config_maps, plan_config_maps,
};
use crate::snapshot::{Skipped, Snapshot};

/// Where the loops put what they come to: each value is the latest, for whoever looks.
#[derive(Debug, Default)]
pub struct Outlets {
    /// What should be published.
    pub desired: watch::Sender<Desired>,
    /// What was counted.
    pub metrics: watch::Sender<Metrics>,
}

impl Outlets {
    /// Counts a plan among those of its kind, and passes it on if it may be shown.
    fn counted<P>(&self, judged: Judged<P>, kind: fn(&mut Metrics) -> &mut PlanMetrics) -> Option<P> {
        self.metrics.send_modify(|metrics| judged.count(kind(metrics)));
        judged.passed
    }
}

/// Plans nodes for unschedulable pods at every tick.
///
/// # Errors
/// Where a store or the planner has ended, which only the end of the process does.
pub async fn pending_loop(
    stores: Stores,
    settings: Arc<Settings>,
    every: Duration,
    outlets: Arc<Outlets>,
) -> anyhow::Result<()> {
    let skipped = Arc::new(Mutex::new(Vec::new()));
    at_every_tick(&stores, every, || {
        let (stores, settings, outlets) = (stores.clone(), Arc::clone(&settings), Arc::clone(&outlets));
        let skipped = Arc::clone(&skipped);
        move || {
            let snapshot = stores.snapshot();
            name_skipped(&skipped, snapshot.skipped());
            provision(&snapshot, &settings, &outlets);
        }
    })
    .await
}

fn provision(snapshot: &Snapshot, settings: &Settings, outlets: &Outlets) {
    let ResolvedCatalog { catalog, allocatable_seen } = settings.catalog.resolve(snapshot);
    let judged = checked_plan(snapshot, &catalog, &settings.provision, &|_| {});
    let Some(plan) = outlets.counted(judged, |metrics| &mut metrics.provisioning) else { return };
    let outcome = PlanOutcome {
        plan: &plan,
        catalog: &catalog,
        allocatable_seen: &allocatable_seen,
        options: &settings.provision,
        alone: planned_alone(&plan, snapshot, &catalog, &settings.provision, settings.max_plans),
        skipped: snapshot.skipped(),
        unread_kinds: snapshot.unread_kinds(),
        cost_now: Cost::now(snapshot, &catalog),
    };
    let maps = Arc::new(plan_config_maps(&outcome, settings.max_plans));
    outlets.desired.send_modify(|desired| desired.plans = Some(maps));
}

/// Finds the nodes that could go at every tick.
///
/// # Errors
/// Where a store or the planner has ended, which only the end of the process does.
pub async fn consolidation_loop(
    stores: Stores,
    settings: Arc<Settings>,
    every: Duration,
    outlets: Arc<Outlets>,
) -> anyhow::Result<()> {
    at_every_tick(&stores, every, || {
        let (stores, settings, outlets) = (stores.clone(), Arc::clone(&settings), Arc::clone(&outlets));
        move || consolidate(&stores.snapshot(), &settings, &outlets)
    })
    .await
}

fn consolidate(snapshot: &Snapshot, settings: &Settings, outlets: &Outlets) {
    let ResolvedCatalog { catalog, .. } = settings.catalog.resolve(snapshot);
    let options = (&settings.provision, &settings.consolidate);
    let judged = checked_consolidation(snapshot, &catalog, options, &|_| {});
    let Some(plan) = outlets.counted(judged, |metrics| &mut metrics.consolidation) else { return };
    let maps = Arc::new(consolidation_config_maps(&ConsolidationOutcome {
        consolidation: &plan,
        catalog: &catalog,
        skipped: snapshot.skipped(),
        unread_kinds: snapshot.unread_kinds(),
    }));
    outlets.desired.send_modify(|desired| desired.consolidations = Some(maps));
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::check::Violation;
    use crate::{consolidate as removal, provision as addition};

    fn settings() -> Settings {
        Settings {
            catalog: CatalogChoice::Auto,
            provision: addition::Options::default(),
            consolidate: removal::Options::default(),
            max_plans: 500,
        }
    }

    #[test]
    fn what_passes_is_counted_by_kind_and_published() {
        let outlets = Outlets::default();
        provision(&Snapshot::default(), &settings(), &outlets);
        provision(&Snapshot::default(), &settings(), &outlets);
        assert!(outlets.desired.borrow().plans.is_some() && outlets.desired.borrow().consolidations.is_none());
        consolidate(&Snapshot::default(), &settings(), &outlets);
        assert!(outlets.desired.borrow().consolidations.is_some());
        let Metrics { provisioning, consolidation } = *outlets.metrics.borrow();
        assert_eq!((provisioning.plans, consolidation.plans), (2, 1));
        assert_eq!((provisioning.rejected, consolidation.rejected), (0, 0));
        assert!(provisioning.last_plan.is_some() && consolidation.last_check.is_some());
    }

    #[test]
    fn what_does_not_pass_is_counted_as_rejected_and_goes_no_further() {
        let outlets = Outlets::default();
        let violation = Violation { subject: "Pod a/b".to_owned(), problem: "has no place".to_owned() };
        let wrong = outcome::judged("plan", || "a plan", |_| vec![violation], &|_| {});
        assert_eq!(outlets.counted(wrong, |metrics| &mut metrics.provisioning), None);
        let right = outcome::judged("plan", || "a plan", |_| Vec::new(), &|_| {});
        assert_eq!(outlets.counted(right, |metrics| &mut metrics.provisioning), Some("a plan"));
        let Metrics { provisioning, consolidation } = *outlets.metrics.borrow();
        assert_eq!((provisioning.plans, provisioning.rejected), (2, 1));
        assert_eq!(consolidation, PlanMetrics::default());
    }

    #[test]
    fn whoever_waits_is_told_what_begins() {
        let told = RefCell::new(Vec::new());
        let _ = outcome::judged("plan", || (), |()| Vec::new(), &|what| told.borrow_mut().push(what));
        assert_eq!(*told.borrow(), ["planning", "checking"]);
    }
}
