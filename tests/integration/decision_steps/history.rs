//! Random groups over time, and what is decided of them.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::downstream::Breaker;
use streamgauge::model::facts::{GroupFacts, PartitionFacts};
use streamgauge::model::forecast::ForecastFacts;
use streamgauge::model::group::GroupModel;
use streamgauge::model::identity::{Assignment, PartitionId};
use streamgauge::model::quantity::Quantity;
use streamgauge::model::time::Timestamp;
use streamgauge::policy::decide::decide;
use streamgauge::policy::decision::Decision;
use streamgauge::policy::forecast::Forecasting;
use streamgauge::policy::spec::{Measure, Mode, PolicySettings, TargetSpec};
use streamgauge::policy::target::TargetState;
use streamgauge::scaled_object::{ObjectSettings, Pause, ReplicasObserved};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// What one decision looks at.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Arrivals per second, how many times that in the newest interval, waiting messages, of these only to be committed; for each
    /// partition.
    partitions: Vec<(f64, f64, u64, u64)>,
    after_seconds: u64,
    certain: bool,
    capacity: Option<f64>,
    proven: Option<f64>,
    pods: Option<(u32, u32)>,
    processing: f64,
    lost: f64,
    outage: u8,
    forecast: Option<f64>,
    without_group: bool,
}

pub fn moment() -> impl Strategy<Value = Moment> {
    let backlog =
        prop_oneof![3 => Just(0_u64), 1 => 0_u64..3, 3 => 0_u64..2_000, 1 => 0_u64..200_000];
    let arrival = prop_oneof![1 => Just(0.0), 3 => 0.0..300.0];
    let newest = prop_oneof![4 => Just(1.0), 1 => 1.0..8.0];
    let partition = (
        arrival,
        newest,
        backlog,
        prop_oneof![3 => Just(0), 1 => 0_u64..500],
    );
    let rarely = |odds: u32, rate: std::ops::Range<f64>| prop_oneof![odds => Just(None), 1 => rate.prop_map(Some)];
    (
        (prop::collection::vec(partition, 1..7), 5_u64..90),
        (
            prop::bool::weighted(0.8),
            rarely(2, 5.0..200.0),
            rarely(2, 5.0..200.0),
        ),
        (prop::option::of((0_u32..30, 0_u32..5)), 0.0..900.0),
        (
            rarely(6, 1.0..50.0),
            0_u8..12,
            rarely(3, 1.0..3.0),
            prop::bool::weighted(0.1),
        ),
    )
        .prop_map(
            |(
                (partitions, after_seconds),
                (certain, capacity, proven),
                (pods, processing),
                (lost, outage, forecast, without_group),
            )| Moment {
                partitions,
                after_seconds,
                certain,
                capacity,
                proven,
                pods,
                processing,
                lost: lost.unwrap_or(0.0),
                outage,
                forecast,
                without_group,
            },
        )
}

pub fn spec() -> impl Strategy<Value = TargetSpec> {
    let mode = prop_oneof![
        6 => Just(Mode::Replicas),
        1 => Just(Mode::Jobs),
        1 => Just(Mode::Backlog { threshold: 10, measure: Measure::Backlog }),
        1 => Just(Mode::Backlog { threshold: 64, measure: Measure::UnprocessedEvents }),
    ];
    let assignment = prop_oneof![Just(Assignment::Shared), Just(Assignment::Exclusive)];
    (
        mode,
        assignment,
        0_u32..3,
        3_u32..40,
        1_u32..3,
        prop::bool::ANY,
        prop_oneof![Just(5), Just(300)].prop_map(Duration::from_secs),
    )
        .prop_map(|(mode, assignment, min, max, consumers, foresees, hold)| {
            let forecast = if foresees {
                Forecasting::On
            } else {
                Forecasting::Off
            };
            PolicySettings {
                mode: Some(mode),
                assignment: Some(assignment),
                min_replicas: Some(min),
                max_replicas: Some(max),
                consumers_per_replica: Some(consumers),
                forecast: Some(forecast),
                scale_in_hold: Some(hold),
                ..PolicySettings::default()
            }
            .resolve()
        })
}

impl Moment {
    fn facts(&self, now: Timestamp) -> GroupFacts {
        let partition = |(n, of): (usize, &(f64, f64, u64, u64))| {
            let (arrival, newest, waiting, uncommitted) = *of;
            let facts = PartitionFacts {
                lacks_group: self.without_group && n == 0,
                backlog: Some(Quantity::Exact(waiting + uncommitted)),
                lag: Some(Quantity::Exact(waiting)),
                uncommitted: (uncommitted > 0).then_some(uncommitted),
                arrival_per_second: Some(arrival),
                newest_arrival_per_second: Some(arrival * newest),
                steady_arrival_per_second: Some(arrival),
                peak_arrival_per_second: Some(arrival * 3.0),
                processing_per_second: Some(self.processing / self.partitions.len() as f64),
                oldest_age_seconds: Some(waiting as f64 / 100.0),
                owner: self.outage.is_multiple_of(3).then(|| (n % 3).to_string()),
                owned_since: Some(now.minus(Duration::from_secs(self.after_seconds * 4))),
                stalled_since: (self.outage == 6 && n == 1)
                    .then(|| now.minus(Duration::from_secs(900))),
                ..PartitionFacts::default()
            };
            (PartitionId::new(n.to_string()), facts)
        };
        let partitions: BTreeMap<_, _> =
            self.partitions.iter().enumerate().map(partition).collect();
        let sum = |of: fn(&PartitionFacts) -> Option<Quantity>| {
            let sum = partitions
                .values()
                .filter_map(of)
                .map(Quantity::value)
                .sum();
            let exact = if self.certain {
                Quantity::Exact
            } else {
                Quantity::AtLeast
            };
            Some(exact(sum))
        };
        let arrivals = partitions
            .values()
            .filter_map(|p| p.arrival_per_second)
            .sum();
        let forecast = self.forecast.map(|ratio| ForecastFacts {
            per_second: arrivals,
            upper_per_second: arrivals * ratio,
            largest_per_second: arrivals * ratio * 1.2,
            ..ForecastFacts::default()
        });
        let ages = partitions.values().filter_map(|p| p.oldest_age_seconds);
        GroupFacts {
            backlog: sum(|p| p.backlog),
            backlog_or_length: sum(|p| p.backlog),
            lag: sum(|p| p.lag),
            oldest_age_seconds: Some(ages.fold(0.0, f64::max)),
            waiting_seconds: Some(0.0),
            arrival_per_second: Some(arrivals),
            processing_per_second: Some(self.processing),
            lost_per_second: self.lost,
            read_limit_per_second: (self.outage == 3).then_some(100.0),
            capacity_per_consumer: self.capacity,
            seen_per_consumer: self.proven,
            proven_per_consumer: self.proven,
            capacity_samples: (3, 8),
            breaker: match self.outage {
                0 => Breaker::Open(now.minus(Duration::from_secs(60))),
                1 => Breaker::HalfOpen(now.minus(Duration::from_secs(30))),
                _ => Breaker::Closed,
            },
            forecast,
            consumers: Some(3),
            unknown_partitions: u32::from(!self.certain),
            partitions_without_group: u32::from(self.without_group),
            partitions,
            ..GroupFacts::default()
        }
    }

    fn replicas(&self) -> Option<ReplicasObserved> {
        let (ready, more) = self.pods?;
        Some(ReplicasObserved {
            current: Some(ready + more),
            asked: Some(ready + more),
            ready: Some(ready),
            object: ObjectSettings {
                triggers: if self.outage == 7 { 2 } else { 1 },
                paused: (self.outage == 8).then_some(Pause::At(3)),
                tolerance_up_milli: (self.outage == 9).then_some(0),
                ..ObjectSettings::default()
            },
            ..ReplicasObserved::default()
        })
    }
}

/// Every decision of one history.
pub fn decisions(spec: TargetSpec, moments: &[Moment]) -> Vec<Decision> {
    let model = GroupModel::new(CapacityRules::default());
    let mut target = TargetState::new(spec, START.minus(Duration::from_secs(60)));
    let mut now = START;
    let decide = |moment: &Moment| {
        now = now.plus(Duration::from_secs(moment.after_seconds));
        if let Some(replicas) = moment.replicas() {
            target.replicas.observed(now, &Ok(replicas));
        }
        let decision = decide(now, &model, &moment.facts(now), &mut target);
        target.last_desired = decision.desired.or(target.last_desired);
        target.last_metric = decision.metric.or(target.last_metric);
        target.last_active = decision.active.or(target.last_active);
        decision
    };
    moments.iter().map(decide).collect()
}
