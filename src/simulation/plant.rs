//! The plant: replicas that start, get partitions, process and commit, in steps of [`TICK`]. What it simplifies: docs/simulate.md, "The plant".

mod partition;
mod strike;
mod work;

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::model::identity::Assignment;

use super::assignment::{Rebalance, rebalance};
use super::faults::Fault;
use super::trace::TICK;

pub use partition::PlantPartition;

/// How consumers commit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Commits {
    /// Every so often, staggered over partitions.
    Every(Duration),
    /// After so many messages.
    After(u64),
}

/// The plant's constants. The defaults are those of docs/simulate.md.
#[derive(Clone, Debug, PartialEq)]
pub struct PlantSpec {
    /// Messages per second one replica does.
    pub capacity_per_second: f64,
    /// Mean time a replica takes to start; each takes 0.8 to 1.2 of it.
    pub start_up: Duration,
    /// How long a partition rests when it changes hands.
    pub moved_pause: Duration,
    /// How consumers commit.
    pub commits: Commits,
    /// Whether a partition belongs to one replica.
    pub assignment: Assignment,
    /// How partitions move.
    pub rebalance: Rebalance,
    /// How long a crashed replica keeps its partitions.
    pub ownership_expiry: Duration,
    /// The HPA's, and every policy's, largest count.
    pub max_replicas: u32,
    /// The smallest count; 0 lets a policy go to zero.
    pub min_replicas: u32,
    /// How often streamgauge looks at its source; whole ticks.
    pub poll_interval: Duration,
}

impl Default for PlantSpec {
    fn default() -> Self {
        Self {
            capacity_per_second: 100.0,
            start_up: Duration::from_secs(40),
            moved_pause: Duration::from_secs(15),
            commits: Commits::Every(Duration::from_secs(10)),
            assignment: Assignment::Exclusive,
            rebalance: Rebalance::Sticky,
            ownership_expiry: Duration::from_secs(60),
            max_replicas: 100,
            min_replicas: 1,
            poll_interval: TICK,
        }
    }
}

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
    /// Whether a message of any partition has waited for longer than [`LATE`].
    pub violated: bool,
    /// Partitions that changed hands.
    pub moves: u32,
    /// Replicas that exist, starting ones included.
    pub replicas: u32,
}

/// A message is late after this.
pub const LATE: Duration = Duration::from_secs(30);

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
            .map(|n| PlantPartition::new(n, &spec.commits))
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
        let (done, late) = self.process();
        self.tick += 1;
        for partition in &mut self.partitions {
            partition.commit(self.tick, &self.spec.commits);
        }
        let late_ticks = ticks(LATE);
        TickOutcome {
            done,
            late,
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
            ready_at: self.tick + (takes / TICK.as_secs_f64()).ceil() as usize,
            done: 0.0,
            busy_share: 0.0,
            slowed: false,
        });
        self.next_id += 1;
    }

    fn assign(&mut self) -> u32 {
        let ready = self.ready();
        let held = self
            .held_until
            .iter()
            .any(|until| *until == self.tick && self.tick > 0);
        if ready != self.ready_before || held {
            self.settled = false;
            self.ready_before.clone_from(&ready);
        }
        let cycle = ticks(Duration::from_secs(10));
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
            self.partitions[*partition].pause(since + ticks(self.spec.moved_pause));
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

/// Time in ticks, rounded up.
pub fn ticks(time: Duration) -> usize {
    time.as_millis().div_ceil(TICK.as_millis()) as usize
}

#[cfg(test)]
mod tests;
