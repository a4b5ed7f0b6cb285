//! A plan is made, judged, and only then shown.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::catalog::{self, SeenAllocatable, seen_allocatable, with_seen};
use crate::check::{Violation, check_consolidation, check_plan};
use crate::consolidate::{self, Consolidation, consolidate};
use crate::model::{Catalog, key};
use crate::provision::{self, Plan, plan};
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
    /// In the cluster's zones, with what live nodes report.
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
        let allocatable_seen = seen_allocatable(&catalog, snapshot.nodes().iter().map(|node| &**node));
        let catalog = if allocatable_seen.is_empty() {
            catalog
        } else {
            Cow::Owned(with_seen(catalog.into_owned(), &allocatable_seen))
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

/// A plan that has passed the judge; `None`, with the violations in the log, where it has not.
#[must_use]
pub fn checked_plan(snapshot: &Snapshot, catalog: &Catalog, options: &provision::Options) -> Option<Plan> {
    let plan = plan(snapshot, catalog, options);
    passed("plan", &check_plan(snapshot, catalog, options, &plan)).then_some(plan)
}

/// A consolidation that has passed the judge; `None`, with the violations in the log, where it has not.
#[must_use]
pub fn checked_consolidation(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &consolidate::Options,
) -> Option<Consolidation> {
    let consolidation = consolidate(snapshot, catalog, options);
    passed("consolidation", &check_consolidation(snapshot, &consolidation)).then_some(consolidation)
}

fn passed(what: &str, violations: &[Violation]) -> bool {
    for violation in violations {
        tracing::error!("this {what} is wrong and is not shown, which is a bug: {violation}");
    }
    violations.is_empty()
}
