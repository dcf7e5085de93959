//! Numaflow's autoscaler for sources: pending ÷ rate, two replicas a step.

use std::collections::VecDeque;
use std::time::Duration;

use crate::simulation::plant::Plant;

use super::{Policy, seen_backlog};

/// Pending messages are to be worked off within so many seconds.
const TARGET_PROCESSING_SECONDS: f64 = 20.0;
/// Replicas per step at most.
const STEP: u32 = 2;
/// Time between two steps.
const COOLDOWN: Duration = Duration::from_secs(90);
/// What pending and rate are averaged over.
const LOOKBACK: Duration = Duration::from_secs(120);

/// Desired = pending ÷ rate per replica ÷ 20 s; pending and rate are means over the lookback.
#[derive(Clone, Debug, Default)]
pub struct Numaflow {
    /// (pending, committed) tick by tick.
    seen: VecDeque<(u64, u64)>,
    scaled_at: Option<usize>,
}

impl Policy for Numaflow {
    fn replicas(&mut self, plant: &Plant) -> Option<u32> {
        let committed = plant.partitions().iter().map(|p| p.committed).sum();
        self.seen.push_back((seen_backlog(plant), committed));
        if self.seen.len() > plant.ticks(LOOKBACK) + 1 {
            self.seen.pop_front();
        }
        let cooled = self
            .scaled_at
            .is_none_or(|at| plant.tick() - at >= plant.ticks(COOLDOWN));
        if !cooled || self.seen.len() < 2 {
            return None;
        }
        let current = plant.replicas().len() as u32;
        let ready = plant.ready_replicas().count().max(1) as f64;
        let (first, last) = (self.seen.front()?, self.seen.back()?);
        let seconds = plant.spec().step.seconds() * (self.seen.len() - 1) as f64;
        let rate = (last.1 - first.1) as f64 / seconds;
        let pending =
            self.seen.iter().map(|(p, _)| *p as f64).sum::<f64>() / self.seen.len() as f64;
        let desired = if pending < 1.0 && rate == 0.0 {
            0
        } else if rate == 0.0 {
            current
        } else {
            ((pending / rate / TARGET_PROCESSING_SECONDS * ready).round() as u32).max(1)
        };
        let desired = desired
            .min(plant.partitions().len() as u32)
            .clamp(current.saturating_sub(STEP), current + STEP);
        (desired != current).then(|| {
            self.scaled_at = Some(plant.tick());
            desired
        })
    }
}
