//! What a count is decided from, and what asks for it.

use crate::model::facts::GroupFacts;
use crate::model::time::Timestamp;
use crate::policy::forecast::Raise;
use crate::policy::incurable::{Diagnosis, Known};
use crate::policy::rule::{Explored, Holders, Rule};
use crate::policy::spec::TargetSpec;
use crate::policy::tuning::exclusive::{UTILIZATION_DOWN, UTILIZATION_UP};

/// What is decided from.
pub struct Question<'a> {
    /// When.
    pub now: Timestamp,
    /// Of what.
    pub facts: &'a GroupFacts,
    /// With which settings.
    pub spec: &'a TargetSpec,
    /// What one consumer does.
    pub known: Known,
    /// Partitions that no count of replicas helps.
    pub diagnosis: &'a Diagnosis,
    /// The count asked for last, or that runs.
    pub asked: u32,
    /// When that changed last.
    pub asked_at: Option<Timestamp>,
    /// What a forecast adds to arrivals.
    pub raise: Raise,
}

/// What asks for a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// The busiest holder gets more than it can do.
    Busiest,
    /// A holder is slower than the others.
    Relief,
    /// What each holder would get if there were fewer of them.
    Spread,
    /// Peaks of the last hours that may come back.
    Reserve,
    /// All arrivals together, whoever holds what.
    Arrivals,
    /// Capacity is only known to be at least so much.
    Explored,
}

impl Because {
    /// Share of its capacity that a consumer is meant to use.
    pub const fn utilization(self) -> f64 {
        match self {
            Self::Spread | Self::Reserve => UTILIZATION_DOWN,
            Self::Arrivals => 1.0,
            _ => UTILIZATION_UP,
        }
    }

    /// The rule with its figures.
    pub const fn rule(self, figures: Holders) -> Rule {
        match self {
            Self::Busiest => Rule::Busiest(figures),
            Self::Relief => Rule::Relief(figures),
            Self::Spread => Rule::Spread(figures),
            Self::Reserve => Rule::Reserve(figures),
            Self::Arrivals => Rule::Arrivals(figures),
            Self::Explored => Rule::Explored(Explored {
                consumer_seen_per_second: figures.consumer_capacity_per_second,
            }),
        }
    }
}
