//! Watch-backed stores: of pods, nodes and this program's ConfigMaps, and of the kinds that may be missing.

use std::future::Future;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap as RawConfigMap, Node as RawNode, Pod as RawPod};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, reflector::store::Writer, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::access;
use super::difference::Published;
use super::optional::OptionalStores;
use super::usage::UsageStore;
use super::watched::{View, Watched, views};
use crate::consolidate::Before;
use crate::document::Said;
use crate::model::{Node, Pod};
use crate::snapshot::Snapshot;
use crate::units::Timestamp;

/// The stores. Cheap to clone; every clone reads the same contents.
#[derive(Clone)]
pub struct Stores {
    nodes: Store<Watched<Node>>,
    pods: Store<Watched<Pod>>,
    pub(super) config_maps: Store<Watched<Published>>,
    optional: OptionalStores,
    usage: UsageStore,
    ready: watch::Receiver<bool>,
}

impl Stores {
    /// Starts the watches. They run in `tasks` until it is dropped, and reconnect with backoff on any error. `announce`
    /// turns true once every store that may be filled holds what the cluster held at some instant since the start. What
    /// nodes use is read only `with_usage`.
    #[must_use]
    pub fn start(
        client: &Client,
        namespace: &str,
        with_usage: bool,
        announce: watch::Sender<bool>,
        tasks: &mut JoinSet<anyhow::Result<()>>,
    ) -> Self {
        let (nodes, node_writer) = reflector::store();
        let (pods, pod_writer) = reflector::store();
        let (config_maps, config_map_writer) = reflector::store();
        tasks.spawn(keep_up_to_date(Api::<RawNode>::all(client.clone()), node_writer, "nodes"));
        tasks.spawn(keep_up_to_date(Api::<RawPod>::all(client.clone()), pod_writer, "pods"));
        let own = Api::<RawConfigMap>::namespaced(client.clone(), namespace);
        tasks.spawn(keep_up_to_date(own, config_map_writer, "configmaps"));
        let optional = OptionalStores::start(client, tasks);
        let usage = UsageStore::start(with_usage, client, tasks);
        let stores = Self { nodes, pods, config_maps, optional, usage, ready: announce.subscribe() };
        tasks.spawn(stores.clone().announce_ready(announce));
        stores
    }

    /// A store wakes only the last of those who wait for it, so this one task waits for all others.
    async fn announce_ready(self, announce: watch::Sender<bool>) -> anyhow::Result<()> {
        self.nodes.wait_until_ready().await?;
        self.pods.wait_until_ready().await?;
        self.config_maps.wait_until_ready().await?;
        tokio::join!(self.optional.settle(), self.usage.settle());
        announce.send_replace(true);
        // The end of a task ends the process.
        std::future::pending().await
    }

    /// Returns once every store that may be filled holds what the cluster held at some instant since the start.
    ///
    /// # Errors
    /// Where the watches have ended, which only the end of the process does.
    pub async fn ready(&self) -> anyhow::Result<()> {
        self.ready.clone().wait_for(|ready| *ready).await?;
        Ok(())
    }

    /// What the ConfigMaps say of consolidations, for one that is asked for at `now`.
    #[must_use]
    pub fn said(&self, now: Timestamp) -> Before {
        let published: Vec<_> = self.config_maps.state().iter().filter_map(|watched| watched.view().ok()).collect();
        Said::before(published.iter().filter_map(|published| published.said.as_ref()), now)
    }

    /// Everything the planner may look at, as of now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut skipped = Vec::new();
        let nodes = views(&self.nodes.state(), &mut skipped);
        let pods = views(&self.pods.state(), &mut skipped);
        let extras = self.optional.extras(&mut skipped);
        let usage = self.usage.get(&mut skipped);
        Snapshot::new(nodes, pods, skipped).with_extras(extras).with_usage(usage)
    }
}

/// Keeps a store up to date. Never ends by itself.
fn keep_up_to_date<T: View>(
    api: Api<T::Raw>,
    writer: Writer<Watched<T>>,
    resource: &'static str,
) -> impl Future<Output = anyhow::Result<()>> + Send {
    let events = watcher(api, watcher::Config::default()).map_ok(Watched::<T>::of_event);
    let mut events = reflector::reflector(writer, events).default_backoff().boxed();
    async move {
        while let Some(event) = events.next().await {
            if let Err(error) = event {
                tracing::warn!(resource, "watch failed, trying again: {}", access::explain_watch(resource, &error));
            }
        }
        anyhow::bail!("the watch on {resource} has ended")
    }
}
