//! The Kubernetes API, read only and by watch: what a ScaledObject or ScaledJob says, and how many replicas of what it scales
//! run and are ready.
//!
//! Nothing rests on it: a watch that fails is an answer too, and without one the replicas are estimated from the consumers.

pub mod connect;
mod failure;
mod object;
mod record;
mod resource;
mod seen;
mod shared;
mod shelf;
mod watch;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinError, JoinSet};

use crate::clock::Clock;
use crate::config::kubernetes::KubernetesConfig;
use crate::scaled_object::Unread;

use self::resource::WatchScope;
use self::shared::{Inner, Shared};
use self::shelf::Shelf;

pub use self::connect::has_account;
pub use self::object::ObjectName;
pub use self::record::ClusterStats;
pub use self::seen::{Presence, SeenObject};

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

#[cfg(test)]
mod tests {
    use super::resource::Resource;
    use super::*;

    #[tokio::test]
    async fn a_watch_that_fails_is_taken_out_so_that_another_is_started() {
        let mut watches = Watches::default();
        let start = |watches: &mut Watches, namespace: &str, has_fault: bool| {
            let deployments = Resource::new("apps", "v1", "Deployment", "deployments");
            let place = WatchScope::new(namespace, deployments);
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
