//! The count where every partition belongs to one consumer: judged by the load of those who hold them now, and by what chance
//! would make of another count. Formulas and where the constants come from: docs/policy.md, "Exclusive assignment".

mod view;

use crate::model::facts::GroupFacts;
use crate::model::time::Timestamp;

use super::forecast::Raise;
use super::incurable::{Diagnosis, Known};
use super::rule::{Explored, Holders, Rule};
use super::spec::TargetSpec;
use view::View;

use crate::policy::tuning::exclusive::{
    EXPLORED_RATIO, EXPLORED_STEP, LIKELY_PEAK, UTILIZATION_DOWN, UTILIZATION_UP,
};

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

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recommendation {
    /// Replicas that the work asks for, at most one consumer per partition.
    pub replicas: u32,
    /// What asks for so many.
    pub because: Because,
    /// Work per second that was counted.
    pub work_per_second: f64,
    /// Arrivals per second at the consumer that gets most.
    pub busiest_per_second: f64,
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

/// The count for the work that is there.
pub fn recommend(question: &Question<'_>) -> Recommendation {
    let view = View::of(question);
    let asked = question.asked.clamp(1, view.most);
    let (replicas, because) = if view.overloaded(asked) {
        (raised(question, &view), Because::Busiest)
    } else {
        relaxed(question, &view, asked)
    };
    let work = match because {
        Because::Spread | Because::Reserve => view.work(because.utilization(), |p| p.steady),
        _ => view.work(UTILIZATION_UP, |p| p.arrival),
    };
    Recommendation {
        replicas,
        because,
        work_per_second: work.iter().sum(),
        busiest_per_second: view.busiest(),
    }
}

/// Where the present count does not do.
fn raised(question: &Question<'_>, view: &View<'_>) -> u32 {
    let next = question.asked.saturating_add(1);
    let more = view.rise(next.max(view.relief().unwrap_or(0)).min(view.most));
    match question.known {
        _ if question.asked >= view.most => view.most,
        Known::Capacity(_) => more,
        // Nobody knows how far that is: a step at a time.
        Known::AtLeast(_) => more.min(question.asked.max(1).saturating_mul(EXPLORED_STEP)),
    }
}

/// Where it does, and fewer may.
fn relaxed(question: &Question<'_>, view: &View<'_>, asked: u32) -> (u32, Because) {
    match question.known {
        Known::Capacity(_) => match view.relief() {
            Some(relief) => (view.rise(relief), Because::Relief),
            None => {
                let (fewer, because) = view.fall(asked);
                let least = view.least();
                if least > fewer {
                    (least, Because::Arrivals)
                } else {
                    (fewer, because)
                }
            }
        },
        Known::AtLeast(_) if view.parts.iter().any(|p| p.behind) => (asked, Because::Explored),
        Known::AtLeast(_) => {
            let loads = view.loads(|p| p.steady);
            let fewer = view.smallest(1, asked, &loads, EXPLORED_RATIO, LIKELY_PEAK);
            (fewer, Because::Explored)
        }
    }
}
