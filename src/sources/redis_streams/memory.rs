//! What fills a server's memory: how much is used, how much may be, and what each stream takes. Asked rarely, beside what a poll reads;
//! where the user may not ask, it is not known.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::time::Instant;

use super::{key, reply};
use crate::model::drift::Drift;
use crate::model::memory::{EvictionPolicy, ServerMemory};
use crate::model::time::Timestamp;

/// How often a server is asked what it uses, …
const ASKED_EVERY: Duration = Duration::from_secs(10);
/// … and what streams take: each look costs the server about as much as reading a stream does, …
const STREAMS_EVERY: Duration = Duration::from_secs(1);
/// … so many of them are looked at then, …
const STREAMS_AT_ONCE: usize = 20;
/// … and each again after so long.
const STREAM_AGAIN: Duration = Duration::from_secs(60);
/// What was told so long ago is told no more.
const OUTDATED_AFTER: Duration = Duration::from_secs(600);
/// What the server refuses is asked again after so long: it notes refusals in a log.
const REFUSED_FOR: Duration = Duration::from_secs(600);

/// What is known of one server's memory.
pub struct MemoryWatch {
    since: Instant,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// And when it was told.
    server: Option<(Usage, Instant)>,
    used: Drift,
    /// Bytes per key, and when they were told.
    streams: HashMap<String, (Option<u64>, Instant)>,
    server_asked_at: Option<Instant>,
    streams_asked_at: Option<Instant>,
    server_refused_at: Option<Instant>,
    streams_refused_at: Option<Instant>,
}

/// The server's own figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Usage {
    used: u64,
    limit: Option<u64>,
    policy: EvictionPolicy,
}

/// What one request asks for.
pub struct MemoryQuestions<'k> {
    of_server: bool,
    keys: Vec<&'k str>,
}

impl MemoryWatch {
    /// Nothing is known yet.
    pub fn new() -> Self {
        let since = Instant::now();
        let inner = Mutex::default();
        Self { since, inner }
    }

    /// What is to be asked now, of the keys for some: by whoever gets it, for all.
    pub fn due<'k>(&self, keys: impl Iterator<Item = &'k str>) -> Option<MemoryQuestions<'k>> {
        self.inner().due(Instant::now(), keys)
    }

    /// Takes the replies to that.
    pub fn take(&self, questions: &MemoryQuestions<'_>, replies: &[Value]) {
        let at = Instant::now();
        let since = at.duration_since(self.since);
        let since = Timestamp::from_millis(since.as_millis() as u64);
        self.inner().take(questions, replies, at, since);
    }

    /// Bytes that a stream takes.
    pub fn of_stream(&self, key: &str) -> Option<u64> {
        let inner = self.inner();
        let (bytes, at) = inner.streams.get(key)?;
        bytes.filter(|_| at.elapsed() < OUTDATED_AFTER)
    }

    /// What the server named so said last.
    pub fn of_server(&self, server: &str) -> Option<ServerMemory> {
        let inner = self.inner();
        let is_new = |(_, at): &(Usage, Instant)| at.elapsed() < OUTDATED_AFTER;
        let (usage, _) = inner.server.filter(is_new)?;
        let left = usage.limit.map(|limit| limit.saturating_sub(usage.used));
        let growth = inner.used.rise_per_second();
        Some(ServerMemory {
            server: server.to_owned(),
            used_bytes: usage.used,
            limit_bytes: usage.limit,
            policy: usage.policy,
            full_in_seconds: left.zip(growth).map(|(left, growth)| left as f64 / growth),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn due<'k>(
        &mut self,
        now: Instant,
        keys: impl Iterator<Item = &'k str>,
    ) -> Option<MemoryQuestions<'k>> {
        let is_past =
            |at: Option<Instant>, pause| at.is_none_or(|at| now.duration_since(at) >= pause);
        let of_server = is_past(self.server_asked_at, ASKED_EVERY)
            && is_past(self.server_refused_at, REFUSED_FOR);
        let of_streams = is_past(self.streams_asked_at, STREAMS_EVERY)
            && is_past(self.streams_refused_at, REFUSED_FOR);
        let mut wanted = Vec::new();
        if of_streams {
            self.streams_asked_at = Some(now);
            self.streams
                .retain(|_, (_, at)| now.duration_since(*at) < OUTDATED_AFTER);
            let told_at = |key: &str| self.streams.get(key).map(|(_, at)| *at);
            let due = keys.map(|key| (told_at(key), key));
            wanted = due.filter(|(at, _)| is_past(*at, STREAM_AGAIN)).collect();
            if wanted.len() > STREAMS_AT_ONCE {
                wanted.select_nth_unstable(STREAMS_AT_ONCE);
                wanted.truncate(STREAMS_AT_ONCE);
            }
        }
        if of_server {
            self.server_asked_at = Some(now);
        }
        let keys: Vec<_> = wanted.into_iter().map(|(_, key)| key).collect();
        (of_server || !keys.is_empty()).then_some(MemoryQuestions { of_server, keys })
    }

    fn take(
        &mut self,
        questions: &MemoryQuestions<'_>,
        replies: &[Value],
        at: Instant,
        since: Timestamp,
    ) {
        let mut replies = replies.iter();
        if questions.of_server {
            match replies.next() {
                Some(Value::ServerError(_)) => self.server_refused_at = Some(at),
                Some(info) => {
                    if let Some(usage) = usage(info) {
                        self.server = Some((usage, at));
                        self.used.observe(since, usage.used);
                    }
                }
                None => {}
            }
        }
        for (key, reply) in questions.keys.iter().zip(replies) {
            let bytes = match reply {
                Value::Int(bytes) => u64::try_from(*bytes).ok(),
                Value::ServerError(error) if error.code() == "NOPERM" => {
                    self.streams_refused_at = Some(at);
                    None
                }
                _ => None,
            };
            self.streams.insert((*key).to_owned(), (bytes, at));
        }
    }
}

impl MemoryQuestions<'_> {
    /// A reply each.
    pub fn commands(&self) -> Pipeline {
        let mut commands = redis::pipe();
        if self.of_server {
            commands.cmd("INFO").arg("memory");
        }
        for name in &self.keys {
            commands.cmd("MEMORY").arg("USAGE").arg(key::sent(name));
        }
        commands
    }
}

/// Reads the reply to `INFO memory`. Without a limit of its own a server may use what the machine has, which ends it when that is full.
fn usage(info: &Value) -> Option<Usage> {
    let info = std::str::from_utf8(reply::bytes(info)?).ok()?;
    let field = |name: &str| {
        let mut fields = info.lines().filter_map(|line| line.trim().split_once(':'));
        fields
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value)
    };
    let number = |name| field(name)?.parse::<u64>().ok();
    Some(Usage {
        used: number("used_memory")?,
        limit: number("maxmemory").filter(|limit| *limit > 0),
        policy: field("maxmemory_policy").map_or(EvictionPolicy::Other, EvictionPolicy::of),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn the_servers_figures_are_read_and_odd_ones_are_not() {
        let read = usage(&info(
            "# Memory\r\nused_memory:1000\r\nused_memory_human:1K\r\nmaxmemory:4000\r\nmaxmemory_policy:allkeys-lru\r\n",
        ));
        let expect = Usage {
            used: 1_000,
            limit: Some(4_000),
            policy: EvictionPolicy::AllKeys,
        };
        assert_eq!(read, Some(expect));
        let read = usage(&info("used_memory:1\r\nmaxmemory:0\r\n")).expect("usage");
        assert_eq!((read.limit, read.policy), (None, EvictionPolicy::Other));
        for odd in [
            info(""),
            info("used_memory:-1"),
            Value::Nil,
            info("used_memory:x"),
        ] {
            assert_eq!(usage(&odd), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_server_said_long_ago_is_not_told_as_if_it_were_so_now() {
        let watch = MemoryWatch::new();
        let questions = MemoryQuestions {
            of_server: true,
            keys: vec!["a"],
        };
        watch.take(&questions, &[info("used_memory:1"), Value::Int(7)]);
        assert!(watch.of_server("r:6379").is_some());
        assert_eq!(watch.of_stream("a"), Some(7));
        tokio::time::advance(OUTDATED_AFTER).await;
        assert_eq!(watch.of_server("r:6379"), None);
        assert_eq!(watch.of_stream("a"), None);
    }

    #[test]
    fn streams_take_turns_and_what_is_refused_rests() {
        let (mut inner, start) = (Inner::default(), Instant::now());
        let names: Vec<_> = (0..50).map(|n| n.to_string()).collect();
        let mut seen = Vec::new();
        for second in 0..5 {
            let now = start + Duration::from_secs(second);
            let keys = names.iter().map(String::as_str);
            let Some(questions) = inner.due(now, keys) else {
                continue;
            };
            assert!(questions.keys.len() <= STREAMS_AT_ONCE);
            seen.extend(questions.keys.iter().map(|key| (*key).to_owned()));
            let mut replies = vec![Value::Int(7); questions.keys.len()];
            if questions.of_server {
                replies.insert(0, info("used_memory:1"));
            }
            inner.take(
                &questions,
                &replies,
                now,
                Timestamp::from_millis(second * 1_000),
            );
        }
        seen.sort();
        let mut expect = names.clone();
        expect.sort();
        assert_eq!(seen, expect);
        let refused = start + STREAM_AGAIN + Duration::from_secs(5);
        let questions = inner.due(refused, ["a"].into_iter()).expect("questions");
        let error = redis::parse_redis_value(b"-NOPERM no\r\n").expect("an error");
        let replies = vec![error; 1 + questions.keys.len()];
        inner.take(&questions, &replies, refused, Timestamp::default());
        assert!(
            inner
                .due(refused + REFUSED_FOR / 2, ["a"].into_iter())
                .is_none()
        );
        assert!(
            inner
                .due(refused + REFUSED_FOR, ["a"].into_iter())
                .is_some()
        );
    }
}
