//! One trace, one policy, one seed: the loop, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use crate::model::time::Timestamp;

use super::faults::Fault;
use super::plant::{Plant, PlantSpec, ticks};
use super::policies::Policy;
use super::trace::{TICK, Trace};

/// A reversal within this time is a flap.
pub const FLAP_WITHIN: Duration = Duration::from_secs(15 * 60);

/// Time starts here, so that nothing depends on the epoch.
const START: Timestamp = Timestamp::from_millis(1_000_000_000);

/// The time at the end of so many ticks.
pub fn at(tick: usize) -> Timestamp {
    START.plus(TICK * tick as u32)
}

/// A trace with what goes wrong during it.
#[derive(Clone, Debug)]
pub struct Workload {
    /// What arrives.
    pub trace: Arc<Trace>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

/// What one policy made of one workload. Rates are per day of the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Outcome {
    /// Messages that waited for longer than 30 s, in percent.
    pub late_percent: f64,
    /// Time in which a message of some partition had waited for longer than 30 s, in percent.
    pub violated_percent: f64,
    /// Hours of replicas, starting ones included.
    pub replica_hours: f64,
    /// Changes of the wanted count.
    pub actions_per_day: f64,
    /// Changes that reverse the one before within [`FLAP_WITHIN`].
    pub flaps_per_day: f64,
    /// Partitions that changed hands.
    pub moves_per_day: f64,
}

/// The wanted counts over time, added up.
#[derive(Default)]
struct Actions {
    wanted: u32,
    count: u32,
    flaps: u32,
    last: Option<(usize, bool)>,
}

impl Actions {
    fn want(&mut self, tick: usize, wanted: u32) {
        if wanted == self.wanted {
            return;
        }
        let up = wanted > self.wanted;
        self.count += 1;
        if let Some((at, was_up)) = self.last
            && was_up != up
            && tick - at <= ticks(FLAP_WITHIN)
        {
            self.flaps += 1;
        }
        self.last = Some((tick, up));
        self.wanted = wanted;
    }
}

/// Runs `policy` on `workload`, and tells `watch` after every tick what it did.
pub fn run(
    workload: &Workload,
    spec: &PlantSpec,
    policy: &mut dyn Policy,
    seed: u64,
    mut watch: impl FnMut(&Plant, &dyn Policy),
) -> Outcome {
    let trace = &workload.trace;
    let first = first_replicas(trace, spec);
    let mut plant = Plant::new(
        spec.clone(),
        workload.faults.clone(),
        trace.partitions().len(),
        first,
        seed,
    );
    let mut actions = Actions {
        wanted: first,
        ..Actions::default()
    };
    let (mut late, mut violated, mut replica_ticks, mut moves) = (0.0, 0_usize, 0_u64, 0_u64);
    for arrivals in trace.ticks() {
        let outcome = plant.advance(arrivals);
        late += outcome.late;
        violated += usize::from(outcome.violated);
        replica_ticks += u64::from(outcome.replicas);
        moves += u64::from(outcome.moves);
        if let Some(wanted) = policy.replicas(&plant) {
            let wanted = wanted.clamp(spec.min_replicas, spec.max_replicas);
            actions.want(plant.tick(), wanted);
            plant.scale(wanted);
        }
        watch(&plant, policy);
    }
    late += plant
        .partitions()
        .iter()
        .map(|p| p.waiting_late(plant.tick()))
        .sum::<f64>();
    let days = trace.duration().as_secs_f64() / 86_400.0;
    let ticks = trace.ticks().len() as f64;
    Outcome {
        late_percent: 100.0 * late / (trace.messages() as f64).max(1.0),
        violated_percent: 100.0 * violated as f64 / ticks,
        replica_hours: replica_ticks as f64 * TICK.as_secs_f64() / 3600.0,
        actions_per_day: f64::from(actions.count) / days,
        flaps_per_day: f64::from(actions.flaps) / days,
        moves_per_day: moves as f64 / days,
    }
}

/// What the first five minutes need at 70 % utilization: every policy starts from there.
fn first_replicas(trace: &Trace, spec: &PlantSpec) -> u32 {
    let first = ticks(Duration::from_secs(300));
    let messages: u64 = trace
        .ticks()
        .take(first)
        .flatten()
        .map(|n| u64::from(*n))
        .sum();
    let rate = messages as f64 / 300.0;
    ((rate / (0.7 * spec.capacity_per_second)).ceil() as u32)
        .clamp(spec.min_replicas.max(1), spec.max_replicas)
}
