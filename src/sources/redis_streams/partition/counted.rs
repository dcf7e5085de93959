//! What became of counting a partition's undelivered entries.

use std::sync::Arc;
use std::time::Duration;

use super::RedisPartition;
use crate::model::quantity::Quantity;
use crate::sources::redis_streams::answer::KeyAnswer;
use crate::sources::redis_streams::count::CountedPartition;
use crate::sources::redis_streams::last_count::LastCount;
use crate::sources::redis_streams::pending::FirstUndelivered;

impl RedisPartition {
    /// As it was read, to be counted.
    pub fn to_count(&self) -> CountedPartition {
        CountedPartition::of(self.key.clone(), self.reading.clone())
    }

    /// Takes the count. Where it is only a lower bound, as the poll's budget was spent, one that follows from a count before may be the
    /// better one.
    pub fn counted(&mut self, count: CountedPartition, outdated_after: Duration) {
        self.reading = count.reading.settled();
        self.lag = count.lag;
        self.first = count.first.map(FirstUndelivered::At);
        if let Some(failure) = count.unread {
            return self.uncounted(failure, outdated_after);
        }
        let seen = count.seen.map(Arc::new);
        match self.lag {
            Some(Quantity::AtLeast(counted)) => match self.known_to_wait() {
                Some((known, last)) if known > counted => {
                    self.lag = Some(Quantity::AtLeast(known));
                    self.memory.last_count = Some(last);
                }
                _ => self.memory.last_count = seen.or(self.memory.last_count.take()),
            },
            Some(Quantity::Exact(_)) => self.memory.last_count = seen,
            None => {}
        }
    }

    /// Undelivered entries at least, by what the polls before knew; and what to know of that at the next one.
    fn known_to_wait(&self) -> Option<(u64, Arc<LastCount>)> {
        let KeyAnswer::Present(now) = &self.reading else {
            return None;
        };
        let counted = self.memory.last_count.as_ref().and_then(|last| {
            let known = last.at_least(&now.stream, &now.group)?;
            Some((known, Arc::clone(last)))
        });
        let agreed = self.memory.agreement.as_ref().and_then(|last| {
            let known = last.at_least(&now.stream, &now.group)?;
            let known_now = LastCount::after(&now.stream, now.group.last_delivered?, known)?;
            Some((known, Arc::new(known_now)))
        });
        [counted, agreed]
            .into_iter()
            .flatten()
            .max_by_key(|(known, _)| *known)
    }
}
