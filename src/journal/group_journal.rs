//! Where a group's events are handed in, in the order in which they happen to it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::frames::encode;
use super::header::JournalHeader;
use super::queue::{HandedIn, Of, WriteQueue};
use crate::group::GroupState;
use crate::group::event::{Event, TargetKey, What};
use crate::model::time::{Moment, Timestamp};
use crate::policy::decision::Decision;

/// A segment begins so often, …
const SEGMENT: Duration = Duration::from_secs(3_600);
/// … and a checkpoint is written so often: what a restart has to compute again are the events since.
const CHECKPOINT: Duration = Duration::from_secs(120);
/// After a failure the next segment is tried no earlier.
const RETRY: Duration = Duration::from_secs(10);

/// A group's journal. Who holds it hands in every event, in order.
#[derive(Debug)]
pub struct GroupJournal {
    queue: WriteQueue,
    of: Arc<Of>,
    position: u64,
    segment_due: Timestamp,
    checkpoint_due: Timestamp,
    retry_from: Timestamp,
}

impl GroupJournal {
    /// Begins with that state, after so many events. `continues`: they are in the segment before.
    pub(super) fn begin(
        queue: WriteQueue,
        of: Of,
        position: u64,
        continues: bool,
        state: &GroupState,
        now: Moment,
    ) -> Self {
        let share = of.share();
        let mut journal = Self {
            queue,
            of: Arc::new(of),
            position,
            segment_due: now.at,
            checkpoint_due: now.at,
            retry_from: now.at,
        };
        journal.write_state(state, now, true, continues);
        // Groups start together; their files are not to be written together for ever.
        let spread = 0.5 + share / 2.0;
        journal.segment_due = now.at.plus(SEGMENT.mul_f64(spread));
        journal.checkpoint_due = now.at.plus(CHECKPOINT.mul_f64(spread));
        journal
    }

    /// Takes an event that has just made `state` what it is, and the answers that changed with it. Returns at once.
    pub fn append(&mut self, event: &Event, decided: &[(TargetKey, Decision)], state: &GroupState) {
        self.position += 1;
        match encode(self.position, event, decided) {
            Ok(record) => self.queue.hand_in(HandedIn::Happened {
                of: Arc::clone(&self.of),
                position: self.position,
                record,
            }),
            Err(_) => self.of.is_over.store(true, Ordering::Release),
        }
        if !matches!(event.what, What::Observed(_)) || self.of.is_writing.load(Ordering::Acquire) {
            return;
        }
        let has_failed = self.of.is_over.load(Ordering::Acquire) && event.at >= self.retry_from;
        let new_segment = has_failed || event.at >= self.segment_due;
        if new_segment || event.at >= self.checkpoint_due {
            let wall = state.facts().wall;
            let now = Moment { at: event.at, wall };
            self.write_state(state, now, new_segment, false);
        }
    }

    fn write_state(&mut self, state: &GroupState, now: Moment, new_segment: bool, continues: bool) {
        self.checkpoint_due = now.at.plus(CHECKPOINT);
        if new_segment {
            self.segment_due = now.at.plus(SEGMENT);
            self.retry_from = now.at.plus(RETRY);
        }
        let Of { group, name, .. } = &*self.of;
        let mut header = JournalHeader::new(group.clone(), name.clone(), self.position, now);
        header.continues = continues;
        self.of.is_writing.store(true, Ordering::Release);
        self.queue.hand_in(HandedIn::State {
            of: Arc::clone(&self.of),
            header: Box::new(header),
            state: Box::new(state.clone()),
            new_segment,
        });
    }
}

impl Drop for GroupJournal {
    fn drop(&mut self) {
        self.queue.hand_in(HandedIn::End(Arc::clone(&self.of)));
    }
}
