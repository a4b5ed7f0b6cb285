//! Stores of the kinds that the program may do without, each as long as it may be read.
//!
//! A kind that may not be read is asked for again, ever less often, so that a permission that comes later counts. One
//! that may not be read any more is forgotten at once: what a store last held would soon be wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt};
use kube::api::ListParams;
use kube::runtime::reflector::{self, Store, store::Writer};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::access::{explain_read, explain_watch, is_forbidden, status};
use super::watched::{View, Watched, plural, views_by};
use crate::model::{AttachLimits, Budget, Claim, Labels, StorageClass, Volume};
use crate::snapshot::{Extras, Skipped};

/// What a first answer about a kind may take before the program goes on without it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits before a kind is asked for again: doubled each time, from the first to the second.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_mins(5);

/// One store for each field of [`Extras`]. Cheap to clone; every clone reads the same contents.
#[derive(Clone)]
pub(super) struct OptionalStores {
    namespaces: Optional<Labels>,
    claims: Optional<Claim>,
    volumes: Optional<Volume>,
    storage_classes: Optional<StorageClass>,
    attach_limits: Optional<AttachLimits>,
    budgets: Optional<Budget>,
}

impl OptionalStores {
    /// Starts the watches. They run in `tasks` until it is dropped.
    pub(super) fn start(client: &Client, tasks: &mut JoinSet<anyhow::Result<()>>) -> Self {
        Self {
            namespaces: Optional::start(client, tasks),
            claims: Optional::start(client, tasks),
            volumes: Optional::start(client, tasks),
            storage_classes: Optional::start(client, tasks),
            attach_limits: Optional::start(client, tasks),
            budgets: Optional::start(client, tasks),
        }
    }

    /// Returns once each kind has been read, or is known not to be allowed, or has taken too long.
    pub(super) async fn settle(&self) {
        let Self { namespaces, claims, volumes, storage_classes, attach_limits, budgets } = self;
        tokio::join!(
            namespaces.settle(),
            claims.settle(),
            volumes.settle(),
            storage_classes.settle(),
            attach_limits.settle(),
            budgets.settle(),
        );
    }

    /// What they hold now. What could not be lowered goes to `skipped`.
    pub(super) fn extras(&self, skipped: &mut Vec<Skipped>) -> Extras {
        Extras {
            namespaces: self.namespaces.by(Watched::cluster_name, skipped),
            claims: self.claims.by(Watched::object_name, skipped),
            volumes: self.volumes.by(Watched::cluster_name, skipped),
            storage_classes: self.storage_classes.by(Watched::cluster_name, skipped),
            attach_limits: self.attach_limits.by(Watched::cluster_name, skipped),
            budgets: self.budgets.by(Watched::object_name, skipped),
        }
    }
}

/// The objects of one kind, as far as they may be read.
#[derive(Clone)]
struct Optional<T: View> {
    known: watch::Receiver<Known<T>>,
}

/// What is known of one kind.
#[derive(Clone)]
enum Known<T: View> {
    /// Nothing yet.
    Asked,
    /// The server does not allow it.
    Forbidden,
    /// All of it.
    Read(Store<Watched<T>>),
}

impl<T: View> Optional<T> {
    fn start(client: &Client, tasks: &mut JoinSet<anyhow::Result<()>>) -> Self {
        let (announce, known) = watch::channel(Known::Asked);
        tasks.spawn(read_while_allowed(Api::all(client.clone()), announce));
        Self { known }
    }

    async fn settle(&self) {
        let mut known = self.known.clone();
        let settled = known.wait_for(|known| !matches!(known, Known::Asked));
        if timeout(PATIENCE, settled).await.is_err() {
            tracing::warn!("no list of {} within {PATIENCE:?}: going on without it", plural::<T>());
        }
    }

    fn by<K: Ord>(&self, key: impl Fn(&Watched<T>) -> K, skipped: &mut Vec<Skipped>) -> Option<BTreeMap<K, Arc<T>>> {
        match &*self.known.borrow() {
            Known::Read(store) => Some(views_by(key, &store.state(), skipped)),
            Known::Asked | Known::Forbidden => None,
        }
    }
}

/// Never ends.
async fn read_while_allowed<T: View>(api: Api<T::Raw>, announce: watch::Sender<Known<T>>) -> anyhow::Result<()> {
    let mut wait = FIRST_RETRY;
    loop {
        let start = Instant::now();
        wait_until_allowed(&api, &announce, &mut wait).await;
        let (_, writer) = reflector::store();
        let events = watcher(api.clone(), watcher::Config::default()).map_ok(Watched::<T>::of_event);
        follow(events.default_backoff(), writer, &announce).await;
        forget(&announce);
        if start.elapsed() > LONGEST_RETRY {
            wait = FIRST_RETRY;
        }
        next_wait(&mut wait).await;
    }
}

/// Asks for one object at a time, since a watch that is refused would ask again every few seconds.
async fn wait_until_allowed<T: View>(api: &Api<T::Raw>, announce: &watch::Sender<Known<T>>, wait: &mut Duration) {
    let mut told = false;
    while let Err(error) = api.list(&ListParams::default().limit(1)).await {
        if status(&error).is_some_and(|status| status.code == 403) {
            forget(announce);
        } else if !told {
            tracing::warn!("{}; trying again", explain_read(&plural::<T>(), &error));
            told = true;
        }
        next_wait(wait).await;
    }
}

async fn next_wait(wait: &mut Duration) {
    sleep(*wait).await;
    *wait = (*wait * 2).min(LONGEST_RETRY);
}

/// Says so once.
fn forget<T: View>(announce: &watch::Sender<Known<T>>) {
    if !matches!(announce.send_replace(Known::Forbidden), Known::Forbidden) {
        let resource = plural::<T>();
        tracing::info!(
            "not allowed to read {resource}: rules that need them go unchecked (k8s/optional/extras-rbac.yaml allows it)"
        );
    }
}

/// Keeps a store up to date, and announces it once it holds everything. Ends when the server forbids it; of failures in
/// a row it names the first.
async fn follow<T: View>(
    events: impl Stream<Item = Result<Event<Watched<T>>, watcher::Error>> + Send,
    writer: Writer<Watched<T>>,
    announce: &watch::Sender<Known<T>>,
) {
    let resource = plural::<T>();
    let store = writer.as_reader();
    let mut events = reflector::reflector(writer, events).boxed();
    let mut failing = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                failing = false;
                if matches!(event, Event::InitDone)
                    && !matches!(announce.send_replace(Known::Read(store.clone())), Known::Read(_))
                {
                    tracing::info!("reading {resource}");
                }
            }
            Err(error) if is_forbidden(&error) => return,
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%resource, "watch failed, trying again: {}", explain_watch(&resource, &error));
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Namespace;
    use kube::core::Status;
    use serde_json::json;

    fn namespace(name: &str) -> Watched<Labels> {
        let raw: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        Watched::of(&raw)
    }

    fn answer(code: u16) -> watcher::Error {
        let status: Status = serde_json::from_value(json!({"status": "Failure", "code": code})).unwrap();
        watcher::Error::WatchStartFailed(kube::Error::Api(Box::new(status)))
    }

    #[tokio::test]
    async fn a_kind_is_read_until_the_server_forbids_it_and_other_failures_do_not_matter() {
        let (announce, known) = watch::channel(Known::Asked);
        let optional = Optional::<Labels> { known };
        let names =
            || optional.by(Watched::cluster_name, &mut Vec::new()).map(|all| all.into_keys().collect::<Vec<_>>());
        assert_eq!(names(), None);
        let (_, writer) = reflector::store();
        let events = [
            Ok(Event::Init),
            Ok(Event::InitApply(namespace("a"))),
            Ok(Event::InitDone),
            Err(answer(500)),
            Ok(Event::Apply(namespace("b"))),
            Err(answer(403)),
            Ok(Event::Apply(namespace("after the end"))),
        ];
        follow(futures::stream::iter(events), writer, &announce).await;
        assert_eq!(names(), Some(vec!["a".to_owned(), "b".to_owned()]));
        forget(&announce);
        assert_eq!(names(), None);
    }

    #[tokio::test]
    async fn a_list_that_is_on_its_way_is_not_shown_yet() {
        let (announce, known) = watch::channel(Known::Asked);
        let optional = Optional::<Labels> { known };
        let (_, writer) = reflector::store();
        let events = [Ok(Event::Init), Ok(Event::InitApply(namespace("a")))];
        follow(futures::stream::iter(events), writer, &announce).await;
        assert!(optional.by(Watched::cluster_name, &mut Vec::new()).is_none());
    }
}
