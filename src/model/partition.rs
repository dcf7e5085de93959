//! One partition over time: what arrived, what was processed, what was lost between two samples.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::quantity::Quantity;
use super::rates::RateWindow;
use super::sample::{Failure, PartitionObservation, PartitionSample};
use super::time::Timestamp;

/// A stream that vanished counts as unknown for this long, then as empty: it may be on its way back.
pub const VANISHED_GRACE: Duration = Duration::from_secs(60);

/// What is remembered of one partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionModel {
    /// What the last poll saw.
    pub(super) state: PartitionState,
    /// The last readable state, to compare the next one with.
    last: Option<Reading>,
    /// Whether the partition ever existed, as far as we saw.
    seen: bool,
    /// Messages that arrived since we watch.
    pub(super) arrived_total: u64,
    /// Messages processed since we watch.
    pub(super) processed_total: u64,
    /// Messages that left the log unprocessed since we watch.
    pub(super) lost_total: u64,
    /// Arrivals per second.
    pub(super) arrival: RateWindow,
    /// Processed messages per second.
    pub(super) processing: RateWindow,
}

/// What the last poll saw of a partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) enum PartitionState {
    /// Nothing yet.
    #[default]
    Unseen,
    /// It could be read; `rewound` if the group was moved back or anew since the poll before.
    Present {
        sample: PartitionSample,
        rewound: bool,
    },
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
struct Reading {
    at: Timestamp,
    log_end: Option<u64>,
    /// The group's part; `None` where there was no group.
    sample: Option<PartitionSample>,
}

/// What happened between two polls of a partition. `None`: cannot be told for this interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Messages that arrived.
    pub arrived: Option<u64>,
    /// Messages processed; `None` as well when messages were lost or the group was moved.
    pub processed: Option<u64>,
}

impl PartitionModel {
    /// Takes in what a poll at `at` saw.
    pub(super) fn observe(&mut self, at: Timestamp, seen: &PartitionObservation) -> Step {
        match seen {
            PartitionObservation::Failed(failure) => {
                self.state = PartitionState::Failed(failure.clone());
                Step::default()
            }
            PartitionObservation::StreamMissing => {
                self.missing(at);
                Step {
                    arrived: Some(0),
                    processed: None,
                }
            }
            PartitionObservation::GroupMissing { length, log_end } => {
                let step = self.advance(at, *log_end, None);
                self.state = PartitionState::GroupMissing { length: *length };
                step
            }
            PartitionObservation::Present(sample) => {
                let rewound = self.moved_by_hand(sample);
                let step = self.advance(at, sample.log_end, Some(sample));
                self.state = PartitionState::Present {
                    sample: sample.clone(),
                    rewound,
                };
                step
            }
        }
    }

    /// Unfinished work; `None` if unknown.
    pub(super) fn backlog(&self) -> Option<Quantity> {
        match &self.state {
            PartitionState::Present { sample, .. } => sample.backlog(),
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
            PartitionState::Present { sample, .. } => Some(sample),
            _ => None,
        }
    }

    fn missing(&mut self, at: Timestamp) {
        self.arrival.clear();
        self.processing.clear();
        self.last = Some(Reading {
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
    ) -> Step {
        self.seen = true;
        let reading = Reading {
            at,
            log_end,
            sample: sample.cloned(),
        };
        let Some(before) = self.last.replace(reading) else {
            return Step::default();
        };
        let covered = at.since(before.at);
        let arrived = log_end
            .zip(before.log_end)
            .and_then(|(now, then)| now.checked_sub(then));
        match arrived {
            Some(count) => {
                self.arrived_total += count;
                self.arrival.add(at, covered, count);
            }
            None => self.arrival.clear(),
        }
        let processed = sample
            .zip(before.sample.as_ref())
            .zip(arrived)
            .and_then(|((now, then), arrived)| self.settle(then, now, arrived));
        if let Some(count) = processed {
            self.processed_total += count;
            self.processing.add(at, covered, count);
        }
        Step { arrived, processed }
    }

    /// What left the backlog was processed or lost: arrived + backlog before − backlog now.
    fn settle(
        &mut self,
        then: &PartitionSample,
        now: &PartitionSample,
        arrived: u64,
    ) -> Option<u64> {
        if repositioned(then, now) {
            return None;
        }
        let (lag_then, lag_now) = (then.lag?.exact()?, now.lag?.exact()?);
        let left_lag = (lag_then + arrived).checked_sub(lag_now)?;
        let lost = lost_of(then, now, left_lag);
        let processed = (then.pending + left_lag - lost).checked_sub(now.pending)?;
        self.lost_total += lost;
        if lost > 0 {
            self.processed_total += processed;
            return None;
        }
        Some(processed)
    }

    fn moved_by_hand(&self, now: &PartitionSample) -> bool {
        self.last
            .as_ref()
            .and_then(|last| last.sample.as_ref())
            .is_some_and(|then| repositioned(then, now))
    }
}

/// Whether somebody moved the group (SETID, re-creation) between the samples: back, or forward, after which the source no
/// longer counts deliveries. It also stops counting when the group reads past a deleted message; that is no move.
fn repositioned(then: &PartitionSample, now: &PartitionSample) -> bool {
    let uncounted = then.delivered_count.is_some() && now.delivered_count.is_none();
    now.delivered < then.delivered || uncounted && now.newest_removed <= then.delivered
}

/// Of the messages that left the undelivered part, those that were removed instead of handed out. Exact if the group did
/// not move; else at least one where a loss is certain, and as many as the source's count of deliveries lacks.
fn lost_of(then: &PartitionSample, now: &PartitionSample, left_lag: u64) -> u64 {
    if now.delivered == then.delivered {
        return left_lag;
    }
    let deleted_ahead =
        now.newest_removed > then.newest_removed && now.newest_removed > now.delivered;
    let counts = then.delivered_count.zip(now.delivered_count);
    if !(deleted_ahead || counts.is_some() && trimmed_past(then, now)) {
        return 0;
    }
    let handed_out = counts.map_or(0, |(before, after)| after.saturating_sub(before));
    left_lag.saturating_sub(handed_out).max(1).min(left_lag)
}

/// Whether trimming (not deleting) ran past a group that had everything kept still before it: then the trim was at its
/// heels. A group that is further ahead read what was trimmed behind it.
fn trimmed_past(then: &PartitionSample, now: &PartitionSample) -> bool {
    let head_moved_past = now.oldest_kept > then.oldest_kept && now.oldest_kept > then.delivered;
    let by_trimming = now.newest_removed < then.oldest_kept;
    let at_the_head =
        |s: &PartitionSample| s.length > 0 && s.lag == Some(Quantity::Exact(s.length));
    head_moved_past && by_trimming && (at_the_head(then) || at_the_head(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::Position;

    const POLL: Duration = Duration::from_secs(5);

    fn sample(added: u64, delivered: u64, lag: u64, pending: u64) -> PartitionSample {
        PartitionSample {
            log_end: Some(added),
            length: added,
            lag: Some(Quantity::Exact(lag)),
            pending,
            delivered: Some(Position {
                major: delivered,
                minor: 0,
            }),
            delivered_count: Some(delivered),
            ..PartitionSample::default()
        }
    }

    fn removed(mut sample: PartitionSample, newest_removed: u64) -> PartitionSample {
        sample.newest_removed = Some(Position {
            major: newest_removed,
            minor: 0,
        });
        sample
    }

    /// Trimmed to the entries from `oldest` on.
    fn kept(mut sample: PartitionSample, oldest: u64) -> PartitionSample {
        sample.oldest_kept = Some(Position {
            major: oldest,
            minor: 0,
        });
        sample.length = 5;
        sample
    }

    fn watch(samples: &[PartitionSample]) -> (PartitionModel, Step) {
        let mut model = PartitionModel::default();
        let mut step = Step::default();
        let mut at = Timestamp::from_millis(1_000_000);
        for sample in samples {
            step = model.observe(at, &PartitionObservation::Present(sample.clone()));
            at = at.plus(POLL);
        }
        (model, step)
    }

    #[test]
    fn what_leaves_the_backlog_is_processed_unless_it_was_removed_unread() {
        let check = |then, now, processed, lost, step_processed| {
            let (model, step) = watch(&[then, now]);
            assert_eq!((model.processed_total, model.lost_total), (processed, lost));
            assert_eq!(step.processed, step_processed);
        };
        // Read 5 more, acknowledged 7 of them all.
        check(sample(10, 3, 7, 3), sample(14, 8, 6, 1), 7, 0, Some(7));
        // Trimmed past the group, which stood still: 4 lost, and the sample is no measure of the consumers.
        check(
            sample(10, 3, 7, 0),
            removed(sample(10, 3, 3, 0), 7),
            0,
            4,
            None,
        );
        // Trimmed past the group while it read 2.
        check(
            sample(10, 3, 7, 0),
            removed(sample(10, 5, 1, 0), 9),
            2,
            4,
            None,
        );
        // Deleting what was read already is no loss.
        check(
            sample(10, 3, 7, 0),
            removed(sample(10, 9, 1, 0), 8),
            6,
            0,
            Some(6),
        );
        // A slow group on a stream trimmed to 5: it stands at the head, and the trim runs on past it.
        check(
            kept(sample(100, 95, 5, 0), 96),
            kept(sample(200, 195, 5, 0), 196),
            99,
            1,
            None,
        );
        // A group that keeps up on the same stream loses nothing.
        check(
            kept(sample(100, 99, 1, 0), 96),
            kept(sample(200, 199, 1, 0), 196),
            100,
            0,
            Some(100),
        );
    }

    #[test]
    fn a_group_that_is_moved_by_hand_has_processed_nothing() {
        let (model, step) = watch(&[sample(10, 8, 2, 0), sample(10, 3, 7, 0)]);
        assert_eq!((model.processed_total, step.processed), (0, None));
        assert!(matches!(
            model.state,
            PartitionState::Present { rewound: true, .. }
        ));
        let mut forward = sample(10, 9, 1, 0);
        forward.delivered_count = None;
        let (model, step) = watch(&[sample(10, 3, 7, 0), forward]);
        assert_eq!((model.processed_total, step.processed), (0, None));
    }

    #[test]
    fn a_counter_that_starts_anew_drops_one_interval_and_no_more() {
        let (model, step) = watch(&[sample(100, 100, 0, 0), sample(3, 0, 3, 0)]);
        assert_eq!(step, Step::default());
        assert_eq!(model.arrival.per_second(), None);
        let (model, _) = watch(&[
            sample(100, 100, 0, 0),
            sample(3, 0, 3, 0),
            sample(13, 5, 8, 0),
        ]);
        assert_eq!(model.arrived_total, 10);
        assert_eq!(model.arrival.per_second(), Some(2.0));
    }

    #[test]
    fn a_stream_that_was_never_seen_is_empty_and_one_that_vanished_is_unknown_for_a_minute() {
        let mut model = PartitionModel::default();
        let start = Timestamp::from_millis(0);
        let missing = PartitionObservation::StreamMissing;
        model.observe(start, &missing);
        assert_eq!(model.backlog(), Some(Quantity::Exact(0)));
        // Its first messages arrived while we watched.
        let step = model.observe(
            start.plus(POLL),
            &PartitionObservation::Present(sample(3, 0, 3, 0)),
        );
        assert_eq!(step.arrived, Some(3));
        let gone = start.plus(POLL * 2);
        model.observe(gone, &missing);
        assert_eq!(model.backlog(), None);
        model.observe(gone.plus(VANISHED_GRACE - POLL), &missing);
        assert_eq!(model.backlog(), None);
        model.observe(gone.plus(VANISHED_GRACE), &missing);
        assert_eq!(model.backlog(), Some(Quantity::Exact(0)));
    }
}
