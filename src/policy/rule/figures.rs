//! What each rule computed with. Letters as in [`super::Rule`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policy::spec::Measure;

/// What `backlog` mode counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// Which messages.
    pub measure: Measure,
    /// Messages per replica, for the HPA.
    pub threshold: u64,
    /// Whether more may be there.
    pub is_at_least: bool,
}

/// The work of all partitions, and what one replica does of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Arrivals per second that were counted: the mean, times a surge, times what a forecast adds.
    pub counted_per_second: f64,
    /// Messages that wait, without those that only wait for their checkpoint.
    pub waiting: u64,
    /// ρ.
    pub utilization_ratio: f64,
    /// T.
    pub catch_up_seconds: f64,
    /// λ ÷ ρ + b ÷ T.
    pub work_per_second: f64,
    /// μ.
    pub capacity_per_second: f64,
    /// Replicas that do it if any replica may take any part of it.
    pub replicas_if_shared: u32,
}

/// The work as those feel it who hold the partitions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holders {
    /// Arrivals per second at the consumer that receives most.
    pub busiest_per_second: f64,
    /// Work per second at that utilization, all partitions together.
    pub work_per_second: f64,
    /// Share of its capacity that a consumer is meant to use.
    pub utilization_ratio: f64,
    /// Within what time a backlog is to be gone.
    pub catch_up_seconds: f64,
    /// What one consumer does, or at least does.
    pub consumer_capacity_per_second: f64,
    /// Whether it may do more: none was ever seen busy.
    pub is_at_least: bool,
    /// Replicas that do it if any replica may take any part of it.
    pub replicas_if_shared: u32,
}

/// A count tried with a capacity that was seen, busy or not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explored {
    /// What one consumer was seen to do.
    pub consumer_seen_per_second: f64,
}

/// The first step of a target of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FirstStep {
    /// Arrivals per second that were counted.
    pub counted_per_second: f64,
    /// Messages that wait.
    pub waiting: u64,
    /// How long a replica takes to start.
    pub start_seconds: f64,
    /// Within what time a backlog is to be gone.
    pub catch_up_seconds: f64,
    /// What one replica is supposed to do until it is seen.
    pub supposed_per_second: f64,
    /// No first step is larger.
    pub largest: u32,
}

/// Replicas that run or start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// How many.
    pub replicas: u32,
    /// A second step has to be larger by more than this share.
    pub larger_by_ratio: f64,
}

/// How late messages would be if nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FallsBehind {
    /// Seconds that the newest message would wait.
    pub waits_seconds: f64,
    /// T.
    pub target_delay_seconds: f64,
}

/// The room that scale-in leaves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slack {
    /// The work at the utilization for scale-in.
    pub work: Work,
    /// Replicas that it needs.
    pub needed: u32,
    /// Replicas that were asked for last.
    pub present: u32,
}

/// What the present replicas do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Enough {
    /// Arrivals per second that were counted.
    pub counted_per_second: f64,
    /// What the present replicas do per second, once all are ready.
    pub does_per_second: f64,
    /// Arrivals may take up to this share of it …
    pub utilization_ratio: f64,
    /// … and what still waits when more could help …
    pub left: f64,
    /// … has to be gone within this time.
    pub within_seconds: f64,
}

/// What a forecast asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Foreseen {
    /// Replicas with it.
    pub replicas: u32,
    /// Whether it takes part.
    pub decides: bool,
}

/// The count that was not to be exceeded or undercut.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Replicas; in `backlog` mode messages.
    pub bound: u64,
}

/// What the HPA ignores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HpaTolerance {
    /// Replicas that run.
    pub current: u32,
    /// The share of these that a rise has to exceed.
    pub tolerance_ratio: f64,
}

/// For how long a count is held.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldFor {
    /// The window.
    pub window_seconds: f64,
}

impl HeldFor {
    /// For `window`.
    pub const fn of(window: Duration) -> Self {
        Self {
            window_seconds: window.as_secs_f64(),
        }
    }
}
