//! One partition over time: what arrived, what was processed, what was lost between two samples.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::accounting::{
    PartitionStep, Settled, is_likely_loss, repositioned, settle, turned_over, went_on,
};
use super::commits::CommitRhythm;
use super::losses::Losses;
use super::normal::PartitionNormal;
use super::peaks::Peaks;
use super::progress::{PartitionLook, Progress};
use super::quantity::Quantity;
use super::quiet::{HeldBy, Quiet};
use super::rates::RateWindow;
use super::retention::Retention;
use super::sample::{Failure, PartitionObservation, PartitionSample};
use super::time::{Moment, Timestamp};
use super::whole::Waiting;
use crate::model::tuning::partition::{UNCOUNTED_FOR, VANISHED_GRACE};
use crate::model::tuning::peaks::PEAKS_WINDOW;
use crate::model::tuning::progress::BEHIND;
use crate::model::tuning::rates::{ARRIVAL_WINDOW, PROCESSING_WINDOW, STEADY_WINDOW};

/// What is remembered of one partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionModel {
    /// What the last poll saw.
    pub(super) state: PartitionState,
    /// The last readable state, to compare the next one with.
    last: Option<StateReading>,
    /// What happened to it and is not part of the group's story yet.
    pub(super) waiting: Waiting,
    /// Whether the partition ever existed, as far as we saw.
    seen: bool,
    /// Messages that arrived since we watch.
    pub(super) arrived_total: u64,
    /// Messages processed since we watch.
    pub(super) processed_total: u64,
    /// Messages that left the log unprocessed since we watch.
    #[serde(default)]
    pub(super) losses: Losses,
    /// Arrivals per second, over [`STEADY_WINDOW`]; see [`Self::arrival_per_second`].
    pub(super) arrival: RateWindow,
    /// Processed messages per second.
    pub(super) processing: RateWindow,
    /// The largest arrival rates of the last hours.
    pub(super) peaks: Peaks,
    /// How its holder makes progress on it.
    pub(super) progress: Progress,
    /// It came to its holder at the last poll; then also who let it go.
    pub(super) changed_hands: Option<Option<String>>,
    /// How long until messages are dropped that are not finished.
    #[serde(default)]
    pub(super) retention: Retention,
    /// How consumers commit, where they do so in batches.
    pub(super) commits: CommitRhythm,
    /// Since when nothing arrived and nothing was committed while somebody could have.
    quiet: Option<Quiet>,
    /// What is normal for it, once it was there. Apart, because it is large and only looked at once per poll; shared with what is being
    /// saved, which needs no copy then.
    #[serde(default)]
    pub(super) normal: Option<Arc<PartitionNormal>>,
}

impl Default for PartitionModel {
    fn default() -> Self {
        Self {
            state: PartitionState::default(),
            last: None,
            waiting: Waiting::default(),
            seen: false,
            arrived_total: 0,
            processed_total: 0,
            losses: Losses::default(),
            arrival: RateWindow::new(STEADY_WINDOW),
            processing: RateWindow::new(PROCESSING_WINDOW),
            peaks: Peaks::default(),
            progress: Progress::default(),
            changed_hands: None,
            retention: Retention::default(),
            commits: CommitRhythm::default(),
            quiet: None,
            normal: None,
        }
    }
}

/// What the last poll saw of a partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) enum PartitionState {
    /// Nothing yet.
    #[default]
    Unseen,
    /// It could be read; `rewound` if the group was moved back or recreated since the last poll.
    Present { rewound: bool },
    /// Only the stream is there.
    GroupMissing { length: u64 },
    /// Never seen, or gone for good: no messages.
    Absent,
    /// Gone a moment ago.
    Vanished { since: Timestamp },
    /// It could not be read.
    Failed(Failure),
}

/// A readable state and its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct StateReading {
    at: Timestamp,
    log_end: Option<u64>,
    /// The group's part; `None` where there was no group.
    sample: Option<PartitionSample>,
}

impl PartitionModel {
    /// Takes in what a poll saw, and how many consumers of the group it saw at work, if that was told. Gives what
    /// happened since it was read before; `None` if it was not read.
    pub(super) fn observe(
        &mut self,
        now: impl Into<Moment>,
        seen: &PartitionObservation,
        consumers: Option<u32>,
    ) -> Option<PartitionStep> {
        let now = now.into();
        let at = now.at;
        self.changed_hands = None;
        let before = self.read_at();
        let step = match seen {
            PartitionObservation::NotAsked => return None,
            PartitionObservation::Failed(failure) => {
                self.progress.interrupted();
                self.state = PartitionState::Failed(failure.clone());
                return None;
            }
            PartitionObservation::StreamMissing => {
                self.missing(at);
                PartitionStep {
                    arrived: Some(0),
                    processed: None,
                }
            }
            PartitionObservation::GroupMissing { length, log_end } => {
                let step = self.advance(at, *log_end, None);
                self.forget_commits();
                self.state = PartitionState::GroupMissing { length: *length };
                step
            }
            PartitionObservation::Present(sample) => {
                let then = self.last.as_ref().and_then(|last| last.sample.as_ref());
                let rewound = then.is_some_and(|then| repositioned(then, sample));
                let went_on = then.is_some_and(|then| went_on(then, sample));
                let step = self.advance(at, sample.log_end, Some(sample));
                self.note_commit(now, sample, step, consumers);
                if rewound {
                    self.retention = Retention::default();
                }
                self.retention.observe(at, sample);
                self.note_progress(at, sample, step.processed.map_or(went_on, |n| n > 0));
                self.state = PartitionState::Present { rewound };
                step
            }
        };
        self.waiting.add(before, at, step);
        Some(step)
    }

    pub(super) fn read_at(&self) -> Option<Timestamp> {
        self.last.as_ref().map(|reading| reading.at)
    }

    /// Unfinished work; `None` if unknown.
    pub(super) fn backlog(&self) -> Option<Quantity> {
        match &self.state {
            PartitionState::Present { .. } => self.sample()?.backlog(),
            PartitionState::GroupMissing { .. } | PartitionState::Absent => {
                Some(Quantity::Exact(0))
            }
            PartitionState::Unseen
            | PartitionState::Vanished { .. }
            | PartitionState::Failed(_) => None,
        }
    }

    /// The sample of the last poll, if it saw the group.
    pub(super) fn sample(&self) -> Option<&PartitionSample> {
        match &self.state {
            PartitionState::Present { .. } => self.last.as_ref()?.sample.as_ref(),
            _ => None,
        }
    }

    /// Of the backlog, what is processed already and only not committed yet, as far as can be told. `None` where consumers do
    /// not commit in batches.
    pub(super) fn uncommitted(&self) -> Option<u64> {
        let sample = self.sample().filter(|s| s.committed_at.is_some())?;
        let backlog = sample.backlog()?.value();
        if self.is_settled() {
            return Some(backlog);
        }
        Some(self.commits.uncommitted(backlog, self.read_at()?))
    }

    /// Whether all of the backlog is the rest of a batch: less than consumers usually commit at once, and for so long nothing
    /// came and nothing was committed that whoever held the partition must be through with it.
    pub(super) fn is_settled(&self) -> bool {
        let backlog = self.sample().and_then(PartitionSample::backlog);
        let rest = backlog.zip(self.commits.largest_batch());
        let Some((backlog, batch)) = rest.filter(|(_, batch)| *batch > 1) else {
            return false;
        };
        backlog.exact().is_some_and(|n| n < batch) && self.quiet.is_some_and(Quiet::is_over)
    }

    /// Arrivals per second over [`ARRIVAL_WINDOW`].
    pub(super) fn arrival_per_second(&self) -> Option<f64> {
        self.arrival.per_second_within(ARRIVAL_WINDOW)
    }

    /// Processed messages per second; where commits are further apart than the window, over those commits.
    pub(super) fn processing_per_second(&self) -> Option<f64> {
        let rare = self
            .commits
            .interval()
            .filter(|i| *i > PROCESSING_WINDOW / 2);
        match rare {
            Some(_) => self.commits.per_second(self.read_at()?),
            None => self.processing.per_second(),
        }
    }

    fn note_commit(
        &mut self,
        now: Moment,
        sample: &PartitionSample,
        step: PartitionStep,
        consumers: Option<u32>,
    ) {
        let (Some(written_at), Some(position)) = (sample.committed_at, sample.delivered) else {
            return self.forget_commits();
        };
        let holder = match (&sample.owner, consumers) {
            (Some(_), _) => HeldBy::Somebody,
            (None, Some(_)) => HeldBy::Nobody,
            (None, None) => HeldBy::Untold,
        };
        let still = step == PartitionStep::NOTHING;
        self.quiet = Some(match self.quiet.filter(|_| still) {
            Some(quiet) => quiet.go_on(now.at, holder),
            None => Quiet::begin(now.at, holder),
        });
        self.commits.observe(position.major, Some(written_at), now);
    }

    /// Nothing is committed, or nothing that says something about this log: how it was before is no guide.
    fn forget_commits(&mut self) {
        self.quiet = None;
        self.commits = CommitRhythm::default();
    }

    fn note_progress(&mut self, at: Timestamp, sample: &PartitionSample, moved: bool) {
        let lately = self.arrival_per_second().unwrap_or(0.0) * BEHIND.as_secs_f64();
        self.changed_hands = self.progress.observe(&PartitionLook {
            at,
            owner: sample.owner.as_deref(),
            moved,
            backlog: sample.backlog().map_or(0, Quantity::value),
            arrived_lately: lately as u64,
        });
    }

    /// Processed per second by the newest commits, where these are known; a consumer that is late with its next one still counts.
    pub(super) fn recent_processing_per_second(&self) -> Option<f64> {
        let committed = self
            .commits
            .interval()
            .and(self.commits.recent_per_second());
        committed.or_else(|| self.processing.per_second())
    }

    fn missing(&mut self, at: Timestamp) {
        self.arrival.clear();
        self.processing.clear();
        self.last = Some(StateReading {
            at,
            log_end: Some(0),
            sample: None,
        });
        self.state = match self.state {
            PartitionState::Vanished { since } if at.since(since) >= VANISHED_GRACE => {
                PartitionState::Absent
            }
            PartitionState::Vanished { since } => PartitionState::Vanished { since },
            PartitionState::Absent => PartitionState::Absent,
            _ if self.seen => PartitionState::Vanished { since: at },
            _ => PartitionState::Absent,
        };
        if self.state == PartitionState::Absent {
            self.seen = false;
        }
    }

    fn advance(
        &mut self,
        at: Timestamp,
        log_end: Option<u64>,
        sample: Option<&PartitionSample>,
    ) -> PartitionStep {
        self.seen = true;
        let reading = StateReading {
            at,
            log_end,
            sample: sample.cloned(),
        };
        let Some(before) = self.last.replace(reading) else {
            return PartitionStep::default();
        };
        let covered = at.since(before.at);
        let log_ends = log_end.zip(before.log_end);
        let arrived = log_ends.and_then(|(now, then)| now.checked_sub(then));
        match arrived {
            None if log_ends.is_none() => {
                // Not counted this time: the rates of a moment ago are a better guess than none.
                self.arrival.expire(at, UNCOUNTED_FOR);
            }
            Some(count) => {
                self.arrived_total += count;
                self.arrival.add(at, covered, count);
                if let Some(rate) = self.arrival.per_second() {
                    self.peaks.add(at, rate, PEAKS_WINDOW);
                }
            }
            None => self.arrival.clear(),
        }
        let processed = sample
            .zip(before.sample.as_ref())
            .and_then(|(now, then)| self.settle(then, now, arrived, (at, covered)));
        if let Some(count) = processed {
            self.processing.add(at, covered, count);
        }
        PartitionStep { arrived, processed }
    }

    /// Adds up what was processed and lost; gives what may count as the consumers' work: only what is certain.
    fn settle(
        &mut self,
        then: &PartitionSample,
        now: &PartitionSample,
        arrived: Option<u64>,
        (at, covered): (Timestamp, Duration),
    ) -> Option<u64> {
        let settled = match arrived {
            Some(arrived) => settle(then, now, arrived)?,
            None => Settled {
                processed: 0,
                lost: 0,
                open: turned_over(then, now),
            },
        };
        self.processed_total += settled.processed;
        self.losses
            .note(at, covered, settled, is_likely_loss(then, now));
        (settled.open == 0 && arrived.is_some()).then_some(settled.processed)
    }
}

#[cfg(test)]
mod tests;
