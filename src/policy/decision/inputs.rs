//! What a decision looked at. What it made of that is in its steps.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::downstream::Breaker;
use crate::model::quantity::Quantity;
use crate::model::time::{Timestamp, WallOffset};
use crate::policy::answering::Answering;
use crate::policy::replicas::ReplicaSource;
use crate::scaled_object::{Pause, PodsWaiting};

/// The figures a decision was computed from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Backlog of the group, messages.
    pub backlog: Option<Quantity>,
    /// Of the backlog, what is processed already and only not committed yet, as far as can be told.
    pub uncommitted: u64,
    /// Of the backlog, the rests of batches that count as processed.
    #[serde(default)]
    pub settled: u64,
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
    /// Replicas that were wanted before.
    #[serde(default)]
    pub desired_before: Option<u32>,
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
    /// Why pods do not become ready, where that can be read.
    #[serde(default)]
    pub waiting: Option<PodsWaiting>,
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
    /// Work per second that arrivals make, at the utilization for a rise …
    pub work_from_arrivals_per_second: f64,
    /// … and that the backlog makes, to be gone within the target delay.
    pub work_from_backlog_per_second: f64,
}

impl Inputs {
    /// Replicas that run, where the answer may depend on them.
    pub fn own_current(&self) -> Option<u32> {
        self.current.filter(|_| self.answering == Answering::Fleet)
    }

    /// What was wanted last, else what runs.
    pub fn wanted_or_current(&self) -> Option<u32> {
        self.desired_before.or(self.own_current())
    }

    /// What was wanted last or runs, whichever is more.
    pub fn present(&self) -> u32 {
        self.own_current().max(self.desired_before).unwrap_or(0)
    }

    /// While pods hang, the count that is not exceeded: what was wanted last or was asked for by others, whichever is more.
    pub fn present_while_pods_hang(&self) -> Option<u32> {
        self.not_ready_since?;
        let asked = self.asked.max(self.current).max(self.desired_before);
        Some(asked.unwrap_or(0))
    }

    /// Only the consumer group is missing: there is nothing to count.
    pub fn lacks_only_the_group(&self) -> bool {
        self.partitions_without_group > 0 && self.work_per_second() == 0.0
    }

    /// Both kinds of work together.
    pub fn work_per_second(&self) -> f64 {
        self.work_from_arrivals_per_second + self.work_from_backlog_per_second
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
