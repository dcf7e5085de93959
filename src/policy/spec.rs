//! What a user may set for one target, field by field, and the values that hold in the end.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::identity::Assignment;

use super::forecast::Forecasting;
use super::tuning::spec::{MAX_REPLICAS, MIN_REPLICAS, SCALE_IN_HOLD, TARGET_DELAY};

/// The policy fields of a config group or of a trigger's metadata; `None` is "not said here".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicySettings {
    /// What KEDA is answered with.
    pub mode: Option<Mode>,
    /// How long a message may wait.
    pub target_delay: Option<Duration>,
    /// Messages per second one replica does; otherwise learned.
    pub capacity_per_replica: Option<f64>,
    /// Never fewer replicas.
    pub min_replicas: Option<u32>,
    /// Maximum replicas.
    pub max_replicas: Option<u32>,
    /// A backlog up to this does not activate.
    pub activation_backlog: Option<u64>,
    /// Arrivals within this time activate.
    pub activation_window: Option<Duration>,
    /// How long the largest recommendation is held against scale-in.
    pub scale_in_hold: Option<Duration>,
    /// Shared or exclusive.
    pub assignment: Option<Assignment>,
    /// Consumers that one replica runs.
    pub consumers_per_replica: Option<u32>,
    /// Whether the forecast takes part.
    pub forecast: Option<Forecasting>,
}

/// What KEDA is answered with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// One metric `replicas`, target 1: the policy's answer.
    #[default]
    Replicas,
    /// As `replicas`, but for a ScaledJob: jobs for the work that is there, nothing held, since KEDA itself subtracts those that run.
    Jobs,
    /// One metric `backlog` with a fixed threshold per replica, as KEDA's built-in scalers.
    Backlog {
        /// Messages per replica.
        threshold: u64,
        /// What is counted.
        measure: Measure,
    },
}

/// What `backlog` mode counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Undelivered plus pending (`backlogThreshold`).
    #[default]
    Backlog,
    /// Undelivered only (KEDA's `lagCount`).
    Lag,
    /// Pending only (KEDA's `pendingEntriesCount`).
    Pending,
    /// Messages kept in the stream (KEDA's `streamLength`).
    StreamLength,
    /// Events behind the checkpoints, at most one threshold per partition (KEDA's `unprocessedEventThreshold`).
    UnprocessedEvents,
}

/// A target's policy with every field decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetSpec {
    /// What KEDA is answered with.
    pub mode: Mode,
    /// How long a message may wait; also the catch-up time.
    pub target_delay: Duration,
    /// Messages per second one replica does; `None`: learned.
    pub capacity_per_replica: Option<f64>,
    /// Never fewer replicas.
    pub min_replicas: u32,
    /// Maximum replicas.
    pub max_replicas: u32,
    /// A backlog up to this does not activate.
    pub activation_backlog: u64,
    /// Arrivals within this time activate; `None`: by the pauses between them.
    pub activation_window: Option<Duration>,
    /// How long the largest recommendation is held against scale-in; `None`: by how soon the replicas would be back.
    pub scale_in_hold: Option<Duration>,
    /// Shared or exclusive.
    pub assignment: Assignment,
    /// Consumers that one replica runs.
    pub consumers_per_replica: u32,
    /// Whether the forecast takes part.
    pub forecast: Forecasting,
}

impl TargetSpec {
    /// The hold as configured, else the longest that is chosen.
    pub fn hold(&self) -> Duration {
        self.scale_in_hold.unwrap_or(SCALE_IN_HOLD)
    }
}

impl Default for TargetSpec {
    fn default() -> Self {
        PolicySettings::default().resolve()
    }
}

impl PolicySettings {
    /// These settings where they say something, `base` where they do not.
    pub fn over(&self, base: &Self) -> Self {
        Self {
            mode: self.mode.or(base.mode),
            target_delay: self.target_delay.or(base.target_delay),
            capacity_per_replica: self.capacity_per_replica.or(base.capacity_per_replica),
            min_replicas: self.min_replicas.or(base.min_replicas),
            max_replicas: self.max_replicas.or(base.max_replicas),
            activation_backlog: self.activation_backlog.or(base.activation_backlog),
            activation_window: self.activation_window.or(base.activation_window),
            scale_in_hold: self.scale_in_hold.or(base.scale_in_hold),
            assignment: self.assignment.or(base.assignment),
            consumers_per_replica: self.consumers_per_replica.or(base.consumers_per_replica),
            forecast: self.forecast.or(base.forecast),
        }
    }

    /// Every field decided; the defaults are those of docs/policy.md.
    pub fn resolve(&self) -> TargetSpec {
        self.upon(&TargetSpec {
            mode: Mode::default(),
            target_delay: TARGET_DELAY,
            capacity_per_replica: None,
            min_replicas: MIN_REPLICAS,
            max_replicas: MAX_REPLICAS,
            activation_backlog: 0,
            activation_window: None,
            scale_in_hold: None,
            assignment: Assignment::default(),
            consumers_per_replica: 1,
            forecast: Forecasting::default(),
        })
    }

    /// These settings where they say something, what is decided where they do not.
    pub fn upon(&self, decided: &TargetSpec) -> TargetSpec {
        TargetSpec {
            mode: self.mode.unwrap_or(decided.mode),
            target_delay: self.target_delay.unwrap_or(decided.target_delay),
            capacity_per_replica: self.capacity_per_replica.or(decided.capacity_per_replica),
            min_replicas: self.min_replicas.unwrap_or(decided.min_replicas),
            max_replicas: self.max_replicas.unwrap_or(decided.max_replicas),
            activation_backlog: self
                .activation_backlog
                .unwrap_or(decided.activation_backlog),
            activation_window: self.activation_window.or(decided.activation_window),
            scale_in_hold: self.scale_in_hold.or(decided.scale_in_hold),
            assignment: self.assignment.unwrap_or(decided.assignment),
            consumers_per_replica: self
                .consumers_per_replica
                .unwrap_or(decided.consumers_per_replica),
            forecast: self.forecast.unwrap_or(decided.forecast),
        }
    }

    /// What is wrong with the values together, as (field in snake_case, what and what to do). Each alone was checked when it was read.
    pub fn contradiction(&self) -> Option<(&'static str, String)> {
        match (self.min_replicas, self.max_replicas) {
            (Some(min), Some(max)) if max < min => Some((
                "max_replicas",
                format!(
                    "is {max}, which is less than min_replicas ({min}): raise it, or lower min_replicas"
                ),
            )),
            _ => None,
        }
    }
}
