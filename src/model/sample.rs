//! What one poll of a group saw, for every kind of source alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::foreign;
use super::identity::PartitionId;
use super::quantity::Quantity;
use super::signal::ErrorCount;
use super::time::Timestamp;

/// One poll of one group. A partition that the source knows of but could not read is in the map as
/// [`PartitionObservation::Failed`]; it never simply drops out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// What was seen of each partition.
    pub partitions: BTreeMap<PartitionId, PartitionObservation>,
    /// Consumers of the group that are at work now; `None` if that cannot be known.
    pub consumers: Option<u32>,
    /// The source's own clock at the time of the poll, for ages.
    pub source_time: Option<Timestamp>,
    /// Messages per second that the source lets consumers read at most, where that is known.
    pub read_limit_per_second: Option<f64>,
    /// Consumers by name with what they hold, where the source tells who holds what was delivered; as of its last look.
    pub holders: Option<BTreeMap<String, Holder>>,
    /// Errors of the group, where the source was told what counts as one.
    pub errors: Option<ErrorCount>,
}

impl Sample {
    /// Whether the source told anything of a partition, or that there is none.
    pub fn was_told(&self) -> bool {
        let told = |seen: &PartitionObservation| match seen {
            PartitionObservation::Failed(failure) => !failure.kind.is_outage(),
            seen => *seen != PartitionObservation::NotAsked,
        };
        self.partitions.is_empty() || self.partitions.values().any(told)
    }
}

/// A consumer that takes messages from all partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Messages that were delivered to it and are not acknowledged.
    pub pending: u64,
    /// Milliseconds since it last asked for anything, anywhere.
    pub silent_millis: u64,
}

/// What one poll saw of one partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every value is the large one: a box would only cost"
)]
pub enum PartitionObservation {
    /// The partition and the consumer group on it.
    Present(PartitionSample),
    /// The partition exists, the consumer group does not (yet): what is kept is history, no backlog.
    GroupMissing {
        /// Messages kept in the partition.
        length: u64,
        /// As [`PartitionSample::log_end`].
        log_end: Option<u64>,
    },
    /// The source answered: there is no such partition.
    StreamMissing,
    /// The partition could not be read.
    Failed(Failure),
    /// Not asked at this poll, so as to stay within a budget: what was last seen still stands.
    NotAsked,
}

/// One partition at one moment. Counts are messages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionSample {
    /// Messages ever appended, counted by the source; grows by one per message. `None`: the source cannot tell.
    pub log_end: Option<u64>,
    /// Messages kept in the log now.
    pub length: u64,
    /// Whether that could not be read.
    #[serde(default)]
    pub lacks_length: bool,
    /// Bytes that they take where they are stored; of a while ago.
    #[serde(default)]
    pub stored_bytes: Option<u64>,
    /// Undelivered messages, certified.
    pub lag: Option<Quantity>,
    /// Delivered and not yet acknowledged, stuck ones included.
    pub pending: u64,
    /// Whether that could not be read.
    #[serde(default)]
    pub lacks_pending: bool,
    /// Of these, delivered so long ago that they count as stuck: left out of backlog, target and activation.
    pub stuck_pending: u64,
    /// Whether more of them may be stuck: not all were looked at yet.
    #[serde(default)]
    pub lacks_stuck: bool,
    /// Stuck ones that are held by consumers which still ask for messages or acknowledge others: long work, as it seems. They do
    /// not count as backlog, but nobody is to be taken to zero while there are any.
    #[serde(default)]
    pub stuck_in_work: u64,
    /// Whether the group stands after the newest message: what comes next is not given to it.
    #[serde(default)]
    pub is_ahead: bool,
    /// How often the oldest pending message was delivered.
    pub oldest_delivery_count: Option<u64>,
    /// Milliseconds that the oldest unfinished message (not stuck) has waited; 0 for none; `None`: cannot be known.
    pub oldest_age_millis: Option<u64>,
    /// How that age was obtained.
    pub age_method: AgeMethod,
    /// When the committed position was written, by the store's clock. Present for logs with checkpoints only, where consumers
    /// may commit in batches.
    pub committed_at: Option<Timestamp>,
    /// What is odd about it although it could be read, in words.
    pub remark: Option<String>,
    /// Position of the last message handed to the group. For a log with checkpoints, the checkpoint.
    pub delivered: Option<Position>,
    /// Messages ever handed to the group, as the source counts them; `None` after the group was repositioned, or read past a
    /// deleted message.
    pub delivered_count: Option<u64>,
    /// What that count is worth when messages leave the log unread.
    #[serde(default)]
    pub counting: Counting,
    /// The oldest message still in the log.
    pub oldest_kept: Option<Position>,
    /// The newest message that was removed from the log (trimmed, deleted).
    pub newest_removed: Option<Position>,
    /// The consumer that holds the partition, under exclusive assignment.
    pub owner: Option<String>,
}

impl PartitionSample {
    /// Unfinished work: undelivered plus pending, without stuck entries.
    pub fn backlog(&self) -> Option<Quantity> {
        let waiting = self.pending.saturating_sub(self.stuck_pending);
        let is_known = !self.lacks_pending && !self.lacks_stuck;
        Quantity::sum([self.lag, is_known.then_some(Quantity::Exact(waiting))])
    }
}

/// What a source's count of deliveries is worth when messages leave the log before the group is given them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Counting {
    /// A position that consumers commit: what lies before it was processed, unless the log begins only after it.
    #[default]
    Commits,
    /// It grows by one for every message that is handed out, and by nothing else.
    Reads,
    /// It is the place of the last message in the log: it jumps over what the group was never given.
    Place,
    /// One of these two.
    Untold,
    /// There is none, and nothing tells what was deleted either.
    Nothing,
}

/// How an age was obtained. A closed set: it is a label value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgeMethod {
    /// The source told when that very message came.
    #[default]
    Exact,
    /// Between two messages whose times are known.
    Interpolated,
    /// Only known to be at least so old.
    Bounded,
}

impl AgeMethod {
    /// Every method, in label order.
    pub const ALL: [Self; 3] = [Self::Exact, Self::Interpolated, Self::Bounded];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Interpolated => "interpolated",
            Self::Bounded => "bounded",
        }
    }
}

/// A place in a log; ordered. Redis: (ms, seq) of an entry id. Event Hubs: (sequence number, 0).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Position {
    /// The leading number.
    pub major: u64,
    /// The number that orders messages of the same leading number.
    pub minor: u64,
}

/// Why a source, or one partition of it, could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// The class, which decides on retries, the circuit breaker and the status code.
    pub kind: FailureKind,
    /// What happened and what to do; carries no secret.
    pub text: String,
}

impl Failure {
    /// A failure of that class; the text may quote what others wrote.
    pub fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: foreign::text(text),
        }
    }
}

/// Classes of failures. A closed set: it is a label value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// No connection, or it broke.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The server answers, but not with data now (loading, failing over, busy).
    Transient,
    /// The server asks to be asked less often.
    Throttled,
    /// Credentials missing, wrong, or not allowed to do this.
    Auth,
    /// The key holds something else than a stream.
    WrongType,
    /// The server cannot serve this configuration (a cluster node asked as a standalone server).
    Misconfigured,
    /// The reply could not be understood.
    Protocol,
    /// Not asked: the source's circuit is open.
    CircuitOpen,
}

impl FailureKind {
    /// Every class, in label order.
    pub const ALL: [Self; 9] = [
        Self::Unreachable,
        Self::Timeout,
        Self::Transient,
        Self::Throttled,
        Self::Auth,
        Self::WrongType,
        Self::Misconfigured,
        Self::Protocol,
        Self::CircuitOpen,
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Auth => "auth",
            Self::WrongType => "wrong_type",
            Self::Misconfigured => "misconfigured",
            Self::Protocol => "protocol",
            Self::CircuitOpen => "circuit_open",
        }
    }

    /// Whether it says that the source itself is in trouble: only those trip the circuit breaker.
    pub const fn is_outage(self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::Timeout | Self::Transient | Self::Protocol
        )
    }

    /// Whether waiting will not cure it: somebody has to change something.
    pub const fn needs_repair(self) -> bool {
        matches!(self, Self::Auth | Self::WrongType | Self::Misconfigured)
    }
}
