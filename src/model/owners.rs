//! The consumers that hold partitions: what each of them does while it is never idle. Source of the rules: docs/policy.md, "Capacity".

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;
use crate::model::tuning::owners::{BUSY, BUSY_INTERVALS, RARE, SAMPLE_EVERY, SETTLED};

/// What is remembered of each holder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Owners {
    known: BTreeMap<String, Owner>,
    /// The most that a settled holder did throughout the last whole spell, messages per second.
    best: f64,
    spell: Option<Spell>,
}

/// Time in which somebody did at least so much, at every poll. Rates of partitions that commit at different times add up to too
/// much for a moment, where one is done with a backlog and another consumer is active.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Spell {
    since: Timestamp,
    least: f64,
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
    /// `None` until it was learned.
    pub commit_interval: Option<Duration>,
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
        let (mut most, mut longest) = (0.0_f64, Duration::ZERO);
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
                // Rates over less than what lies between commits are as much too high at one time as too low at another.
                let is_measured = partitions.iter().all(|p| p.commit_interval.is_some());
                let intervals = partitions.iter().filter_map(|p| p.commit_interval);
                longest = longest.max(intervals.max().unwrap_or_default());
                if at.since(owner.changed_at) >= SETTLED && is_measured {
                    let rate = partitions
                        .iter()
                        .map(|p| p.steady_processed_per_second)
                        .sum();
                    most = most.max(rate);
                }
            }
        }
        let is_rare = longest > RARE;
        self.spell(
            at,
            most,
            if is_rare {
                longest * BUSY_INTERVALS
            } else {
                Duration::ZERO
            },
        );
        busy
    }

    fn spell(&mut self, at: Timestamp, most: f64, long: Duration) {
        let spell = self.spell.get_or_insert(Spell {
            since: at,
            least: most,
        });
        spell.least = spell.least.min(most);
        if at.since(spell.since) >= long {
            self.best = spell.least;
            self.spell = None;
        }
    }

    /// The most that a settled holder did throughout the last whole spell, messages per second.
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
        let intervals = partitions.iter().filter_map(|p| p.commit_interval);
        let interval = intervals.max().unwrap_or_default();
        let long = BUSY.max(interval * BUSY_INTERVALS);
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

#[cfg(test)]
mod tests;
