//! The plant: replicas that start, get partitions, process and commit, in steps of 5 s or 1 s. What it simplifies: docs/simulate.md, "The plant".

mod done;
mod partition;
mod pool;
mod spec;
mod strike;
mod work;

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::model::identity::Assignment;
use crate::model::time::Timestamp;

use super::assignment::{Rebalance, rebalance};
use super::faults::Fault;
use super::steps::StepLength;

use pool::Pool;

pub use done::LATE;
pub use partition::PlantPartition;
pub use pool::ListedReplica;
pub use spec::{ClusterSpec, Commits, PlantSpec};

/// One replica, from its creation on.
#[derive(Clone, Debug)]
pub struct Replica {
    /// Never used twice.
    pub id: u32,
    ready_at: usize,
    /// Messages it did in the last tick, for what knows true busy time.
    pub done: f64,
    /// Share of its capacity it used in the last tick.
    pub busy_share: f64,
    slowed: bool,
}

/// What happened in one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TickOutcome {
    /// Messages completed.
    pub done: f64,
    /// Of these, later than [`LATE`].
    pub late: f64,
    /// Seconds that all of these waited together.
    pub waited_seconds: f64,
    /// The longest that one of these waited, in seconds.
    pub worst_seconds: f64,
    /// Whether a message of any partition has waited for longer than [`LATE`].
    pub violated: bool,
    /// Partitions that changed hands.
    pub moves: u32,
    /// Replicas that exist, starting ones included.
    pub replicas: u32,
}

/// Replicas, partitions and who holds which.
#[derive(Clone, Debug)]
pub struct Plant {
    spec: PlantSpec,
    faults: Vec<Fault>,
    /// Ticks done.
    tick: usize,
    replicas: Vec<Replica>,
    partitions: Vec<PlantPartition>,
    owners: Vec<Option<u32>>,
    /// Until when a crashed replica's partitions are nobody's to claim.
    held_until: Vec<usize>,
    ready_before: Vec<u32>,
    settled: bool,
    scaled_in_at: Option<usize>,
    next_id: u32,
    /// Shared assignment: who works on what.
    pool: Pool,
    seed: u64,
    rng: Pcg64,
}

impl Plant {
    /// A plant in which `replicas` are ready and nothing has arrived yet.
    pub fn new(
        spec: PlantSpec,
        faults: Vec<Fault>,
        partitions: usize,
        replicas: u32,
        seed: u64,
    ) -> Self {
        let rng = Pcg64::seed_from_u64(seed);
        let made = (0..partitions)
            .map(|n| PlantPartition::new(n, &spec.commits, spec.step))
            .collect();
        let mut plant = Self {
            faults,
            tick: 0,
            replicas: Vec::new(),
            partitions: made,
            owners: vec![None; partitions],
            held_until: vec![0; partitions],
            ready_before: Vec::new(),
            settled: false,
            scaled_in_at: None,
            next_id: 0,
            pool: Pool::default(),
            seed,
            rng,
            spec,
        };
        plant.scale(replicas);
        for replica in &mut plant.replicas {
            replica.ready_at = 0;
        }
        let ready = plant.ready();
        rebalance(
            &mut plant.owners,
            &vec![true; partitions],
            &ready,
            usize::MAX,
            &mut plant.rng,
        );
        plant.ready_before = ready;
        plant.settled = true;
        plant
    }

    /// Lets one tick pass with these arrivals.
    pub fn advance(&mut self, arrivals: &[u32]) -> TickOutcome {
        self.strike();
        let moves = self.assign();
        for (partition, count) in self.partitions.iter_mut().zip(arrivals) {
            partition.arrive(self.tick, *count);
        }
        let work = self.process();
        self.tick += 1;
        for partition in &mut self.partitions {
            partition.commit(self.tick, &self.spec.commits);
        }
        let late_ticks = self.spec.step.ticks(LATE);
        TickOutcome {
            done: work.done,
            late: work.late,
            waited_seconds: work.waited_seconds,
            worst_seconds: work.worst_seconds,
            violated: self
                .partitions
                .iter()
                .any(|p| p.oldest_ticks(self.tick) > late_ticks),
            moves,
            replicas: self.replicas.len() as u32,
        }
    }

    /// Asks for so many replicas: new ones take their time to start, surplus ones end at once, the youngest first.
    pub fn scale(&mut self, wanted: u32) {
        let wanted = wanted.clamp(self.spec.min_replicas, self.spec.max_replicas) as usize;
        if self.replicas.len() > wanted {
            self.replicas.truncate(wanted);
            self.scaled_in_at = Some(self.tick);
        }
        while self.replicas.len() < wanted {
            self.start();
        }
    }

    fn start(&mut self) {
        let slow_nodes = self.faults.iter().filter(|f| f.is_on(self.tick));
        let stretch: f64 = slow_nodes.map(|f| f.start_up_ratio()).fold(1.0, f64::max);
        let takes = self.spec.start_up.as_secs_f64() * stretch * self.rng.random_range(0.8..1.2);
        self.replicas.push(Replica {
            id: self.next_id,
            ready_at: self.tick + (takes / self.spec.step.seconds()).ceil() as usize,
            done: 0.0,
            busy_share: 0.0,
            slowed: false,
        });
        self.next_id += 1;
    }

    fn assign(&mut self) -> u32 {
        if self.spec.assignment == Assignment::Shared {
            return 0;
        }
        let ready = self.ready();
        let held = self
            .held_until
            .iter()
            .any(|until| *until == self.tick && self.tick > 0);
        if ready != self.ready_before || held {
            self.settled = false;
            self.ready_before.clone_from(&ready);
        }
        let cycle = self.spec.step.ticks(Duration::from_secs(10));
        let claims = match self.spec.rebalance {
            Rebalance::Sticky => usize::MAX,
            Rebalance::Greedy | Rebalance::Balanced if !self.tick.is_multiple_of(cycle) => 0,
            Rebalance::Greedy => usize::MAX,
            Rebalance::Balanced => 1,
        };
        if self.settled {
            return 0;
        }
        for (partition, owner) in self.owners.iter_mut().enumerate() {
            let gone = owner.is_some_and(|owner| !ready.contains(&owner));
            if gone && self.held_until[partition] <= self.tick {
                *owner = None;
            }
        }
        if claims == 0 {
            return 0;
        }
        let free: Vec<bool> = self
            .held_until
            .iter()
            .map(|until| *until <= self.tick)
            .collect();
        let moved = rebalance(&mut self.owners, &free, &ready, claims, &mut self.rng);
        self.settled = claims == usize::MAX || moved.is_empty();
        // Whoever is told to end does so within the tick in which that was decided.
        let since = self.tick - usize::from(self.scaled_in_at == Some(self.tick));
        for partition in &moved {
            self.partitions[*partition].pause(since + self.spec.step.ticks(self.spec.moved_pause));
        }
        moved.len() as u32
    }

    fn ready(&self) -> Vec<u32> {
        self.replicas
            .iter()
            .filter(|r| r.ready_at <= self.tick)
            .map(|r| r.id)
            .collect()
    }

    /// The same plant, in which nothing goes wrong from now on.
    pub fn without_faults(&self) -> Self {
        Self {
            faults: Vec::new(),
            ..self.clone()
        }
    }

    /// Ticks done so far.
    pub fn tick(&self) -> usize {
        self.tick
    }

    /// The constants.
    pub fn spec(&self) -> &PlantSpec {
        &self.spec
    }

    /// The time at the end of the ticks done so far.
    pub fn now(&self) -> Timestamp {
        self.spec.step.at(self.tick)
    }

    /// Time in ticks, rounded up.
    pub fn ticks(&self, time: Duration) -> usize {
        self.spec.step.ticks(time)
    }

    /// When in a period something begins that has no reason to begin at its start: whole steps, another one for every seed and `what`.
    pub fn phase(&self, what: u64, period: Duration) -> Duration {
        let steps = self.spec.step.ticks(period).max(1);
        let mut rng = Pcg64::seed_from_u64(self.seed ^ (0x70a5_e000 + what));
        self.spec.step.duration() * rng.random_range(0..steps) as u32
    }

    /// What the group's listing of consumers says, under shared assignment.
    pub fn listing(&self) -> impl Iterator<Item = ListedReplica> {
        self.pool.listing(self.micros())
    }

    /// Messages not done that have waited for longer than [`LATE`] already.
    pub fn waiting_late(&self) -> f64 {
        let queued = self.partitions.iter().map(|p| p.waiting_late(self.tick));
        queued.sum::<f64>() + self.pool.late(self.micros())
    }

    fn micros(&self) -> u64 {
        self.tick as u64 * self.spec.step.micros()
    }

    /// Replicas that exist, the longest-running first.
    pub fn replicas(&self) -> &[Replica] {
        &self.replicas
    }

    /// Replicas that are ready.
    pub fn ready_replicas(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.iter().filter(|r| r.ready_at <= self.tick)
    }

    /// The partitions.
    pub fn partitions(&self) -> &[PlantPartition] {
        &self.partitions
    }

    /// Who holds which partition.
    pub fn owners(&self) -> &[Option<u32>] {
        &self.owners
    }
}

/// Time in ticks of 5 s, rounded up.
pub fn ticks(time: Duration) -> usize {
    StepLength::default().ticks(time)
}

#[cfg(test)]
mod tests;
