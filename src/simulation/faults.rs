//! What goes wrong, and when.

use std::time::Duration;

use super::plant::ticks;

/// One thing that goes wrong for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The tick it begins at.
    pub from: usize,
    /// The tick it ends at.
    pub to: usize,
    /// What it is.
    pub kind: FaultKind,
}

/// The kinds.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// Whatever the replicas call does no more than this, for all of them together.
    Downstream {
        /// Messages per second.
        per_second: f64,
    },
    /// The longest-running replica does this share of its capacity.
    SlowReplica {
        /// Share.
        ratio: f64,
    },
    /// The longest-running replica ends without a word.
    Crash,
    /// A partition makes no progress, whoever holds it.
    Stuck {
        /// Its number.
        partition: usize,
    },
    /// So many replicas end in order, at once.
    Evict {
        /// How many.
        replicas: u32,
    },
    /// One replica after the other ends and is replaced.
    RollingDeploy {
        /// Time between two of them.
        every: Duration,
    },
    /// Replicas take so many times as long to start: nodes have to come first.
    SlowStart {
        /// How many times.
        ratio: f64,
    },
}

impl Fault {
    /// From and to in hours.
    pub fn new(from_hours: f64, to_hours: f64, kind: FaultKind) -> Self {
        let tick = |hours: f64| ticks(Duration::from_secs_f64(hours * 3600.0));
        Self {
            from: tick(from_hours),
            to: tick(to_hours),
            kind,
        }
    }

    pub(super) fn is_on(&self, tick: usize) -> bool {
        (self.from..self.to).contains(&tick)
    }

    pub(super) fn start_up_ratio(&self) -> f64 {
        match self.kind {
            FaultKind::SlowStart { ratio } => ratio,
            _ => 1.0,
        }
    }
}
