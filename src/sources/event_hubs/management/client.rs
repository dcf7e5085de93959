//! What every client of the management node is asked, and what it answers.

use crate::model::sample::Failure;
use crate::model::time::Timestamp;
use crate::sources::BoxFuture;

use super::failure;

/// What an event hub says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubProperties {
    /// When it was created: another time means another event hub under the same name.
    pub created_at: Option<Timestamp>,
    /// The ids of its partitions, at least one.
    pub partition_ids: Vec<String>,
}

impl HubProperties {
    /// What the event hub said, if that can be. `subject` says which one, where.
    pub(super) fn told(
        subject: &str,
        created_at: Option<Timestamp>,
        partition_ids: Vec<String>,
    ) -> Result<Self, Failure> {
        if partition_ids.is_empty() {
            let what = "the reply lists no partitions, which no event hub can have";
            return Err(failure::garbled(subject, what));
        }
        Ok(Self {
            created_at,
            partition_ids,
        })
    }
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
    /// How often the namespace had been failed over to a replica when the newest event was enqueued, where that is told.
    pub epoch: Option<i64>,
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
