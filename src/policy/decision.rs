//! A decision: the answer, and the steps that led to it.

mod inputs;

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;

use super::rule::Limit;
use super::steps::Steps;

pub use inputs::{CapacitySource, Inputs};

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
    /// How the count came about, rule by rule; none while there is no answer.
    pub steps: Steps,
    /// What kept the answer from being another, by the steps.
    pub limit: Limit,
    /// What drove it, by the steps.
    pub reason: Reason,
    /// The steps in sentences for a person.
    pub text: String,
    /// What the rules looked at.
    pub inputs: Inputs,
}

impl Decision {
    /// No answer, and why.
    pub fn unavailable(at: Timestamp, inputs: Inputs, limit: Limit, text: String) -> Self {
        Self {
            at,
            metric: None,
            active: None,
            desired: None,
            steps: Steps::default(),
            limit,
            reason: Reason::Limit,
            text,
            inputs,
        }
    }
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

/// What drove a decision. A closed set: it is a label value (docs/metrics.md).
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
