//! Committed positions and ownership, whatever store and layout they are in.

mod account;
mod assemble;
mod blob;
mod choice;
mod document;
mod failure;
mod gather;
mod http;
mod layout;
mod listing;
mod look;
mod reading;
mod session;

use std::collections::{BTreeMap, BTreeSet};

use choice::Moves;
use gather::KeptDocuments;
use layout::Site;

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

/// What is remembered of a consumer group between readings.
#[derive(Default)]
pub struct GroupMemory {
    /// Where its blobs were found.
    sites: BTreeSet<Site>,
    /// Whose checkpoints are beside them.
    others: BTreeSet<String>,
    /// Requests that looking through the whole container took; 0: it holds too much for that, or may not be listed.
    pages: u32,
    /// Readings since everything was looked through.
    readings: u32,
    moves: Moves,
    kept: KeptDocuments,
    /// The last [`Committed::layouts`] that was logged.
    logged: String,
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
