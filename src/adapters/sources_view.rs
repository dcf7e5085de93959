//! How adapters see the configured sources: their statistics, read on demand.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::memory::ServerMemory;
use crate::model::sample::FailureKind;
use crate::model::time::Timestamp;
use crate::trace::Durations;

/// The names of a circuit's states, as labels show them.
pub const CIRCUIT_STATES: [&str; 3] = ["closed", "open", "half_open"];

/// Statistics of one source since the start.
#[derive(Clone, Debug)]
pub struct SourceView {
    /// Its configured name.
    pub name: String,
    /// Whether the last poll returned data; `None` before the first one ended.
    pub up: Option<bool>,
    /// When a poll last returned data.
    pub last_success: Option<Timestamp>,
    /// The state of its circuit breaker: one of [`CIRCUIT_STATES`].
    pub circuit: &'static str,
    /// Polls that asked the source.
    pub polls: u64,
    /// How long these took.
    pub poll_durations: Durations,
    /// Failed polls by class.
    pub errors: BTreeMap<FailureKind, u64>,
    /// Requests where they are limited or billed, by what they were asked of: `management` (the broker's management node),
    /// `blob` (the checkpoint store).
    pub requests: BTreeMap<&'static str, RequestCount>,
    /// What its servers' memory holds, as far as they tell.
    pub memory: Vec<ServerMemory>,
}

/// Requests to one API.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RequestCount {
    /// Since the start.
    pub total: u64,
    /// Within the last hour; of a shorter run, as many as an hour of it would bring. `None` within the first minute.
    pub per_hour: Option<f64>,
}

/// Reads the statistics of every source.
pub type SourcesView = Arc<dyn Fn() -> Vec<SourceView> + Send + Sync>;
