//! One group over time: folds samples into facts.

mod facts;
mod learned;
mod learning;
mod shown;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::accounting::PartitionStep;
use super::baseline::counter::CounterRate;
use super::busy::BusyShare;
use super::capacity::{Capacity, CapacityRules};
use super::downstream::Breaker;
use super::fleet::{FleetWatch, Told};
use super::forecast::Forecast;
use super::identity::PartitionId;
use super::normal::GroupNormal;
use super::owners::Owners;
use super::partition::PartitionModel;
use super::rates::{ArrivalHistory, RateWindow};
use super::sample::{Holder, PartitionObservation, Sample};
use super::signal::{ErrorCount, Signal, SignalReading};
use super::time::{Moment, Timestamp, WallOffset};
use super::whole::Together;
use crate::model::tuning::rates::ARRIVAL_WINDOW;
use crate::model::tuning::whole::WAITS_FOR;

use shown::{Shown, note_normal};

pub use learned::Learned;

/// Everything remembered of one group, shared by all who ask for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupModel {
    /// For what goes by hours and days.
    #[serde(default)]
    wall: WallOffset,
    /// Each on its own, for they are large, and a map may leave half of its space free; and shared with copies that are being written.
    partitions: BTreeMap<PartitionId, Arc<PartitionModel>>,
    arrivals: ArrivalHistory,
    /// Of all partitions together, while it is known of every one.
    arrival: RateWindow,
    /// Since when arrivals of every partition are known without a break.
    arrivals_known_since: Option<Timestamp>,
    forecast: Forecast,
    capacity: Capacity,
    owners: Owners,
    told: Told,
    fleet: FleetWatch,
    breaker: Breaker,
    consumers: Option<u32>,
    holders: Option<BTreeMap<String, Holder>>,
    #[serde(default)]
    busy: BusyShare,
    read_limit_per_second: Option<f64>,
    signals: BTreeMap<Signal, SignalReading>,
    errors: CounterRate,
    normal: GroupNormal,
    observed_at: Option<Timestamp>,
    /// Up to when all partitions together are known.
    known_until: Option<Timestamp>,
    first_observed_at: Option<Timestamp>,
}

impl GroupModel {
    /// A group of which nothing is known yet.
    pub fn new(rules: CapacityRules) -> Self {
        Self {
            wall: WallOffset::default(),
            partitions: BTreeMap::new(),
            arrivals: ArrivalHistory::default(),
            arrival: RateWindow::new(ARRIVAL_WINDOW),
            arrivals_known_since: None,
            forecast: Forecast::default(),
            capacity: Capacity::new(rules),
            owners: Owners::default(),
            told: Told::default(),
            fleet: FleetWatch::default(),
            breaker: Breaker::default(),
            consumers: None,
            holders: None,
            busy: BusyShare::default(),
            read_limit_per_second: None,
            signals: BTreeMap::new(),
            errors: CounterRate::default(),
            normal: GroupNormal::default(),
            observed_at: None,
            known_until: None,
            first_observed_at: None,
        }
    }

    /// A group of which nothing is known, by the same rules.
    pub fn start_over(&self) -> Self {
        Self {
            wall: self.wall,
            ..Self::new(self.capacity.rules())
        }
    }

    /// Takes in where the wall clock is from now on.
    pub fn wall_clock_set(&mut self, wall: WallOffset) {
        self.wall = wall;
    }

    /// Where the wall clock is.
    pub const fn wall(&self) -> WallOffset {
        self.wall
    }

    fn moment(&self, at: Timestamp) -> Moment {
        Moment {
            at,
            wall: self.wall,
        }
    }

    /// Takes in what users tell of its consumers; until then nothing.
    pub fn tell(&mut self, told: Told) {
        self.told = told;
    }

    /// Takes in a signal that comes from elsewhere than the stream.
    pub fn signal(&mut self, signal: Signal, reading: &SignalReading) {
        self.signals.insert(signal, reading.clone());
        let now = self.moment(reading.at);
        self.normal.observe(now, signal, reading.value);
    }

    /// Forgets a signal that comes from elsewhere than before, or from nowhere.
    pub fn forget_signal(&mut self, signal: Signal) {
        self.signals.remove(&signal);
        self.normal.forget(signal);
        if signal == Signal::ErrorRate {
            self.errors = CounterRate::default();
        }
    }

    /// Errors per second, as the source counts them.
    fn note_errors(&mut self, at: Timestamp, count: &ErrorCount) {
        let reading = SignalReading {
            at,
            value: self.errors.observe(at, count.total),
            problem: count.problem.clone(),
        };
        self.signal(Signal::ErrorRate, &reading);
    }

    /// Takes in one poll.
    pub fn observe(&mut self, at: Timestamp, sample: &Sample) {
        let now = self.moment(at);
        self.follow(&sample.partitions);
        let mut shown = Shown::by(at);
        let seen = sample.partitions.values();
        for (partition, seen) in self.partitions.values_mut().zip(seen) {
            let partition = Arc::make_mut(partition);
            let step = partition.observe(now, seen, sample.consumers);
            if let Some(count) = step.and_then(|step| step.arrived) {
                self.arrivals.add(at, count);
            }
            let values = note_normal(partition, now);
            shown.add(partition, values);
        }
        let together = self.put_together(at, &shown);
        if let Some(together) = &together {
            self.note_arrivals(together);
        }
        self.consumers = sample.consumers;
        self.holders.clone_from(&sample.holders);
        self.busy.observe(at, sample.holders.as_ref());
        self.read_limit_per_second = sample.read_limit_per_second;
        self.learn(at, together, &shown);
        self.note_whole(now, &shown);
        if let Some(count) = &sample.errors {
            self.note_errors(at, count);
        }
        self.observed_at = Some(at);
        self.first_observed_at.get_or_insert(at);
    }

    /// Knows exactly the partitions that a poll saw.
    fn follow(&mut self, seen: &BTreeMap<PartitionId, PartitionObservation>) {
        if !self.partitions.keys().eq(seen.keys()) {
            self.partitions.retain(|id, _| seen.contains_key(id));
            for id in seen.keys() {
                self.partitions.entry(id.clone()).or_default();
            }
        }
    }

    /// What is new of all partitions together; `None` if that has to wait for one of them.
    fn put_together(&mut self, at: Timestamp, shown: &Shown) -> Option<Together> {
        let until = shown.read_until;
        let is_known = until.is_some_and(|until| at.since(until) <= WAITS_FOR);
        let until = until.filter(|_| is_known).unwrap_or(at);
        let Some(since) = self.known_until else {
            self.known_until = Some(at);
            return None;
        };
        if until <= since {
            return None;
        }
        self.known_until = Some(until);
        let mut step = PartitionStep::NOTHING;
        for partition in self.partitions.values_mut() {
            let partition = Arc::make_mut(partition);
            partition.waiting.take_until(since);
            step = step.and(partition.waiting.take_until(until));
        }
        Some(Together {
            since,
            until,
            step: if is_known {
                step
            } else {
                PartitionStep::default()
            },
        })
    }

    fn note_arrivals(&mut self, together: &Together) {
        let Some(count) = together.step.arrived else {
            self.arrivals_known_since = None;
            return self.arrival.clear();
        };
        self.arrivals_known_since.get_or_insert(together.since);
        self.arrival.add(together.until, together.covered(), count);
    }

    /// Messages that arrived within `window` before `now`, at least.
    pub fn arrived_within(&self, window: Duration, now: Timestamp) -> u64 {
        self.arrivals.within(window, now)
    }

    /// The longest pause between arrivals within the hour before the last, of those shorter than `most`; `None` where too few were
    /// seen, or messages come in bursts.
    pub fn longest_pause(&self, most: Duration, bridged: Duration) -> Option<Duration> {
        self.arrivals.longest_pause(most, bridged)
    }

    /// Whether every arrival of the last `window` would have been seen.
    pub fn watched_for(&self, window: Duration, now: Timestamp) -> bool {
        let known_until = self.known_until.unwrap_or(now);
        self.arrivals_known_since
            .is_some_and(|since| known_until.since(since) >= window)
    }

    /// When the group was first observed.
    pub fn first_observed_at(&self) -> Option<Timestamp> {
        self.first_observed_at
    }
}
