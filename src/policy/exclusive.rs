//! The count where every partition belongs to one consumer: judged by the load of those who hold them now, and by what chance
//! would make of another count. Formulas and where the constants come from: docs/policy.md, "Exclusive assignment".

mod view;

use crate::model::facts::GroupFacts;
use crate::model::time::Timestamp;

use super::decision::Rule;
use super::forecast::Raise;
use super::incurable::{Diagnosis, Known};
use super::spec::TargetSpec;
use view::View;

pub use view::{CATCH_UP_RATIO, UTILIZATION_DOWN, UTILIZATION_UP};

/// While capacity is only known to be at least so much, so much more is tried.
const EXPLORED_RATIO: f64 = 1.2;
/// A step up multiplies the count by this at most, as it is not known how far is enough.
const EXPLORED_STEP: u32 = 4;

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
pub struct Answer {
    /// Replicas that the work asks for, at most one consumer per partition.
    pub replicas: u32,
    /// What asks for so many.
    pub rule: Rule,
    /// Work per second that was counted.
    pub work_per_second: f64,
    /// Arrivals per second at the consumer that gets most.
    pub busiest_per_second: f64,
}

/// The count for the work that is there.
pub fn recommend(question: &Question<'_>) -> Answer {
    let view = View::of(question);
    let asked = question.asked.clamp(1, view.most);
    let (replicas, rule) = if view.overloaded(asked) {
        (raised(question, &view), Rule::Busiest)
    } else {
        relaxed(question, &view, asked)
    };
    Answer {
        replicas,
        rule,
        work_per_second: view.work(UTILIZATION_UP, |p| p.arrival).iter().sum(),
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
fn relaxed(question: &Question<'_>, view: &View<'_>, asked: u32) -> (u32, Rule) {
    match question.known {
        Known::Capacity(_) => match view.relief() {
            Some(relief) => (view.rise(relief), Rule::Relief),
            None => {
                let (fewer, rule) = view.fall(asked);
                let least = view.least();
                if least > fewer {
                    (least, Rule::Arrivals)
                } else {
                    (fewer, rule)
                }
            }
        },
        Known::AtLeast(_) if view.parts.iter().any(|p| p.behind) => (asked, Rule::Explored),
        Known::AtLeast(_) => {
            let loads = view.loads(|p| p.steady);
            let fewer = view.smallest(1, asked, &loads, EXPLORED_RATIO, view::LIKELY_PEAK);
            (fewer, Rule::Explored)
        }
    }
}
