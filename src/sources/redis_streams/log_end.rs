//! How many entries were ever added to a stream: the server's `entries-added`, or for Redis 6.2, which has none, a
//! number of our own that grows with the ids and lengths seen.

use super::reply::StreamInfo;
use crate::model::sample::Position;

/// The synthetic counter of one stream and what it was last taken from.
#[derive(Clone, Debug, PartialEq)]
pub struct Counter {
    value: u64,
    first: Option<Position>,
    last_generated: Position,
    length: u64,
}

/// What must be read before the counter can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterStep {
    /// So many entries arrived.
    Arrived(u64),
    /// Count the entries after this id, up to the last generated one.
    CountAfter(Position),
    /// Entries may have come and gone unseen: the number of arrivals is unknown.
    Unknown,
}

impl Counter {
    /// Starts at the stream's length; `None` where that, or the last id, could not be read.
    pub fn start(stream: &StreamInfo) -> Option<Self> {
        Some(Self {
            value: stream.length?,
            first: stream.first,
            last_generated: stream.last_generated?,
            length: stream.length?,
        })
    }

    /// The number so far.
    pub const fn value(&self) -> u64 {
        self.value
    }

    /// How the arrivals since the last look can be told.
    pub fn step(&self, stream: &StreamInfo) -> CounterStep {
        let (Some(generated), Some(length)) = (stream.last_generated, stream.length) else {
            return CounterStep::Unknown;
        };
        if generated == self.last_generated {
            CounterStep::Arrived(0)
        } else if generated < self.last_generated {
            // Another stream under the same key.
            CounterStep::Unknown
        } else if stream.first.is_some() && stream.first == self.first {
            CounterStep::Arrived(length.saturating_sub(self.length))
        } else if stream
            .first
            .is_some_and(|first| first <= self.last_generated)
        {
            CounterStep::CountAfter(self.last_generated)
        } else {
            CounterStep::Unknown
        }
    }

    /// Takes the stream as it is now, with the arrivals since. `None`, unknown arrivals, keeps the value: it goes on
    /// growing from the next look.
    pub fn advance(&mut self, stream: &StreamInfo, arrived: Option<u64>) -> Option<u64> {
        let value = self.value.saturating_add(arrived.unwrap_or(0));
        *self = Self {
            value,
            ..Self::start(stream)?
        };
        arrived.map(|_| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(first: Option<u64>, last_generated: u64, length: u64) -> StreamInfo {
        let at = |major| Position { major, minor: 0 };
        StreamInfo {
            length: Some(length),
            first: first.map(at),
            last_generated: Some(at(last_generated)),
            ..StreamInfo::default()
        }
    }

    #[test]
    fn arrivals_are_told_by_length_counted_after_a_trim_or_unknown_when_all_seen_is_gone() {
        let counter = Counter::start(&stream(Some(1), 5, 5)).expect("told");
        let check = |now: StreamInfo, expect| assert_eq!(counter.step(&now), expect);
        check(stream(Some(1), 5, 5), CounterStep::Arrived(0));
        check(stream(Some(3), 5, 3), CounterStep::Arrived(0));
        check(stream(Some(1), 8, 8), CounterStep::Arrived(3));
        let seen = Position { major: 5, minor: 0 };
        check(stream(Some(3), 8, 6), CounterStep::CountAfter(seen));
        check(stream(Some(7), 8, 2), CounterStep::Unknown);
        check(stream(None, 8, 0), CounterStep::Unknown);
        check(stream(Some(1), 4, 4), CounterStep::Unknown);
    }

    #[test]
    fn the_counter_never_falls() {
        let mut counter = Counter::start(&stream(Some(1), 5, 5)).expect("told");
        assert_eq!(counter.advance(&stream(Some(1), 8, 8), Some(3)), Some(8));
        assert_eq!(counter.advance(&stream(Some(20), 20, 1), None), None);
        assert_eq!(counter.advance(&stream(Some(20), 21, 2), Some(1)), Some(9));
    }
}
