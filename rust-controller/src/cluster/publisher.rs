//! Writes ConfigMaps: the only thing in this program that writes anything.
//!
//! What should be there comes from the loops; what is there comes from a watch. Only the difference is written. A write
//! that fails is tried again with backoff while the loops go on.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap as RawConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::access::{explain_write, status_code};
use super::stores::Stores;
use super::watched::{View, Watched};
use crate::document::{ConfigMap, Kind};
use crate::lower::LowerError;

/// Owner of the fields that this program writes, and the value of the label by which it knows its ConfigMaps.
pub(super) const FIELD_MANAGER: &str = "mini-karpenter-rs";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const KIND: &str = "mini-karpenter/kind";

/// Waits between attempts after a failure: doubled each time, from the first to the second.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// What a store keeps of a ConfigMap: whose it is, and enough to see that it changed.
#[derive(Clone, Debug)]
pub(super) struct Published {
    /// The kind, where the labels say that it is ours.
    kind: Option<String>,
    fingerprint: u64,
}

impl View for Published {
    type Raw = RawConfigMap;

    fn lower(raw: &RawConfigMap) -> Result<Self, LowerError> {
        let labels = raw.metadata.labels.clone().unwrap_or_default();
        let ours = labels.get(MANAGED_BY).is_some_and(|manager| manager == FIELD_MANAGER);
        let kind = labels.get(KIND).cloned().filter(|_| ours);
        let fingerprint = fingerprint(kind.as_deref(), &raw.data.clone().unwrap_or_default());
        Ok(Self { kind, fingerprint })
    }
}

fn fingerprint(kind: Option<&str>, data: &BTreeMap<String, String>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, data).hash(&mut hasher);
    hasher.finish()
}

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
}

/// One write.
#[derive(Debug, PartialEq, Eq)]
enum Write<'a> {
    /// Nothing of that name is there.
    Create(&'a ConfigMap),
    /// Ours, with other contents.
    Replace(&'a ConfigMap),
    /// Ours, and no longer wanted.
    Delete(String),
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
        }
    }

    /// Publishes whatever the loops say, until they are gone.
    ///
    /// # Errors
    /// None while the loops live.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut retry = None;
        let mut published = Desired::default();
        loop {
            let changed = match retry {
                None => self.desired.changed().await,
                Some(wait) => tokio::select! {
                    changed = self.desired.changed() => changed,
                    () = tokio::time::sleep(wait) => Ok(()),
                },
            };
            changed?;
            let desired = self.desired.borrow_and_update().clone();
            // The watch may not have told yet of what was just written, so only what a loop has renewed is compared.
            let renewed = if retry.is_none() { desired.since(&published) } else { desired.clone() };
            published = desired;
            retry = match self.publish(&renewed).await {
                0 => None,
                failures => {
                    let wait = retry.map_or(FIRST_RETRY, |last: Duration| (last * 2).min(LONGEST_RETRY));
                    tracing::warn!(failures, "trying again in {wait:?}");
                    Some(wait)
                }
            };
        }
    }

    /// Writes the difference; returns how many writes failed.
    async fn publish(&self, desired: &Desired) -> usize {
        let mut failures = 0;
        for (maps, kind) in [(&desired.plans, Kind::Plan), (&desired.consolidations, Kind::Consolidation)] {
            let Some(maps) = maps else { continue };
            for write in self.difference(maps, kind) {
                if let Err(error) = self.write(&write).await {
                    failures += 1;
                    tracing::warn!("cannot write {}: {}", write.name(), explain_write(&self.namespace, &error));
                }
            }
        }
        failures
    }

    fn difference<'a>(&self, maps: &'a [ConfigMap], kind: Kind) -> Vec<Write<'a>> {
        let mut writes = Vec::new();
        for map in maps {
            let key = ObjectRef::new(&map.name).within(&self.namespace);
            match self.store.get(&key).and_then(|watched| watched.view().ok()) {
                None => writes.push(Write::Create(map)),
                Some(published) if published.kind.is_none() => {
                    tracing::warn!("ConfigMap {} exists without the label {MANAGED_BY}: not touched", map.name);
                }
                Some(published) if published.fingerprint == fingerprint(Some(map.kind.as_str()), &map.data) => {}
                Some(_) => writes.push(Write::Replace(map)),
            }
        }
        let wanted = |name: &str| maps.iter().any(|map| map.name == name);
        for watched in self.store.state() {
            let of_kind = watched.view().is_ok_and(|published| published.kind.as_deref() == Some(kind.as_str()));
            if of_kind && !wanted(watched.name()) {
                writes.push(Write::Delete(watched.name().to_owned()));
            }
        }
        writes
    }

    async fn write(&self, write: &Write<'_>) -> Result<(), kube::Error> {
        match write {
            // Whoever made one of that name in the meantime keeps it: fields of another owner are a conflict.
            Write::Create(map) => self.apply(map, PatchParams::apply(FIELD_MANAGER)).await?,
            Write::Replace(map) => self.apply(map, PatchParams::apply(FIELD_MANAGER).force()).await?,
            Write::Delete(name) => match self.api.delete(name, &DeleteParams::default()).await {
                Err(error) if status_code(&error).is_some_and(|(code, _)| code == 404) => {}
                deleted => drop(deleted?),
            },
        }
        tracing::info!("{} {}", write.verb(), write.name());
        Ok(())
    }

    async fn apply(&self, map: &ConfigMap, params: PatchParams) -> Result<(), kube::Error> {
        let manifest = config_map_manifest(map, &self.namespace);
        self.api.patch(&map.name, &params, &Patch::Apply(&manifest)).await.map(drop)
    }
}

impl Write<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Create(map) | Self::Replace(map) => &map.name,
            Self::Delete(name) => name,
        }
    }

    fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "created",
            Self::Replace(_) => "changed",
            Self::Delete(_) => "deleted",
        }
    }
}

/// A ConfigMap as it is applied.
#[must_use]
pub fn config_map_manifest(map: &ConfigMap, namespace: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": map.name,
            "namespace": namespace,
            "labels": {MANAGED_BY: FIELD_MANAGER, KIND: map.kind.as_str()},
        },
        "data": map.data,
    })
}
