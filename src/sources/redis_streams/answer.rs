//! What a server tells of a partition at one moment.

use super::reply::{GroupInfo, PendingEntry, StreamInfo};
use crate::model::sample::{Failure, Position};

/// A page of entry ids wanted in the same atomic reading: those after an id.
#[derive(Clone, Copy, Debug)]
pub struct PageWanted {
    /// The id before the first wanted one.
    pub after: Position,
    /// At most so many.
    pub limit: usize,
}

/// What one partition answered.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyAnswer {
    /// Stream and group at one moment.
    Present(Snapshot),
    /// The stream exists, the group does not.
    GroupMissing(StreamInfo),
    /// There is no such key.
    StreamMissing,
    /// This partition could not be read.
    Failed(Failure),
    /// It is on another node of the cluster, or on its way there.
    Elsewhere(Failure),
    /// It was not read at this poll, while others were; with what kept the poll from it.
    LeftOut(Failure),
}

impl KeyAnswer {
    /// The stream, if it was read.
    pub const fn stream(&self) -> Option<&StreamInfo> {
        match self {
            Self::Present(now) => Some(&now.stream),
            Self::GroupMissing(stream) => Some(stream),
            Self::StreamMissing | Self::Failed(_) | Self::Elsewhere(_) | Self::LeftOut(_) => None,
        }
    }

    /// As what it counts where it is not asked for again: a key on its way to another node was left out.
    pub fn settled(self) -> Self {
        match self {
            Self::Elsewhere(failure) => Self::LeftOut(failure),
            settled => settled,
        }
    }
}

/// Stream and group at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The stream.
    pub stream: StreamInfo,
    /// The group on it.
    pub group: GroupInfo,
    /// The pending entry with the lowest id.
    pub oldest_pending: Option<PendingEntry>,
    /// The server's clock just before, in milliseconds.
    pub now_millis: Option<u64>,
}
