//! Which keys make up the stream: listed ones as they are, those of a pattern as they are found on the servers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::key;
use super::keyspace::{self, KeysFound, Keyspace, PatternSearch};
use super::poll::PollConnections;
use crate::model::identity::PartitionId;
use crate::model::sample::Failure;
use crate::model::stream::StreamSelector;
use crate::model::tuning::stream::MAX_PARTITIONS;
use crate::sources::RoomAsked;

/// A key that vanished is still asked for, and so reported as missing, for so long …
const KEEP_VANISHED: Duration = Duration::from_secs(120);

/// … and for at least so many look-ups.
const KEEP_LOOKUPS: u32 = 2;

/// The keys of one group's stream, and how far the current look-up is.
pub struct Discovery {
    selector: StreamSelector,
    known: BTreeMap<String, KnownStream>,
    /// How a pattern's keys are found, …
    search: Option<PatternSearch>,
    /// … and those that were found last.
    found: Option<Arc<KeysFound>>,
    lookups: u64,
    /// Whether the last question for keys had none.
    lacks_keys: bool,
    /// Asked before more keys are known than before.
    room: Option<RoomAsked>,
}

struct KnownStream {
    id: PartitionId,
    vanished: Option<Vanished>,
}

#[derive(Clone, Copy)]
struct Vanished {
    since: Instant,
    lookups: u32,
}

impl Discovery {
    /// Nothing looked up yet.
    pub fn new(selector: StreamSelector, keyspace: &Arc<Keyspace>) -> Self {
        let search = match &selector {
            StreamSelector::Pattern(pattern) => Some(keyspace.search(pattern)),
            StreamSelector::Keys(_) | StreamSelector::Whole => None,
        };
        let known = match &selector {
            StreamSelector::Keys(keys) => keys
                .iter()
                .map(|(name, id)| {
                    (
                        key::held(name.as_bytes()),
                        KnownStream {
                            id: id.clone(),
                            vanished: None,
                        },
                    )
                })
                .collect(),
            StreamSelector::Pattern(_) | StreamSelector::Whole => BTreeMap::new(),
        };
        Self {
            selector,
            known,
            search,
            found: None,
            lookups: 0,
            lacks_keys: false,
            room: None,
        }
    }

    /// Has it ask for room for what a pattern finds.
    pub fn within(&mut self, room: RoomAsked) {
        self.room = Some(room);
    }

    /// The keys to ask for, in order: of a pattern as they were found last.
    ///
    /// # Errors
    /// Nothing was found lately and looking fails, or is not through within half of a request's time; or there are too many.
    pub async fn keys(&mut self, lines: &PollConnections<'_>) -> Result<Vec<String>, Failure> {
        if let Some(search) = &self.search {
            let patience = Instant::now() + lines.response_timeout() / 2;
            self.lacks_keys = true;
            let found = search.keys(patience).await?;
            self.lacks_keys = false;
            self.settle(&found)?;
        }
        if self.known.len() > MAX_PARTITIONS {
            let pattern = self.search.as_ref().map(PatternSearch::pattern);
            return Err(keyspace::too_many(pattern.unwrap_or_default()));
        }
        Ok(self.known.keys().cloned().collect())
    }

    /// Returns once there are keys, where the last question for them had none: once, not again before the next question.
    pub async fn until_found(&mut self) {
        match self.search.as_ref().filter(|_| self.lacks_keys) {
            Some(search) => search.until_found().await,
            None => std::future::pending().await,
        }
        self.lacks_keys = false;
    }

    /// How often the keys were looked up: they are the same as long as that is.
    pub const fn lookups(&self) -> u64 {
        self.lookups
    }

    /// The partition that a key is.
    pub fn id(&self, key: &str) -> Option<&PartitionId> {
        self.known.get(key).map(|known| &known.id)
    }

    /// Takes over what a look-up found.
    fn settle(&mut self, found: &Arc<KeysFound>) -> Result<(), Failure> {
        let known = self.found.as_ref();
        if known.is_some_and(|known| Arc::ptr_eq(known, found)) {
            return Ok(());
        }
        self.forget_vanished(&found.keys, found.at);
        if let Some(room) = &self.room {
            let is_new = |key: &&String| !self.known.contains_key(*key);
            room(self.known.len() + found.keys.iter().filter(is_new).count())?;
        }
        self.adopt(&found.keys);
        self.found = Some(Arc::clone(found));
        self.lookups += 1;
        Ok(())
    }

    fn forget_vanished(&mut self, found: &BTreeSet<String>, now: Instant) {
        self.known.retain(|key, known| {
            known.vanished = (!found.contains(key)).then(|| {
                let since = known.vanished.map_or(now, |vanished| vanished.since);
                let lookups = known.vanished.map_or(0, |vanished| vanished.lookups) + 1;
                Vanished { since, lookups }
            });
            known.vanished.is_none_or(|vanished| {
                vanished.lookups <= KEEP_LOOKUPS
                    || now.duration_since(vanished.since) <= KEEP_VANISHED
            })
        });
    }

    fn adopt(&mut self, found: &BTreeSet<String>) {
        let mut taken: BTreeSet<_> = self.known.values().map(|known| known.id.clone()).collect();
        for key in found {
            if self.known.contains_key(key) {
                continue;
            }
            // `orders*` gives both `orders` and `ordersorders` the name `orders`; a whole key is its own, but for one with `%ff`
            // in it beside one with that byte.
            let part = self.selector.partition_of(key);
            let names = [
                key::shown(part.as_str()),
                key::shown(key),
                key::shown_apart(key),
            ];
            let more = (2..).map(|n| format!("{}%{n}", key::shown_apart(key)));
            let mut free = names.into_iter().chain(more).map(PartitionId::new);
            let free = free.find(|id| !taken.contains(id));
            let id = free.unwrap_or_else(|| PartitionId::new(key.as_str()));
            taken.insert(id.clone());
            let known = KnownStream { id, vanished: None };
            self.known.insert(key.clone(), known);
        }
    }
}
