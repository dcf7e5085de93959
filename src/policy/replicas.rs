//! What the Kubernetes API tells of a target's replicas, folded: how long a reading counts, and since when pods hang.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;
use crate::policy::tuning::replicas::{
    COUNTS_FOR, HANGS_BEYOND, HANGS_RATIO, STARTS_KEPT, STARTS_WITHIN,
};
use crate::scaled_object::{Pause, ReplicasObserved, Unread, UnreadKind};

/// What is known of a target's replicas over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplicaState {
    seen: Option<(Timestamp, ReplicasObserved)>,
    pending: Option<Pending>,
    /// How long the last starts took, from being asked for until all were ready.
    #[serde(default)]
    starts: VecDeque<Duration>,
    failure: Option<(Timestamp, Unread)>,
}

/// Fewer pods are ready than asked for, and no more become so.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Pending {
    /// The last progress.
    since: Timestamp,
    /// The last rise of what is asked for, and to how many.
    asked_at: Timestamp,
    asked: u32,
    /// The most that were ready meanwhile: pods that crash and start again are no progress.
    most_ready: u32,
    /// Pods of the newest template while a rollout goes on. Outside of one they are all, and grow with what is asked for.
    rolled_out: Option<u32>,
}

/// The replicas of a target as a decision takes them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Running {
    /// Replicas that run.
    pub current: Option<u32>,
    /// Of these, the ready ones, where that can be seen.
    pub ready: Option<u32>,
    /// Replicas asked for, where that can be seen.
    pub asked: Option<u32>,
    /// Since when the rest hangs: longer than a replica takes to start.
    pub not_ready_since: Option<Timestamp>,
    /// How KEDA is paused.
    pub paused: Option<Pause>,
    /// Where the count comes from.
    pub source: ReplicaSource,
}

/// Where a count of replicas comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaSource {
    /// The scale target's status.
    Kubernetes,
    /// Active consumers or partition owners ÷ `consumersPerReplica`.
    Consumers,
    /// Nobody tells.
    #[default]
    Unknown,
}

impl ReplicaState {
    /// Takes in a reading or its failure.
    pub fn observed(&mut self, at: Timestamp, reading: &Result<ReplicasObserved, Unread>) {
        match reading {
            Ok(seen) => {
                let before = self.pending.filter(|_| self.seen_at(at).is_some());
                self.pending = pending(before, at, seen);
                if let (Some(started), None) = (before, self.pending) {
                    self.note_start(at, &started);
                }
                self.seen = Some((at, seen.clone()));
                self.failure = None;
            }
            Err(unread) => {
                if unread.kind == UnreadKind::NotFound {
                    // No failure to read but knowledge: the object is not there any more.
                    self.seen = None;
                    self.pending = None;
                }
                self.failure = Some((at, unread.clone()));
            }
        }
    }

    fn note_start(&mut self, at: Timestamp, started: &Pending) {
        if started.rolled_out.is_some() {
            return;
        }
        if self.starts.len() == STARTS_KEPT {
            self.starts.pop_front();
        }
        self.starts
            .push_back(at.since(started.asked_at).min(STARTS_WITHIN));
    }

    /// How long a start takes here, as far as seen: those on the way take at least as long as they have taken.
    pub fn start_takes_at_least(&self, now: Timestamp) -> Option<Duration> {
        let on_the_way = self.pending.as_ref().map(|p| now.since(p.asked_at));
        self.start_takes().max(on_the_way)
    }

    /// How long a start takes here; `None` before one was seen.
    pub fn start_takes(&self) -> Option<Duration> {
        self.starts.iter().max().copied()
    }

    /// Until those that were asked for last should be ready; `None` if nobody is on the way, or it is not known how long that takes.
    pub fn starts_in(&self, now: Timestamp) -> Option<Duration> {
        let (pending, takes) = (self.pending.as_ref()?, self.start_takes()?);
        Some(takes.saturating_sub(now.since(pending.asked_at)))
    }

    fn hangs_after(&self) -> Duration {
        let longer = |takes: Duration| takes * HANGS_RATIO + HANGS_BEYOND;
        self.start_takes()
            .map_or(STARTS_WITHIN, longer)
            .min(STARTS_WITHIN)
    }

    /// The last reading, while it counts.
    pub fn seen_at(&self, now: Timestamp) -> Option<&ReplicasObserved> {
        let (at, seen) = self.seen.as_ref()?;
        (now.since(*at) < COUNTS_FOR).then_some(seen)
    }

    /// Why the last reading failed, if one was tried lately.
    pub fn failure_at(&self, now: Timestamp) -> Option<&Unread> {
        let (at, unread) = self.failure.as_ref()?;
        (now.since(*at) < COUNTS_FOR).then_some(unread)
    }

    /// What runs: by the Kubernetes API, else by the `consumers` that are active, else unknown.
    pub fn running(&self, now: Timestamp, consumers: Option<u32>) -> Running {
        let seen = self.seen_at(now);
        let visible = seen.and_then(|seen| Some((seen, seen.current?)));
        let paused = seen.and_then(|seen| seen.object.paused);
        match (visible, consumers) {
            (Some((seen, current)), _) => Running {
                current: Some(current),
                ready: seen.ready,
                asked: Some(seen.asked.unwrap_or(current)),
                not_ready_since: self
                    .pending
                    .filter(|pending| now.since(pending.since) >= self.hangs_after())
                    .map(|pending| pending.since),
                paused,
                source: ReplicaSource::Kubernetes,
            },
            (None, Some(consumers)) => Running {
                current: Some(consumers),
                paused,
                source: ReplicaSource::Consumers,
                ..Running::default()
            },
            (None, None) => Running {
                paused,
                ..Running::default()
            },
        }
    }
}

fn pending(before: Option<Pending>, at: Timestamp, seen: &ReplicasObserved) -> Option<Pending> {
    let (ready, asked) = (seen.ready?, seen.asked.or(seen.current)?);
    if ready >= asked {
        return None;
    }
    let rolled_out = seen.updated.filter(|updated| Some(*updated) < seen.current);
    let first = Pending {
        since: at,
        asked_at: at,
        asked,
        most_ready: ready,
        rolled_out,
    };
    let Some(before) = before else {
        return Some(first);
    };
    let rolls_on = rolled_out.is_some() && rolled_out != before.rolled_out;
    let progress = ready > before.most_ready || rolls_on;
    Some(Pending {
        since: if progress { at } else { before.since },
        asked_at: if asked > before.asked {
            at
        } else {
            before.asked_at
        },
        asked,
        most_ready: if progress { ready } else { before.most_ready },
        rolled_out,
    })
}

#[cfg(test)]
mod tests;
