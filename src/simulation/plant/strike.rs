//! What goes wrong, done to the plant.

use crate::simulation::assignment::Rebalance;
use crate::simulation::faults::{Fault, FaultKind};

use super::Plant;

impl Plant {
    /// Faults that begin or end at this tick.
    pub(super) fn strike(&mut self) {
        let begin: Vec<Fault> = self
            .faults
            .iter()
            .filter(|f| f.from == self.tick)
            .cloned()
            .collect();
        for fault in begin {
            match fault.kind {
                FaultKind::SlowReplica { .. } => {
                    if let Some(oldest) = self.replicas.first_mut() {
                        oldest.slowed = true;
                    }
                }
                FaultKind::Crash => self.crash(0),
                FaultKind::Evict { replicas } => {
                    for _ in 0..replicas.min(self.replicas.len() as u32) {
                        self.release(0);
                    }
                }
                FaultKind::RollingDeploy { .. }
                | FaultKind::Downstream { .. }
                | FaultKind::Stuck { .. }
                | FaultKind::SlowStart { .. } => {}
            }
        }
        for n in 0..self.faults.len() {
            let fault = &self.faults[n];
            if let FaultKind::RollingDeploy { every } = fault.kind
                && fault.is_on(self.tick)
                && (self.tick - fault.from).is_multiple_of(self.spec.step.ticks(every).max(1))
            {
                // The replacement comes first and the old one ends when it is ready: the youngest takes the oldest's place.
                self.release(0);
            }
        }
    }

    /// A replica ends in order; its replacement starts.
    fn release(&mut self, slot: usize) {
        if slot < self.replicas.len() {
            self.replicas.remove(slot);
            self.start();
        }
    }

    /// A replica ends without a word: its partitions stay its own until they expire.
    fn crash(&mut self, slot: usize) {
        if slot >= self.replicas.len() {
            return;
        }
        let gone = self.replicas.remove(slot).id;
        let expiry = match self.spec.rebalance {
            Rebalance::Sticky => self.spec.ownership_expiry,
            Rebalance::Greedy | Rebalance::Balanced => self.spec.ownership_expiry * 2,
        };
        for (partition, owner) in self.owners.iter().enumerate() {
            if *owner == Some(gone) {
                self.held_until[partition] = self.tick + self.spec.step.ticks(expiry);
            }
        }
        let expires = self.micros() + expiry.as_micros() as u64;
        self.pool.crash(gone, self.micros(), expires);
        self.start();
    }
}
