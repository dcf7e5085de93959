//! The work of a tick: capacity shared out among partitions, or batches fetched from them.

use crate::model::identity::Assignment;
use crate::simulation::faults::FaultKind;

use super::done::WorkDone;
use super::pool::Shift;
use super::{Plant, PlantPartition};

/// What the faults of now make of the fleet.
struct Hindrance {
    /// Messages per second of all replicas together.
    fleet: f64,
    /// Share of its capacity that a slowed replica does.
    slowed: f64,
}

impl Plant {
    /// Every replica works for a tick.
    pub(super) fn process(&mut self) -> WorkDone {
        let hindrance = self.hindrance();
        match self.spec.assignment {
            Assignment::Shared => self.process_pool(&hindrance),
            Assignment::Exclusive => self.process_owned(&hindrance),
        }
    }

    fn hindrance(&mut self) -> Hindrance {
        let on = self.faults.iter().filter(|f| f.is_on(self.tick));
        let mut hindrance = Hindrance {
            fleet: f64::INFINITY,
            slowed: 1.0,
        };
        for fault in on {
            match &fault.kind {
                FaultKind::Downstream { per_second } => hindrance.fleet = *per_second,
                FaultKind::SlowReplica { ratio } => hindrance.slowed = *ratio,
                FaultKind::Stuck { partition } => {
                    if let Some(partition) = self.partitions.get_mut(*partition) {
                        partition.pause(self.tick + 1);
                    }
                }
                _ => {}
            }
        }
        hindrance
    }

    fn process_pool(&mut self, hindrance: &Hindrance) -> WorkDone {
        let (ready, now) = (self.ready(), self.micros());
        let share = hindrance.fleet / ready.len().max(1) as f64;
        let slowed: Vec<u32> = self
            .replicas
            .iter()
            .filter(|replica| replica.slowed)
            .map(|replica| replica.id)
            .collect();
        let per_second = |replica: u32| {
            let speed = if slowed.contains(&replica) {
                hindrance.slowed
            } else {
                1.0
            };
            (self.spec.capacity_per_second * speed).min(share)
        };
        let step = self.spec.step.micros();
        let shift = Shift {
            from: now,
            to: now + step,
            batch: self.spec.batch as usize,
            tick: self.tick,
            micros_per_message: &|replica| 1e6 / per_second(replica),
            fetch_micros: self.spec.fetch.as_micros() as u64,
            idle_micros: self.spec.idle_read.as_micros() as u64,
        };
        self.pool.follow(&ready, now);
        let work = self.pool.work(&shift, &mut self.partitions);
        let seconds = self.spec.step.seconds();
        for replica in &mut self.replicas {
            replica.busy_share = self.pool.busy_share(replica.id, step);
            replica.done = replica.busy_share * per_second(replica.id) * seconds;
        }
        work
    }

    fn process_owned(&mut self, hindrance: &Hindrance) -> WorkDone {
        let seconds = self.spec.step.seconds();
        let full = self.spec.capacity_per_second * seconds;
        let share = hindrance.fleet * seconds / self.ready().len().max(1) as f64;
        let tick = self.tick;
        let mut sum = WorkDone::default();
        for replica in &mut self.replicas {
            let speed = if replica.slowed {
                hindrance.slowed
            } else {
                1.0
            };
            let capacity = (full * speed).min(share);
            let mut own: Vec<&mut PlantPartition> = self
                .partitions
                .iter_mut()
                .zip(&self.owners)
                .filter(|(_, owner)| **owner == Some(replica.id))
                .map(|(partition, _)| partition)
                .collect();
            let work = share_out(&mut own, capacity, tick);
            replica.done = work.done;
            replica.busy_share = work.done / capacity;
            sum.add(&work);
        }
        sum
    }
}

/// Shares `capacity` max-min fairly among partitions.
fn share_out(partitions: &mut [&mut PlantPartition], capacity: f64, tick: usize) -> WorkDone {
    let mut left = capacity;
    let mut open = partitions.len();
    partitions.sort_by(|a, b| a.workable(tick).total_cmp(&b.workable(tick)));
    let mut sum = WorkDone::default();
    for partition in partitions {
        let take = partition.workable(tick).min(left / open as f64);
        left -= take;
        open -= 1;
        sum.add(&partition.work(tick, take));
    }
    sum
}
