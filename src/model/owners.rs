//! The consumers that hold partitions: what each of them does while it is never idle. Source of the rules: docs/policy.md, "Capacity".

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// A holder counts once its partitions have been the same for so long.
const SETTLED: Duration = Duration::from_secs(60);
/// … and it was never idle for so long, or two commit intervals.
const BUSY: Duration = Duration::from_secs(20);
/// Time between two samples of one holder, or one commit interval.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);

/// What is remembered of each holder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Owners {
    known: BTreeMap<String, Owner>,
    /// The most that a settled holder does now, messages per second.
    best: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Owner {
    /// When a partition came or went.
    changed_at: Timestamp,
    sampled_at: Option<Timestamp>,
}

/// One partition as its holder sees it.
pub(super) struct Held<'a> {
    pub owner: &'a str,
    /// The partition came to it at this poll.
    pub changed: bool,
    pub behind_since: Option<Timestamp>,
    pub moved_at: Option<Timestamp>,
    /// By its newest commits.
    pub processed_per_second: f64,
    /// Over a longer time.
    pub steady_processed_per_second: f64,
    pub commit_interval: Duration,
}

/// A holder that is never idle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Busy {
    /// What it does.
    pub per_second: f64,
    /// If that is a new sample: the time that it covers.
    pub sample: Option<Duration>,
}

impl Owners {
    /// Takes in who holds what at `at`; `lost` are the holders that a partition left. Gives those that are never idle.
    pub(super) fn observe<'a>(
        &mut self,
        at: Timestamp,
        held: impl Iterator<Item = Held<'a>>,
        lost: &[String],
    ) -> Vec<Busy> {
        let mut of: BTreeMap<&str, Vec<Held<'_>>> = BTreeMap::new();
        for partition in held {
            of.entry(partition.owner).or_default().push(partition);
        }
        self.known.retain(|name, _| of.contains_key(name.as_str()));
        for name in lost {
            if let Some(owner) = self.known.get_mut(name) {
                owner.changed_at = at;
            }
        }
        let mut busy = Vec::new();
        self.best = 0.0;
        for (name, partitions) in of {
            let new = || Owner {
                changed_at: at,
                sampled_at: None,
            };
            if !self.known.contains_key(name) {
                self.known.insert(name.to_owned(), new());
            }
            if let Some(owner) = self.known.get_mut(name) {
                busy.extend(owner.judge(at, &partitions));
                if at.since(owner.changed_at) >= SETTLED {
                    let rate = partitions
                        .iter()
                        .map(|p| p.steady_processed_per_second)
                        .sum();
                    self.best = self.best.max(rate);
                }
            }
        }
        busy
    }

    /// The most that a settled holder does now, messages per second.
    pub fn best(&self) -> f64 {
        self.best
    }

    /// Holders now.
    pub fn count(&self) -> u32 {
        self.known.len() as u32
    }
}

impl Owner {
    fn judge(&mut self, at: Timestamp, partitions: &[Held<'_>]) -> Option<Busy> {
        if partitions.iter().any(|p| p.changed) {
            self.changed_at = at;
        }
        let interval = partitions.iter().map(|p| p.commit_interval).max()?;
        let long = BUSY.max(interval * 2);
        // A partition without commits proves nothing: it may be stuck.
        let proves = |p: &Held<'_>| {
            p.moved_at.is_some_and(|moved| at.since(moved) < long)
                && p.behind_since.is_some_and(|since| at.since(since) >= long)
        };
        if at.since(self.changed_at) < SETTLED.max(long) || !partitions.iter().any(proves) {
            self.sampled_at = None;
            return None;
        }
        let due = self
            .sampled_at
            .is_none_or(|last| at.since(last) >= SAMPLE_EVERY.max(interval));
        if due {
            self.sampled_at = Some(at);
        }
        Some(Busy {
            per_second: partitions.iter().map(|p| p.processed_per_second).sum(),
            sample: due.then_some(SAMPLE_EVERY.max(interval)),
        })
    }
}
