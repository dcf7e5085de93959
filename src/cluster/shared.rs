//! What all watches share: the client, the budget of calls, and what each has seen.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use crate::clock::Clock;
use crate::config::kubernetes::KubernetesConfig;
use crate::resilience::budget::CallBudget;
use crate::scaled_object::{Unread, UnreadKind};

use super::connect::{self, has_account};
use super::record::Record;
use super::resource::WatchScope;
use super::shelf::{Item, Shelf};

/// The longest that one call may take; a watch, until it is open.
pub(super) const DEADLINE: Duration = Duration::from_secs(3);

/// Calls within any second, over all watches.
pub(super) const CALLS_PER_SECOND: u32 = 50;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) inner: Mutex<Inner>,
    /// Something is another than before.
    pub(super) news: Notify,
    pub(super) connecting: tokio::sync::Mutex<()>,
}

pub(super) struct Inner {
    /// `None`: not to be read.
    pub(super) config: Option<KubernetesConfig>,
    /// Counts configurations: watches of an older one are void.
    pub(super) generation: u64,
    pub(super) client: Option<kube::Client>,
    pub(super) budget: CallBudget,
    pub(super) shelves: BTreeMap<WatchScope, Shelf>,
    pub(super) record: Record,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn listed(&self, place: &WatchScope, items: BTreeMap<String, Item>) {
        let now = self.clock.now();
        self.on_shelf(place, |shelf| shelf.replace(now, items));
    }

    pub(super) fn changed(&self, place: &WatchScope, name: String, item: Option<Item>) {
        let now = self.clock.now();
        self.on_shelf(place, |shelf| shelf.put(now, name, item));
    }

    pub(super) fn alive(&self, place: &WatchScope) {
        let now = self.clock.now();
        self.on_shelf(place, |shelf| shelf.alive(now));
    }

    pub(super) fn failed(&self, place: &WatchScope, unread: Unread) {
        let now = self.clock.now();
        let mut inner = self.inner();
        if !(place.is_optional() && unread.kind == UnreadKind::Auth) {
            inner.record.failed(unread.kind);
        }
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
    pub(super) fn on_shelf(&self, place: &WatchScope, change: impl FnOnce(&mut Shelf) -> bool) {
        let mut inner = self.inner();
        if inner.shelves.get_mut(place).is_some_and(change) {
            self.news.notify_one();
        }
    }

    pub(super) fn take_leave(&self) -> Result<(), Duration> {
        let now = self.clock.now();
        let mut inner = self.inner();
        inner.budget.take(now)?;
        inner.record.called();
        Ok(())
    }

    pub(super) async fn client(&self) -> Result<kube::Client, Unread> {
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

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    pub(super) fn new(config: &KubernetesConfig, generation: u64) -> Self {
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
