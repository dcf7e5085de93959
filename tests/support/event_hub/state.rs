//! What the hub holds: partitions with sequence numbers, offsets and times, as the management node tells them.

use std::time::{Duration, SystemTime};

/// What the real service reports as the time of a partition that never held an event: 0001-01-01, in milliseconds.
const NEVER_MS: i64 = -62_135_596_800_000;

/// An event hub.
#[derive(Clone, Debug, PartialEq)]
pub struct Hub {
    pub name: String,
    /// Milliseconds since 1970.
    pub created_at_ms: i64,
    /// In the order in which they are told.
    pub partitions: Vec<Partition>,
}

/// A partition. The fields may be set to anything, also to what no real hub would say.
#[derive(Clone, Debug, PartialEq)]
pub struct Partition {
    pub id: String,
    pub begin_sequence_number: i64,
    pub last_enqueued_sequence_number: i64,
    pub last_enqueued_offset: String,
    /// Milliseconds since 1970.
    pub last_enqueued_time_ms: i64,
    pub is_empty: bool,
    /// Of the newest event; −1 where the namespace has no replica.
    pub epoch: i64,
    /// Where the next event is going to lie.
    pub next_offset: i64,
}

impl Hub {
    /// A hub made now, with empty partitions `0`, `1`, ….
    pub fn new(name: &str, partitions: usize) -> Self {
        let ids = (0..partitions).map(|id| Partition::new(&id.to_string()));
        Self {
            name: name.to_owned(),
            created_at_ms: now_ms(),
            partitions: ids.collect(),
        }
    }

    pub fn partition(&self, id: &str) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.id == id)
    }

    /// Panics if there is none, so that a test with a wrong id fails.
    pub fn partition_mut(&mut self, id: &str) -> &mut Partition {
        self.partitions
            .iter_mut()
            .find(|partition| partition.id == id)
            .unwrap_or_else(|| panic!("no partition {id}"))
    }

    /// The partition after that one, around the end.
    pub fn neighbour_of(&self, id: &str) -> Option<&Partition> {
        let at = self
            .partitions
            .iter()
            .position(|partition| partition.id == id)?;
        self.partitions.get((at + 1) % self.partitions.len())
    }
}

impl Partition {
    /// An empty one, as the service reports it.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            begin_sequence_number: 0,
            last_enqueued_sequence_number: -1,
            last_enqueued_offset: "-1".to_owned(),
            last_enqueued_time_ms: NEVER_MS,
            is_empty: true,
            epoch: -1,
            next_offset: 0,
        }
    }

    /// Takes in so many events of so many bytes each, enqueued at that time.
    pub fn append(&mut self, events: u32, bytes: u32, at_ms: i64) {
        if events == 0 {
            return;
        }
        let size = i64::from(bytes);
        self.next_offset += size * i64::from(events);
        self.last_enqueued_offset = (self.next_offset - size).to_string();
        self.last_enqueued_sequence_number += i64::from(events);
        self.last_enqueued_time_ms = at_ms;
        self.is_empty = false;
    }

    /// Retention drops everything before that sequence number.
    pub fn trim(&mut self, begin: i64) {
        self.begin_sequence_number = begin;
        self.is_empty = begin > self.last_enqueued_sequence_number;
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    to_ms(SystemTime::now())
}

/// Milliseconds since 1970 of a time after it.
pub fn to_ms(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.unwrap_or(Duration::ZERO).as_millis();
    i64::try_from(millis).expect("a time before the year 292277026")
}
