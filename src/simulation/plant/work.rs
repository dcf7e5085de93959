//! The work of a tick: capacity shared out among partitions.

use crate::model::identity::Assignment;
use crate::simulation::faults::FaultKind;
use crate::simulation::trace::TICK;

use super::{Plant, PlantPartition};

impl Plant {
    /// Every replica works for a tick; messages done, and late ones of them.
    pub(super) fn process(&mut self) -> (f64, f64) {
        let ready = self.ready();
        let full = self.spec.capacity_per_second * TICK.as_secs_f64();
        let on: Vec<&FaultKind> = self
            .faults
            .iter()
            .filter(|f| f.is_on(self.tick))
            .map(|f| &f.kind)
            .collect();
        let mut fleet = f64::INFINITY;
        let mut slow = 1.0;
        for kind in on {
            match kind {
                FaultKind::Downstream { per_second } => fleet = per_second * TICK.as_secs_f64(),
                FaultKind::SlowReplica { ratio } => slow = *ratio,
                FaultKind::Stuck { partition } => {
                    if let Some(partition) = self.partitions.get_mut(*partition) {
                        partition.pause(self.tick + 1);
                    }
                }
                _ => {}
            }
        }
        let share = fleet / ready.len().max(1) as f64;
        let tick = self.tick;
        let mut sum = (0.0, 0.0);
        match self.spec.assignment {
            Assignment::Shared => {
                let capacity = (full * ready.len() as f64).min(fleet);
                let mut all: Vec<&mut PlantPartition> = self.partitions.iter_mut().collect();
                sum = share_out(&mut all, capacity, tick);
                for replica in &mut self.replicas {
                    replica.busy_share = if capacity > 0.0 {
                        sum.0 / capacity
                    } else {
                        0.0
                    };
                    replica.done = sum.0 / ready.len().max(1) as f64;
                }
            }
            Assignment::Exclusive => {
                for replica in &mut self.replicas {
                    let speed = if replica.slowed { slow } else { 1.0 };
                    let capacity = (full * speed).min(share);
                    let mut own: Vec<&mut PlantPartition> = self
                        .partitions
                        .iter_mut()
                        .zip(&self.owners)
                        .filter(|(_, owner)| **owner == Some(replica.id))
                        .map(|(partition, _)| partition)
                        .collect();
                    let (done, late) = share_out(&mut own, capacity, tick);
                    replica.done = done;
                    replica.busy_share = done / capacity;
                    sum = (sum.0 + done, sum.1 + late);
                }
            }
        }
        sum
    }
}

/// Shares `capacity` max-min fairly among partitions; messages done, and late ones of them.
fn share_out(partitions: &mut [&mut PlantPartition], capacity: f64, tick: usize) -> (f64, f64) {
    let mut left = capacity;
    let mut open = partitions.len();
    partitions.sort_by(|a, b| a.workable(tick).total_cmp(&b.workable(tick)));
    let mut sum = (0.0, 0.0);
    for partition in partitions {
        let take = partition.workable(tick).min(left / open as f64);
        left -= take;
        open -= 1;
        let late = partition.work(tick, take);
        sum = (sum.0 + take, sum.1 + late);
    }
    sum
}
