//! The same observations, other settings: what would have been answered.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::commands::table::render;
use crate::group::GroupState;
use crate::group::event::{Event, TargetKey, What};
use crate::journal::{ReplayStep, ReplayedGroup, shown};
use crate::model::time::Timestamp;
use crate::policy::spec::PolicySettings;

use super::decisions::named;

/// Prints every change of one of both answers, and what they come to.
pub(super) fn compare(
    past: &mut ReplayedGroup,
    settings: &PolicySettings,
    out: &mut impl Write,
) -> io::Result<()> {
    let begins = past.header.at;
    let mut other = past.state().map(|state| with(state, settings, begins));
    let mut courses: BTreeMap<TargetKey, AnswerCourse> = BTreeMap::new();
    let mut rows = Vec::new();
    while let Some(seen) = past.next_step() {
        match seen {
            ReplayStep::Began(header, continuity) => {
                if continuity.missing != Some(0) {
                    other = past.state().map(|state| with(state, settings, header.at));
                }
            }
            ReplayStep::Happened(wall, happened) => {
                let (Some(with), Some(state)) = (&mut other, past.state()) else {
                    continue;
                };
                let applied = || with.apply(&changed(&happened.record.event, settings));
                if catch_unwind(AssertUnwindSafe(applied)).is_err() {
                    let (position, at) = (happened.record.position, shown(wall));
                    past.problems.push(format!("computing event {position} at {at} with the other settings fails: a bug in streamgauge; report it with the journal"));
                    other = None;
                    continue;
                }
                if !past.span.has(wall) {
                    continue;
                }
                for (key, answers) in answers(state, with) {
                    let course = courses.entry(key.clone()).or_default();
                    if course.note(wall, answers) {
                        rows.push(row(wall, &key, answers));
                    }
                }
            }
        }
    }
    let head = ["", "", "answered", "with the other settings"];
    rows.insert(0, head.map(str::to_owned).to_vec());
    write!(out, "{}", render(&rows))?;
    for (key, course) in &courses {
        let [answered, other] = course.replica_seconds.map(|sum| sum / 3_600.0);
        let [changes, other_changes] = course.changes;
        writeln!(
            out,
            "{}: {answered:.1} replica-hours and {changes} changes were answered; it would have been {other:.1} and {other_changes}",
            named(key)
        )?;
    }
    writeln!(
        out,
        "Consumers would have worked at another pace with other replicas; what was observed is as it was."
    )?;
    Ok(())
}

/// What both want, replicas.
type BothAnswers = [Option<u32>; 2];

fn answers(state: &GroupState, other: &GroupState) -> Vec<(TargetKey, BothAnswers)> {
    let desired = |state: &GroupState, key: &TargetKey| {
        let decision = state.targets().get(key)?.decision.as_ref();
        decision.and_then(|decision| decision.desired)
    };
    let keys = state.targets().keys();
    keys.map(|key| (key.clone(), [desired(state, key), desired(other, key)]))
        .collect()
}

/// BothAnswers over time.
#[derive(Debug, Default)]
struct AnswerCourse {
    last: Option<(Timestamp, BothAnswers)>,
    replica_seconds: [f64; 2],
    changes: [u32; 2],
}

impl AnswerCourse {
    /// Whether one of both is another than before.
    fn note(&mut self, at: Timestamp, answers: BothAnswers) -> bool {
        let before = self.last.replace((at, answers));
        let Some((since, before)) = before else {
            return true;
        };
        for n in 0..2 {
            let replicas = f64::from(before[n].unwrap_or_default());
            self.replica_seconds[n] += replicas * at.since(since).as_secs_f64();
            self.changes[n] += u32::from(before[n] != answers[n]);
        }
        before != answers
    }
}

fn row(wall: Timestamp, key: &TargetKey, answers: BothAnswers) -> Vec<String> {
    let [answered, other] = answers.map(|n| n.map_or_else(|| "–".to_owned(), |n| n.to_string()));
    vec![shown(wall), named(key), answered, other]
}

/// The same state, as if it had been asked for with those settings.
fn with(state: &GroupState, settings: &PolicySettings, at: Timestamp) -> GroupState {
    let mut other = state.clone();
    for event in state.asking(at) {
        other.apply(&changed(&event, settings));
    }
    other
}

/// The event, as if it had asked with those settings.
fn changed<'e>(event: &'e Event, settings: &PolicySettings) -> Cow<'e, Event> {
    let what = match &event.what {
        What::TargetRegistered(key, spec) => {
            What::TargetRegistered(key.clone(), Box::new(settings.upon(spec)))
        }
        What::TargetAwaited(key, spec) => {
            What::TargetAwaited(key.clone(), Box::new(settings.upon(spec)))
        }
        _ => return Cow::Borrowed(event),
    };
    let at = event.at;
    Cow::Owned(Event { at, what })
}
