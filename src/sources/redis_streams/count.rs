//! Counts undelivered entries where nothing else certifies their number (rule 5 of `lag`).
//!
//! A count must belong to one moment. So the first page is read in one transaction with the stream and the group, and
//! that reading takes the place of the first one: with up to a page of undelivered entries the count is exact, whatever
//! producers and consumers do meanwhile. Further pages come later and are bounded by the newest entry of that moment, so
//! arrivals do not inflate them. Entries removed in between would be missing from them; a last reading of stream and group
//! tells whether that can have happened. If not, the count is that of the first moment, or, where consumers delete what
//! they have done, that of the last one; else it is only a lower bound.

pub mod together;

use super::answer::{KeyAnswer, PageWanted, Snapshot};
use super::lag::{self, LagVerdict};
use super::last_count::LastCount;
use super::poll::PollConnection;
use super::range::{self, Budget, RangeCount};
use super::read::{self, EntriesPage, KeyWanted};
use super::reply::StreamInfo;
use crate::model::quantity::Quantity;
use crate::model::sample::{Failure, Position};

/// Entries per request, as far as the lengths tell.
const ENTRIES_PER_REQUEST: usize = 10_000;

/// The largest id there can be.
const END: Position = Position {
    major: u64::MAX,
    minor: u64::MAX,
};

/// One partition to be counted, and what came of it.
#[derive(Debug)]
pub struct CountedPartition {
    /// The key.
    pub key: String,
    /// The reading that the count belongs to; at first the one that asked for it.
    pub reading: KeyAnswer,
    /// Undelivered entries.
    pub lag: Option<Quantity>,
    /// The first undelivered entry.
    pub first: Option<Position>,
    /// What was counted, for the polls to come.
    pub seen: Option<LastCount>,
    /// Why it was not answered.
    pub unread: Option<Failure>,
}

/// Counts all of them, as far as the server answers in time; with lower bounds where only a part could be counted.
pub async fn count_all(
    line: &PollConnection<'_>,
    group: &str,
    counts: &mut [CountedPartition],
    rotation: usize,
) {
    if counts.is_empty() {
        return;
    }
    let mut budget = Budget::start(line);
    let middle = rotation % counts.len();
    counts.rotate_left(middle);
    let mut more = Vec::new();
    let mut rest = &mut *counts;
    while !rest.is_empty() {
        if budget.is_spent() {
            bound_below(rest);
            break;
        }
        let fitting = fitting(rest);
        let (chunk, later) = rest.split_at_mut(fitting);
        let read = first_pages(line, group, chunk, &mut budget, &mut more).await;
        if let Err(failure) = read {
            for count in chunk.iter_mut().chain(later) {
                count.unread = Some(failure.clone());
            }
            break;
        }
        rest = later;
    }
    counts.rotate_right(middle);
    range::count_on(line, &mut more, &mut budget, rotation).await;
    settle(line, group, counts, &more).await;
}

/// How many of the partitions are asked for their first page in one request.
fn fitting(counts: &[CountedPartition]) -> usize {
    let (mut entries, mut bytes) = (0, 0);
    let fit = counts.iter().take_while(|count| {
        let fits = entries < ENTRIES_PER_REQUEST && bytes < range::REQUEST_BYTES;
        if let (KeyAnswer::Present(snapshot), Some(page)) =
            (&count.reading, page_wanted(&count.reading))
        {
            let expected = page.limit.min(
                usize::try_from(snapshot.stream.length.unwrap_or(u64::MAX)).unwrap_or(usize::MAX),
            );
            entries += expected;
            bytes += expected * snapshot.stream.entry_bytes;
        }
        fits
    });
    fit.count().max(1)
}

/// Not counted: the group's position lies before the newest entry, so that one is undelivered. What was counted at a poll before says
/// more, mostly: the partition knows.
fn bound_below(counts: &mut [CountedPartition]) {
    for count in counts {
        count.lag = Some(Quantity::AtLeast(1));
    }
}

async fn first_pages(
    line: &PollConnection<'_>,
    group: &str,
    counts: &mut [CountedPartition],
    budget: &mut Budget,
    more: &mut Vec<RangeCount>,
) -> Result<(), Failure> {
    let wanted: Vec<_> = counts
        .iter()
        .map(|count| KeyWanted {
            key: &count.key,
            entry_bytes: entry_bytes(&count.reading),
            page: page_wanted(&count.reading),
        })
        .collect();
    let limits: Vec<_> = wanted.iter().map(|wanted| wanted.page).collect();
    let (_, frames) = read::read_frames(line, group, &wanted).await?;
    for ((count, wanted), (reading, page)) in counts.iter_mut().zip(limits).zip(frames) {
        count.reading = reading;
        if let (KeyAnswer::Present(snapshot), Some(wanted)) = (&count.reading, wanted) {
            let (lag, first, unfinished) = of_first_page(&count.key, snapshot, wanted, &page);
            count.seen = page
                .as_ref()
                .and_then(|(ids, _)| LastCount::of(&snapshot.stream, ids));
            budget.spend(
                page.as_ref().map_or(0, |p| p.0.len()),
                page.map_or(0, |p| p.1),
            );
            count.lag = lag;
            count.first = first;
            more.extend(unfinished);
        }
    }
    Ok(())
}

fn entry_bytes(reading: &KeyAnswer) -> usize {
    match reading {
        KeyAnswer::Present(snapshot) => snapshot.stream.entry_bytes,
        _ => 0,
    }
}

fn page_wanted(reading: &KeyAnswer) -> Option<PageWanted> {
    match reading {
        KeyAnswer::Present(snapshot) => Some(PageWanted {
            after: snapshot.group.last_delivered?,
            limit: range::page_limit(snapshot.stream.entry_bytes),
        }),
        _ => None,
    }
}

/// The count by the page read with the snapshot; with a counting to go on if the page did not reach the end.
fn of_first_page(
    key: &str,
    snapshot: &Snapshot,
    wanted: PageWanted,
    page: &EntriesPage,
) -> (Option<Quantity>, Option<Position>, Option<RangeCount>) {
    if snapshot.stream.is_empty() {
        return (Some(Quantity::Exact(0)), None, None);
    }
    let (Some(delivered), Some((ids, bytes))) = (snapshot.group.last_delivered, page) else {
        return (None, None, None);
    };
    // Where the newest entry could not be read, a page that is not full still tells the end.
    let last = snapshot.stream.last.unwrap_or(END);
    if delivered >= last {
        return (Some(Quantity::Exact(0)), None, None);
    }
    let first = ids.iter().find(|id| **id > delivered).copied();
    let mut counting = RangeCount::new(key, wanted.after, last, snapshot.stream.entry_bytes);
    counting.take(ids, *bytes, wanted.limit, delivered);
    if delivered < wanted.after {
        // Moved back since the page was asked for: what lies in between was not read.
        return (Some(Quantity::AtLeast(counting.counted.max(1))), None, None);
    }
    if counting.complete {
        return (Some(Quantity::Exact(counting.counted)), first, None);
    }
    counting.after = counting.after.max(delivered);
    (
        Some(Quantity::AtLeast(counting.counted.max(1))),
        first,
        Some(counting),
    )
}

/// Takes over what further pages counted; without a last reading it stays a lower bound.
async fn settle(
    line: &PollConnection<'_>,
    group: &str,
    counts: &mut [CountedPartition],
    more: &[RangeCount],
) {
    if more.is_empty() {
        return;
    }
    let wanted: Vec<_> = more
        .iter()
        .map(|counting| KeyWanted {
            key: &counting.key,
            entry_bytes: counting.entry_bytes,
            page: None,
        })
        .collect();
    let Ok((_, frames)) = read::read_frames(line, group, &wanted).await else {
        return;
    };
    for (counting, (reading, _)) in more.iter().zip(frames) {
        if let Some(count) = counts.iter_mut().find(|count| count.key == counting.key) {
            count.settle(reading, counting);
        }
    }
}

/// Reads only the first page of each, with stream and group: the lag of those that it holds, a lower bound of the others, nothing of
/// those that are not answered.
pub async fn look(line: &PollConnection<'_>, group: &str, counts: &mut [CountedPartition]) {
    let mut budget = Budget::start(line);
    let mut rest = counts;
    while !rest.is_empty() && !budget.is_spent() {
        let (chunk, later) = rest.split_at_mut(fitting(rest));
        let read = first_pages(line, group, chunk, &mut budget, &mut Vec::new()).await;
        if read.is_err() {
            return;
        }
        rest = later;
    }
}

impl CountedPartition {
    /// Of a partition as it was read.
    pub const fn of(key: String, reading: KeyAnswer) -> Self {
        Self {
            key,
            reading,
            lag: None,
            first: None,
            seen: None,
            unread: None,
        }
    }

    fn settle(&mut self, last: KeyAnswer, counting: &RangeCount) {
        if let Some(failure) = &counting.failed {
            self.reading = KeyAnswer::Failed(failure.clone());
        }
        let KeyAnswer::Present(then) = &self.reading else {
            return;
        };
        self.seen = LastCount::of(&then.stream, &counting.ids);
        let KeyAnswer::Present(now) = &last else {
            // The group or the stream went away meanwhile.
            self.reading = last;
            return;
        };
        if counting.complete && is_intact(then, &now.stream) {
            self.lag = Some(Quantity::Exact(counting.counted));
        } else if let Some(lag) = at_the_end(then, now, counting) {
            self.lag = Some(Quantity::Exact(lag));
            let rest = now.group.last_delivered.map(|at| counting.ids_after(at));
            self.first = rest.and_then(|ids| ids.first().copied());
            self.reading = last;
        } else {
            self.lag = Some(Quantity::AtLeast(counting.counted.max(1)));
        }
    }
}

/// The undelivered entries at the last reading. If it does not tell them by itself, they are those counted that lie after
/// the group's new position, and all that arrived since; given that nothing after that position was removed.
fn at_the_end(then: &Snapshot, now: &Snapshot, counting: &RangeCount) -> Option<u64> {
    if let LagVerdict::Derived(lag) = lag::certify(&now.stream, &now.group, None) {
        return Some(lag);
    }
    let at = now.group.last_delivered?;
    let covered = counting.complete && then.group.last_delivered? <= at && at <= counting.until;
    let kept = now.stream.first? <= at && now.stream.max_deleted? <= at;
    let arrived = now
        .stream
        .entries_added?
        .checked_sub(then.stream.entries_added?)?;
    (covered && kept).then(|| counting.ids_after(at).len() as u64 + arrived)
}

/// Whether no undelivered entry can have been removed since: nothing was removed at all, or only entries up to the
/// group's position. Redis 6.2 does not tell of deletions; there only trims are seen.
fn is_intact(then: &Snapshot, now: &StreamInfo) -> bool {
    let removed = |stream: &StreamInfo| stream.entries_added?.checked_sub(stream.length?);
    let Some(delivered) = then.group.last_delivered else {
        return false;
    };
    let nothing_removed = removed(now).is_some() && removed(now) == removed(&then.stream);
    let only_delivered = now.first.is_some_and(|first| first <= delivered)
        && (now
            .max_deleted
            .map_or(!now.counts_added, |deleted| deleted <= delivered));
    nothing_removed || only_delivered
}

#[cfg(test)]
mod tests;
