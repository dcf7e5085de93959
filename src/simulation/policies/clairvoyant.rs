//! A bound: who knows what arrives, and what the replicas can do, looks ahead in a copy of the plant.

use std::sync::Arc;
use std::time::Duration;

use crate::simulation::plant::Plant;
use crate::simulation::trace::Trace;

use super::Policy;

/// How far it looks.
const AHEAD: Duration = Duration::from_secs(240);
/// A late message that is not done at the end weighs more than one that is.
const UNDONE_WEIGHT: f64 = 1.5;
/// How often it decides.
const EVERY: Duration = Duration::from_secs(30);

/// The smallest count that makes no message of the next minutes late that another count would not; count-balanced assignment and
/// start-up times bind it as everybody. It plans with constant counts, so it is a good plan, not the proven best.
#[derive(Clone, Debug)]
pub struct Clairvoyant {
    trace: Arc<Trace>,
}

impl Clairvoyant {
    /// Knows this trace.
    pub fn new(trace: Arc<Trace>) -> Self {
        Self { trace }
    }

    fn late(&self, plant: &Plant, replicas: u32) -> f64 {
        let mut copy = plant.clone();
        copy.scale(replicas);
        let mut late = 0.0;
        let from = plant.tick();
        for tick in from..from + plant.ticks(AHEAD) {
            late += copy.advance(self.trace.tick(tick)).late;
        }
        // What is late in any case is still to be done: who leaves more of it undone plans worse.
        late + copy.waiting_late() * UNDONE_WEIGHT
    }
}

impl Policy for Clairvoyant {
    fn replicas(&mut self, plant: &Plant) -> Option<u32> {
        if !plant.tick().is_multiple_of(plant.ticks(EVERY)) {
            return None;
        }
        let most = (plant.partitions().len() as u32).min(plant.spec().max_replicas);
        let current = plant.replicas().len() as u32;
        let least_late = self.late(plant, most).min(self.late(plant, current));
        let good = |late: f64| late <= least_late + 0.5;
        // Mostly the answer lies near the present count.
        let mut best = if good(self.late(plant, current)) {
            current
        } else {
            most
        };
        while best > plant.spec().min_replicas && good(self.late(plant, best - 1)) {
            best -= 1;
        }
        if best > current {
            best = (current + 1..=best)
                .find(|n| good(self.late(plant, *n)))
                .unwrap_or(best);
        }
        Some(best)
    }
}
