//! The two interval loops: wake, read the whole store, plan, check, hand over to the publisher. They decide nothing.

mod outcome;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

pub use outcome::{
    Announce, CatalogChoice, Judged, ResolvedCatalog, Settings, checked_consolidation, checked_plan, planned_alone,
};

use crate::cluster::{Desired, Stores};
use crate::consolidate::Before;
use crate::document::{
    ConsolidationOutcome, Cost, Metrics, PlanMetrics, PlanOutcome, consolidation_config_maps, plan_config_maps,
};
use crate::snapshot::{Skipped, Snapshot};
use crate::units::Timestamp;

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
    let timers = Arc::new(Mutex::new(Timers::new()));
    at_every_tick(&stores, every, || {
        let (stores, settings, outlets) = (stores.clone(), Arc::clone(&settings), Arc::clone(&outlets));
        let timers = Arc::clone(&timers);
        move || consolidate(&stores.snapshot(), stores.said(now()), &timers, &settings, &outlets)
    })
    .await
}

/// Since when each node has had a suggestion, as the last tick said.
type Timers = BTreeMap<String, Option<Timestamp>>;

/// What is published is what counts as said: that is what people have seen, what outlives this process, and what two copies
/// of it agree on. `timers` only stand in where the ConfigMap of a node is not written yet, or was edited.
fn consolidate(snapshot: &Snapshot, mut said: Before, timers: &Mutex<Timers>, settings: &Settings, outlets: &Outlets) {
    let ResolvedCatalog { catalog, .. } = settings.catalog.resolve(snapshot);
    let mut timers = timers.lock().unwrap_or_else(PoisonError::into_inner);
    said.fill_in(&timers);
    let options = (&settings.provision, &settings.consolidate);
    let judged = checked_consolidation(&said, snapshot, &catalog, options, &|_| {});
    let Some(plan) = outlets.counted(judged, |metrics| &mut metrics.consolidation) else { return };
    *timers = plan.suggested();
    let maps = Arc::new(consolidation_config_maps(&ConsolidationOutcome {
        consolidation: &plan,
        catalog: &catalog,
        options,
        usage: snapshot.usage(),
        skipped: snapshot.skipped(),
        unread_kinds: snapshot.unread_kinds(),
    }));
    outlets.desired.send_modify(|desired| desired.consolidations = Some(maps));
}

#[expect(clippy::disallowed_methods, reason = "the planner, which has no clock, is told what time it is")]
fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::unix_seconds(since_epoch.as_secs())
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
    use crate::document::Said;
    use crate::lower;
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
        consolidate(&Snapshot::default(), Before::default(), &Mutex::default(), &settings(), &outlets);
        assert!(outlets.desired.borrow().consolidations.is_some());
        let Metrics { provisioning, consolidation } = *outlets.metrics.borrow();
        assert_eq!((provisioning.plans, consolidation.plans), (2, 1));
        assert_eq!((provisioning.rejected, consolidation.rejected), (0, 0));
        assert!(provisioning.last_plan.is_some() && consolidation.last_check.is_some());
    }

    /// A node of one core of which this much is requested.
    fn idle(millicores: u64) -> Snapshot {
        let text = format!(
            "apiVersion: v1\nkind: Node\nmetadata: {{name: n1}}\nstatus: {{allocatable: {{cpu: 1, memory: 1Gi, pods: 9}}}}\n---\napiVersion: v1\nkind: Pod\n\
             metadata: {{name: p}}\nspec: {{nodeName: n1, containers: [{{name: c, resources: {{requests: {{cpu: {millicores}m}}}}}}]}}\n\
             status: {{phase: Running}}\n"
        );
        lower::parse_manifest(&text).unwrap().into_snapshot()
    }

    /// One process of the controller, told the time, before a cluster whose ConfigMaps are what it last wanted.
    struct Process {
        outlets: Outlets,
        timers: Mutex<Timers>,
    }

    impl Process {
        fn start() -> Self {
            Self { outlets: Outlets::default(), timers: Mutex::default() }
        }

        /// Texts that it would publish, by ConfigMap, after a tick that finds these published.
        fn tick(
            &self,
            millicores: u64,
            published: &BTreeMap<String, String>,
            seconds: u64,
        ) -> BTreeMap<String, String> {
            let said: Vec<Said> = published.values().filter_map(|text| Said::read(text)).collect();
            let before = Said::before(&said, Timestamp::unix_seconds(seconds));
            consolidate(&idle(millicores), before, &self.timers, &settings(), &self.outlets);
            let desired = self.outlets.desired.borrow();
            let maps = desired.consolidations.as_ref().unwrap().iter();
            maps.map(|map| (map.name.clone(), map.data["info.json"].clone())).collect()
        }
    }

    /// Since when the node has a suggestion, and the share up to which it is held.
    fn suggestion(published: &BTreeMap<String, String>) -> Option<(String, Option<f64>)> {
        let info: serde_json::Value = serde_json::from_str(published.get("consolidation-n1")?).unwrap();
        Some((info["underutilizedSince"].as_str().unwrap().to_owned(), info["heldUntil"].as_f64()))
    }

    #[test]
    fn a_node_keeps_its_suggestion_and_its_time_until_it_is_clearly_above_the_threshold() {
        let process = Process::start();
        let mut published = BTreeMap::new();
        let mut said = Vec::new();
        for (number, millicores) in [210, 199, 200, 219, 199, 220, 210, 190].into_iter().enumerate() {
            published = process.tick(millicores, &published, 30 * number as u64);
            said.push(suggestion(&published));
        }
        let since = |time: &str, held: Option<f64>| Some((format!("1970-01-01T00:{time}Z"), held));
        let first = |held| since("00:30", held);
        let expected =
            [None, first(None), first(Some(0.22)), first(Some(0.22)), first(None), None, None, since("03:30", None)];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_person_reads_since_when_and_until_when() {
        let process = Process::start();
        let published = process.tick(100, &BTreeMap::new(), 1000);
        process.tick(210, &published, 1030);
        let desired = process.outlets.desired.borrow();
        let maps = desired.consolidations.as_ref().unwrap();
        let held = maps.iter().find(|map| map.name == "consolidation-n1").unwrap();
        let lines = "underutilizedSince: \"1970-01-01T00:16:40Z\"\nheldUntil: 22.0 % requested; it is above the threshold again, but only just\n";
        assert!(held.data["suggestion.yaml"].contains(lines), "{}", held.data["suggestion.yaml"]);
    }

    #[test]
    fn times_outlive_the_process_and_writes_that_fail_and_edits() {
        let process = Process::start();
        let published = process.tick(100, &BTreeMap::new(), 1000);
        let time = suggestion(&published);
        assert_eq!(time, Some(("1970-01-01T00:16:40Z".to_owned(), None)));
        assert_eq!(process.tick(100, &BTreeMap::new(), 1030), published, "nothing could be written");
        assert_eq!(Process::start().tick(100, &published, 2000), published, "another process");
        for edited in ["mine", r#"{"node": "n1", "underutilizedSince": "1970-01-02T00:00:00Z"}"#] {
            let edited = BTreeMap::from([("consolidation-n1".to_owned(), edited.to_owned())]);
            assert_eq!(process.tick(100, &edited, 3000), published, "{edited:?}");
            // Nobody knows any more.
            let anew = suggestion(&Process::start().tick(100, &edited, 3000));
            assert_eq!(anew, Some(("1970-01-01T00:50:00Z".to_owned(), None)));
        }
    }

    #[test]
    fn what_does_not_pass_goes_no_further_and_is_counted() {
        let outlets = Outlets::default();
        let violation = || Violation { subject: "Pod a/b".to_owned(), problem: "has no place".to_owned() };
        let wrong = outcome::judged("plan", || "a plan", |_| vec![violation(), violation()], &|_| {});
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
