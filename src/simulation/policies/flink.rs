//! Flink's autoscaler: true processing rate from busy time, a utilization band, the largest of a window on the way down.

use std::collections::VecDeque;
use std::time::Duration;

use crate::simulation::plant::Plant;

use super::{Policy, seen_backlog};

/// Its settings. The defaults are those of Flink's autoscaler, but for the windows of `tuned`.
#[derive(Clone, Debug)]
pub struct Flink {
    /// `job.autoscaler.target.utilization`.
    pub target_utilization: f64,
    /// `… .utilization.boundary`.
    pub boundary: f64,
    /// `job.autoscaler.catch-up.duration`.
    pub catch_up: Duration,
    /// `job.autoscaler.metrics.window`.
    pub window: Duration,
    /// `job.autoscaler.stabilization.interval`: nothing for so long after a change.
    pub stabilization: Duration,
    /// `job.autoscaler.scale-down.interval`: the largest want of this counts on the way down.
    pub scale_down: Duration,
    seen: VecDeque<FlinkSeen>,
    wants: VecDeque<(usize, u32)>,
    scaled_at: usize,
}

#[derive(Clone, Copy, Debug)]
struct FlinkSeen {
    produced: u64,
    committed: u64,
    /// The true rate of one replica: what it did ÷ its busy share, the busiest replica's.
    busiest: f64,
    done: f64,
}

impl Default for Flink {
    fn default() -> Self {
        Self {
            target_utilization: 0.7,
            boundary: 0.3,
            catch_up: Duration::from_secs(1_800),
            window: Duration::from_secs(600),
            stabilization: Duration::from_secs(300),
            scale_down: Duration::from_secs(3_600),
            seen: VecDeque::new(),
            wants: VecDeque::new(),
            scaled_at: 0,
        }
    }
}

impl Flink {
    /// Tuned for latency as far as its settings go: short windows, a quick catch-up.
    pub fn tuned() -> Self {
        Self {
            catch_up: Duration::from_secs(300),
            window: Duration::from_secs(60),
            stabilization: Duration::from_secs(120),
            scale_down: Duration::from_secs(1_500),
            ..Self::default()
        }
    }

    fn note(&mut self, plant: &Plant) {
        let busiest = plant
            .ready_replicas()
            .map(|r| r.busy_share)
            .fold(0.0, f64::max);
        self.seen.push_back(FlinkSeen {
            produced: plant.partitions().iter().map(|p| p.produced).sum(),
            committed: plant.partitions().iter().map(|p| p.committed).sum(),
            busiest,
            done: plant.ready_replicas().map(|r| r.done).sum(),
        });
        if self.seen.len() > plant.ticks(self.window) + 1 {
            self.seen.pop_front();
        }
    }

    /// Replicas by rates, and the utilization that the band is asked about.
    fn want(&self, plant: &Plant) -> Option<(u32, f64)> {
        let (first, last) = (self.seen.front()?, self.seen.back()?);
        let seconds = (self.seen.len() - 1) as f64 * plant.spec().step.seconds();
        let target = (last.produced - first.produced) as f64 / seconds;
        let ready = plant.ready_replicas().count().max(1) as f64;
        let samples = self.seen.len() as f64;
        // The busiest subtask limits: the whole does what it does ÷ the busiest one's share.
        let busy = self.seen.iter().map(|s| s.busiest).sum::<f64>() / samples;
        let done = self.seen.iter().map(|s| s.done).sum::<f64>() / samples;
        let done = done / plant.spec().step.seconds();
        let lag = seen_backlog(plant) as f64;
        let observed = (last.committed - first.committed) as f64 / seconds;
        let true_rate = if lag >= 30.0 * observed && observed > 0.0 {
            observed
        } else {
            done / busy.max(1e-9)
        };
        if true_rate <= 0.0 || target <= 0.0 {
            return None;
        }
        let catch_up = lag / self.catch_up.as_secs_f64();
        let needed = target / self.target_utilization + catch_up;
        let replicas = (needed / true_rate * ready).ceil() as u32;
        Some((
            align(replicas, plant.partitions().len() as u32),
            (target + catch_up) / true_rate,
        ))
    }
}

/// The next count that divides the partitions evenly, up to half of them; beyond it all.
fn align(replicas: u32, partitions: u32) -> u32 {
    let replicas = replicas.clamp(1, partitions);
    (replicas..=partitions)
        .find(|n| partitions.is_multiple_of(*n))
        .unwrap_or(partitions)
}

impl Policy for Flink {
    fn replicas(&mut self, plant: &Plant) -> Option<u32> {
        self.note(plant);
        if !plant
            .tick()
            .is_multiple_of(plant.ticks(Duration::from_secs(15)))
            || self.seen.len() < plant.ticks(self.window)
        {
            return None;
        }
        let (want, utilization) = self.want(plant)?;
        let tick = plant.tick();
        self.wants.push_back((tick, want));
        while self
            .wants
            .front()
            .is_some_and(|(at, _)| tick - at > plant.ticks(self.scale_down))
        {
            self.wants.pop_front();
        }
        let current = plant.replicas().len() as u32;
        let within = (self.target_utilization - self.boundary
            ..=self.target_utilization + self.boundary)
            .contains(&utilization);
        if within || tick - self.scaled_at < plant.ticks(self.stabilization) {
            return None;
        }
        let next = if want > current {
            want
        } else {
            self.wants.iter().map(|(_, want)| *want).max()?.min(current)
        };
        (next != current).then(|| {
            self.scaled_at = tick;
            next
        })
    }
}
