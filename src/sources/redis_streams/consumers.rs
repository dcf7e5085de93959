//! Who is at work in the group: read less often than the lag, because it costs more, and merged by consumer name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use super::poll::PollConnection;
use super::poll::PollConnections;
use super::reply::{self, ConsumerInfo};
use super::{failure, key, read};
use crate::model::foreign::label;
use crate::model::sample::{Failure, Holder};

/// Time between two readings; a little less than five seconds, so that polls of five seconds find every one due.
const READ_EVERY: Duration = Duration::from_millis(4_500);

/// Partitions per poll; a larger group is read over several polls.
const PARTITIONS_PER_POLL: usize = 200;

/// A consumer that asked within so many milliseconds is at work.
const ACTIVE_IDLE_MILLIS: u64 = 60_000;

/// As that, once more, from when it was seen.
const ACTIVE_FOR: Duration = Duration::from_millis(ACTIVE_IDLE_MILLIS);

/// One that holds entries may work on them for so long without asking; after that they are a dead pod's.
const BUSY_IDLE_MILLIS: u64 = 300_000;

/// A count of consumers, taken over one or several polls.
#[derive(Debug, Default)]
pub struct ConsumerCensus {
    started: Option<Instant>,
    /// Keys still to be read in this reading.
    left: Vec<String>,
    reading: ConsumersReading,
    lagging_before: BTreeSet<String>,
    /// Entries that each consumer held at the reading before, and when it was last seen to ask or acknowledge; `None` before the
    /// first complete reading.
    seen: Option<BTreeMap<String, SeenConsumer>>,
    result: Option<u32>,
    holders: Option<BTreeMap<String, Holder>>,
    refused: Option<Failure>,
}

/// A consumer at the last complete reading.
#[derive(Debug)]
struct SeenConsumer {
    pending: u64,
    worked_at: Option<Instant>,
}

/// More names than this are left-overs of pods long gone: they are not told one by one.
const MOST_HOLDERS: usize = 1_000;

/// What is known of the consumers so far.
#[derive(Debug, Default)]
struct ConsumersReading {
    consumers: BTreeMap<String, ListedConsumer>,
    failed: Option<Failure>,
}

/// One name over all keys that list it.
#[derive(Debug, Default)]
struct ListedConsumer {
    at_work: bool,
    keys: Vec<String>,
    pending: u64,
    /// Since it last asked, on any key.
    idle_millis: Option<u64>,
}

impl ConsumerCensus {
    /// Who holds what, as of the last complete reading.
    pub fn holders(&self) -> Option<BTreeMap<String, Holder>> {
        self.holders.clone()
    }

    /// Why nobody can tell who is at work, where the server refuses it for good.
    pub fn refused(&self) -> Option<&Failure> {
        self.refused.as_ref()
    }

    /// Whether a consumer asked for entries or acknowledged some within the last minute, as far as seen; it may have before the
    /// first complete reading.
    pub fn is_at_work(&self, name: &str) -> bool {
        let lately =
            |seen: &SeenConsumer| seen.worked_at.is_some_and(|at| at.elapsed() < ACTIVE_FOR);
        self.seen
            .as_ref()
            .is_none_or(|seen| seen.get(name).is_some_and(lately))
    }

    /// Consumers at work as of the last complete reading, after going on with the reading if one is due. `present` are the
    /// keys on which the group exists, `lagging` those of them with undelivered entries; `complete` says whether every
    /// partition of the stream could be read.
    pub async fn count(
        &mut self,
        lines: &PollConnections<'_>,
        group: &str,
        present: &[String],
        lagging: &BTreeSet<String>,
        complete: bool,
    ) -> Option<u32> {
        let due = self.started.is_none_or(|at| at.elapsed() >= READ_EVERY);
        if self.left.is_empty() {
            if !due {
                return self.result.filter(|_| complete);
            }
            self.started = Some(Instant::now());
            self.reading = ConsumersReading::default();
            self.left = present.to_vec();
        }
        let batch = self.left.len().saturating_sub(PARTITIONS_PER_POLL);
        // Copied, and removed only once read: a poll that is dropped here resumes with the same keys.
        let keys = self.left[batch..].to_vec();
        if let Err(failure) = self.reading.read(lines, group, keys).await {
            self.reading.failed.get_or_insert(failure);
        }
        self.left.truncate(batch);
        if self.left.is_empty() {
            self.result = self.reading.verdict(lagging, &self.lagging_before);
            self.holders = self.reading.holders();
            let failed = self.reading.failed.clone();
            self.refused = failed.filter(|failure| failure.kind.needs_repair());
            if self.refused.is_some() {
                // What was seen once says less and less: anybody may be at work.
                self.seen = None;
            } else if self.reading.failed.is_none() {
                self.seen = Some(self.reading.seen(self.seen.as_ref()));
            }
            self.lagging_before.clone_from(lagging);
        }
        self.result.filter(|_| complete)
    }
}

impl ConsumersReading {
    /// Adds the consumers of those keys.
    async fn read(
        &mut self,
        lines: &PollConnections<'_>,
        group: &str,
        keys: Vec<String>,
    ) -> Result<(), Failure> {
        let (by_node, _) = lines.layout().split(keys);
        for (node, keys) in by_node {
            self.read_node(&lines.node(node), group, &keys).await?;
        }
        Ok(())
    }

    async fn read_node(
        &mut self,
        line: &PollConnection<'_>,
        group: &str,
        keys: &[String],
    ) -> Result<(), Failure> {
        let mut commands = redis::pipe();
        for key in keys {
            let command = commands.cmd("XINFO").arg("CONSUMERS");
            command.arg(key::sent(key)).arg(group);
        }
        let replies = line.request(commands).await?;
        for (key, reply) in keys.iter().zip(&replies) {
            match reply {
                // The group or the key went away since: nobody reads there.
                Value::ServerError(error)
                    if error.code() == "NOGROUP" || read::is_no_such_key(error) => {}
                Value::ServerError(error) => return Err(failure::of_reply(&line.subject(), error)),
                reply => {
                    let found = reply::consumers(reply);
                    let garbled = || failure::garbled(line.address(), "XINFO CONSUMERS");
                    self.add(key, found.ok_or_else(garbled)?);
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, key: &str, found: Vec<ConsumerInfo>) {
        for consumer in found {
            let at_work = is_at_work(&consumer);
            let entry = self.consumers.entry(consumer.name).or_default();
            let idle = entry.idle_millis.unwrap_or(u64::MAX);
            entry.idle_millis = Some(idle.min(consumer.idle_millis));
            entry.pending += consumer.pending;
            entry.at_work |= at_work;
            entry.keys.push(key.to_owned());
        }
    }

    /// Who asked, and who holds less than before: an acknowledgement does not count as asking everywhere.
    fn seen(
        &self,
        before: Option<&BTreeMap<String, SeenConsumer>>,
    ) -> BTreeMap<String, SeenConsumer> {
        let seen = |(name, listed): (&String, &ListedConsumer)| {
            let before = before.and_then(|before| before.get(name));
            let asked = listed
                .idle_millis
                .is_some_and(|idle| idle < ACTIVE_IDLE_MILLIS);
            let acknowledged = before.is_some_and(|before| before.pending > listed.pending);
            let seen = SeenConsumer {
                pending: listed.pending,
                worked_at: if asked || acknowledged {
                    Some(Instant::now())
                } else {
                    before.and_then(|before| before.worked_at)
                },
            };
            (name.clone(), seen)
        };
        self.consumers.iter().map(seen).collect()
    }

    fn holders(&self) -> Option<BTreeMap<String, Holder>> {
        let known = self.failed.is_none() && self.consumers.len() <= MOST_HOLDERS;
        let holder = |(name, listed): (&String, &ListedConsumer)| {
            let silent_millis = listed.idle_millis.unwrap_or_default();
            let holder = Holder {
                pending: listed.pending,
                silent_millis,
            };
            (label(name), holder)
        };
        known.then(|| self.consumers.iter().map(holder).collect())
    }

    /// A silent consumer may be blocked waiting for entries, or dead: the listing looks the same. Only where entries lay
    /// undelivered at this and the previous reading would a live one have been woken; so all are gone if each is listed on
    /// such a partition.
    fn verdict(
        &self,
        lagging: &BTreeSet<String>,
        lagging_before: &BTreeSet<String>,
    ) -> Option<u32> {
        if self.failed.is_some() {
            return None;
        }
        let active = self
            .consumers
            .values()
            .filter(|listed| listed.at_work)
            .count();
        let would_have_been_woken =
            |key: &String| lagging.contains(key) && lagging_before.contains(key);
        let all_gone = || {
            self.consumers
                .values()
                .all(|listed| listed.keys.iter().any(would_have_been_woken))
        };
        (active > 0 || all_gone()).then(|| u32::try_from(active).unwrap_or(u32::MAX))
    }
}

fn is_at_work(consumer: &ConsumerInfo) -> bool {
    consumer.idle_millis < ACTIVE_IDLE_MILLIS
        || (consumer.pending > 0 && consumer.idle_millis < BUSY_IDLE_MILLIS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_consumers_are_unknown_unless_entries_lay_waiting_for_each_of_them() {
        let check = |consumers: &[(&str, &str, u64, u64)], lagging: &[&str], expect| {
            let mut reading = ConsumersReading::default();
            for (key, name, pending, idle_seconds) in consumers {
                let consumer = ConsumerInfo {
                    name: (*name).to_owned(),
                    pending: *pending,
                    idle_millis: idle_seconds * 1000,
                };
                reading.add(key, vec![consumer]);
            }
            let lagging = lagging.iter().map(|key| (*key).to_owned()).collect();
            assert_eq!(reading.verdict(&lagging, &lagging), expect, "{consumers:?}");
        };
        check(&[], &[], Some(0));
        check(&[("k1", "a", 0, 1), ("k2", "a", 0, 1)], &[], Some(1));
        check(&[("k1", "a", 0, 1), ("k2", "b", 0, 59)], &[], Some(2));
        check(&[("k1", "a", 2, 61), ("k2", "b", 0, 61)], &[], Some(1));
        check(&[("k1", "a", 2, 301)], &[], None);
        check(&[("k1", "a", 0, 61)], &[], None);
        check(&[("k1", "a", 0, 61)], &["k1"], Some(0));
        check(&[("k1", "a", 0, 61), ("k2", "b", 0, 61)], &["k1"], None);
    }

    #[test]
    fn a_failed_reading_tells_nothing() {
        let reading = ConsumersReading {
            failed: Some(failure::late("h:1")),
            ..ConsumersReading::default()
        };
        assert_eq!(reading.verdict(&BTreeSet::new(), &BTreeSet::new()), None);
    }
}
