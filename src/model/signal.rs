//! The indicators of normal performance: a closed set.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// One indicator of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Messages processed per second.
    Throughput,
    /// Unfinished messages.
    Backlog,
    /// Seconds that the oldest of them has waited.
    Age,
    /// Errors of the consumers, in the unit of whatever tells of them.
    ErrorRate,
    /// How much of their resources consumers use, likewise.
    ResourceUtilization,
}

impl Signal {
    /// Every signal, in label order.
    pub const ALL: [Self; 5] = [
        Self::Throughput,
        Self::Backlog,
        Self::Age,
        Self::ErrorRate,
        Self::ResourceUtilization,
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Backlog => "backlog",
            Self::Age => "age",
            Self::ErrorRate => "error_rate",
            Self::ResourceUtilization => "resource_utilization",
        }
    }
}

/// A signal that comes from elsewhere than the stream, as it was read last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalReading {
    /// When it was asked for.
    pub at: Timestamp,
    /// Its value; `None` where there is none: no series, no number, or no answer.
    pub value: Option<f64>,
    /// Why there is none, in words; carries no secret.
    pub problem: Option<String>,
}

/// Where a group's errors are counted by its own source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorSource {
    /// Every delivery of a message after its first.
    Redeliveries,
    /// Messages that came to the stream of that name.
    DeadLetter(String),
}

/// Errors that a source has counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCount {
    /// Grows by one per error, and may start over; `None`: cannot be known now.
    pub total: Option<u64>,
    /// Why not, in words; carries no secret.
    pub problem: Option<String>,
}
