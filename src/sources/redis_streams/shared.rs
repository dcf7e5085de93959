//! Readings that groups of one source share. A server tells of all groups of a key whenever it is asked for one: of a key that many readers
//! ask for, what was just read for one of them is taken for the others, too.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use super::answer::{KeyAnswer, Snapshot};
use super::reply::{self, GroupInfo, StreamInfo};
use crate::model::sample::{Failure, FailureKind, Position};

/// Keys that so many readers ask for are shared: below, asking costs less than waiting for each other.
const MANY_READERS: u32 = 4;

/// A reading is taken for other groups for so long at most, …
const TAKEN_FOR: Duration = Duration::from_millis(250);

/// … and for no more than this share of their poll interval: the rates of one interval are off by as much.
const SHARE_OF_INTERVAL: u32 = 20;

/// How old the readings may be that a poll takes.
pub fn taken_for(poll_interval: Duration) -> Duration {
    TAKEN_FOR.min(poll_interval / SHARE_OF_INTERVAL)
}

/// The oldest reading that a poll takes which begins now.
pub fn taken_since(poll_interval: Duration) -> Instant {
    let now = Instant::now();
    now.checked_sub(taken_for(poll_interval)).unwrap_or(now)
}

/// What nobody asks for any more is dropped so often.
const PRUNED_EVERY: Duration = Duration::from_secs(30);

/// How many readers of a source ask for each key, by a hash of the key.
#[derive(Default)]
pub struct KeyReaders(Mutex<HashMap<u64, u32>>);

/// The keys that one reader asks for. They are given up when it is dropped.
pub struct ReadKeys {
    of: Arc<KeyReaders>,
    hashes: Vec<u64>,
}

impl ReadKeys {
    /// None yet.
    pub const fn new(of: Arc<KeyReaders>) -> Self {
        let hashes = Vec::new();
        Self { of, hashes }
    }

    /// From now on these.
    pub fn replace(&mut self, keys: &[String]) {
        let hashes: Vec<_> = keys.iter().map(|key| hash(key)).collect();
        let mut readers = self.of.readers();
        for hash in &hashes {
            *readers.entry(*hash).or_default() += 1;
        }
        give_up(&mut readers, &std::mem::replace(&mut self.hashes, hashes));
    }
}

impl Drop for ReadKeys {
    fn drop(&mut self) {
        give_up(&mut self.of.readers(), &self.hashes);
    }
}

fn give_up(readers: &mut HashMap<u64, u32>, hashes: &[u64]) {
    for hash in hashes {
        if let Some(count) = readers.get_mut(hash) {
            *count -= 1;
            if *count == 0 {
                readers.remove(hash);
            }
        }
    }
}

impl KeyReaders {
    fn are_many(&self, key: &str) -> bool {
        self.readers()
            .get(&hash(key))
            .is_some_and(|count| *count >= MANY_READERS)
    }

    fn readers(&self) -> MutexGuard<'_, HashMap<u64, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// What one server said of keys that many readers ask for.
pub struct SharedKeys {
    readers: Arc<KeyReaders>,
    keys: Mutex<HashMap<String, Arc<AllGroupsReading>>>,
    ranges: Mutex<HashMap<String, Arc<IdRange>>>,
    /// When what nobody asks for any more was last dropped.
    pruned_at: Mutex<Instant>,
    /// The last outage that a reading met, and when it was asked for.
    outage: Mutex<Option<(Instant, Failure)>>,
    /// Held by the poll that reads such keys, so that the others wait for its reading instead of each asking.
    reading: tokio::sync::Mutex<()>,
}

struct AllGroupsReading {
    at: Instant,
    stream: StreamInfo,
    groups: HashMap<String, GroupInfo>,
    now_millis: Option<u64>,
}

/// Ids of entries, all there are between two.
pub struct IdRange {
    /// When they were asked for.
    pub at: Instant,
    /// Those after this id, …
    pub after: Position,
    /// … up to this one.
    pub through: Position,
    /// In order.
    pub ids: Vec<Position>,
}

/// What there is of some keys.
pub struct Found {
    /// Keys with what is known of the group on them; its pending entries are not.
    pub fresh: Vec<(String, KeyAnswer)>,
    /// Keys that have to be read.
    pub unread: Vec<String>,
    /// Whether others may be reading one of these.
    pub is_awaited: bool,
    /// The server's clock at one of the readings, in milliseconds.
    pub now_millis: Option<u64>,
}

impl SharedKeys {
    /// Nothing was read yet.
    pub fn new(readers: Arc<KeyReaders>) -> Self {
        Self {
            readers,
            keys: Mutex::default(),
            ranges: Mutex::default(),
            pruned_at: Mutex::new(Instant::now()),
            outage: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// Whether many readers ask for the key.
    pub fn is_shared(&self, key: &str) -> bool {
        self.readers.are_many(key)
    }

    /// What there is of the keys for that group, none of it from before `since`.
    pub fn find(&self, keys: &[String], group: &str, since: Instant) -> Found {
        let mut found = Found {
            fresh: Vec::new(),
            unread: Vec::new(),
            is_awaited: false,
            now_millis: None,
        };
        let known = self.known();
        for key in keys {
            match known.get(key) {
                Some(reading) if reading.at >= since && !group.is_empty() => {
                    found.now_millis = found.now_millis.or(reading.now_millis);
                    found.fresh.push((key.clone(), reading.of(group)));
                }
                _ => {
                    found.is_awaited |= self.is_shared(key);
                    found.unread.push(key.clone());
                }
            }
        }
        found
    }

    /// Ids on the key that were asked for at `since` or later.
    pub fn range(&self, key: &str, since: Instant) -> Option<Arc<IdRange>> {
        let range = self.ranges().get(key).map(Arc::clone)?;
        (range.at >= since).then_some(range)
    }

    /// Keeps ids for the others.
    pub fn keep_range(&self, key: &str, range: IdRange) -> Arc<IdRange> {
        let range = Arc::new(range);
        self.ranges().insert(key.to_owned(), Arc::clone(&range));
        range
    }

    /// Now and then, as it looks at everything.
    fn prune(&self) {
        let mut pruned_at = self
            .pruned_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if pruned_at.elapsed() < PRUNED_EVERY {
            return;
        }
        *pruned_at = Instant::now();
        self.known().retain(|key, _| self.is_shared(key));
        self.ranges()
            .retain(|_, range| range.at.elapsed() < PRUNED_EVERY);
    }

    fn ranges(&self) -> MutexGuard<'_, HashMap<String, Arc<IdRange>>> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.known().clear();
    }

    /// Takes note that a reading that was asked for at `at` failed: those who waited for it need not try, too, if nothing answers. That
    /// it took too long may be for keys of its own.
    pub fn failed(&self, at: Instant, failure: &Failure) {
        if failure.kind.is_outage() && failure.kind != FailureKind::Timeout {
            *self.last_outage() = Some((at, failure.clone()));
        }
    }

    /// The outage that a reading met which was asked for at `since` or later.
    pub fn outage(&self, since: Instant) -> Option<Failure> {
        let outage = self.last_outage();
        let (at, failure) = outage.as_ref()?;
        (*at >= since).then(|| failure.clone())
    }

    fn last_outage(&self) -> MutexGuard<'_, Option<(Instant, Failure)>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody else reads keys that are shared.
    pub async fn take_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.prune();
        self.reading.lock().await
    }

    /// Keeps what was read of a key, if many readers ask for it; `groups` is the server's reply to what was asked at `at`.
    pub fn keep(
        &self,
        key: &str,
        at: Instant,
        (stream, groups): (&StreamInfo, &Value),
        now_millis: Option<u64>,
    ) {
        let is_shared = self.is_shared(key);
        let Some(groups) = is_shared.then(|| reply::all_groups(groups)).flatten() else {
            return;
        };
        let reading = AllGroupsReading {
            at,
            stream: stream.clone(),
            groups,
            now_millis,
        };
        let mut known = self.known();
        // A group never sees an older one after a newer one.
        if known.get(key).is_none_or(|known| known.at <= at) {
            known.insert(key.to_owned(), Arc::new(reading));
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<AllGroupsReading>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AllGroupsReading {
    fn of(&self, group: &str) -> KeyAnswer {
        match self.groups.get(group) {
            Some(info) => KeyAnswer::Present(Snapshot {
                stream: self.stream.clone(),
                group: info.clone(),
                oldest_pending: None,
                now_millis: self.now_millis,
            }),
            None => KeyAnswer::GroupMissing(self.stream.clone()),
        }
    }
}
