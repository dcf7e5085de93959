//! Counts a group's errors: redeliveries, or what comes to a dead-letter stream. Nothing rests on it: it is asked last, within a
//! part of the time, and its failure leaves the poll as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use redis::Value;

use super::log_end::{Counter, CounterStep};
use super::poll::PollConnection;
use super::poll::PollConnections;
use super::reply::{self, PendingEntry, StreamInfo};
use super::{failure, key, read};
use crate::model::sample::{Failure, FailureKind, Position};
use crate::model::signal::{ErrorCount, ErrorSource};

/// Pending entries that are looked at per poll, over all partitions, and per partition at most and at least. Those with the lowest
/// ids come first: what is redelivered has waited.
const ENTRIES: usize = 10_000;
const MOST_PER_PARTITION: usize = 100;
const LEAST_PER_PARTITION: usize = 10;

/// Nobody delivers one message more often between two polls: somebody set the count, which is one event.
const MOST_BETWEEN_POLLS: u64 = 1_000;

const PARTITIONS_PER_REQUEST: usize = 1000;

/// The part of what is left of a poll's time that counting may take: the poll must not fail for it.
const PART_OF_TIME: u32 = 2;

/// The errors of one group, poll by poll.
#[derive(Debug)]
pub struct ErrorCounter {
    of: ErrorSource,
    redelivered: u64,
    seen: BTreeMap<String, Deliveries>,
    dead_letters: Option<Counter>,
}

/// What a partition's pending entries were at the poll before.
#[derive(Clone, Debug, Default)]
struct Deliveries {
    last_delivered: Position,
    counts: BTreeMap<Position, u64>,
}

/// A partition of the group within a poll: its key, the last id handed out, and whether anything is pending.
#[derive(Clone, Debug)]
pub struct Holding {
    /// Its key.
    pub key: String,
    /// The last id handed out.
    pub last_delivered: Position,
    /// Whether anything is delivered and not acknowledged.
    pub is_pending: bool,
}

impl AsRef<str> for Holding {
    fn as_ref(&self) -> &str {
        &self.key
    }
}

impl ErrorCounter {
    /// Has counted nothing yet.
    pub const fn new(of: ErrorSource) -> Self {
        Self {
            of,
            redelivered: 0,
            seen: BTreeMap::new(),
            dead_letters: None,
        }
    }

    /// Counts on. `keys` are all partitions there are, `holdings` those that could be read, `left` what is left of the poll's
    /// time.
    pub async fn count(
        &mut self,
        lines: &PollConnections<'_>,
        group: &str,
        keys: &[String],
        holdings: &[Holding],
        left: Duration,
    ) -> ErrorCount {
        let keys: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        self.seen.retain(|key, _| keys.contains(key.as_str()));
        let limit = left / PART_OF_TIME;
        let counting = async {
            match self.of.clone() {
                ErrorSource::Redeliveries => self.redeliveries(lines, group, holdings).await,
                ErrorSource::DeadLetter(key) => self.dead_letters(lines, &key).await,
            }
        };
        let counted = tokio::time::timeout(limit, counting).await;
        let counted = counted.unwrap_or_else(|_| {
            let text = "counting the errors timed out";
            Err(Failure::new(FailureKind::Timeout, text))
        });
        match counted {
            Ok(total) => ErrorCount {
                total,
                problem: None,
            },
            Err(failure) => ErrorCount {
                total: None,
                problem: Some(failure.text),
            },
        }
    }

    async fn redeliveries(
        &mut self,
        lines: &PollConnections<'_>,
        group: &str,
        holdings: &[Holding],
    ) -> Result<Option<u64>, Failure> {
        let asked = holdings.iter().filter(|holding| holding.is_pending);
        let page = ENTRIES / asked.clone().count().max(1);
        let page = page.clamp(LEAST_PER_PARTITION, MOST_PER_PARTITION);
        for idle in holdings.iter().filter(|holding| !holding.is_pending) {
            self.take(idle, &[]);
        }
        let (by_node, _) = lines.layout().split(asked);
        for (node, asked) in by_node {
            for chunk in asked.chunks(PARTITIONS_PER_REQUEST) {
                self.look(&lines.node(node), group, chunk, page).await?;
            }
        }
        Ok(Some(self.redelivered))
    }

    async fn look(
        &mut self,
        line: &PollConnection<'_>,
        group: &str,
        asked: &[&Holding],
        page: usize,
    ) -> Result<(), Failure> {
        let mut commands = redis::pipe();
        for holding in asked {
            let command = commands
                .cmd("XPENDING")
                .arg(key::sent(&holding.key))
                .arg(group);
            command.arg("-").arg("+").arg(page);
        }
        let replies = line.request(commands).await?;
        for (holding, reply) in asked.iter().zip(&replies) {
            let entries = pending(line, &holding.key, reply)?;
            self.take(holding, &entries);
        }
        Ok(())
    }

    /// Takes in the pending entries of a partition with the lowest ids.
    fn take(&mut self, holding: &Holding, entries: &[PendingEntry]) {
        let counts = entries
            .iter()
            .filter_map(|entry| Some((entry.id?, entry.deliveries?)));
        let now = Deliveries {
            last_delivered: holding.last_delivered,
            counts: counts.collect(),
        };
        if let Some(before) = self.seen.insert(holding.key.clone(), now) {
            let new = entries.iter().map(|entry| before.redelivered(entry));
            self.redelivered = self.redelivered.saturating_add(new.sum::<u64>());
        }
    }

    async fn dead_letters(
        &mut self,
        lines: &PollConnections<'_>,
        key: &str,
    ) -> Result<Option<u64>, Failure> {
        let line = lines.of(key)?;
        let mut commands = redis::pipe();
        commands.cmd("XINFO").arg("STREAM").arg(key);
        let replies = line.request(commands).await?;
        let stream = match replies.first() {
            Some(Value::ServerError(error)) if read::is_no_such_key(error) => {
                self.dead_letters = None;
                return Ok(Some(0));
            }
            Some(Value::ServerError(error)) => {
                return Err(failure::of_reply(&line.subject().key(key), error));
            }
            reply => reply.and_then(reply::stream_info),
        };
        let stream = stream.ok_or_else(|| {
            line.distrust();
            failure::garbled(line.address(), &format!("XINFO of key {key:?}"))
        })?;
        Ok(self.came(&stream))
    }

    /// How many came to the stream so far; `None` where some may have come and gone unseen, which only Redis 6.2 leaves open.
    fn came(&mut self, stream: &StreamInfo) -> Option<u64> {
        if stream.counts_added {
            return stream.entries_added;
        }
        let Some(counter) = &mut self.dead_letters else {
            self.dead_letters = Counter::start(stream);
            return self.dead_letters.as_ref().map(Counter::value);
        };
        let arrived = match counter.step(stream) {
            CounterStep::Arrived(n) => Some(n),
            CounterStep::CountAfter(_) | CounterStep::Unknown => None,
        };
        counter.advance(stream, arrived)
    }
}

impl Deliveries {
    /// How often the entry was redelivered since. One that was pending before but not on the page tells nothing.
    fn redelivered(&self, entry: &PendingEntry) -> u64 {
        let (Some(id), Some(deliveries)) = (entry.id, entry.deliveries) else {
            return 0;
        };
        let more = match self.counts.get(&id) {
            Some(before) => deliveries.saturating_sub(*before),
            None if id > self.last_delivered => deliveries.saturating_sub(1),
            None => 0,
        };
        if more > MOST_BETWEEN_POLLS { 1 } else { more }
    }
}

/// The entries of a reply; none where the group has just gone.
fn pending(
    line: &PollConnection<'_>,
    key: &str,
    reply: &Value,
) -> Result<Vec<PendingEntry>, Failure> {
    match reply {
        Value::ServerError(error) if error.code() == "NOGROUP" => Ok(Vec::new()),
        Value::ServerError(error) => Err(failure::of_reply(&line.subject().key(key), error)),
        reply => reply::pending_entries(reply).ok_or_else(|| {
            line.distrust();
            failure::garbled(
                line.address(),
                &format!("XPENDING of key {:?}", key::shown(key)),
            )
        }),
    }
}
