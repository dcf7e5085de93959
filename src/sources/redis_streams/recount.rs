//! Counts what the server's own lag says, bit by bit over several polls, where it is more than one poll may read.
//!
//! What is counted lies after the group's position, up to the entry that was the newest when the recount began. The group reads on
//! meanwhile: what it was given since is taken off by the server's count of deliveries, whose differences are right even where its
//! value was set by hand. What arrived since is told by the count of entries ever added. Deletions are seen by the highest deleted id.

use super::answer::Snapshot;
use super::range::RangeCount;
use crate::model::quantity::Quantity;
use crate::model::sample::Position;

/// A recount under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recount {
    /// The group's position.
    delivered: Position,
    /// The server's count of deliveries there.
    entries_read: u64,
    /// Counted up to here.
    after: Position,
    /// Entries after the group's position up to there.
    counted: u64,
    /// The last entry that is counted.
    until: Position,
    /// Entries ever added, up to that one.
    entries_added: u64,
    /// What is counted already contradicts what the server says.
    is_in_doubt: bool,
}

impl Recount {
    /// Nothing counted yet. `None` where the server does not tell what it takes.
    pub fn begin(now: &Snapshot) -> Option<Self> {
        let delivered = now.group.last_delivered?;
        Some(Self {
            delivered,
            entries_read: now.group.entries_read?,
            after: delivered,
            counted: 0,
            until: now.stream.last?,
            entries_added: now.stream.entries_added?,
            is_in_doubt: false,
        })
    }

    /// Weighs a server's lag that is carried at a later reading against what was counted: what is told, what is still carried, and
    /// what goes on. What was in doubt and cannot be followed is not believed.
    pub fn weigh(
        self,
        now: &Snapshot,
        native: u64,
    ) -> (Option<Quantity>, Option<u64>, Option<Self>) {
        let Some(mut followed) = self.follow(now) else {
            let believed = Some(native).filter(|_| !self.is_in_doubt);
            return (believed.map(Quantity::Exact), believed, None);
        };
        match followed.lag(now) {
            Some(counted @ Quantity::Exact(_)) => (Some(counted), None, None),
            _ => {
                let bound = followed.contradicts(native, now);
                let told = bound.unwrap_or(Quantity::Exact(native));
                (Some(told), Some(native), Some(followed))
            }
        }
    }

    /// Goes on at a later reading; `None` where what was counted says nothing any more.
    fn follow(mut self, now: &Snapshot) -> Option<Self> {
        let delivered = now.group.last_delivered?;
        let entries_read = now.group.entries_read?;
        let read = entries_read.checked_sub(self.entries_read)?;
        let is_kept = now.stream.first? <= delivered && now.stream.max_deleted? <= delivered;
        if !is_kept || delivered < self.delivered || delivered > self.until {
            return None;
        }
        (self.after, self.counted) = match delivered >= self.after {
            true => (delivered, 0),
            false => (self.after, self.counted.checked_sub(read)?),
        };
        (self.delivered, self.entries_read) = (delivered, entries_read);
        Some(self)
    }

    /// What is still to be counted of the key.
    pub fn rest(&self, key: &str, entry_bytes: usize) -> RangeCount {
        RangeCount::new(key, self.after, self.until, entry_bytes)
    }

    /// Takes what was counted of the rest.
    pub fn take(&mut self, rest: &RangeCount) {
        self.counted += rest.counted;
        self.after = match rest.complete {
            true => self.until,
            false => rest.after,
        };
    }

    /// The lag at a reading that was followed, as far as it is counted.
    fn lag(&self, now: &Snapshot) -> Option<Quantity> {
        let arrived = now.stream.entries_added?.checked_sub(self.entries_added)?;
        let all = self.counted + arrived;
        Some(match self.after >= self.until {
            true => Quantity::Exact(all),
            // The newest entry waits, or nothing would have to be counted.
            false => Quantity::AtLeast(all.max(1)),
        })
    }

    /// A lower bound instead of the lag of the server, once that is in doubt.
    pub fn contradicts(&mut self, lag: u64, now: &Snapshot) -> Option<Quantity> {
        let counted = self.lag(now)?;
        self.is_in_doubt |= counted.value() > lag || counted.is_exact() && counted.value() != lag;
        self.is_in_doubt
            .then_some(Quantity::AtLeast(counted.value()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sources::redis_streams::reply::{GroupInfo, StreamInfo};

    fn at(major: u64) -> Position {
        Position { major, minor: 0 }
    }

    /// Of a stream of the entries 1 to `last`, with a group that read up to `delivered` and whose count is wrong by `lie`.
    fn snapshot(delivered: u64, last: u64, lie: u64, max_deleted: u64) -> Snapshot {
        Snapshot {
            stream: StreamInfo {
                first: Some(at(1)),
                last: Some(at(last)),
                entries_added: Some(last),
                max_deleted: Some(at(max_deleted)),
                ..StreamInfo::default()
            },
            group: GroupInfo {
                last_delivered: Some(at(delivered)),
                entries_read: Some(delivered + lie),
                ..GroupInfo::default()
            },
            oldest_pending: None,
            now_millis: None,
        }
    }

    /// Counts at most `most` entries on.
    fn count_on(recount: &mut Recount, most: u64) {
        let mut rest = recount.rest("k", 10);
        let to = (rest.after.major + most).min(rest.until.major);
        let ids: Vec<_> = (rest.after.major + 1..=to).map(at).collect();
        rest.take(&ids, 10, most as usize + 1, rest.after);
        rest.complete = to == rest.until.major;
        recount.take(&rest);
    }

    proptest! {
        #[test]
        fn what_was_counted_over_several_polls_is_the_lag_of_the_last_one(
            lie in 0_u64..1_000, polls in prop::collection::vec((0_u64..40, 0_u64..60), 1..60),
        ) {
            let (mut delivered, mut last) = (10, 1_010);
            let mut recount = Recount::begin(&snapshot(delivered, last, lie, 0));
            for (read, arrived) in polls {
                if let Some(recount) = &mut recount {
                    count_on(recount, 100);
                }
                (delivered, last) = (delivered + read, last + arrived);
                let now = snapshot(delivered, last, lie, delivered);
                recount = recount.and_then(|recount| recount.follow(&now));
                match recount.and_then(|recount| recount.lag(&now)) {
                    Some(Quantity::Exact(lag)) => prop_assert_eq!(lag, last - delivered),
                    Some(Quantity::AtLeast(lag)) => prop_assert!(lag <= last - delivered),
                    None => {}
                }
            }
        }
    }

    #[test]
    fn what_is_in_doubt_is_a_lower_bound_until_all_is_counted_and_not_believed_after() {
        let now = snapshot(10, 1_010, 800, 0);
        let mut recount = Recount::begin(&now).expect("all is told");
        count_on(&mut recount, 200);
        assert_eq!(recount.contradicts(200, &now), None);
        let (told, carried, on) = recount.weigh(&now, 200);
        assert_eq!((told, carried), (Some(Quantity::Exact(200)), Some(200)));
        recount = on.expect("not all is counted");
        count_on(&mut recount, 200);
        let bound = Some(Quantity::AtLeast(400));
        assert_eq!(recount.contradicts(200, &now), bound);
        assert_eq!(recount.weigh(&now, 200).0, bound);
        // It is read on, to where less than the server says was counted: still in doubt.
        let later = snapshot(400, 1_010, 800, 0);
        let (told, carried, _) = recount.weigh(&later, 100);
        assert_eq!((told, carried), (Some(Quantity::AtLeast(10)), Some(100)));
        // Deleted ahead of the group.
        let gone = snapshot(400, 1_010, 800, 500);
        assert_eq!(recount.weigh(&gone, 100), (None, None, None));
        count_on(&mut recount, 600);
        assert_eq!(
            recount.contradicts(1_200, &now),
            Some(Quantity::AtLeast(1_000))
        );
        let told = (Some(Quantity::Exact(1_000)), None, None);
        assert_eq!(recount.weigh(&now, 1_200), told);
    }

    #[test]
    fn what_was_deleted_ahead_of_the_group_or_a_group_moved_back_ends_it() {
        let check = |now: &Snapshot, goes_on: bool| {
            let begun = Recount::begin(&snapshot(10, 100, 5, 0)).expect("all is told");
            assert_eq!(begun.follow(now).is_some(), goes_on, "{now:?}");
        };
        check(&snapshot(10, 100, 5, 10), true);
        check(&snapshot(10, 100, 5, 11), false);
        check(&snapshot(9, 100, 5, 0), false);
        check(&snapshot(101, 120, 5, 0), false);
        check(&snapshot(20, 100, 0, 0), true);
        check(&snapshot(11, 100, 0, 0), false);
    }
}
