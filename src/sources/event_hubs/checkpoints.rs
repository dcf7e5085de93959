//! Committed positions and ownership, whatever store and layout they are in.

mod account;
mod assemble;
mod blob;
mod document;
mod failure;
mod gather;
mod http;
mod layout;
mod listing;
mod session;

use std::collections::BTreeMap;

use gather::Kept;

pub use blob::BlobCheckpoints;

use crate::model::sample::Failure;
use crate::model::time::Timestamp;
use crate::sources::BoxFuture;

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
    /// Something that does not say where: a field is missing or is no number, or it could not be read.
    Unreadable(Failure),
}

/// Everything that the store holds for one consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Checkpoints by partition id; what is not in the map is missing.
    pub partitions: BTreeMap<String, CheckpointState>,
    /// Unexpired owners by partition id; `None` where the layout records none.
    pub owners: Option<BTreeMap<String, String>>,
}

/// What is remembered of a consumer group between readings.
#[derive(Default)]
pub struct GroupMemory {
    /// Which of the possible prefixes its blobs were found under.
    spelling: usize,
    /// Readings since both were looked at.
    readings: u32,
    kept: Kept,
}

/// Reads one event hub's checkpoints.
pub trait CheckpointStore: Send + Sync {
    /// Reads all checkpoints and owners of a consumer group; `partitions` are the ids to look for, `memory` is what readings of
    /// this group found before. It stays good when a reading is given up halfway.
    ///
    /// # Errors
    /// The store could not be read as a whole.
    fn read<'a>(
        &'a self,
        consumer_group: &'a str,
        partitions: &'a [String],
        memory: &'a mut GroupMemory,
    ) -> BoxFuture<'a, Result<Committed, Failure>>;

    /// Requests made so far: each is billed.
    fn requests(&self) -> u64;
}
