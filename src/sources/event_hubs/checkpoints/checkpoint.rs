//! A committed position, and all that a consumer group has committed.

use std::collections::BTreeMap;

use crate::model::sample::Failure;
use crate::model::time::Timestamp;

/// The committed position of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last event recorded as done.
    pub sequence_number: i64,
    /// Its offset as written; empty where the layout has none or the writer left it out.
    pub offset: String,
    /// When the store last saw it written.
    pub written_at: Option<Timestamp>,
}

/// What the store holds for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointState {
    /// Nothing: nobody has committed yet.
    Missing,
    /// A committed position.
    Present(Checkpoint),
    /// A committed position that only its offset tells.
    AtOffset {
        /// The offset as written.
        offset: String,
        /// When the store last saw it written.
        written_at: Option<Timestamp>,
    },
    /// Something that does not say where: a field is missing or is not a number, or it could not be read.
    Unreadable(Failure),
}

/// Everything that the store holds for one consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Checkpoints by partition id; what is not in the map is missing.
    pub partitions: BTreeMap<String, CheckpointState>,
    /// Unexpired owners by partition id; `None` where the layout records none.
    pub owners: Option<BTreeMap<String, String>>,
    /// What is odd about a partition's checkpoint, in words.
    pub remarks: BTreeMap<String, String>,
    /// Which layouts were found, in words; empty where the store has one only.
    pub layouts: String,
    /// The store's own clock when it was read, if it tells.
    pub now: Option<Timestamp>,
}
