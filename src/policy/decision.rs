//! A decision with its inputs, the limit that bound it, and a sentence a person understands.

use serde::{Deserialize, Serialize};

use crate::model::downstream::Breaker;
use crate::model::quantity::Quantity;
use crate::model::time::Timestamp;

use super::replicas::Pause;

/// What is answered for one target until the next observation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Since when it stands exactly so.
    pub at: Timestamp,
    /// What KEDA's GetMetrics is answered with; `None`: not known well enough, `text` says why.
    pub metric: Option<Metric>,
    /// What IsActive is answered with; `None`: cannot be told, which is not the same as inactive.
    pub active: Option<bool>,
    /// Replicas wanted, within all bounds (`replicas` mode).
    pub desired: Option<u32>,
    /// What kept the answer from being another.
    pub limit: Limit,
    /// What drove it.
    pub reason: Reason,
    /// One or two sentences for a person.
    pub text: String,
    /// What it was computed from.
    pub inputs: Inputs,
}

/// A value for GetMetrics.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The value in thousandths, so that equal decisions are equal bit for bit.
    pub milli: u64,
}

impl Metric {
    /// A whole number.
    pub const fn whole(value: u64) -> Self {
        Self {
            milli: value.saturating_mul(1000),
        }
    }

    /// As a float with three decimals.
    pub fn as_f64(self) -> f64 {
        self.milli as f64 / 1000.0
    }

    /// Rounded up, for clients that read integers only.
    pub const fn ceil(self) -> i64 {
        let whole = self.milli.div_ceil(1000);
        if whole > i64::MAX as u64 {
            i64::MAX
        } else {
            whole as i64
        }
    }
}

/// The bound that decided. A closed set (CONTRACT): it is a label value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Nothing held it back.
    #[default]
    None,
    /// `minReplicas`.
    MinReplicas,
    /// `maxReplicas`.
    MaxReplicas,
    /// More replicas than partitions would idle.
    PartitionCount,
    /// A partition is hotter than one replica: replicas cannot cure it.
    Skew,
    /// What consumers depend on is slow: more of them would make it worse.
    Downstream,
    /// A partition does not move although somebody holds it: replicas cannot cure it.
    Stuck,
    /// A larger recommendation is still held.
    Hold,
    /// Too little is known since the start.
    WarmUp,
    /// Pods that were asked for hang before they are ready: more of them would hang, too.
    PodsNotReady,
    /// The source gives out no more than the replicas read already.
    ThroughputUnits,
}

impl Limit {
    /// Every limit that exists by now, in label order.
    pub const ALL: [Self; 11] = [
        Self::None,
        Self::MinReplicas,
        Self::MaxReplicas,
        Self::PartitionCount,
        Self::Skew,
        Self::Downstream,
        Self::Stuck,
        Self::Hold,
        Self::WarmUp,
        Self::PodsNotReady,
        Self::ThroughputUnits,
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::MinReplicas => "min_replicas",
            Self::MaxReplicas => "max_replicas",
            Self::PartitionCount => "partition_count",
            Self::Skew => "skew",
            Self::Downstream => "downstream",
            Self::Stuck => "stuck",
            Self::Hold => "hold",
            Self::WarmUp => "warm_up",
            Self::PodsNotReady => "pods_not_ready",
            Self::ThroughputUnits => "throughput_units",
        }
    }
}

/// What drove a decision. A closed set (CONTRACT): it is a label value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Waiting messages ask for more than arrivals do.
    Backlog,
    /// Arrivals ask for it.
    Arrival,
    /// Arrivals that are expected ask for more than those of now.
    Forecast,
    /// Nothing to do.
    Idle,
    /// A limit decided.
    Limit,
    /// The step between zero and one.
    Activation,
}

impl Reason {
    /// Every reason that exists by now, in label order.
    pub const ALL: [Self; 6] = [
        Self::Backlog,
        Self::Arrival,
        Self::Forecast,
        Self::Idle,
        Self::Limit,
        Self::Activation,
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::Arrival => "arrival",
            Self::Forecast => "forecast",
            Self::Idle => "idle",
            Self::Limit => "limit",
            Self::Activation => "activation",
        }
    }
}

/// The figures a decision was computed from, with the constants used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Backlog of the group, messages.
    pub backlog: Option<Quantity>,
    /// Of the backlog, what is processed already and only not committed yet, as far as can be told.
    pub uncommitted: u64,
    /// Messages per second that the source lets consumers read at most, where that is known.
    pub read_limit_per_second: Option<f64>,
    /// Arrivals per second.
    pub arrival_per_second: Option<f64>,
    /// Arrivals per second that are expected when a replica asked for now would help …
    pub forecast_per_second: Option<f64>,
    /// … what they will hardly exceed then …
    pub forecast_upper_per_second: Option<f64>,
    /// … and the most of the next ten minutes.
    pub forecast_largest_per_second: Option<f64>,
    /// Messages that arrived within the activation window.
    pub arrived_in_window: Option<u64>,
    /// Seconds that the oldest unfinished message has waited.
    pub oldest_age_seconds: Option<f64>,
    /// As that, of messages that are not just processed and yet to be committed: what holds replicas.
    pub waiting_seconds: Option<f64>,
    /// Messages per second one replica does.
    pub capacity_per_second: Option<f64>,
    /// Where the capacity comes from.
    pub capacity_source: CapacitySource,
    /// While that is unknown: what one was seen to do, busy or not, where the answer rests on it.
    pub capacity_at_least_per_second: Option<f64>,
    /// Whether what consumers depend on is slow.
    pub breaker: Breaker,
    /// Partitions that receive more than a whole replica can do, under exclusive assignment.
    pub hot_partitions: u32,
    /// Partitions that nobody gets on with although somebody holds them.
    pub stuck_partitions: u32,
    /// Busy samples taken, and how many it takes to learn the capacity.
    pub capacity_samples: (u32, u32),
    /// Replicas that run now, as far as known.
    pub current: Option<u32>,
    /// Where that count comes from.
    pub current_source: ReplicaSource,
    /// Of them, those that are ready, where that can be seen.
    pub ready: Option<u32>,
    /// Replicas that the scale target was told to run, where that can be seen.
    pub asked: Option<u32>,
    /// Since when the rest of these hangs, once that is longer than a replica takes to start.
    pub not_ready_since: Option<Timestamp>,
    /// How the ScaledObject is paused.
    pub paused: Option<Pause>,
    /// Partitions of the stream.
    pub partitions: u32,
    /// Partitions that would do, under exclusive assignment; these if they do.
    pub recommended_partitions: Option<u32>,
    /// Partitions that could not be read.
    pub unknown_partitions: u32,
    /// Partitions that lack the consumer group.
    pub partitions_without_group: u32,
    /// Work to be done per second so that arrivals are met and the backlog is gone within the catch-up time.
    pub work_per_second: Option<f64>,
    /// Arrivals per second at the consumer that gets most, where holders are known.
    pub busiest_per_second: Option<f64>,
    /// What the work alone asks for, before bounds and holds.
    pub work_replicas: Option<u32>,
    /// What it would ask for if any replica could take any part of it; `None` while capacity is unknown.
    pub work_replicas_if_shared: Option<u32>,
    /// What it asks for, or would ask for, with the forecast; `None` without one and while capacity is unknown.
    pub work_replicas_with_forecast: Option<u32>,
    /// The largest recommendation within the hold window.
    pub held_replicas: Option<u32>,
    /// That window.
    pub hold_seconds: f64,
    /// Share of its capacity a replica is meant to use.
    pub target_utilization_ratio: f64,
    /// Within what time a backlog is to be gone.
    pub catch_up_seconds: f64,
}

impl Inputs {
    /// While pods hang, the count that is not exceeded: what was wanted last or was asked for by others, whichever is more.
    pub fn present_while_pods_hang(
        &self,
        last_desired: Option<u32>,
        min_replicas: u32,
    ) -> Option<u32> {
        self.not_ready_since?;
        let asked = self.asked.max(self.current).max(last_desired);
        Some(asked.unwrap_or(0).max(min_replicas))
    }
}

/// Where a capacity comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapacitySource {
    /// Set by the user.
    Configured,
    /// Learned from busy intervals.
    Learned,
    /// Not known yet: the answer follows the delay instead.
    #[default]
    Unknown,
}

/// Where a count of replicas comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaSource {
    /// The scale target's status.
    Kubernetes,
    /// Active consumers or partition owners ÷ `consumersPerReplica`.
    Consumers,
    /// Nobody tells.
    #[default]
    Unknown,
}
