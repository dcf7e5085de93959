//! Counts the undelivered entries of groups that share a key with many others: none of them reads the stream and all groups again for its
//! first page. A last reading, for all of them, tells whether what was counted was there at the first one.

use tokio::time::Instant;

use super::CountedPartition;
use crate::model::quantity::Quantity;
use crate::sources::redis_streams::answer::KeyAnswer;
use crate::sources::redis_streams::poll::PollConnection;
use crate::sources::redis_streams::range::{self, Budget, RangeCount};
use crate::sources::redis_streams::read;

/// Whether a partition is counted so: the server tells of removals, and of many groups.
pub fn is_for(line: &PollConnection<'_>, key: &str, reading: &KeyAnswer) -> bool {
    reading.stream().is_some_and(|stream| stream.counts_added) && line.shared().has(key)
}

/// Counts all of them, as [`super::count_all`].
pub async fn count_all(
    line: &PollConnection<'_>,
    group: &str,
    counts: &mut [CountedPartition],
    rotation: usize,
) {
    let mut countings: Vec<_> = counts.iter_mut().filter_map(begin).collect();
    if countings.is_empty() {
        return;
    }
    let mut budget = Budget::start(line);
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
