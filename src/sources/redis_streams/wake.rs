//! What is added to streams of inactive groups, noticed at once: one blocking XREAD per source, on a connection of its own. It reads
//! outside of any consumer group, so it changes nothing there. The polls go on beside it, and are all that there is where it is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Value;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::connection::Connection;
use super::{failure, id, key, reply};
use crate::model::sample::{Failure, FailureKind, Position};

/// A read blocks for so long at least; streams that join meanwhile are read from the next one on …
const SHORTEST_BLOCK: Duration = Duration::from_secs(1);
/// … and for so long per stream, so that a read of many does not busy the server, …
const BLOCK_PER_STREAM: Duration = Duration::from_millis(1);
/// … but no longer than this.
const LONGEST_BLOCK: Duration = Duration::from_secs(10);

/// Streams that are watched at a time, over all groups of the source.
const MOST_STREAMS: usize = 10_000;
/// A read returns an entry of every stream that has a new one: bytes that this may come to.
const MOST_BYTES: usize = 8 << 20;

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

/// The watch of one source.
pub struct Wake {
    connection: Arc<Connection>,
    inner: Mutex<Inner>,
    /// Something is to be watched again.
    wanted: Notify,
}

#[derive(Default)]
struct Inner {
    is_running: bool,
    next_ticket: u64,
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    ends: Vec<End>,
    news: Arc<Notify>,
}

/// Gives the place up when nobody waits any more.
struct Place<'w> {
    wake: &'w Wake,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.wake.inner().waiting.remove(&self.ticket);
    }
}

impl Wake {
    /// Watches nothing yet.
    pub fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            inner: Mutex::default(),
            wanted: Notify::new(),
        }
    }

    /// Returns as soon as one of the streams has an entry beyond its end. Never, where that is not watched: the polls find it.
    pub async fn until_news(self: &Arc<Self>, ends: Vec<End>) {
        if ends.is_empty() {
            return std::future::pending().await;
        }
        let news = Arc::new(Notify::new());
        let (ticket, starts) = {
            let (mut inner, news) = (self.inner(), Arc::clone(&news));
            let ticket = inner.next_ticket;
            inner.next_ticket += 1;
            inner.waiting.insert(ticket, Waiting { ends, news });
            (ticket, !std::mem::replace(&mut inner.is_running, true))
        };
        let _place = Place { wake: self, ticket };
        if starts {
            tokio::spawn(Arc::clone(self).run());
        } else {
            self.wanted.notify_one();
        }
        news.notified().await;
    }

    async fn run(self: Arc<Self>) {
        let mut line = None;
        let mut is_refused = false;
        loop {
            let ends = self.inner().ends();
            if ends.is_empty() {
                let wanted = timeout(LINGER, self.wanted.notified()).await.is_ok();
                if !wanted && self.inner().has_ended() {
                    return;
                }
                continue;
            }
            match self.read(&mut line, &ends).await {
                Ok(added) => {
                    is_refused = false;
                    self.inner().tell(&added);
                }
                Err(failure) => {
                    line = None;
                    // A stream of another kind is found, and left out, by the next poll.
                    let refused =
                        matches!(failure.kind, FailureKind::Auth | FailureKind::Misconfigured);
                    if refused && !std::mem::replace(&mut is_refused, true) {
                        tracing::warn!(
                            "new messages of inactive groups are noticed at the next poll only, since XREAD does not work: {failure}"
                        );
                    }
                    tokio::time::sleep(if refused { REFUSED_FOR } else { AGAIN_AFTER }).await;
                }
            }
        }
    }

    /// Waits for a while for entries beyond these ends; the first of each stream that has some.
    async fn read(
        &self,
        line: &mut Option<MultiplexedConnection>,
        ends: &BTreeMap<String, Position>,
    ) -> Result<Vec<(String, Position)>, Failure> {
        let block = (BLOCK_PER_STREAM * ends.len() as u32).clamp(SHORTEST_BLOCK, LONGEST_BLOCK);
        let connection = match line {
            Some(connection) => connection,
            None => line.insert(self.connection.apart(LONGEST_BLOCK).await?),
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
        let address = self.connection.address();
        let read = connection.req_packed_command(&command).await;
        match read.map_err(|error| failure::of_error(address, &error))? {
            Value::Nil => Ok(Vec::new()),
            Value::ServerError(error) => Err(failure::of_reply(address, &error)),
            read => reply::added(&read).ok_or_else(|| failure::garbled(address, "XREAD")),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What to watch: per stream the earliest end that anybody saw, as many groups whole as the limits allow.
    fn ends(&self) -> BTreeMap<String, Position> {
        let mut ends = BTreeMap::<String, Position>::new();
        let mut bytes = 0;
        for waiting in self.waiting.values() {
            let more: usize = waiting.ends.iter().map(|end| end.entry_bytes).sum();
            if ends.len() + waiting.ends.len() > MOST_STREAMS || bytes + more > MOST_BYTES {
                continue;
            }
            bytes += more;
            for end in &waiting.ends {
                let last = ends.entry(end.key.clone()).or_insert(end.last);
                *last = end.last.min(*last);
            }
        }
        ends
    }

    /// Wakes whoever waits for one of these entries.
    fn tell(&mut self, added: &[(String, Position)]) {
        let is_news = |end: &End| {
            added
                .iter()
                .any(|(key, id)| *key == end.key && *id > end.last)
        };
        self.waiting.retain(|_, waiting| {
            let told = waiting.ends.iter().any(is_news);
            if told {
                waiting.news.notify_one();
            }
            !told
        });
    }

    /// Whether nobody waits any more; then the next one starts the watch anew.
    fn has_ended(&mut self) -> bool {
        self.is_running = !self.waiting.is_empty();
        !self.is_running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(groups: Vec<Vec<End>>) -> Inner {
        let waiting = |ends| Waiting {
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
            vec![end("last", 1, 100)],
        ]);
        let watched: Vec<_> = inner.ends().into_keys().collect();
        assert_eq!(watched, ["first", "last"]);
    }

    #[test]
    fn of_groups_that_saw_a_stream_at_different_times_each_hears_of_what_is_new_to_it() {
        let mut inner = inner(vec![vec![end("s", 5, 1)], vec![end("s", 7, 1)]]);
        assert_eq!(inner.ends(), [("s".to_owned(), at(5))].into());
        inner.tell(&[("s".to_owned(), at(7))]);
        assert_eq!(inner.waiting.keys().collect::<Vec<_>>(), [&1]);
        assert_eq!(inner.ends(), [("s".to_owned(), at(7))].into());
        inner.tell(&[("other".to_owned(), at(9)), ("s".to_owned(), at(8))]);
        assert!(inner.waiting.is_empty());
    }
}
