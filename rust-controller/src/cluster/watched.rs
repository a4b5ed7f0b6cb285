//! What a store keeps of an object: its name, and the planner's view of it.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use kube::runtime::reflector::Lookup;
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;

use crate::lower::LowerError;
use crate::model::ObjectName;
use crate::snapshot::Skipped;

/// One object of a store. An object that cannot be lowered stays in the store with the reason, so that it is named
/// until it is mended.
#[derive(Debug)]
pub(super) struct Watched<T> {
    namespace: Option<String>,
    name: String,
    view: Result<Arc<T>, Arc<Skipped>>,
}

/// A Kubernetes object type and the planner's view of it.
pub(super) trait View: Sized + Send + Sync + 'static {
    /// The type on the wire.
    type Raw: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static;

    fn lower(raw: &Self::Raw) -> Result<Self, LowerError>;

    /// The node that an object takes room of, even if it cannot be lowered.
    fn node(_raw: &Self::Raw) -> Option<String> {
        None
    }
}

impl<T: View> Watched<T> {
    pub(super) fn of(raw: &T::Raw) -> Self {
        let metadata = kube::Resource::meta(raw);
        let name = metadata.name.clone().unwrap_or_default();
        let namespace = metadata.namespace.clone();
        let view = T::lower(raw).map(Arc::new).map_err(|error| {
            let name = namespace.as_ref().map_or_else(|| name.clone(), |namespace| format!("{namespace}/{name}"));
            let kind = <T::Raw as kube::Resource>::kind(&()).into_owned();
            Arc::new(Skipped { kind, name, reason: error.to_string(), node: T::node(raw) })
        });
        Self { namespace, name, view }
    }

    /// A watch event with the object replaced by the planner's view of it, so that nothing else stays in memory.
    pub(super) fn of_event(event: Event<T::Raw>) -> Event<Self> {
        match event {
            Event::Apply(raw) => Event::Apply(Self::of(&raw)),
            Event::Delete(raw) => Event::Delete(Self::of(&raw)),
            Event::Init => Event::Init,
            Event::InitApply(raw) => Event::InitApply(Self::of(&raw)),
            Event::InitDone => Event::InitDone,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its name, for kinds without namespaces.
    pub(super) fn cluster_name(&self) -> String {
        self.name.clone()
    }

    /// Its name, for kinds with namespaces.
    pub(super) fn object_name(&self) -> ObjectName {
        ObjectName { namespace: self.namespace.clone().unwrap_or_default(), name: self.name.clone() }
    }

    pub(super) fn view(&self) -> Result<Arc<T>, Skipped> {
        self.view.as_ref().map(Arc::clone).map_err(|skipped| Skipped::clone(skipped))
    }
}

/// What RBAC calls the kind: `pods`.
pub(super) fn plural<T: View>() -> Cow<'static, str> {
    <T::Raw as kube::Resource>::plural(&())
}

/// The views of objects. Those that could not be lowered go to `skipped`.
pub(super) fn views<T: View>(objects: &[impl Borrow<Watched<T>>], skipped: &mut Vec<Skipped>) -> Vec<Arc<T>> {
    let view = |object: &_| Borrow::<Watched<T>>::borrow(object).view().map_err(|reason| skipped.push(reason)).ok();
    objects.iter().filter_map(view).collect()
}

/// As [`views`], by what tells one object of the kind from every other.
pub(super) fn views_by<K: Ord, T: View>(
    key: impl Fn(&Watched<T>) -> K,
    objects: &[impl Borrow<Watched<T>>],
    skipped: &mut Vec<Skipped>,
) -> BTreeMap<K, Arc<T>> {
    let entry = |object: &_| {
        let watched: &Watched<T> = Borrow::borrow(object);
        watched.view().map(|view| (key(watched), view)).map_err(|reason| skipped.push(reason)).ok()
    };
    objects.iter().filter_map(entry).collect()
}

/// Without asking that the view can be cloned, as the derived one would.
impl<T> Clone for Watched<T> {
    fn clone(&self) -> Self {
        Self { namespace: self.namespace.clone(), name: self.name.clone(), view: self.view.clone() }
    }
}

impl<T: View> Lookup for Watched<T> {
    type DynamicType = ();

    fn kind((): &()) -> Cow<'_, str> {
        <T::Raw as kube::Resource>::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        <T::Raw as kube::Resource>::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        <T::Raw as kube::Resource>::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        <T::Raw as kube::Resource>::plural(&())
    }

    fn name(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.name))
    }

    fn namespace(&self) -> Option<Cow<'_, str>> {
        self.namespace.as_deref().map(Cow::Borrowed)
    }

    fn resource_version(&self) -> Option<Cow<'_, str>> {
        None
    }

    fn uid(&self) -> Option<Cow<'_, str>> {
        None
    }
}
