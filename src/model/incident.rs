//! What happened to a group: flags and rule states that belong together.

mod arrivals;
mod consumers;
mod holdings;
mod silence;
mod track;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::holdings::Holdings;
use super::facts::GroupFacts;
use super::identity::PartitionId;
use super::signal::Signal;
use super::time::Timestamp;

pub use track::Incidents;

/// What a poll shows.
struct Look<'a> {
    at: Timestamp,
    /// Time since the poll before.
    poll: Duration,
    facts: &'a GroupFacts,
    holdings: &'a Holdings,
    /// Messages per second that one consumer does, or at least did.
    capacity: Option<f64>,
}

/// What it most likely is. A closed set: it is a label value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// Nothing arrives any more.
    ProducerStop,
    /// A consumer ended without letting go of what it held, or all of them are gone.
    ConsumerCrash,
    /// All consumers are slow at once: what they depend on is.
    DownstreamOutage,
    /// More arrives on a partition than one consumer can do.
    HotPartition,
    /// One consumer falls behind on all that it holds.
    SlowConsumer,
    /// A partition does not move although its holder does.
    StuckPartition,
    /// More arrives than ever before.
    TrafficSurge,
    /// Unusual, and nothing of the above.
    Unclassified,
}

impl IncidentKind {
    /// Every kind, in label order.
    pub const ALL: [Self; 8] = [
        Self::ProducerStop,
        Self::ConsumerCrash,
        Self::DownstreamOutage,
        Self::HotPartition,
        Self::SlowConsumer,
        Self::StuckPartition,
        Self::TrafficSurge,
        Self::Unclassified,
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProducerStop => "producer_stop",
            Self::ConsumerCrash => "consumer_crash",
            Self::DownstreamOutage => "downstream_outage",
            Self::HotPartition => "hot_partition",
            Self::SlowConsumer => "slow_consumer",
            Self::StuckPartition => "stuck_partition",
            Self::TrafficSurge => "traffic_surge",
            Self::Unclassified => "unclassified",
        }
    }
}

/// One incident of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Counts the group's incidents from 1.
    pub number: u64,
    /// What it most likely is; may be told better later.
    pub kind: IncidentKind,
    /// When it began, as far as can be told.
    pub started_at: Timestamp,
    /// When it was noticed.
    pub noticed_at: Timestamp,
    /// When it was over; `None` while it is not.
    pub ended_at: Option<Timestamp>,
    /// The signals that were unusual.
    pub signals: BTreeSet<Signal>,
    /// The partitions that it is about; empty: all of them.
    pub partitions: BTreeSet<PartitionId>,
    /// For a person.
    pub text: String,
}

/// One thing that one poll shows to be wrong, before it becomes an incident.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub kind: IncidentKind,
    /// Who is the only one that it was seen of.
    pub holder: Option<String>,
    /// Empty: all of them.
    pub partitions: BTreeSet<PartitionId>,
    /// For how many seconds already, as far as can be told.
    pub for_seconds: f64,
    /// For a person: one sentence without a full stop.
    pub text: String,
}

/// `3 partitions`, `1 partition`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
