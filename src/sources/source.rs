//! The seam that every kind of source fits behind: a connection, and the readers of its groups.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::memory::ServerMemory;
use crate::model::sample::{Failure, Sample};
use crate::model::signal::ErrorSource;
use crate::model::stream::StreamSelector;

/// The longest that a call may take.
const MAX_CALL_DEADLINE: Duration = Duration::from_secs(2);

/// The time that one call of a source may take: min(poll interval, 2 s).
pub fn call_deadline(poll_interval: Duration) -> Duration {
    poll_interval.min(MAX_CALL_DEADLINE)
}

/// A boxed future, so that sources of different kinds can stand behind one trait.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One configured source: address, credential and connection, shared by all its groups.
pub trait Source: Send + Sync {
    /// A reader of one group, which is polled every `poll_interval`. An empty `consumer_group` asks for the stream's length only.
    fn reader(
        &self,
        stream: &StreamSelector,
        consumer_group: &str,
        poll_interval: Duration,
    ) -> Box<dyn GroupReader>;

    /// Drops the connection; the next poll opens a new one. Called after repeated timeouts. Does nothing where every call
    /// looks after its own connection.
    fn reconnect(&self) {}

    /// The time that a poll of a group may take: that of a call, where it is one.
    fn poll_deadline(&self, poll_interval: Duration) -> Duration {
        call_deadline(poll_interval)
    }

    /// A moment from which on groups of the same poll interval are polled in step, because they share readings. `None`: each
    /// group in its own time, so that the load is even.
    fn in_step_with(&self) -> Option<Instant> {
        None
    }

    /// How old readings may be that a poll takes from another group's: so much earlier than the poll the source answered, at most.
    fn shares(&self, _poll_interval: Duration) -> Duration {
        Duration::ZERO
    }

    /// What its servers say that they are, and what they lack, in words; `None` before one answered, and where there is nothing to
    /// tell.
    fn described(&self) -> Option<String> {
        None
    }

    /// What its servers' memory holds, where that bounds how much they can keep and they tell it.
    fn memory(&self) -> Vec<ServerMemory> {
        Vec::new()
    }

    /// Requests made so far, for sources where they are limited or billed.
    fn requests(&self) -> Requests {
        Requests::default()
    }
}

/// Requests that a source made, by what they were asked of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Calls of the broker's management node, which have a quota.
    pub management: u64,
    /// Requests to the blob store, which are billed.
    pub blob: u64,
}

/// Asks for room for so many partitions, before anything is remembered of them.
pub type RoomAsked = Arc<dyn Fn(usize) -> Result<(), Failure> + Send + Sync>;

/// Reads one group, poll by poll, and keeps what it must remember in between.
pub trait GroupReader: Send {
    /// Reads all partitions once. The caller bounds the time and may drop the future at any await.
    ///
    /// # Errors
    /// A [`Failure`] if nothing could be read; a partition that fails alone is part of the sample.
    fn poll(&mut self) -> BoxFuture<'_, Result<Sample, Failure>>;

    /// Has it ask for room before it reads partitions that it found itself. Does nothing where there cannot be many.
    fn within(&mut self, _room: RoomAsked) {}

    /// Has every poll from now on count the group's errors, too. Does nothing where the source can count none; the config
    /// refuses that.
    fn count_errors(&mut self, _of: &ErrorSource) {}

    /// Returns as soon as a message was added that the last poll did not see. Never, where the source does not tell: the next poll
    /// finds it.
    fn until_news(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    /// Returns as soon as there is what the last poll failed for the lack of, and not again before the next poll. Never, where only another
    /// poll can tell.
    fn until_ready(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    /// What the last poll found out about how the source is laid out, in words; `None` where there is nothing to find out.
    fn findings(&self) -> Option<String> {
        None
    }
}
