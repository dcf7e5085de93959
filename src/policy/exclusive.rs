//! The count where every partition belongs to one consumer: judged by the load of those who hold them now, and by what chance
//! would make of another count. Formulas and where the constants come from: docs/policy.md, "Exclusive assignment".

mod question;
mod view;

use super::incurable::Known;
use crate::policy::tuning::exclusive::{
    EXPLORED_RATIO, EXPLORED_STEP, LIKELY_PEAK, UTILIZATION_UP,
};

use view::View;

pub use question::{Because, Question};

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
