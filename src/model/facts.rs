//! What is known of a group after an observation, as policy and adapters read it. Unknown is absent, never 0.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::downstream::Breaker;
use super::forecast::ForecastFacts;
use super::identity::PartitionId;
use super::normal::{Normal, PartitionNormals};
use super::quantity::Quantity;
use super::sample::{AgeMethod, Holder};
use super::signal::{Signal, SignalReading};
use super::time::{Timestamp, WallOffset};

/// A group at the time of its last readable observation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupFacts {
    /// Where the wall clock is.
    #[serde(default)]
    pub wall: WallOffset,
    /// Unfinished messages; a lower bound while partitions are unknown.
    pub backlog: Option<Quantity>,
    /// Undelivered messages.
    pub lag: Option<Quantity>,
    /// Delivered, unacknowledged messages, stuck ones included.
    pub pending: Option<Quantity>,
    /// Messages kept in the stream.
    pub length: Option<Quantity>,
    /// Backlog where the consumer group exists, the stream's length where it does not, as KEDA's built-in scaler counts.
    pub backlog_or_length: Option<Quantity>,
    /// Seconds the oldest unfinished message has waited; 0 for none; `None` if it cannot be told for every partition.
    pub oldest_age_seconds: Option<f64>,
    /// Of the backlog, messages that are the rest of a batch: processed, nothing new for long, only never committed. They keep
    /// nobody active.
    pub settled: u64,
    /// Seconds the oldest message has waited that is not just processed and yet to be committed: what the policy acts on.
    pub waiting_seconds: Option<f64>,
    /// Messages per second that the source lets consumers read at most, where that is known.
    pub read_limit_per_second: Option<f64>,
    /// Arrivals per second over [`super::tuning::rates::ARRIVAL_WINDOW`], of the partitions that could be read.
    pub arrival_per_second: Option<f64>,
    /// Arrivals per second in the newest interval, where they are known of every partition.
    pub newest_arrival_per_second: Option<f64>,
    /// Processed messages per second over [`super::tuning::rates::PROCESSING_WINDOW`], likewise.
    pub processing_per_second: Option<f64>,
    /// Messages that were delivered too long ago to count as backlog, to consumers that are still at work.
    pub stuck_in_work: u64,
    /// Messages that left the log unread per second lately, certainly or probably; 0 where none did.
    pub lost_per_second: f64,
    /// Seconds until unfinished messages leave the log if all goes on as now; `None` where they will not.
    #[serde(default)]
    pub trim_horizon_seconds: Option<f64>,
    /// Seconds for which consumers may stand still before unfinished messages leave the log; `None` where it is not trimmed.
    #[serde(default)]
    pub outage_reserve_seconds: Option<f64>,
    /// Messages per second one consumer does when never idle; `None` until learned.
    pub capacity_per_consumer: Option<f64>,
    /// Until then, where any consumer may take any message: what it was seen to do in its first busy seconds.
    pub early_capacity_per_consumer: Option<f64>,
    /// Whether that comes from ten busy seconds or more.
    pub is_early_capacity_proven: bool,
    /// The most that consumers were seen to do on average, busy or not, likewise: each can do that much at least.
    pub seen_per_consumer: Option<f64>,
    /// The share of its time that a consumer has something in hand, over the last minutes; `None` where the source does not tell.
    pub busy_ratio: Option<f64>,
    /// What one consumer was seen to do, busy or not, messages per second: it can do that much at least.
    pub proven_per_consumer: Option<f64>,
    /// Busy samples behind the capacity, and how many it takes.
    pub capacity_samples: (u32, u32),
    /// Whether what consumers depend on is slow.
    pub breaker: Breaker,
    /// What is expected to arrive; `None` while arrivals are not known.
    pub forecast: Option<ForecastFacts>,
    /// Consumers at work.
    pub consumers: Option<u32>,
    /// Consumers by name with what they hold, where the source tells who holds what was delivered.
    pub holders: Option<BTreeMap<String, Holder>>,
    /// Hottest partition's arrival rate ÷ mean; absent without arrivals.
    pub skew_ratio: Option<f64>,
    /// Partitions that could not be read.
    pub unknown_partitions: u32,
    /// Partitions that lack the consumer group.
    pub partitions_without_group: u32,
    /// Partitions that were there and vanished within the last minute.
    pub vanished_partitions: u32,
    /// Every partition.
    pub partitions: BTreeMap<PartitionId, PartitionFacts>,
    /// Signals that come from elsewhere than the stream, where any are configured.
    pub signals: BTreeMap<Signal, SignalReading>,
    /// Every signal beside what is normal.
    pub normal: BTreeMap<Signal, Normal>,
    /// See [`Self::tally`].
    #[serde(skip)]
    pub gathered: Gathered,
}

impl GroupFacts {
    /// What policies ask of all partitions together: gathered at the first call, for every target that is decided on, and close
    /// together, for each decision goes over it several times.
    pub fn tally(&self) -> &Tally {
        self.gathered.get(&self.partitions)
    }
}

/// One partition at the time of the last observation. Counts are messages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionFacts {
    /// What it is like.
    pub status: PartitionStatus,
    /// When it was read last, if that was not at this observation: all that is said of it is of then.
    pub read_at: Option<Timestamp>,
    /// Whether the stream is there but the consumer group on it is not: what is kept and what arrives is no work of it yet.
    pub lacks_group: bool,
    /// Unfinished: undelivered plus pending, without stuck entries.
    pub backlog: Option<Quantity>,
    /// Undelivered.
    pub lag: Option<Quantity>,
    /// Delivered, unacknowledged, stuck ones included.
    pub pending: Option<u64>,
    /// Bytes that the partition's messages take where they are stored.
    #[serde(default)]
    pub stored_bytes: Option<u64>,
    /// Pending for so long that they are left out of the backlog.
    pub stuck_pending: Option<u64>,
    /// Of these, held by consumers that are still at work.
    pub stuck_in_work: u64,
    /// Whether the group stands after the newest message: what comes next is not given to it.
    pub is_ahead: bool,
    /// How often the oldest pending message was delivered.
    pub oldest_delivery_count: Option<u64>,
    /// Seconds the oldest unfinished message has waited; 0 for none.
    pub oldest_age_seconds: Option<f64>,
    /// How that age was obtained; `None` without one.
    pub age_method: Option<AgeMethod>,
    /// Of the backlog, what is processed already and only not committed yet, as far as can be told; `None` where consumers do
    /// not commit in batches.
    pub uncommitted: Option<u64>,
    /// Seconds between commits, where consumers commit in batches and that was learned.
    pub commit_interval_seconds: Option<f64>,
    /// Arrivals per second.
    pub arrival_per_second: Option<f64>,
    /// The largest of these within the last hours.
    pub peak_arrival_per_second: Option<f64>,
    /// Arrivals per second in the newest interval.
    pub newest_arrival_per_second: Option<f64>,
    /// Arrivals per second over [`super::tuning::rates::STEADY_WINDOW`].
    pub steady_arrival_per_second: Option<f64>,
    /// Processed per second.
    pub processing_per_second: Option<f64>,
    /// Processed per second, by the newest commits where these are known.
    pub recent_processing_per_second: Option<f64>,
    /// Arrived since the service watches.
    pub arrived_total: u64,
    /// Processed since the service watches.
    pub processed_total: u64,
    /// Left the log unprocessed since the service watches.
    pub lost_total: u64,
    /// Processed or left the log unprocessed since the service watches: which of both could not be told.
    pub possibly_lost_total: u64,
    /// Lost per second over [`super::tuning::rates::ARRIVAL_WINDOW`], certainly or probably.
    pub lost_per_second: f64,
    /// Seconds until unfinished messages leave the log if all goes on as now; `None` where they will not.
    #[serde(default)]
    pub trim_horizon_seconds: Option<f64>,
    /// Seconds for which consumers may stand still before unfinished messages leave the log; `None` where it is not trimmed.
    #[serde(default)]
    pub outage_reserve_seconds: Option<f64>,
    /// The consumer that holds it, under exclusive assignment.
    pub owner: Option<String>,
    /// When it came to its holder, or was let go.
    pub owned_since: Option<Timestamp>,
    /// Since when every commit left more than what had just arrived.
    pub behind_since: Option<Timestamp>,
    /// Since when something waits and nothing is committed.
    pub stalled_since: Option<Timestamp>,
    /// Since when commits left no less than before, while its holder was never idle.
    pub not_falling_since: Option<Timestamp>,
    /// The last commit that moved.
    pub moved_at: Option<Timestamp>,
    /// Throughput, backlog and age beside what is normal.
    pub normal: PartitionNormals,
    /// Why it is unknown, in words.
    pub problem: Option<String>,
}

impl PartitionFacts {
    /// Backlog that consumers still have to work on.
    pub fn waiting(&self) -> u64 {
        let backlog = self.backlog.map_or(0, Quantity::value);
        backlog.saturating_sub(self.uncommitted.unwrap_or(0))
    }

    /// How long the oldest message waits that is not just yet to be committed: of what lies behind the committed position, the
    /// youngest part waits for the consumers, the rest for the commit, which comes after an interval.
    pub fn waiting_seconds(&self) -> Option<f64> {
        if self.waiting() == 0 && self.backlog.is_some() {
            return Some(0.0);
        }
        let uncommitted = self.uncommitted.filter(|n| *n > 0);
        let spared = uncommitted.and(self.commit_interval_seconds);
        Some((self.oldest_age_seconds? - spared.unwrap_or(0.0)).max(0.0))
    }
}

/// The figures of a group's partitions, and their sums. Messages, and messages per second.
#[derive(Debug, Default)]
pub struct Tally {
    /// Of every partition, in the order of the facts.
    pub loads: Vec<Load>,
    /// What is processed already and only not committed yet, as far as can be told.
    pub uncommitted: u64,
    /// What consumers still have to work on.
    pub waiting: u64,
    /// Whether any partition has a known owner.
    pub is_held: bool,
}

/// The figures of one partition. A rate that is not known counts as none.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// See [`PartitionFacts::lacks_group`].
    pub lacks_group: bool,
    /// See [`PartitionFacts::arrival_per_second`].
    pub arrival_per_second: f64,
    /// See [`PartitionFacts::newest_arrival_per_second`].
    pub newest_arrival_per_second: f64,
    /// See [`PartitionFacts::steady_arrival_per_second`].
    pub steady_arrival_per_second: f64,
    /// See [`PartitionFacts::waiting`].
    pub waiting: u64,
    /// See [`PartitionFacts::waiting_seconds`].
    pub waiting_seconds: Option<f64>,
}

impl Tally {
    fn of(partitions: &BTreeMap<PartitionId, PartitionFacts>) -> Self {
        let mut tally = Self {
            loads: Vec::with_capacity(partitions.len()),
            ..Self::default()
        };
        for partition in partitions.values() {
            let load = Load::of(partition);
            tally.uncommitted += partition.uncommitted.unwrap_or(0);
            tally.waiting += load.waiting;
            tally.is_held |= partition.owner.is_some();
            tally.loads.push(load);
        }
        tally
    }
}

impl Load {
    fn of(partition: &PartitionFacts) -> Self {
        Self {
            lacks_group: partition.lacks_group,
            arrival_per_second: partition.arrival_per_second.unwrap_or(0.0),
            newest_arrival_per_second: partition.newest_arrival_per_second.unwrap_or(0.0),
            steady_arrival_per_second: partition.steady_arrival_per_second.unwrap_or(0.0),
            waiting: partition.waiting(),
            waiting_seconds: partition.waiting_seconds(),
        }
    }
}

/// A [`Tally`] once it was asked for. No part of what the facts say: a copy, which may be changed, gathers its own.
#[derive(Debug, Default)]
pub struct Gathered(OnceLock<Tally>);

impl Gathered {
    fn get(&self, partitions: &BTreeMap<PartitionId, PartitionFacts>) -> &Tally {
        self.0.get_or_init(|| Tally::of(partitions))
    }
}

impl Clone for Gathered {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Gathered {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What a partition is like. A closed set: it is a label value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionStatus {
    /// It could be read, and nothing odd was seen.
    Ok,
    /// Its consumer was never idle over the window, and what waits became no less; or messages leave the log before it gets to
    /// them.
    Behind,
    /// It does not move, though messages wait and its consumer makes progress on others.
    Stuck,
    /// It does not move, and nobody makes progress on anything; or the group stands after the newest message and is given none.
    Stopped,
    /// The group was moved back, or recreated, since the observation before.
    Rewound,
    /// It could not be read.
    #[default]
    Unknown,
}

impl PartitionStatus {
    /// Every status, in label order.
    pub const ALL: [Self; 6] = [
        Self::Ok,
        Self::Behind,
        Self::Stuck,
        Self::Stopped,
        Self::Rewound,
        Self::Unknown,
    ];

    /// The word users read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Behind => "behind",
            Self::Stuck => "stuck",
            Self::Stopped => "stopped",
            Self::Rewound => "rewound",
            Self::Unknown => "unknown",
        }
    }
}
