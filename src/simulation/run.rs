//! One trace, one policy, one seed: the loop, and what comes of it.

use std::time::Duration;

use super::plant::{Plant, PlantSpec};
use super::policies::Policy;
use super::trace::Trace;
use super::workload::Workload;

/// A reversal within this time is a flap.
pub const FLAP_WITHIN: Duration = Duration::from_secs(15 * 60);

/// What one policy made of one workload. Rates are per day of the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct RunOutcome {
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
    /// Seconds that the message waited that waited longest.
    pub worst_delay_seconds: f64,
    /// Seconds that a message waited on average.
    pub mean_delay_seconds: f64,
    /// Seconds of replicas, starting ones included.
    pub replica_seconds: f64,
    /// Changes of the wanted count over the whole trace.
    pub changes: f64,
}

/// The wanted counts over time, added up.
struct Actions {
    wanted: u32,
    count: u32,
    flaps: u32,
    last: Option<(usize, bool)>,
}

impl Actions {
    fn from(wanted: u32) -> Self {
        Self {
            wanted,
            count: 0,
            flaps: 0,
            last: None,
        }
    }

    fn want(&mut self, tick: usize, wanted: u32, flap_ticks: usize) {
        if wanted == self.wanted {
            return;
        }
        let up = wanted > self.wanted;
        self.count += 1;
        if let Some((at, was_up)) = self.last
            && was_up != up
            && tick - at <= flap_ticks
        {
            self.flaps += 1;
        }
        self.last = Some((tick, up));
        self.wanted = wanted;
    }
}

/// Runs `policy` on `workload`, and tells `watch` after every tick what it did. A policy that is to have learned plays the lesson
/// before.
pub fn run(
    workload: &Workload,
    spec: &PlantSpec,
    policy: &mut dyn Policy,
    seed: u64,
    mut watch: impl FnMut(&Plant, &dyn Policy),
) -> RunOutcome {
    let trace = &workload.trace;
    let spec = PlantSpec {
        step: trace.step(),
        ..spec.clone()
    };
    let mut plant = Plant::new(
        spec.clone(),
        workload.faults.clone(),
        trace.partitions().len(),
        first_replicas(trace, &spec),
        seed,
    );
    if policy.learns_first() {
        let lesson = workload.lesson.as_ref().unwrap_or(trace);
        play(lesson, &mut plant, policy, &mut |_, _| {});
    }
    play(trace, &mut plant, policy, &mut watch)
}

fn play(
    trace: &Trace,
    plant: &mut Plant,
    policy: &mut dyn Policy,
    watch: &mut dyn FnMut(&Plant, &dyn Policy),
) -> RunOutcome {
    let (least, most) = (plant.spec().min_replicas, plant.spec().max_replicas);
    let flap_ticks = plant.ticks(FLAP_WITHIN);
    let mut actions = Actions::from(plant.replicas().len() as u32);
    let (mut late, mut violated, mut replica_ticks, mut moves) = (0.0, 0_usize, 0_u64, 0_u64);
    let (mut waited, mut worst, mut done) = (0.0, 0.0_f64, 0.0);
    for arrivals in trace.ticks() {
        let outcome = plant.advance(arrivals);
        late += outcome.late;
        done += outcome.done;
        waited += outcome.waited_seconds;
        worst = worst.max(outcome.worst_seconds);
        violated += usize::from(outcome.violated);
        replica_ticks += u64::from(outcome.replicas);
        moves += u64::from(outcome.moves);
        if let Some(wanted) = policy.replicas(plant) {
            let wanted = wanted.clamp(least, most);
            actions.want(plant.tick(), wanted, flap_ticks);
            plant.scale(wanted);
        }
        watch(plant, policy);
    }
    late += plant.waiting_late();
    let seconds = trace.step().seconds();
    let oldest = plant.partitions().iter();
    let oldest = oldest.map(|p| p.oldest_ticks(plant.tick())).max();
    let days = trace.duration().as_secs_f64() / 86_400.0;
    let replica_seconds = replica_ticks as f64 * seconds;
    RunOutcome {
        late_percent: 100.0 * late / (trace.messages() as f64).max(1.0),
        violated_percent: 100.0 * violated as f64 / trace.ticks().len() as f64,
        replica_hours: replica_seconds / 3600.0,
        actions_per_day: f64::from(actions.count) / days,
        flaps_per_day: f64::from(actions.flaps) / days,
        moves_per_day: moves as f64 / days,
        worst_delay_seconds: worst.max(oldest.unwrap_or(0) as f64 * seconds),
        mean_delay_seconds: waited / done.max(1.0),
        replica_seconds,
        changes: f64::from(actions.count),
    }
}

/// What the first five minutes need at 70 % utilization: every policy starts from there. Where the cluster is as a real one is and the
/// object may go to zero, from zero.
fn first_replicas(trace: &Trace, spec: &PlantSpec) -> u32 {
    if spec.cluster.is_some() && spec.min_replicas == 0 {
        return 0;
    }
    let first = spec.step.ticks(Duration::from_secs(300));
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
