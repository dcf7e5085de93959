//! Committed positions and ownership, whatever store and layout they are in.

mod account;
pub mod assemble;
mod blob;
mod checkpoint;
mod choice;
pub mod document;
mod failure;
mod gather;
mod http;
pub mod layout;
pub mod listing;
mod look;
mod reading;
mod session;

use std::collections::BTreeSet;

use choice::Moves;
use gather::KeptDocuments;
use layout::Site;

pub use blob::BlobCheckpoints;
pub use checkpoint::{Checkpoint, CheckpointState, Committed};

use crate::model::sample::Failure;
use crate::sources::BoxFuture;

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
