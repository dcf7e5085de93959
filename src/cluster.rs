//! The Kubernetes API, read only and by watch: what a ScaledObject or ScaledJob says, and how many replicas of what it scales
//! run and are ready.
//!
//! Nothing rests on it: a watch that fails is an answer too, and without one the replicas are estimated from the consumers.

mod connect;
mod failure;
mod object;
mod record;
mod resource;
mod seen;
mod shelf;
mod watch;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinError, JoinSet, spawn_blocking};

use crate::clock::Clock;
use crate::config::kubernetes::KubernetesConfig;
use crate::policy::replicas::{Unread, UnreadKind};
use crate::resilience::budget::CallBudget;

use self::record::Record;
use self::resource::WatchScope;
use self::shelf::{Item, Shelf};

pub use self::connect::has_account;
pub use self::object::ObjectName;
pub use self::record::ClusterStats;
pub use self::seen::{Presence, SeenObject};

/// The longest that one call may take; a watch, until it is open.
const DEADLINE: Duration = Duration::from_secs(3);

/// Calls within any second, over all watches.
const CALLS_PER_SECOND: u32 = 50;

/// A watch is renewed after so many poll intervals: a dead one is then noticed long before its last word stops to count.
const INTERVALS_PER_RENEWAL: u32 = 3;

/// The API server as the config says to reach it.
#[derive(Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
}

/// The watches of a [`Cluster`]. They end when it is dropped.
#[derive(Debug, Default)]
pub struct Watches {
    running: JoinSet<()>,
    places: BTreeMap<WatchScope, AbortHandle>,
    generation: u64,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    inner: Mutex<Inner>,
    /// Something is another than before.
    news: Notify,
    connecting: tokio::sync::Mutex<()>,
}

struct Inner {
    /// `None`: not to be read.
    config: Option<KubernetesConfig>,
    /// Counts configurations: watches of an older one are void.
    generation: u64,
    client: Option<kube::Client>,
    budget: CallBudget,
    shelves: BTreeMap<WatchScope, Shelf>,
    record: Record,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Connects at the first watch.
    pub fn new(config: &KubernetesConfig, clock: Clock) -> Self {
        let shared = Shared {
            clock,
            inner: Mutex::new(Inner::new(config, 1)),
            news: Notify::new(),
            connecting: tokio::sync::Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Takes another configuration; what was known is read again.
    pub fn reconfigure(&self, config: &KubernetesConfig) {
        let mut inner = self.shared.inner();
        *inner = Inner::new(config, inner.generation + 1);
        drop(inner);
        self.shared.news.notify_one();
    }

    /// How often what is known is said again; `None`: nothing is to be read.
    pub fn poll_interval(&self) -> Option<Duration> {
        Some(self.shared.inner().config.as_ref()?.poll_interval)
    }

    /// How the calls went.
    pub fn stats(&self) -> Option<ClusterStats> {
        let inner = self.shared.inner();
        inner.config.as_ref().map(|_| inner.record.stats())
    }

    /// Wakes when something is another than before.
    pub async fn news(&self) {
        self.shared.news.notified().await;
    }

    /// Starts and ends watches so that all of these objects, what they scale and their HPAs are covered, and nothing else is.
    pub fn follow(&self, watches: &mut Watches, objects: &BTreeSet<ObjectName>) {
        let mut inner = self.shared.inner();
        let renewal = match &inner.config {
            Some(config) => config.poll_interval * INTERVALS_PER_RENEWAL,
            None => {
                watches.keep(&BTreeSet::new());
                return;
            }
        };
        if watches.generation != inner.generation {
            watches.keep(&BTreeSet::new());
            watches.generation = inner.generation;
        }
        let possible = objects.iter().filter(|name| name.is_possible());
        let places: BTreeSet<WatchScope> =
            possible.flat_map(|name| inner.places_of(name)).collect();
        watches.keep(&places);
        inner.shelves.retain(|place, _| places.contains(place));
        inner.record.keep(objects);
        for place in places {
            if watches.places.contains_key(&place) {
                continue;
            }
            inner.shelves.insert(place.clone(), Shelf::default());
            let (shared, of) = (Arc::clone(&self.shared), place.clone());
            let watch = async move { watch::follow(&shared, &of, renewal).await };
            let running = watches.running.spawn(watch);
            watches.places.insert(place, running);
        }
    }

    /// What is known of an object.
    pub fn seen(&self, name: &ObjectName) -> SeenObject {
        self.shared.inner().seen(name)
    }

    /// Notes what became of a reading, and logs what is wrong, once.
    pub fn note(&self, name: &ObjectName, fault: Option<&Unread>) {
        self.shared.inner().record.read(name, fault);
    }
}

impl Watches {
    /// Waits until a watch ends, which none does by itself, and takes it out, so that [`Cluster::follow`] starts another.
    pub async fn failed(&mut self) -> JoinError {
        loop {
            match self.running.join_next().await {
                Some(Err(error)) if !error.is_cancelled() => {
                    self.places.retain(|_, watch| watch.id() != error.id());
                    return error;
                }
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    fn keep(&mut self, wanted: &BTreeSet<WatchScope>) {
        self.places.retain(|place, watch| {
            let stays = wanted.contains(place);
            if !stays {
                watch.abort();
            }
            stays
        });
    }
}

impl Shared {
    fn listed(&self, place: &WatchScope, items: BTreeMap<String, Item>) {
        let now = self.clock.now();
        self.on_shelf(place, |shelf| shelf.replace(now, items));
    }

    fn changed(&self, place: &WatchScope, name: String, item: Option<Item>) {
        let now = self.clock.now();
        self.on_shelf(place, |shelf| shelf.put(now, name, item));
    }

    fn alive(&self, place: &WatchScope) {
        let now = self.clock.now();
        self.on_shelf(place, |shelf| shelf.alive(now));
    }

    fn failed(&self, place: &WatchScope, unread: Unread) {
        let now = self.clock.now();
        let mut inner = self.inner();
        inner.record.failed(unread.kind);
        match unread.kind {
            UnreadKind::Throttled => inner.budget.throttled(now),
            // A connection that died silently would make every later call wait on it.
            UnreadKind::Timeout => inner.client = None,
            _ => {}
        }
        drop(inner);
        self.on_shelf(place, |shelf| shelf.fail(unread));
    }

    /// `change` says whether it brought news.
    fn on_shelf(&self, place: &WatchScope, change: impl FnOnce(&mut Shelf) -> bool) {
        let mut inner = self.inner();
        if inner.shelves.get_mut(place).is_some_and(change) {
            self.news.notify_one();
        }
    }

    fn take_leave(&self) -> Result<(), Duration> {
        let now = self.clock.now();
        let mut inner = self.inner();
        inner.budget.take(now)?;
        inner.record.called();
        Ok(())
    }

    async fn client(&self) -> Result<kube::Client, Unread> {
        // One at a time: watches that start together share what the first of them makes.
        let _turn = self.connecting.lock().await;
        let config = {
            let inner = self.inner();
            if let Some(client) = &inner.client {
                return Ok(client.clone());
            }
            inner.config.clone().unwrap_or_default()
        };
        // Reading and checking certificates takes long enough to keep an answer to KEDA waiting.
        let runtime = Handle::current();
        let connected = spawn_blocking(move || runtime.block_on(connect::client(&config))).await;
        let client = match connected {
            Ok(client) => client?,
            Err(ended) => return Err(connect::misconfigured(ended.to_string())),
        };
        self.inner().client = Some(client.clone());
        Ok(client)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn new(config: &KubernetesConfig, generation: u64) -> Self {
        Self {
            config: config.is_on(has_account()).then(|| config.clone()),
            generation,
            client: None,
            budget: CallBudget::new(CALLS_PER_SECOND),
            shelves: BTreeMap::new(),
            record: Record::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::resource::Resource;
    use super::*;

    #[tokio::test]
    async fn a_watch_that_fails_is_taken_out_so_that_another_is_started() {
        let mut watches = Watches::default();
        let start = |watches: &mut Watches, namespace: &str, has_fault: bool| {
            let place = WatchScope {
                namespace: namespace.to_owned(),
                resource: Resource::new("apps", "v1", "Deployment", "deployments"),
            };
            let running = watches.running.spawn(async move {
                assert!(!has_fault, "a fault of the program");
                std::future::pending().await
            });
            watches.places.insert(place, running);
        };
        start(&mut watches, "shop", true);
        start(&mut watches, "bank", false);
        assert!(watches.failed().await.is_panic());
        let left: Vec<_> = watches
            .places
            .keys()
            .map(|place| &*place.namespace)
            .collect();
        assert_eq!(left, ["bank"]);
    }
}
