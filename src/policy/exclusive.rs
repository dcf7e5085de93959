//! The count where every partition belongs to one consumer: judged by the load of those who hold them now, and by what chance
//! would make of another count. Formulas and where the constants come from: docs/policy.md, "Exclusive assignment".

mod view;

use crate::model::facts::GroupFacts;
use crate::model::time::Timestamp;

use super::forecast::Raise;
use super::spec::TargetSpec;
use view::View;

pub use view::{CATCH_UP_RATIO, UTILIZATION_UP};

/// While capacity is only known to be at least so much, so much more is tried.
const EXPLORED_RATIO: f64 = 1.2;
/// A step up multiplies the count by this at most, as it is not known how far is enough.
const EXPLORED_STEP: u32 = 4;
/// What one replica does, messages per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known {
    /// Learned or configured.
    Capacity(f64),
    /// One was seen to do it, idle or not.
    AtLeast(f64),
}

/// What is decided from.
pub struct Question<'a> {
    /// When.
    pub now: Timestamp,
    /// Of what.
    pub facts: &'a GroupFacts,
    /// With which settings.
    pub spec: &'a TargetSpec,
    /// What one replica does.
    pub known: Known,
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
    /// Work per second that was counted.
    pub work_per_second: f64,
    /// Arrivals per second at the consumer that gets most.
    pub busiest_per_second: f64,
}

/// The count for the work that is there.
pub fn recommend(question: &Question<'_>) -> Answer {
    let view = View::of(question);
    let asked = question.asked.clamp(1, view.most);
    let overloaded = view.overloaded(asked);
    let replicas = match question.known {
        _ if overloaded && question.asked >= view.most => view.most,
        Known::Capacity(_) if overloaded => view.rise(question.asked + 1),
        // Nobody knows how far that is: a step at a time.
        Known::AtLeast(_) if overloaded => view.rise(question.asked + 1).min(asked * EXPLORED_STEP),
        Known::Capacity(_) => match view.relief() {
            Some(relief) => view.rise(relief),
            None => view.fall(asked).max(view.least()),
        },
        Known::AtLeast(_) if view.parts.iter().any(|p| p.behind) => asked,
        Known::AtLeast(_) => {
            let loads = view.loads(|p| p.steady);
            view.smallest(1, asked, &loads, EXPLORED_RATIO, view::LIKELY_PEAK)
        }
    };
    Answer {
        replicas,
        work_per_second: view.work(UTILIZATION_UP, |p| p.arrival).iter().sum(),
        busiest_per_second: view.busiest(),
    }
}
