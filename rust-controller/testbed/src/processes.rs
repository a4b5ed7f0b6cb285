//! All running components of a control plane, and their end.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::component::Component;
use crate::error::{Error, Result};
use crate::wait::wait_until;
use crate::watchdog::Watchdog;

/// How long components may take to end before they are killed.
const GRACE: Duration = Duration::from_secs(5);

/// The components, in the order they started. Dropping this ends them.
#[derive(Debug)]
pub(crate) struct Processes {
    /// Locked, since looking whether a process lives needs it mutably, and
    /// tests share a control plane between threads.
    components: Mutex<Vec<Component>>,
    watchdog: Watchdog,
}

impl Processes {
    pub(crate) const fn new(watchdog: Watchdog) -> Self {
        Self { components: Mutex::new(Vec::new()), watchdog }
    }

    pub(crate) fn add(&self, component: Component) -> Result<()> {
        let id = component.id();
        // First into our own care: should the next step fail, it still ends.
        self.lock().push(component);
        self.watchdog.watch(id)
    }

    /// An error if any component has ended.
    pub(crate) fn check(&self) -> Result<()> {
        self.lock().iter_mut().try_for_each(Component::check)
    }

    /// An error about one of them, with the end of its log.
    pub(crate) fn error(&self, name: &'static str, reason: &str) -> Error {
        let components = self.lock();
        let component = components.iter().find(|component| component.name() == name);
        component.map_or_else(
            || Error::Component { component: name, reason: reason.to_owned(), log: String::new() },
            |component| component.error(reason.to_owned()),
        )
    }

    /// Runs `look` on the components.
    pub(crate) fn each<T>(&self, look: impl FnMut(&Component) -> T) -> Vec<T> {
        self.lock().iter().map(look).collect()
    }

    /// Lets go of the components: they live on when this is dropped.
    pub(crate) fn release(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Component>> {
        self.components.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Processes {
    /// Clients end before the store they depend on, or they would spend their
    /// last seconds trying to reach it.
    fn drop(&mut self) {
        let mut components = self.lock();
        let stores = components.len().min(1);
        let (store, clients) = components.split_at_mut(stores);
        end(clients);
        end(store);
    }
}

/// Asks all at once, waits for all together, then insists.
fn end(components: &mut [Component]) {
    components.iter_mut().for_each(Component::terminate);
    let ended = wait_until("the components' end", GRACE, || {
        let all = components.iter_mut().all(Component::has_ended);
        Ok::<_, Error>(all.then_some(()))
    });
    if ended.is_err() {
        components.iter_mut().for_each(Component::kill);
    }
}
