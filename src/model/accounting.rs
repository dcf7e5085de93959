//! Between two samples of a partition: what was processed, and what left the log unread. Where two samples leave that open, the
//! certain part of each, and how much lies between. Source of the rules: docs/policy.md, "Lost messages".

use serde::{Deserialize, Serialize};

use super::quantity::Quantity;
use super::sample::{Counting, PartitionSample};
use crate::model::tuning::accounting::TRIM_BLOCK;

/// What happened between two polls of a partition. `None`: cannot be known for this interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartitionStep {
    /// Messages that arrived.
    pub arrived: Option<u64>,
    /// Messages processed; `None` as well when it cannot be known whether messages were lost, or the group was moved.
    pub processed: Option<u64>,
}

impl PartitionStep {
    pub const NOTHING: Self = Self {
        arrived: Some(0),
        processed: Some(0),
    };
    pub fn and(self, other: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| Some(a?.saturating_add(b?));
        Self {
            arrived: sum(self.arrived, other.arrived),
            processed: sum(self.processed, other.processed),
        }
    }
}

/// Messages that left the unfinished part of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// Acknowledged by consumers, at least.
    pub processed: u64,
    /// Removed from the log before they were handed out, at least.
    pub lost: u64,
    /// One or the other: two samples do not tell.
    pub open: u64,
}

/// What left was processed or lost: arrived + unfinished before − unfinished now. `None` if that cannot be known: a part is not
/// counted exactly, or the group was moved by hand.
pub(super) fn settle(
    then: &PartitionSample,
    now: &PartitionSample,
    arrived: u64,
) -> Option<Settled> {
    let lacks = |s: &PartitionSample| s.lacks_length || s.lacks_pending || s.delivered.is_none();
    if repositioned(then, now) || lacks(then) || lacks(now) {
        return None;
    }
    let exactly = |s: &PartitionSample| s.lag.and_then(Quantity::exact);
    let (left, handed_out) = match exactly(then).zip(exactly(now)) {
        Some((before, after)) => {
            let left = before.checked_add(arrived)?.checked_sub(after)?;
            (left, handed_out(then, now, arrived, left))
        }
        // Too many to be counted: what was handed out is known all the same where nothing left the log.
        None => {
            let counted = counted_where_nothing_left(then, now, arrived)?;
            (counted, NumberBetween::exactly(counted))
        }
    };
    let pending = then.pending.checked_add(handed_out.least)?;
    if handed_out.least == handed_out.most && pending < now.pending {
        return None;
    }
    Some(Settled {
        processed: pending.saturating_sub(now.pending),
        lost: left - handed_out.most,
        open: handed_out.most - handed_out.least,
    })
}

/// Whether somebody moved the group (SETID, re-creation) between the samples: back, or forward, after which the source no
/// longer counts deliveries. It also stops counting when the group reads past a deleted message; that is no move.
pub(super) fn repositioned(then: &PartitionSample, now: &PartitionSample) -> bool {
    // A count that cannot be read is no count that was given up.
    let uncounted = then.delivered_count.is_some()
        && now.delivered_count.is_none()
        && now.counting != Counting::Nothing;
    let back = now.delivered.is_some() && now.delivered < then.delivered;
    back || uncounted && now.newest_removed <= then.delivered
}

/// Whether the group's position went on: then somebody is at work, even where it cannot be known how much was processed.
pub(super) fn went_on(then: &PartitionSample, now: &PartitionSample) -> bool {
    then.delivered.is_some() && then.delivered < now.delivered
}

/// Messages that may have been lost where arrivals are not known either: what waited then, if nothing that was kept then still is.
pub(super) fn turned_over(then: &PartitionSample, now: &PartitionSample) -> u64 {
    let gone = now.oldest_kept > then.delivered;
    then.lag.filter(|_| gone).map_or(0, Quantity::value)
}

/// A number between two bounds.
#[derive(Clone, Copy, Debug)]
struct NumberBetween {
    least: u64,
    most: u64,
}

impl NumberBetween {
    const fn exactly(n: u64) -> Self {
        Self { least: n, most: n }
    }
}

/// How many of those that left the undelivered part were handed out; the others were removed first.
fn handed_out(
    then: &PartitionSample,
    now: &PartitionSample,
    arrived: u64,
    left: u64,
) -> NumberBetween {
    if now.delivered == then.delivered {
        return NumberBetween::exactly(0);
    }
    let trimmed = now.length == 0 || now.oldest_kept > then.delivered;
    let deletion = Deletion::of(then, now);
    if !trimmed && deletion == Deletion::None {
        return NumberBetween::exactly(left);
    }
    let bounds = bounds(then, now, arrived, left, trimmed);
    if deletion == Deletion::OfDelivered && read_past_a_deleted(then, now) {
        return bounds;
    }
    let bounds = match deletion {
        // The one that was deleted ahead of the group was not handed out.
        Deletion::Ahead => by_count(then, now, bounds.up_to(left.saturating_sub(1))),
        Deletion::OfDelivered | Deletion::None => by_count(then, now, bounds),
    };
    if deletion == Deletion::OfDelivered || keeps_up(then, now) || !may_be_lost(then, now) {
        return NumberBetween::exactly(bounds.most);
    }
    bounds
}

/// What was deleted (not trimmed) behind the position that the group had before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deletion {
    /// Nothing.
    None,
    /// Only what the group has passed: consumers delete what they have done.
    OfDelivered,
    /// A message that the group has not reached.
    Ahead,
}

impl Deletion {
    fn of(then: &PartitionSample, now: &PartitionSample) -> Self {
        let newest = now.newest_removed;
        if newest <= then.newest_removed || newest <= then.delivered {
            Self::None
        } else if newest <= now.delivered {
            Self::OfDelivered
        } else {
            Self::Ahead
        }
    }
}

/// A count that grows by one for every message is given up where the group reads past a deleted one; not for what consumers delete once
/// they have done it, which lies behind the group by then.
fn read_past_a_deleted(then: &PartitionSample, now: &PartitionSample) -> bool {
    let stopped = then.delivered_count.is_some() && now.delivered_count.is_none();
    stopped && now.counting == Counting::Reads
}

/// By what is kept: a message after the old position and up to the new one that is still there was handed out. What was removed
/// in all bounds what can have been lost.
fn bounds(
    then: &PartitionSample,
    now: &PartitionSample,
    arrived: u64,
    left: u64,
    trimmed: bool,
) -> NumberBetween {
    let removed = (then.length + arrived).saturating_sub(now.length);
    let undelivered = now.lag.map_or(0, Quantity::value);
    let kept = if trimmed {
        now.length.saturating_sub(undelivered)
    } else {
        0
    };
    let least = left
        .saturating_sub(removed)
        .max(kept)
        .max(now.pending.saturating_sub(then.pending))
        .max(1);
    NumberBetween {
        least: least.min(left),
        most: left,
    }
}

impl NumberBetween {
    /// With a bound from above, unless that contradicts what is known.
    fn up_to(self, most: u64) -> Self {
        Self {
            least: self.least,
            most: most.min(self.most).max(self.least),
        }
    }
}

/// What the source counted as handed out while nothing left the log.
fn counted_where_nothing_left(
    then: &PartitionSample,
    now: &PartitionSample,
    arrived: u64,
) -> Option<u64> {
    let nothing_left = then.length.checked_add(arrived) == Some(now.length)
        && then.newest_removed == now.newest_removed;
    let (before, after) = then.delivered_count.zip(now.delivered_count)?;
    let from = match now.counting {
        Counting::Reads => before,
        Counting::Place => before.max(gone_before(then)),
        Counting::Untold if gone_before(then) <= before => before,
        Counting::Untold | Counting::Commits | Counting::Nothing => return None,
    };
    nothing_left.then(|| after.saturating_sub(from))
}

/// Messages that had left the log by then: they were not read since.
fn gone_before(then: &PartitionSample) -> u64 {
    then.log_end.unwrap_or(0).saturating_sub(then.length)
}

/// By the source's count of deliveries, as far as it is worth that.
fn by_count(then: &PartitionSample, now: &PartitionSample, bounds: NumberBetween) -> NumberBetween {
    let Some((before, after)) = then.delivered_count.zip(now.delivered_count) else {
        return bounds;
    };
    let Some(counted) = after.checked_sub(before) else {
        return bounds;
    };
    let fits = (bounds.least..=bounds.most).contains(&counted);
    let by_place = bounds.up_to(after.saturating_sub(before.max(gone_before(then))));
    let within = now.length > 0 && now.delivered >= now.oldest_kept;
    match now.counting {
        Counting::Reads if fits => NumberBetween::exactly(counted),
        // A place would have grown by all that left.
        Counting::Untold if fits && within && counted < bounds.most => {
            NumberBetween::exactly(counted)
        }
        Counting::Untold => bounds.up_to(counted),
        Counting::Place | Counting::Commits => by_place,
        Counting::Reads | Counting::Nothing => bounds,
    }
}

/// Nothing was left for the group at either time, and the log is not one that is kept at a length: such a one may have overrun
/// whoever reads in bursts, and polls in step with them would never see it.
fn keeps_up(then: &PartitionSample, now: &PartitionSample) -> bool {
    let nothing = Some(Quantity::Exact(0));
    let is_kept = now.length > 0 && is_steady(then, now);
    then.lag == nothing && now.lag == nothing && !is_kept
}

/// Where nothing tells whether consumers delete what they have done or the log is trimmed: the former leaves nothing that is done,
/// the latter keeps its length.
fn may_be_lost(then: &PartitionSample, now: &PartitionSample) -> bool {
    match now.counting {
        Counting::Commits => false,
        Counting::Nothing => is_steady(then, now) || keeps_done(then) || keeps_done(now),
        Counting::Reads | Counting::Place | Counting::Untold => true,
    }
}

/// A log that is trimmed to a length keeps it.
fn is_steady(then: &PartitionSample, now: &PartitionSample) -> bool {
    let (shorter, longer) = (then.length.min(now.length), then.length.max(now.length));
    shorter == longer || shorter >= TRIM_BLOCK && longer - shorter < TRIM_BLOCK
}

/// Whether what is open was more likely lost than read: most of what is kept waits for the group, and either messages between its
/// place and the start of the log are gone, or that cannot be seen and the log keeps its length. Whoever trims only what is done
/// leaves no such gap, and no such length.
pub(super) fn is_likely_loss(then: &PartitionSample, now: &PartitionSample) -> bool {
    if now.lag.map_or(0, Quantity::value) <= now.length / 2 {
        return false;
    }
    if now.counting == Counting::Commits {
        return true;
    }
    match gap(then).max(gap(now)) {
        Some(gap) => gap > 0,
        None => is_steady(then, now),
    }
}

/// Messages that are gone between the group's place and the start of the log, where a count of deliveries tells.
fn gap(sample: &PartitionSample) -> Option<u64> {
    if sample.length > 0 && sample.oldest_kept <= sample.delivered {
        return None;
    }
    let gone = sample.log_end?.checked_sub(sample.length)?;
    gone.checked_sub(sample.delivered_count?)
}

/// Whether something is kept that was processed.
fn keeps_done(sample: &PartitionSample) -> bool {
    let unfinished = sample.lag.map_or(0, Quantity::value) + sample.pending;
    sample.length > unfinished
}

#[cfg(test)]
mod tests;
