//! Watch-backed stores of pods, nodes and this program's ConfigMaps.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap as RawConfigMap, Node as RawNode, Pod as RawPod};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, reflector::store::Writer, watcher};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::access;
use super::difference::Published;
use super::watched::{View, Watched};
use crate::lower::{LowerError, lower_node, lower_pod};
use crate::model::{Node, Pod};
use crate::snapshot::{Skipped, Snapshot};

impl View for Node {
    type Raw = RawNode;

    fn lower(raw: &RawNode) -> Result<Self, LowerError> {
        lower_node(raw)
    }
}

impl View for Pod {
    type Raw = RawPod;

    fn lower(raw: &RawPod) -> Result<Self, LowerError> {
        lower_pod(raw)
    }

    fn node(raw: &RawPod) -> Option<String> {
        raw.spec.as_ref()?.node_name.clone()
    }
}

/// The stores. Cheap to clone; every clone reads the same contents.
#[derive(Clone)]
pub struct Stores {
    nodes: Store<Watched<Node>>,
    pods: Store<Watched<Pod>>,
    pub(super) config_maps: Store<Watched<Published>>,
    ready: watch::Receiver<bool>,
}

impl Stores {
    /// Starts the watches. They run in `tasks` until it is dropped, and reconnect with backoff on any error. `announce`
    /// turns true once every store holds what the cluster held at some instant since the start.
    #[must_use]
    pub fn start(
        client: &Client,
        namespace: &str,
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
        let stores = Self { nodes, pods, config_maps, ready: announce.subscribe() };
        tasks.spawn(stores.clone().announce_ready(announce));
        stores
    }

    /// A store wakes only the last of those who wait for it, so this one task waits for all others.
    async fn announce_ready(self, announce: watch::Sender<bool>) -> anyhow::Result<()> {
        self.nodes.wait_until_ready().await?;
        self.pods.wait_until_ready().await?;
        self.config_maps.wait_until_ready().await?;
        announce.send_replace(true);
        // The end of a task ends the process.
        std::future::pending().await
    }

    /// Returns once every store holds what the cluster held at some instant since the start.
    ///
    /// # Errors
    /// Where the watches have ended, which only the end of the process does.
    pub async fn ready(&self) -> anyhow::Result<()> {
        self.ready.clone().wait_for(|ready| *ready).await?;
        Ok(())
    }

    /// Everything the planner may look at, as of now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut skipped = Vec::new();
        let nodes = views(&self.nodes, &mut skipped);
        let pods = views(&self.pods, &mut skipped);
        Snapshot::new(nodes, pods, skipped)
    }
}

fn views<T: View>(store: &Store<Watched<T>>, skipped: &mut Vec<Skipped>) -> Vec<Arc<T>> {
    let readable = |watched: Arc<Watched<T>>| watched.view().map_err(|reason| skipped.push(reason)).ok();
    store.state().into_iter().filter_map(readable).collect()
}

/// Keeps a store up to date. Never ends by itself.
fn keep_up_to_date<T>(
    api: Api<T::Raw>,
    writer: Writer<Watched<T>>,
    resource: &'static str,
) -> impl Future<Output = anyhow::Result<()>> + Send
where
    T: View + Send + Sync,
    T::Raw: Clone + Debug + DeserializeOwned + Send + 'static,
{
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
