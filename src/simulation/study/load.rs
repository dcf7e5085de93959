//! Made-up traffic as groups have it over weeks, and where it is struck.

use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::model::incident::IncidentKind;
use crate::simulation::faults::{Fault, FaultKind};
use crate::simulation::steps::TICK;
use crate::simulation::trace::Trace;
use crate::simulation::workload::{Workload, draw};

/// Ticks of an hour.
const HOUR: usize = 720;
/// … of a day.
const DAY: usize = 24 * HOUR;
/// … of a week.
pub(super) const WEEK: usize = 7 * DAY;
const PARTITIONS: usize = 12;
/// How unevenly they share; the mean is 1.
const SHARES: [f64; PARTITIONS] = [1.4, 1.1, 1.3, 0.9, 0.7, 1.0, 1.2, 0.8, 0.9, 1.3, 0.6, 0.8];
/// A strike lasts fifteen minutes; the next comes 4.7 hours later, at another hour every day.
const STRIKE: usize = HOUR / 4;
const APART: usize = 47 * HOUR / 10;

/// How a group's traffic goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// The same all the time.
    Steady,
    /// By day and by week, growing by a twentieth a week.
    Daily,
    /// As that, with bursts of minutes, some a day, to three times as much.
    Bursty,
    /// Nothing at night and at weekends.
    OfficeHours,
}

impl Habit {
    /// Every habit.
    pub const ALL: [Self; 4] = [Self::Steady, Self::Daily, Self::Bursty, Self::OfficeHours];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Daily => "daily",
            Self::Bursty => "bursty",
            Self::OfficeHours => "office hours",
        }
    }
}

/// A struck run.
#[derive(Clone, Debug)]
pub struct Struck {
    /// What arrives, and what goes wrong.
    pub workload: Workload,
    /// What should be noticed.
    pub strikes: Vec<Strike>,
}

/// A group's load over time, in parts of what one replica does.
pub(super) struct StudyLoad {
    habit: Habit,
    ticks: usize,
    seed: u64,
    /// From, to, how many times the usual.
    bursts: Vec<(usize, usize, f64)>,
}

impl StudyLoad {
    pub(super) fn new(habit: Habit, ticks: usize, seed: u64) -> Self {
        let mut rng = Pcg64::seed_from_u64(seed ^ 0xb025_7e11);
        let mut bursts = Vec::new();
        let mut from = 0;
        while habit == Habit::Bursty && from < ticks {
            from += rng.random_range(HOUR..12 * HOUR);
            let to = from + rng.random_range(HOUR / 20..HOUR / 4);
            bursts.push((from, to, rng.random_range(1.5..3.0)));
        }
        Self {
            habit,
            ticks,
            seed,
            bursts,
        }
    }

    /// Replicas' worth at a tick.
    fn at(&self, tick: usize) -> f64 {
        let hour = (tick % DAY) as f64 / HOUR as f64;
        let weekend = (tick / DAY) % 7 >= 5;
        // A smooth day between 0 and 1, largest at 14 h.
        let noon = 1.0 - ((hour - 14.0).abs().min(24.0 - (hour - 14.0).abs()) / 12.0);
        let day = noon * noon * (3.0 - 2.0 * noon);
        let growth = 1.0 + 0.05 * tick as f64 / WEEK as f64;
        match self.habit {
            Habit::Steady => 3.0,
            Habit::Daily | Habit::Bursty => {
                let burst = self
                    .bursts
                    .iter()
                    .find(|(from, to, _)| (*from..*to).contains(&tick));
                let week = if weekend { 0.6 } else { 1.0 };
                (1.5 + 4.0 * day) * week * growth * burst.map_or(1.0, |(_, _, ratio)| *ratio)
            }
            Habit::OfficeHours if weekend => 0.0,
            Habit::OfficeHours => {
                let inside = (hour - 7.0).min(19.0 - hour).clamp(0.0, 1.0);
                4.0 * inside
            }
        }
    }

    pub(super) fn trace(&self, capacity: f64, strikes: &[Strike]) -> Trace {
        let mut rng = Pcg64::seed_from_u64(self.seed ^ 0x5ce7_a410);
        let per_tick = capacity * TICK.as_secs_f64();
        let (mut now, mut load, mut strike) = (usize::MAX, 0.0, None);
        Trace::generate(
            self.habit.name(),
            PARTITIONS,
            self.ticks,
            |tick, partition| {
                if tick != now {
                    now = tick;
                    load = self.at(tick);
                    strike = strikes.iter().find(|s| (s.from..s.to).contains(&tick));
                }
                let usual = load / PARTITIONS as f64 * SHARES[partition];
                let share = match strike.map(|s| s.kind) {
                    Some(IncidentKind::ProducerStop) => 0.0,
                    Some(IncidentKind::TrafficSurge) => usual * 4.0,
                    Some(IncidentKind::HotPartition) if partition == 3 => usual + 1.5,
                    _ => usual,
                };
                draw(share * per_tick, &mut rng)
            },
        )
    }

    /// Every working day at 10 and 15 o'clock; not close to a strike.
    pub(super) fn deploys(&self, strikes: &[Strike]) -> Vec<Fault> {
        let days = (0..self.ticks / DAY).filter(|day| day % 7 < 5);
        let times = days.flat_map(|day| [10, 15].map(|hour| day * DAY + hour * HOUR));
        let free = |from: &usize| {
            !strikes
                .iter()
                .any(|s| s.from < from + HOUR && from < &(s.to + HOUR))
        };
        let deploy = |from: usize| Fault {
            from,
            to: from + HOUR / 6,
            kind: FaultKind::RollingDeploy {
                every: Duration::from_secs(60),
            },
        };
        times.filter(free).map(deploy).collect()
    }

    pub(super) fn struck(&self, capacity: f64) -> Struck {
        // More than ever is more than ever once.
        let first = std::iter::once(IncidentKind::TrafficSurge);
        let kinds = [
            IncidentKind::ConsumerCrash,
            IncidentKind::DownstreamOutage,
            IncidentKind::ProducerStop,
            IncidentKind::HotPartition,
            IncidentKind::SlowConsumer,
            IncidentKind::StuckPartition,
        ];
        let starts = (WEEK..self.ticks - HOUR)
            .step_by(APART)
            .map(|tick| tick + 37);
        let busy = starts.filter(|tick| self.at(*tick) >= 1.0 && self.at(*tick + STRIKE) >= 1.0);
        let strikes: Vec<Strike> = busy
            .zip(first.chain(kinds.into_iter().cycle()))
            .map(|(from, kind)| Strike {
                kind,
                from,
                to: from + STRIKE,
            })
            .collect();
        let mut faults = self.deploys(&strikes);
        faults.extend(strikes.iter().filter_map(|s| self.fault(s, capacity)));
        Struck {
            workload: Workload {
                trace: Arc::new(self.trace(capacity, &strikes)),
                faults,
                lesson: None,
            },
            strikes,
        }
    }

    fn fault(&self, strike: &Strike, capacity: f64) -> Option<Fault> {
        let kind = match strike.kind {
            IncidentKind::ConsumerCrash => FaultKind::Crash,
            IncidentKind::DownstreamOutage => FaultKind::Downstream {
                per_second: self.at(strike.from) * capacity * 0.3,
            },
            IncidentKind::SlowConsumer => FaultKind::SlowReplica { ratio: 0.3 },
            IncidentKind::StuckPartition => FaultKind::Stuck { partition: 5 },
            _ => return None,
        };
        Some(Fault {
            from: strike.from,
            to: strike.to,
            kind,
        })
    }
}

/// What happens to a group at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// What it is.
    pub kind: IncidentKind,
    /// The tick it begins at.
    pub from: usize,
    /// The tick it ends at.
    pub to: usize,
}

impl Strike {
    /// Strikes that are in the arrivals themselves show at once.
    pub(super) fn seen_in_arrivals(&self) -> Option<usize> {
        use IncidentKind::{HotPartition, ProducerStop, TrafficSurge};
        matches!(self.kind, HotPartition | ProducerStop | TrafficSurge).then_some(self.from + 1)
    }
}
