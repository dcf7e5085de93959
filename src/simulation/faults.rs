//! What goes wrong, and when.

use std::fmt;
use std::time::Duration;

use super::steps::StepLength;

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
        let time = |hours: f64| Duration::from_secs_f64(hours * 3600.0);
        Self::between(time(from_hours), time(to_hours), kind)
    }

    /// From and to since the start of the trace, in ticks of 5 s.
    pub fn between(from: Duration, to: Duration, kind: FaultKind) -> Self {
        Self::in_steps(StepLength::default(), from, to, kind)
    }

    /// From and to since the start of the trace, in ticks of that length.
    pub fn in_steps(step: StepLength, from: Duration, to: Duration, kind: FaultKind) -> Self {
        Self {
            from: step.ticks(from),
            to: step.ticks(to),
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

/// What a report calls it.
impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Downstream { per_second } => {
                write!(f, "downstream outage: {per_second}/s in all")
            }
            Self::SlowReplica { ratio } => write!(f, "a replica at {:.0} %", ratio * 100.0),
            Self::Crash => f.write_str("crash of a replica"),
            Self::Stuck { partition } => write!(f, "partition no. {partition} stuck"),
            Self::Evict { replicas } => write!(f, "eviction of {replicas}"),
            Self::RollingDeploy { every } => {
                write!(f, "rolling deploy, one every {} s", every.as_secs())
            }
            Self::SlowStart { ratio } => write!(f, "start-up takes {ratio} times as long"),
        }
    }
}
