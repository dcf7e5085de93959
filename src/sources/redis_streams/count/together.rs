//! Counts the undelivered entries of groups that share a key with many others: none of them reads the stream and all groups again for its
//! first page. A last reading, for all of them, tells whether what was counted was there at the first one.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::CountedPartition;
use crate::model::quantity::Quantity;
use crate::sources::redis_streams::answer::KeyAnswer;
use crate::sources::redis_streams::poll::PollConnection;
use crate::sources::redis_streams::range::{self, Budget, RangeCount};
use crate::sources::redis_streams::read;
use crate::sources::redis_streams::shared::IdRange;

/// Whether a partition is counted so: the server tells of removals, and many readers ask for it.
pub fn is_for(line: &PollConnection<'_>, key: &str, reading: &KeyAnswer) -> bool {
    reading.stream().is_some_and(|stream| stream.counts_added) && line.shared().is_shared(key)
}

/// Counts all of them, as [`super::count_all`].
pub async fn count_all(
    line: &PollConnection<'_>,
    group: &str,
    counts: &mut [CountedPartition],
    rotation: usize,
) {
    let since = Instant::now();
    let mut budget = Budget::start(line);
    let mut countings = Vec::new();
    for count in counts.iter_mut() {
        let Some(counting) = begin(count) else {
            continue;
        };
        let range = ids_for(line, &counting, since, &mut budget).await;
        countings.push(match range {
            Some(range) => counting.go_on(&range.ids, range.through),
            None => counting,
        });
    }
    if countings.is_empty() {
        return;
    }
    range::count_on(line, &mut countings, &mut budget, rotation).await;
    let keys: Vec<_> = countings
        .iter()
        .map(|counting| counting.key.clone())
        .collect();
    let Some(last) = read::read_since(line, group, &keys, Instant::now()).await else {
        return;
    };
    for (key, reading) in last {
        let counting = countings.iter().find(|counting| counting.key == key);
        let count = counts.iter_mut().find(|count| count.key == key);
        if let (Some(count), Some(counting)) = (count, counting) {
            count.first = counting.ids.first().copied();
            count.settle(with_pending_of(&count.reading, reading), counting);
        }
    }
}

/// Ids on a key that include those after the group's position, as many as are counted at all: read by one poll for all groups that stand
/// there or further on.
async fn ids_for(
    line: &PollConnection<'_>,
    counting: &RangeCount,
    since: Instant,
    budget: &mut Budget,
) -> Option<Arc<IdRange>> {
    let (shared, key) = (line.shared(), counting.key.as_str());
    let after = counting.after;
    let begins_there = |range: &Arc<IdRange>| range.after <= after && after < range.through;
    if let Some(range) = shared.range(key, since).filter(begins_there) {
        return Some(range);
    }
    let _turn = timeout_at(line.until(), shared.take_turn()).await.ok()?;
    if let Some(range) = shared.range(key, since).filter(begins_there) {
        return Some(range);
    }
    let at = Instant::now();
    let mut all = [RangeCount::new(
        key,
        after,
        counting.until,
        counting.entry_bytes,
    )];
    range::count_on(line, &mut all, budget, 0).await;
    let [all] = all;
    let through = match all.complete {
        true => all.until,
        false => all.after,
    };
    let ids = all.ids;
    Some(shared.keep_range(
        key,
        IdRange {
            at,
            after,
            through,
            ids,
        },
    ))
}

/// A reading for many groups says nothing of the oldest pending entry: it is as it was a moment before.
fn with_pending_of(then: &KeyAnswer, mut now: KeyAnswer) -> KeyAnswer {
    if let (KeyAnswer::Present(then), KeyAnswer::Present(now)) = (then, &mut now)
        && now.group.pending != Some(0)
        && now.oldest_pending.is_none()
    {
        now.oldest_pending.clone_from(&then.oldest_pending);
    }
    now
}

/// What lies after the group's position, up to the newest entry of the reading.
fn begin(count: &mut CountedPartition) -> Option<RangeCount> {
    let KeyAnswer::Present(then) = &count.reading else {
        return None;
    };
    let (after, until) = (then.group.last_delivered?, then.stream.last?);
    // The group's position lies before the newest entry.
    count.lag = Some(Quantity::AtLeast(1));
    Some(RangeCount::new(
        &count.key,
        after,
        until,
        then.stream.entry_bytes,
    ))
}
