//! What the event hub says of itself and its partitions, whichever client asks.

use crate::model::sample::Failure;
use crate::model::time::Timestamp;
use crate::sources::BoxFuture;

/// What an event hub says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubProperties {
    /// When it was created: another time means another event hub under the same name.
    pub created_at: Option<Timestamp>,
    /// The ids of its partitions.
    pub partition_ids: Vec<String>,
}

/// What an event hub says of one partition. Sequence numbers are −1 where nothing was ever enqueued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionProperties {
    /// The partition that this is about; checked to be the one asked for.
    pub partition_id: String,
    /// The oldest event kept.
    pub beginning_sequence_number: i64,
    /// The newest event.
    pub last_enqueued_sequence_number: i64,
    /// The newest event's offset, in bytes where it is a number.
    pub last_enqueued_offset: String,
    /// When the newest event was enqueued, by the broker's clock.
    pub last_enqueued_at: Option<Timestamp>,
    /// Whether nothing is kept.
    pub is_empty: bool,
}

/// A client of the management node. Every call ends within its own deadline, and an answer that belongs to another question is
/// a failure, never a value. Calls may be made side by side.
pub trait Management: Send + Sync {
    /// Asks for the event hub.
    fn hub(&self) -> BoxFuture<'_, Result<HubProperties, Failure>>;

    /// Asks for one partition.
    fn partition<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<PartitionProperties, Failure>>;

    /// Drops every connection; the next call opens a new one.
    fn reconnect(&self);

    /// Calls made so far, those included that open and authorize a connection.
    fn calls(&self) -> u64;
}
