//! What is added to streams of inactive groups, noticed at once: one blocking XREAD per source, on a connection of its own; in a cluster
//! one per slot, as a read of several slots is refused. It reads outside of any consumer group, so it changes nothing there. The polls go
//! on beside it, and are all that there is where it is refused.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::select_all;
use redis::Value;
use redis::aio::ConnectionLike;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::failure::{self, Subject};
use super::nodes::Servers;
use super::slots::slot_of;
use super::transport::OpenConnection;
use super::{id, key, reply};
use crate::model::sample::{Failure, FailureKind, Position};

/// A read blocks for so long at least; streams that join meanwhile are read from the next one on …
const SHORTEST_BLOCK: Duration = Duration::from_secs(1);
/// … and for so long per stream, so that a read of many does not busy the server, …
const BLOCK_PER_STREAM: Duration = Duration::from_millis(1);
/// … but no longer than this.
const LONGEST_BLOCK: Duration = Duration::from_secs(10);

/// Slots of a cluster that are watched at a time: each takes a connection.
const MOST_SLOTS: usize = 32;

/// Streams that are watched at a time, over all groups of the source.
const MOST_STREAMS: usize = 10_000;
/// A read returns an entry of every stream that has a new one: bytes that this may come to.
const MOST_BYTES: usize = 8 << 20;

/// After news the next read begins no sooner than this after the last one began, or this per stream if that is longer: many messages cause few
/// large reads.
const REST: Duration = Duration::from_millis(10);
const REST_PER_STREAM: Duration = Duration::from_micros(100);

/// Without anything to watch the connection is kept for so long.
const LINGER: Duration = Duration::from_secs(60);
/// After an outage …
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// … and after a refusal, which only a person can mend.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// Where a stream ended when it was last read.
#[derive(Clone, Debug)]
pub struct End {
    /// Its key.
    pub key: String,
    /// The highest id given out by then.
    pub last: Position,
    /// What one entry takes.
    pub entry_bytes: usize,
}

/// The watches of one source.
pub struct Wake {
    servers: Arc<Servers>,
    /// By slot; of one server there is one without.
    watches: Mutex<BTreeMap<Option<u16>, Arc<Watch>>>,
    /// Whether it was logged that there are too many slots.
    is_full: AtomicBool,
}

/// One blocking read after the other.
struct Watch {
    servers: Arc<Servers>,
    slot: Option<u16>,
    inner: Mutex<Inner>,
    /// Something is to be watched again.
    wanted: Notify,
}

#[derive(Default)]
struct Inner {
    is_running: bool,
    /// What was logged: that the last read failed, that groups were left out.
    fails: bool,
    is_full: bool,
    next_ticket: u64,
    waiting: BTreeMap<u64, WaitingGroup>,
}

struct WaitingGroup {
    ends: Vec<End>,
    news: Arc<Notify>,
}

fn block_for(streams: usize) -> Duration {
    (BLOCK_PER_STREAM * streams as u32).clamp(SHORTEST_BLOCK, LONGEST_BLOCK)
}

/// A group's place among those that wait; given up when it stops waiting.
struct WaitingPlace<'w> {
    wake: &'w Watch,
    ticket: u64,
}

impl Drop for WaitingPlace<'_> {
    fn drop(&mut self) {
        self.wake.inner().waiting.remove(&self.ticket);
    }
}

impl Wake {
    /// Watches nothing yet.
    pub fn new(servers: Arc<Servers>) -> Self {
        Self {
            servers,
            watches: Mutex::default(),
            is_full: AtomicBool::new(false),
        }
    }

    /// Returns as soon as one of the streams has an entry beyond its end. Never, where that is not watched: the polls find it.
    pub async fn until_news(&self, ends: Vec<End>) {
        let mut by_slot = BTreeMap::<Option<u16>, Vec<End>>::new();
        for end in ends {
            let slot = self.servers.is_cluster().then(|| slot_of(&end.key));
            by_slot.entry(slot).or_default().push(end);
        }
        let watched = by_slot.into_iter().filter_map(|(slot, ends)| {
            let watch = self.watch(slot)?;
            Some(Box::pin(async move { watch.until_news(ends).await }))
        });
        let watched: Vec<_> = watched.collect();
        match watched.is_empty() {
            true => std::future::pending().await,
            false => select_all(watched).await.0,
        }
    }

    /// The watch of a slot; `None` if there are too many.
    fn watch(&self, slot: Option<u16>) -> Option<Arc<Watch>> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = watches.get(&slot) {
            return Some(Arc::clone(watch));
        }
        if watches.len() >= MOST_SLOTS {
            watches.retain(|_, watch| watch.inner().is_running);
        }
        if watches.len() >= MOST_SLOTS {
            if !self.is_full.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "quiet streams are in too many slots of the cluster to watch all (limit: {MOST_SLOTS}): the first message of the others is found at the next poll instead"
                );
            }
            return None;
        }
        let watch = Arc::new(Watch {
            servers: Arc::clone(&self.servers),
            slot,
            inner: Mutex::default(),
            wanted: Notify::new(),
        });
        watches.insert(slot, Arc::clone(&watch));
        Some(watch)
    }
}

impl Watch {
    /// Returns as soon as one of the streams has an entry beyond its end.
    async fn until_news(self: &Arc<Self>, ends: Vec<End>) {
        let news = Arc::new(Notify::new());
        let (ticket, starts) = {
            let (mut inner, news) = (self.inner(), Arc::clone(&news));
            let ticket = inner.next_ticket;
            inner.next_ticket += 1;
            inner.waiting.insert(ticket, WaitingGroup { ends, news });
            (ticket, !std::mem::replace(&mut inner.is_running, true))
        };
        let _place = WaitingPlace { wake: self, ticket };
        if starts {
            let wake = Arc::clone(self);
            tokio::spawn(async move {
                let run = AssertUnwindSafe(Arc::clone(&wake).run());
                if run.catch_unwind().await.is_err() {
                    tracing::error!(
                        "watching quiet streams failed; streamgauge retries at the next wait"
                    );
                    wake.inner().is_running = false;
                }
            });
        } else {
            self.wanted.notify_one();
        }
        news.notified().await;
    }

    /// Watches until nobody has waited for long.
    async fn run(self: Arc<Self>) {
        let mut line = None;
        loop {
            let (ends, left_out) = self.inner().ends();
            if ends.is_empty() {
                let wanted = timeout(LINGER, self.wanted.notified()).await.is_ok();
                if !wanted && self.inner().has_ended() {
                    return;
                }
                continue;
            }
            let started = Instant::now();
            let block = block_for(ends.len());
            let read = self.read(&mut line, &ends, block).await;
            self.inner().say(read.as_ref().err(), left_out);
            let rests_until = match read {
                // A server that does not block is not asked more often for it.
                Ok(added) if added.is_empty() => started + block,
                Ok(added) => {
                    self.servers.forget_shared();
                    self.inner().tell(&added);
                    started + REST.max(REST_PER_STREAM * ends.len() as u32)
                }
                Err(failure) => {
                    line = None;
                    // A stream of another kind is found, and left out, by the next poll.
                    match failure.kind {
                        FailureKind::Auth | FailureKind::Misconfigured => started + REFUSED_FOR,
                        _ => started + AGAIN_AFTER,
                    }
                }
            };
            tokio::time::sleep_until(rests_until).await;
        }
    }

    /// Waits for entries beyond these ends; the first of each stream that has some, none if the time is over.
    async fn read(
        &self,
        line: &mut Option<OpenConnection>,
        ends: &BTreeMap<String, Position>,
        block: Duration,
    ) -> Result<BTreeMap<String, Position>, Failure> {
        let connection = match line {
            Some(connection) => connection,
            None => line.insert(self.servers.apart(self.slot, LONGEST_BLOCK).await?),
        };
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(1);
        command.arg("BLOCK").arg(block.as_millis() as u64);
        command.arg("STREAMS");
        ends.keys().for_each(|key| {
            command.arg(key::sent(key));
        });
        ends.values().for_each(|last| {
            command.arg(id::text(*last));
        });
        let address = connection.address().to_string();
        let read = connection.req_packed_command(&command).await;
        match read.map_err(|error| failure::of_error(&address, &error))? {
            Value::Nil => Ok(BTreeMap::new()),
            Value::ServerError(error) => Err(failure::of_reply(
                &Subject::server(&address, self.slot.is_some()),
                &error,
            )),
            read => reply::added(&read).ok_or_else(|| failure::garbled(&address, "XREAD")),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What to watch: per stream the earliest end that anybody saw, as many groups whole as the limits allow; and how many are left out.
    fn ends(&self) -> (BTreeMap<String, Position>, usize) {
        let mut ends = BTreeMap::<String, Position>::new();
        let (mut bytes, mut left_out) = (0, 0);
        for waiting in self.waiting.values() {
            let is_new = |end: &&End| !ends.contains_key(&end.key);
            let (more, more_bytes) = waiting
                .ends
                .iter()
                .filter(is_new)
                .fold((0, 0), |(n, bytes), end| (n + 1, bytes + end.entry_bytes));
            if ends.len() + more > MOST_STREAMS || bytes + more_bytes > MOST_BYTES {
                left_out += 1;
                continue;
            }
            bytes += more_bytes;
            for end in &waiting.ends {
                let last = ends.entry(end.key.clone()).or_insert(end.last);
                *last = end.last.min(*last);
            }
        }
        (ends, left_out)
    }

    /// Wakes whoever waits for one of these entries.
    fn tell(&mut self, added: &BTreeMap<String, Position>) {
        let is_news = |end: &End| added.get(&end.key).is_some_and(|id| *id > end.last);
        self.waiting.retain(|_, waiting| {
            let told = waiting.ends.iter().any(is_news);
            if told {
                waiting.news.notify_one();
            }
            !told
        });
    }

    /// Logs what changes: that the watch fails, works again, leaves groups out.
    fn say(&mut self, failure: Option<&Failure>, left_out: usize) {
        let failed = std::mem::replace(&mut self.fails, failure.is_some());
        match failure {
            Some(failure) if !failed => tracing::warn!(
                "cannot watch quiet streams; their first message is found at the next poll instead: {failure}"
            ),
            None if failed => tracing::info!("watching quiet streams works again"),
            _ => {}
        }
        if left_out > 0 && !std::mem::replace(&mut self.is_full, true) {
            tracing::warn!(
                "too many quiet streams to watch (limits: {MOST_STREAMS} streams, {MOST_BYTES} bytes for one entry of each): for {left_out} groups the first message is found at the next poll instead"
            );
        }
    }

    /// Whether no group waits any more; the next one that does restarts the watch.
    fn has_ended(&mut self) -> bool {
        self.is_running = !self.waiting.is_empty();
        !self.is_running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(groups: Vec<Vec<End>>) -> Inner {
        let waiting = |ends| WaitingGroup {
            ends,
            news: Arc::default(),
        };
        let waiting = groups.into_iter().map(waiting).zip(0..);
        Inner {
            waiting: waiting.map(|(waiting, n)| (n, waiting)).collect(),
            ..Inner::default()
        }
    }

    fn end(key: &str, last: u64, entry_bytes: usize) -> End {
        End {
            key: key.to_owned(),
            last: at(last),
            entry_bytes,
        }
    }

    const fn at(major: u64) -> Position {
        Position { major, minor: 0 }
    }

    #[test]
    fn groups_with_too_many_or_too_large_entries_are_left_to_the_polls_and_keep_nobody_out() {
        let many = (0..MOST_STREAMS).map(|n| end(&n.to_string(), 1, 1));
        let inner = inner(vec![
            vec![end("first", 1, 100)],
            vec![end("fat", 1, MOST_BYTES)],
            many.collect(),
            // Streams that others watch cost nothing more.
            vec![end("first", 1, MOST_BYTES), end("last", 1, 100)],
        ]);
        let (watched, left_out) = inner.ends();
        assert_eq!(watched.into_keys().collect::<Vec<_>>(), ["first", "last"]);
        assert_eq!(left_out, 2);
    }

    #[test]
    fn of_groups_that_saw_a_stream_at_different_times_each_hears_of_what_is_new_to_it() {
        let mut inner = inner(vec![vec![end("s", 5, 1)], vec![end("s", 7, 1)]]);
        assert_eq!(inner.ends().0, [("s".to_owned(), at(5))].into());
        inner.tell(&[("s".to_owned(), at(7))].into());
        assert_eq!(inner.waiting.keys().collect::<Vec<_>>(), [&1]);
        assert_eq!(inner.ends().0, [("s".to_owned(), at(7))].into());
        inner.tell(&[("other".to_owned(), at(9)), ("s".to_owned(), at(8))].into());
        assert!(inner.waiting.is_empty());
    }
}
