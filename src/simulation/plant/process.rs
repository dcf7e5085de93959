//! One tick of work: who does how much of what.

use crate::model::identity::Assignment;
use crate::simulation::faults::FaultKind;
use crate::simulation::trace::TICK;

use super::Plant;
use super::partition::{PlantPartition, share_out};

impl Plant {
    /// Lets the replicas work; messages done, and late ones of them.
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
