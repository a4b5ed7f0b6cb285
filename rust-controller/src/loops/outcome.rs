//! A plan is made, judged, and only then shown.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalog::{self, SeenAllocatable, seen_allocatable, seen_attach_limits, with_attach_limits, with_seen};
use crate::check::{Violation, check_consolidation, check_lower_bound, check_plan, check_replacement};
use crate::consolidate::{self, Before, Consolidation, consolidate_after, lower_bound, replace};
use crate::document::PlanMetrics;
use crate::model::{Catalog, PodName, key};
use crate::provision::{self, Choice, Plan, Verdict, alone, plan_within_budget};
use crate::snapshot::Snapshot;

/// What the loops and the commands plan with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The catalog, or how to find it.
    pub catalog: CatalogChoice,
    /// Options of provisioning.
    pub provision: provision::Options,
    /// Options of consolidation.
    pub consolidate: consolidate::Options,
    /// At most so many `plan-` ConfigMaps.
    pub max_plans: usize,
}

/// Which catalog to plan with.
#[derive(Clone, Debug)]
pub enum CatalogChoice {
    /// The built-in one of the provider that the nodes say they come from.
    Auto,
    /// The built-in one of this name.
    BuiltIn(Catalog),
    /// From a file.
    File(Catalog),
}

/// A catalog as it holds for one cluster.
#[derive(Clone, Debug)]
pub struct ResolvedCatalog<'a> {
    /// In the cluster's zones, with what live nodes report of their allocatable, and of what they can attach.
    pub catalog: Cow<'a, Catalog>,
    /// Types of which live nodes report something else than the catalog said.
    pub allocatable_seen: Vec<SeenAllocatable>,
}

impl CatalogChoice {
    /// The catalog for this cluster. A built-in one is placed in the zones that the nodes and the volumes are in. Of types
    /// that live nodes are of, what these report takes the place of what the catalog says, whether from a formula or a
    /// file. Planner, judge and documents all see the result.
    #[must_use]
    pub fn resolve(&self, snapshot: &Snapshot) -> ResolvedCatalog<'_> {
        let catalog = self.placed(snapshot);
        let nodes = || snapshot.nodes().iter().map(|node| &**node);
        let allocatable_seen = seen_allocatable(&catalog, nodes());
        let limits = snapshot.extras().attach_limits.as_ref();
        let attachable = limits.map(|limits| seen_attach_limits(&catalog, nodes(), limits)).unwrap_or_default();
        let catalog = if allocatable_seen.is_empty() && attachable.is_empty() {
            catalog
        } else {
            Cow::Owned(with_attach_limits(with_seen(catalog.into_owned(), &allocatable_seen), attachable))
        };
        ResolvedCatalog { catalog, allocatable_seen }
    }

    fn placed(&self, snapshot: &Snapshot) -> Cow<'_, Catalog> {
        let nodes = || snapshot.nodes().iter().map(|node| &**node);
        let built_in = match self {
            Self::Auto => catalog::for_nodes(nodes()),
            Self::BuiltIn(built_in) => built_in.clone(),
            Self::File(catalog) => return Cow::Borrowed(catalog),
        };
        let mut zones: BTreeSet<String> = nodes().filter_map(|node| node.labels.get(key::ZONE)).cloned().collect();
        if zones.is_empty() {
            return Cow::Owned(built_in);
        }
        let volumes = snapshot.extras().volumes.iter().flatten();
        zones.extend(volumes.flat_map(|(_, volume)| volume.zones()).map(str::to_owned));
        Cow::Owned(catalog::in_zones(built_in, &zones))
    }
}

/// A plan that has been judged.
#[derive(Debug)]
pub struct Judged<P> {
    /// The plan, where nothing is wrong with it. What is wrong, if anything, is in the log.
    pub passed: Option<P>,
    /// What making it took.
    pub planning: Duration,
    /// What judging it took.
    pub checking: Duration,
}

/// Is told what begins, for whoever waits.
pub type Announce<'a> = &'a dyn Fn(&'static str);

/// Nodes to add, judged.
#[must_use]
pub fn checked_plan(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &provision::Options,
    announce: Announce<'_>,
) -> Judged<Plan> {
    let make = || plan_within_budget(snapshot, catalog, options);
    judged("plan", make, |plan| check_plan(snapshot, catalog, options, plan), announce)
}

/// Nodes to remove, and to replace, judged.
#[must_use]
pub fn checked_consolidation(
    before: &Before,
    snapshot: &Snapshot,
    catalog: &Catalog,
    (provisioning, options): (&provision::Options, &consolidate::Options),
    announce: Announce<'_>,
) -> Judged<Consolidation> {
    let make = || {
        let mut consolidation = consolidate_after(before, snapshot, catalog, options);
        consolidation.replacement = replace(snapshot, catalog, &consolidation, provisioning, options);
        consolidation.bound = lower_bound(snapshot, (catalog, provisioning), &consolidation);
        consolidation
    };
    let check = |consolidation: &Consolidation| {
        let mut violations = check_consolidation(snapshot, catalog, consolidation);
        violations.extend(check_replacement(snapshot, catalog, (provisioning, options), consolidation));
        violations.extend(check_lower_bound(snapshot, (catalog, provisioning), consolidation));
        violations
    };
    judged("consolidation", make, check, announce)
}

pub(super) fn judged<P>(
    what: &str,
    make: impl FnOnce() -> P,
    check: impl FnOnce(&P) -> Vec<Violation>,
    announce: Announce<'_>,
) -> Judged<P> {
    announce("planning");
    let (plan, planning) = timed(make);
    announce("checking");
    let (violations, checking) = timed(|| check(&plan));
    for violation in &violations {
        tracing::error!("this {what} is wrong and is not shown, which is a bug: {violation}");
    }
    Judged { passed: violations.is_empty().then_some(plan), planning, checking }
}

#[expect(clippy::disallowed_methods, reason = "this is where plans are asked for")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

impl<P> Judged<P> {
    /// Counts it, whether it has passed or not.
    pub(super) fn count(&self, metrics: &mut PlanMetrics) {
        metrics.plans += 1;
        metrics.rejected += u64::from(self.passed.is_none());
        metrics.last_plan = Some(self.planning);
        metrics.last_check = Some(self.checking);
    }
}

/// What the planned pods that get a ConfigMap would need if each were the only one.
#[must_use]
pub fn planned_alone(
    plan: &Plan,
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &provision::Options,
    max_plans: usize,
) -> BTreeMap<PodName, Arc<Choice>> {
    let planned = plan.pods.iter().filter(|planned| matches!(planned.verdict, Verdict::Planned { .. }));
    alone(snapshot, catalog, options, planned.take(max_plans).map(|planned| &*planned.pod))
}
