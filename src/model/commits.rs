//! How consumers commit: each message, or in batches by time or by count. Batches leave messages behind the committed position
//! that are processed already: a phantom backlog.
//!
//! Source of the rules: docs/policy.md, "Checkpoints in batches".

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::{Moment, Timestamp};
use crate::model::tuning::commits::{KEPT, NEEDED, RECENT, REGULAR_RATIO};

/// What has been learned of one partition's commits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CommitRhythm {
    last: Option<Commit>,
    steps: VecDeque<CommitStep>,
    /// The last poll, by our clock.
    polled_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Commit {
    position: u64,
    /// By the store's clock, where it tells.
    written_at: Option<Timestamp>,
    /// The poll that saw it first, by ours.
    seen_at: Timestamp,
    /// When it was written, by ours: what the store says, within the two polls between which that must have been.
    since: Timestamp,
}

/// From one commit to a later one that a poll saw.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct CommitStep {
    messages: u64,
    took: Duration,
}

impl CommitRhythm {
    /// Takes in the position that a poll saw committed, and when the store says that it was written.
    pub fn observe(
        &mut self,
        position: u64,
        written_at: Option<Timestamp>,
        seen: impl Into<Moment>,
    ) {
        let Moment { at: seen_at, wall } = seen.into();
        let polled_at = self.polled_at.replace(seen_at).unwrap_or(seen_at);
        if let Some(last) = self.last {
            if position < last.position {
                self.steps.clear();
            } else if position == last.position {
                return;
            } else {
                let written = written_at.zip(last.written_at);
                let (now, then) = written.unwrap_or((seen_at, last.seen_at));
                self.steps.push_back(CommitStep {
                    messages: position - last.position,
                    took: now.since(then),
                });
            }
        }
        if self.steps.len() > KEPT {
            self.steps.pop_front();
        }
        self.last = Some(Commit {
            position,
            written_at,
            seen_at,
            since: written_at.map_or(seen_at, |at| {
                let by_ours = wall.off_the_wall(at);
                by_ours.clamp(polled_at.min(seen_at), seen_at)
            }),
        });
    }

    /// Time between commits; `None` until learned.
    pub fn interval(&self) -> Option<Duration> {
        (self.steps.len() >= NEEDED).then(|| median(self.steps.iter().map(|s| s.took)))
    }

    /// The most messages that one commit covered; `None` until learned. Several commits within one poll look like one.
    pub fn largest_batch(&self) -> Option<u64> {
        (self.steps.len() >= NEEDED)
            .then(|| self.steps.iter().map(|s| s.messages).max())
            .flatten()
    }

    /// Messages per second, over the commits remembered and the time since, if that is longer than usual.
    pub fn per_second(&self, now: Timestamp) -> Option<f64> {
        let interval = self.interval()?;
        let messages: u64 = self.steps.iter().map(|s| s.messages).sum();
        let took: Duration = self.steps.iter().map(|s| s.took).sum();
        let overdue = self.since_last(now)?.saturating_sub(interval);
        let took = (took + overdue).as_secs_f64();
        (took > 0.0).then(|| messages as f64 / took)
    }

    /// Of `backlog` messages behind the committed position, how many are processed already, as far as can be told: what was done
    /// since, at the newest rate. Batches by count leave less than a batch, batches by time no more than one interval; where it
    /// could be either, the smaller.
    pub fn uncommitted(&self, backlog: u64, now: Timestamp) -> u64 {
        let Some((interval, rate)) = self.interval().zip(self.recent_per_second()) else {
            return 0;
        };
        let since = self.since_last(now).unwrap_or_default();
        let over = |time: Duration| (rate * time.as_secs_f64()).floor() as u64;
        let by_time = over(since.min(interval));
        let batch = median(self.steps.iter().map(|s| s.messages)).saturating_sub(1);
        let by_count = over(since).min(batch);
        let estimate = match (self.regular_in_time(), self.regular_in_count()) {
            (true, false) => by_time,
            (false, true) => by_count,
            (true, true) | (false, false) => by_time.min(by_count),
        };
        estimate.min(backlog)
    }

    /// Messages per second over the newest commits that took 10 s together, or all of them.
    pub fn recent_per_second(&self) -> Option<f64> {
        let (mut messages, mut took) = (0, Duration::ZERO);
        for step in self.steps.iter().rev() {
            messages += step.messages;
            took += step.took;
            if took >= RECENT {
                break;
            }
        }
        (took > Duration::ZERO).then(|| messages as f64 / took.as_secs_f64())
    }

    fn since_last(&self, now: Timestamp) -> Option<Duration> {
        self.last.map(|commit| now.since(commit.since))
    }

    fn regular_in_time(&self) -> bool {
        regular(self.steps.iter().map(|s| s.took.as_secs_f64()))
    }

    fn regular_in_count(&self) -> bool {
        regular(self.steps.iter().map(|s| s.messages as f64))
    }
}

fn median<T: Ord + Copy + Default>(values: impl Iterator<Item = T>) -> T {
    let mut kept = [T::default(); KEPT];
    let known = filled(&mut kept, values);
    known.sort_unstable();
    known.get(known.len() / 2).copied().unwrap_or_default()
}

fn regular(values: impl Iterator<Item = f64>) -> bool {
    let mut kept = [0.0; KEPT];
    let known = filled(&mut kept, values);
    known.sort_unstable_by(f64::total_cmp);
    let middle = known.get(known.len() / 2).copied().unwrap_or_default();
    known
        .iter()
        .all(|value| (value - middle).abs() <= middle * REGULAR_RATIO)
}

/// The values in a place of their own: this is asked for several times per partition and poll.
fn filled<T>(place: &mut [T; KEPT], values: impl Iterator<Item = T>) -> &mut [T] {
    let mut count = 0;
    for (place, value) in place.iter_mut().zip(values) {
        *place = value;
        count += 1;
    }
    &mut place[..count]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// Commits as (second, position).
    fn rhythm(commits: impl IntoIterator<Item = (u64, u64)>) -> CommitRhythm {
        let mut rhythm = CommitRhythm::default();
        for (second, position) in commits {
            rhythm.observe(position, None, at(second));
        }
        rhythm
    }

    #[test]
    fn commits_by_time_leave_what_was_processed_since() {
        // Every 300 s, at 10/s and then at 40/s.
        let r = rhythm([
            (0, 0),
            (300, 3_000),
            (600, 6_000),
            (900, 18_000),
            (1200, 30_000),
        ]);
        assert_eq!(r.interval(), Some(Duration::from_secs(300)));
        assert_eq!(r.per_second(at(1200)), Some(25.0));
        assert_eq!(r.uncommitted(100_000, at(1300)), 4_000);
        assert_eq!(r.uncommitted(40, at(1300)), 40);
        // A consumer that stopped processes nothing more, however long ago that is.
        assert_eq!(r.uncommitted(100_000, at(9000)), 12_000);
    }

    #[test]
    fn commits_by_count_leave_less_than_a_batch() {
        let r = rhythm([(0, 0), (10, 100), (100, 200), (130, 300), (600, 400)]);
        assert_eq!(r.uncommitted(100_000, at(600)), 0);
        assert_eq!(r.uncommitted(100_000, at(835)), 50);
        assert_eq!(r.uncommitted(100_000, at(2000)), 99);
        assert_eq!(r.uncommitted(7, at(835)), 7);
        assert_eq!(r.largest_batch(), Some(100));
    }

    #[test]
    fn the_time_of_a_commit_is_what_the_store_says_as_far_as_polls_allow_that() {
        let check = |written: u64, expect: u64| {
            let mut r = CommitRhythm::default();
            for n in 0..5 {
                r.observe(n * 100, Some(at(n * 100)), at(n * 100 + 15));
            }
            // Not there yet at the poll of 515, seen at 530.
            r.observe(400, Some(at(400)), at(515));
            r.observe(500, Some(at(written)), at(530));
            assert_eq!(
                r.uncommitted(1_000, at(560)),
                expect,
                "written at {written}"
            );
        };
        check(520, 33);
        // A store whose clock is wrong.
        check(500, 45);
        check(600, 15);
    }

    #[test]
    fn nothing_is_said_before_three_commits_and_after_a_step_back() {
        let r = rhythm([(0, 0), (10, 100), (20, 200)]);
        assert_eq!((r.interval(), r.uncommitted(50, at(21))), (None, 0));
        let r = rhythm([(0, 0), (10, 100), (20, 200), (30, 300), (40, 0)]);
        assert_eq!((r.interval(), r.uncommitted(50, at(41))), (None, 0));
    }

    #[test]
    fn one_commit_per_message_leaves_nothing() {
        let r = rhythm((0..9).map(|n| (n * 7 % 5 + n * 10, n)));
        assert_eq!(r.uncommitted(50, at(1000)), 0);
    }
}
