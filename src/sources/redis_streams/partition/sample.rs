//! What a reading tells.

use std::time::Duration;

use super::{RedisPartition, remark};
use crate::model::quantity::Quantity;
use crate::model::sample::{Counting, PartitionSample, Position};
use crate::sources::redis_streams::answer::Snapshot;
use crate::sources::redis_streams::followup::PENDING_PAGE;
use crate::sources::redis_streams::pending::{self, FirstUndelivered};

impl RedisPartition {
    /// The first undelivered entry, if what was read or remembered tells it.
    pub(super) fn first_known(&self, now: &Snapshot) -> Option<FirstUndelivered> {
        if self.lag == Some(Quantity::Exact(0)) {
            return Some(FirstUndelivered::None);
        }
        let at = now.group.last_delivered?;
        let first = now.stream.first?;
        if at < first {
            return Some(FirstUndelivered::At(first));
        }
        let (id, after) = self.memory.first?;
        // It still is, if the group has not passed it or moved back, and it was neither trimmed nor deleted.
        let unmoved = after <= at && at < id;
        let kept = first <= id && now.stream.max_deleted.is_some_and(|deleted| deleted < id);
        (unmoved && kept).then_some(FirstUndelivered::At(id))
    }

    /// What is told of a partition whose group was read.
    pub(super) fn sample(
        &self,
        now: &Snapshot,
        log_end: Option<u64>,
        stuck_after: Duration,
        is_at_work: impl Fn(&str) -> bool,
    ) -> PartitionSample {
        let (stream, group, memory) = (&now.stream, &now.group, &self.memory);
        let searched = memory.stuck.as_ref().map(|(_, stuck)| stuck);
        let found = searched.or(memory.search.as_ref().map(|(found, _)| found));
        let pending = group.pending.unwrap_or(0);
        let stuck = found.map_or(0, |found| found.total).min(pending);
        let page = self.page.as_deref();
        let oldest = pending::oldest_live(now, stuck, page, PENDING_PAGE, stuck_after);
        let first = self.first.unwrap_or(FirstUndelivered::Unknown);
        let unsearched = searched.is_none() && pending::is_suspect(now, stuck_after);
        let (from, to) = (group.last_delivered, stream.last_generated);
        let is_ahead = to.is_some_and(|to| to > Position::default() && from > Some(to));
        PartitionSample {
            log_end,
            length: stream.length.unwrap_or(0),
            stored_bytes: self.stored_bytes,
            lacks_length: stream.length.is_none(),
            lag: self.lag,
            pending,
            lacks_pending: group.pending.is_none(),
            stuck_pending: stuck,
            lacks_stuck: unsearched,
            stuck_in_work: found
                .map_or(0, |found| found.held_by(is_at_work))
                .min(stuck),
            oldest_delivery_count: now
                .oldest_pending
                .as_ref()
                .and_then(|entry| entry.deliveries),
            oldest_age_millis: pending::oldest_age_millis(oldest, first, now.now_millis),
            delivered: from,
            is_ahead,
            delivered_count: group.entries_read,
            counting: Counting::Nothing,
            oldest_kept: stream.first,
            newest_removed: stream.max_deleted.filter(|id| *id != Position::default()),
            remark: remark::remark(now, stuck, unsearched, is_ahead),
            owner: None,
            ..PartitionSample::default()
        }
    }
}
