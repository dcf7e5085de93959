//! How well incidents are noticed: traffic without faults for weeks, and the same traffic struck by every kind of fault, with the
//! real model and policy inside.

mod load;

use std::sync::Arc;

use crate::model::incident::Incident;
use crate::model::time::Timestamp;

use super::plant::{Plant, PlantSpec};
use super::policies::{Ours, Policy};
use super::steps::{TICK, at};
use super::workload::Workload;

pub use load::{Habit, Strike, Struck};

/// A strike that the data did not show within its time is none.
const AFTERMATH: usize = 60;

/// What became of a strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrikeOutcome {
    /// The strike.
    pub strike: Strike,
    /// The first tick whose data differ from what they would have been.
    pub visible: usize,
    /// Ticks from then until an incident was noticed; `None`: none was.
    pub noticed_after: Option<usize>,
    /// Whether one of its kind was.
    pub named: bool,
}

/// What became of a run.
#[derive(Clone, Debug, Default)]
pub struct Study {
    /// Of the strikes that the data showed.
    pub outcomes: Vec<StrikeOutcome>,
    /// Incidents that belong to no strike, after learning.
    pub false_alarms: Vec<Incident>,
}

/// Runs a group's traffic and judges its incidents; those before `learned` do not count.
pub fn study(
    workload: &Workload,
    strikes: &[Strike],
    spec: &PlantSpec,
    mut policy: Ours,
    (learned, seed): (usize, u64),
) -> Study {
    let trace = &workload.trace;
    let faults = workload.faults.clone();
    let mut plant = Plant::new(spec.clone(), faults, trace.partitions().len(), 3, seed);
    let mut visible: Vec<Option<usize>> = strikes.iter().map(|s| s.seen_in_arrivals()).collect();
    let mut twin: Option<(usize, Plant)> = None;
    let mut incidents = Noticed::default();
    for arrivals in trace.ticks() {
        let tick = plant.tick();
        let next = strikes
            .iter()
            .position(|s| s.from == tick && s.seen_in_arrivals().is_none());
        if let Some(n) = next {
            twin = Some((n, plant.without_faults()));
        }
        plant.advance(arrivals);
        if let Some((n, unharmed)) = &mut twin {
            unharmed.advance(arrivals);
            if differ(&plant, unharmed) {
                visible[*n] = Some(plant.tick());
                twin = None;
            } else if plant.tick() >= strikes[*n].to {
                twin = None;
            }
        }
        if let Some(wanted) = policy.replicas(&plant) {
            plant.scale(wanted);
            if let Some((_, unharmed)) = &mut twin {
                unharmed.scale(wanted);
            }
        }
        incidents.note(policy.state().incidents().iter());
    }
    judge(strikes, &visible, incidents.0, learned)
}

/// Whether a poll could tell them apart.
fn differ(plant: &Plant, unharmed: &Plant) -> bool {
    let committed = |plant: &Plant| {
        plant
            .partitions()
            .iter()
            .map(|p| p.committed)
            .collect::<Vec<_>>()
    };
    plant.owners() != unharmed.owners() || committed(plant) != committed(unharmed)
}

/// Every incident as it was last told.
#[derive(Default)]
struct Noticed(Vec<Incident>);

impl Noticed {
    fn note<'a>(&mut self, told: impl Iterator<Item = &'a Incident>) {
        for incident in told {
            let n = incident.number as usize - 1;
            match self.0.get_mut(n) {
                None => self.0.push(incident.clone()),
                Some(known) if known.ended_at.is_none() => known.clone_from(incident),
                Some(_) => {}
            }
        }
    }
}

fn judge(
    strikes: &[Strike],
    visible: &[Option<usize>],
    incidents: Vec<Incident>,
    learned: usize,
) -> Study {
    let mut study = Study::default();
    for (strike, visible) in strikes.iter().zip(visible) {
        let Some(visible) = *visible else { continue };
        let (from, to) = (at(visible), at(strike.to + AFTERMATH));
        let during = |i: &&Incident| i.noticed_at >= from && i.noticed_at <= to;
        let first = incidents
            .iter()
            .find(during)
            .map(|i| ticks_between(from, i.noticed_at));
        let going_on = |i: &Incident| {
            i.kind == strike.kind && i.noticed_at <= to && i.ended_at.is_none_or(|end| end >= from)
        };
        study.outcomes.push(StrikeOutcome {
            strike: *strike,
            visible,
            noticed_after: first,
            named: incidents.iter().any(going_on),
        });
    }
    let explained = |i: &Incident| {
        strikes
            .iter()
            .any(|s| i.noticed_at >= at(s.from) && i.noticed_at <= at(s.to + 3 * AFTERMATH))
    };
    let counts = |i: &Incident| i.noticed_at >= at(learned) && !explained(i);
    study.false_alarms = incidents.into_iter().filter(counts).collect();
    study
}

fn ticks_between(from: Timestamp, to: Timestamp) -> usize {
    to.since(from).as_millis() as usize / TICK.as_millis() as usize
}

/// Traffic of a habit for so many weeks, without faults but for the deploys of every working day.
pub fn undisturbed(habit: Habit, weeks: usize, capacity: f64, seed: u64) -> Workload {
    let load = load::StudyLoad::new(habit, weeks * load::WEEK, seed);
    Workload {
        trace: Arc::new(load.trace(capacity, &[])),
        faults: load.deploys(&[]),
        lesson: None,
    }
}

/// As that, struck every few hours after a week of learning.
pub fn struck(habit: Habit, weeks: usize, capacity: f64, seed: u64) -> Struck {
    let load = load::StudyLoad::new(habit, weeks * load::WEEK, seed);
    load.struck(capacity)
}
