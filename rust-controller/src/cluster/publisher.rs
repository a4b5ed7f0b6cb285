//! Writes ConfigMaps: the only thing in this program that writes anything.
//!
//! What should be there comes from the loops; what is there comes from a watch. Only the difference is written. The
//! watch may lag behind the cluster, so each write holds only for the object that it was decided for. A write that
//! fails is tried again with backoff while the loops go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap as RawConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::reflector::Store;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::access::{explain_write, status};
use super::difference::{Owner, Published, Write, difference};
use super::stores::Stores;
use super::watched::Watched;
use crate::document::{ConfigMap, Kind, MANAGER, config_map_manifest};

/// Owner of the fields that this program writes.
pub(super) const FIELD_MANAGER: &str = MANAGER;

/// Waits between attempts after a failure: doubled each time, from the first to the second.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// What should be there, as far as the loops have said: `None` before a loop's first tick.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The plans, and their summary.
    pub plans: Option<Arc<Vec<ConfigMap>>>,
    /// The consolidations, and their summary.
    pub consolidations: Option<Arc<Vec<ConfigMap>>>,
}

impl Desired {
    /// Only what a loop has renewed since `earlier`.
    fn since(&self, earlier: &Self) -> Self {
        let renewed = |now: &Option<Arc<Vec<ConfigMap>>>, then: &Option<Arc<Vec<ConfigMap>>>| {
            let same = now.as_ref().zip(then.as_ref()).is_some_and(|(now, then)| Arc::ptr_eq(now, then));
            now.clone().filter(|_| !same)
        };
        Self {
            plans: renewed(&self.plans, &earlier.plans),
            consolidations: renewed(&self.consolidations, &earlier.consolidations),
        }
    }
}

/// Makes the namespace's ConfigMaps what the loops want them to be.
pub struct Publisher {
    api: Api<RawConfigMap>,
    namespace: String,
    store: Store<Watched<Published>>,
    desired: watch::Receiver<Desired>,
    /// Names that are wanted but are another's, as the log has said.
    foreign: BTreeSet<String>,
    /// Names whose last write failed.
    retries: BTreeMap<String, Retry>,
}

/// When a write that failed is tried again. Each name waits for itself, so that one that keeps failing delays no other.
struct Retry {
    wait: Duration,
    at: Instant,
}

/// What became of a write that did not fail.
enum Outcome {
    Written,
    /// The cluster is ahead of the watch, which will tell.
    NotNeeded,
    /// The name is another's, who got there first.
    Foreign {
        lacking: String,
    },
}

impl Publisher {
    /// A publisher for `namespace`; it does nothing before [`Publisher::run`].
    #[must_use]
    pub fn new(client: Client, namespace: &str, stores: &Stores, desired: watch::Receiver<Desired>) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            store: stores.config_maps.clone(),
            desired,
            foreign: BTreeSet::new(),
            retries: BTreeMap::new(),
        }
    }

    /// Publishes whatever the loops say, until they are gone.
    ///
    /// # Errors
    /// None while the loops live.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut published = Desired::default();
        loop {
            let retry_at = self.retries.values().map(|retry| retry.at).min();
            match retry_at {
                None => self.desired.changed().await?,
                Some(at) => tokio::select! {
                    changed = self.desired.changed() => changed?,
                    () = tokio::time::sleep_until(at) => {}
                },
            }
            let now = Instant::now();
            let desired = self.desired.borrow_and_update().clone();
            // The watch may not have told yet of what was just written, so only what a loop has renewed is compared.
            let due = self.retries.values().any(|retry| retry.at <= now);
            let renewed = if due { desired.clone() } else { desired.since(&published) };
            published = desired;
            self.publish(&renewed, now).await;
        }
    }

    /// Writes the difference, except for names whose last write failed too short a time ago.
    async fn publish(&mut self, desired: &Desired, now: Instant) {
        let published = self.published();
        let another =
            |name: &String| published.get(name).is_some_and(|known| matches!(known.owner, Owner::Another { .. }));
        self.foreign.retain(another);
        let mut failed = BTreeMap::new();
        // Taken out: a write that was due and is not wanted any more must not stay.
        let due: BTreeMap<String, Retry> = self.retries.extract_if(.., |_, retry| retry.at <= now).collect();
        for (maps, kind) in [(&desired.plans, Kind::Plan), (&desired.consolidations, Kind::Consolidation)] {
            let Some(maps) = maps else { continue };
            let difference = difference(maps, kind, &published);
            for (name, lacking) in difference.foreign {
                self.leave(name, lacking);
            }
            for write in &difference.writes {
                if self.retries.contains_key(write.name()) {
                    continue;
                }
                match self.write(write).await {
                    Ok(Outcome::Written) => tracing::info!("{} {}", write.verb(), write.name()),
                    Ok(Outcome::NotNeeded) => {}
                    Ok(Outcome::Foreign { lacking }) => self.leave(write.name(), &lacking),
                    Err(error) => {
                        let wait = next_wait(due.get(write.name()).map(|retry| retry.wait));
                        let problem = explain_write(&self.namespace, &error);
                        tracing::warn!("cannot write {}: {problem}\n  trying again in {wait:?}", write.name());
                        failed.insert(write.name().to_owned(), Retry { wait, at: now + wait });
                    }
                }
            }
        }
        self.retries.append(&mut failed);
    }

    /// The ConfigMaps of the namespace by name, as far as the watch has told.
    fn published(&self) -> BTreeMap<String, Arc<Published>> {
        let known = self.store.state();
        known.iter().filter_map(|watched| Some((watched.name().to_owned(), watched.view().ok()?))).collect()
    }

    /// Says, once, that a name is another's.
    fn leave(&mut self, name: &str, lacking: &str) {
        if self.foreign.insert(name.to_owned()) {
            tracing::warn!("ConfigMap {name} exists without {lacking}: not touched");
        }
    }

    async fn write(&self, write: &Write<'_>) -> Result<Outcome, kube::Error> {
        match write {
            Write::Create(map) => self.create(map).await,
            Write::Replace(map, published) => self.replace(map, published).await,
            Write::Delete(name, published) => self.delete(name, published).await,
        }
    }

    /// Asks first: the watch may not have told yet of one of that name. Whoever makes one between the question and the
    /// write keeps the fields that both want.
    async fn create(&self, map: &ConfigMap) -> Result<Outcome, kube::Error> {
        match self.api.get_opt(&map.name).await?.map(|raw| Owner::of(&raw)) {
            Some(Owner::This { .. }) => Ok(Outcome::NotNeeded),
            Some(Owner::Another { lacking }) => Ok(Outcome::Foreign { lacking }),
            None => {
                let manifest = config_map_manifest(map, &self.namespace);
                self.apply(&map.name, &PatchParams::apply(FIELD_MANAGER), manifest).await
            }
        }
    }

    /// Only that state of it from which the write follows: anything newer is a conflict, and may be another's.
    async fn replace(&self, map: &ConfigMap, published: &Published) -> Result<Outcome, kube::Error> {
        let mut manifest = config_map_manifest(map, &self.namespace);
        manifest["metadata"]["resourceVersion"] = json!(published.resource_version);
        self.apply(&map.name, &PatchParams::apply(FIELD_MANAGER).force(), manifest).await
    }

    async fn apply(&self, name: &str, params: &PatchParams, manifest: Value) -> Result<Outcome, kube::Error> {
        self.api.patch(name, params, &Patch::Apply(manifest)).await?;
        Ok(Outcome::Written)
    }

    /// Only that state of it from which the write follows, as [`Publisher::replace`].
    async fn delete(&self, name: &str, published: &Published) -> Result<Outcome, kube::Error> {
        let preconditions = Preconditions {
            uid: Some(published.uid.clone()),
            resource_version: Some(published.resource_version.clone()),
        };
        match self.api.delete(name, &DeleteParams::default().preconditions(preconditions)).await {
            Ok(_) => Ok(Outcome::Written),
            Err(error) if status(&error).is_some_and(|status| status.code == 404) => Ok(Outcome::NotNeeded),
            Err(error) => Err(error),
        }
    }
}

fn next_wait(last: Option<Duration>) -> Duration {
    last.map_or(FIRST_RETRY, |last| (last * 2).min(LONGEST_RETRY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let waits = std::iter::successors(Some(next_wait(None)), |last| Some(next_wait(Some(*last))));
        assert_eq!(waits.take(8).map(|wait| wait.as_secs()).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn only_what_a_loop_has_renewed_counts() {
        let earlier = Desired { plans: Some(Arc::default()), consolidations: Some(Arc::default()) };
        let now = Desired { plans: Some(Arc::default()), ..earlier.clone() };
        let renewed = now.since(&earlier);
        assert!(renewed.plans.is_some() && renewed.consolidations.is_none());
    }
}
