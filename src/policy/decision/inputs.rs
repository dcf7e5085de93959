//! The figures behind a decision.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::downstream::Breaker;
use crate::model::quantity::Quantity;
use crate::model::time::{Timestamp, WallOffset};
use crate::policy::answering::Answering;
use crate::policy::replicas::Pause;

/// The figures a decision was computed from, with the constants used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Backlog of the group, messages.
    pub backlog: Option<Quantity>,
    /// Of the backlog, what is processed already and only not committed yet, as far as can be told.
    pub uncommitted: u64,
    /// Messages per second that the source lets consumers read at most, where that is known.
    pub read_limit_per_second: Option<f64>,
    /// Messages delivered too long ago to count as backlog, to consumers that are still at work.
    #[serde(default)]
    pub stuck_in_work: u64,
    /// Messages that leave the log unread per second, certainly or probably.
    #[serde(default)]
    pub lost_per_second: f64,
    /// Arrivals per second.
    pub arrival_per_second: Option<f64>,
    /// How many times as much the newest interval alone shows, where that is a surge: then so much is counted with.
    #[serde(default)]
    pub surge_ratio: Option<f64>,
    /// Arrivals per second that are expected when a replica asked for now would help …
    pub forecast_per_second: Option<f64>,
    /// … what they will hardly exceed then …
    pub forecast_upper_per_second: Option<f64>,
    /// … and the most of the next ten minutes.
    pub forecast_largest_per_second: Option<f64>,
    /// Messages that arrived within the activation window …
    pub arrived_in_window: Option<u64>,
    /// … and how long that is.
    #[serde(default)]
    pub activation_window: Duration,
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
    /// Partitions that receive more than one consumer can do, under exclusive assignment.
    pub hot_partitions: u32,
    /// Partitions that nobody gets on with although somebody holds them.
    pub stuck_partitions: u32,
    /// Busy samples taken, and how many it takes to learn the capacity.
    pub capacity_samples: (u32, u32),
    /// What the answer is used for.
    pub answering: Answering,
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
    /// Where the wall clock is, for sentences with a time.
    #[serde(default)]
    pub wall: WallOffset,
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
    /// What the work is judged by.
    pub rule: Option<Rule>,
    /// What keeps the target above what the work asks for.
    pub held_by: Option<Held>,
    /// Whether the last rise brought less than a tenth of what it should.
    pub is_ineffective: bool,
    /// Share of its capacity a replica is meant to use.
    pub target_utilization_ratio: f64,
    /// Within what time a backlog is to be gone.
    pub catch_up_seconds: f64,
}

impl Inputs {
    /// Replicas that run, where the answer may depend on them.
    pub fn own_current(&self) -> Option<u32> {
        self.current.filter(|_| self.answering == Answering::Fleet)
    }

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
    /// Seen in the first seconds in which consumers were busy: good enough to size by, corrected until it is learned.
    Estimated,
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

/// What the work is judged by. Formulas: docs/policy.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// All work together, at the utilization and in the time to catch up.
    Work,
    /// The present replicas do it before others could help.
    Enough,
    /// The delay, while capacity is unknown.
    Delay,
    /// The busiest holder gets more than it can do.
    Busiest,
    /// What each holder would get if there were fewer of them.
    Spread,
    /// Peaks of the last hours that may come back.
    Reserve,
    /// A holder is slower than the others.
    Relief,
    /// All arrivals together, whoever holds what.
    Arrivals,
    /// Capacity is only known to be at least so much.
    Explored,
    /// Nothing is known of capacity: a first step by what waits and arrives.
    First,
    /// Messages leave the log unread: more than there are, until none does.
    Losing,
}

/// What keeps a target above what the work asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// More was needed within the hold window.
    Window,
    /// As much arrived within the hold window, for a while.
    Arrivals,
    /// More was needed a moment ago.
    Moment,
    /// A backlog still drains.
    Backlog,
    /// Not everything is known.
    Uncertain,
    /// Fewer would cost more in moved partitions than they save.
    Moves,
}
