//! Readings that groups of one source share. A server tells of all groups of a key whenever it is asked for one: of a key with many of them,
//! what was just read for one group is taken for the others, too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use super::answer::{KeyAnswer, Snapshot};
use super::reply::{self, GroupInfo, StreamInfo};

/// Keys with so many groups are shared: below, asking costs less than keeping.
const MANY_GROUPS: usize = 8;

/// A reading is taken for other groups for so long: rates of a poll interval of five seconds are off by a twentieth at most, those of
/// fifteen seconds by less than two hundredths.
const TAKEN_FOR: Duration = Duration::from_millis(250);

/// A key that nobody asked for in so long is forgotten.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// What one server said of keys with many groups.
#[derive(Default)]
pub struct SharedReadings {
    keys: Mutex<HashMap<String, Arc<AllGroupsReading>>>,
    /// Held by the poll that reads such keys, so that the others wait for its reading instead of each asking.
    reading: tokio::sync::Mutex<()>,
}

struct AllGroupsReading {
    at: Instant,
    stream: StreamInfo,
    groups: HashMap<String, GroupInfo>,
    now_millis: Option<u64>,
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

impl SharedReadings {
    /// Whether the key is known to have many groups.
    pub fn has(&self, key: &str) -> bool {
        self.known().contains_key(key)
    }

    /// What there is of the keys for that group, as of now or just before.
    pub fn find(&self, keys: &[String], group: &str) -> Found {
        let now = Instant::now();
        self.find_since(keys, group, now.checked_sub(TAKEN_FOR).unwrap_or(now))
    }

    /// As [`Self::find`], with nothing from before `since`.
    pub fn find_since(&self, keys: &[String], group: &str, since: Instant) -> Found {
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
                reading => {
                    found.is_awaited |= reading.is_some();
                    found.unread.push(key.clone());
                }
            }
        }
        found
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.known().clear();
    }

    /// Waits until nobody else reads keys with many groups.
    pub async fn take_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.reading.lock().await
    }

    /// Keeps what was read of a key, if it has many groups; `groups` is the server's reply to what was asked at `at`.
    pub fn keep(
        &self,
        key: &str,
        at: Instant,
        (stream, groups): (&StreamInfo, &Value),
        now_millis: Option<u64>,
    ) {
        let many = reply::items(groups).is_some_and(|groups| groups.len() >= MANY_GROUPS);
        let Some(groups) = many.then(|| reply::all_groups(groups)).flatten() else {
            return;
        };
        let reading = AllGroupsReading {
            at,
            stream: stream.clone(),
            groups,
            now_millis,
        };
        let mut known = self.known();
        known.retain(|_, reading| reading.at.elapsed() < KEPT_FOR);
        known.insert(key.to_owned(), Arc::new(reading));
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
