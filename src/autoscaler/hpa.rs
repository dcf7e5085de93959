//! The HPA: from a metric and the current replicas to the next count.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::time::Timestamp;

/// What an HPA is configured with. The defaults are Kubernetes' own.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaSpec {
    /// Never fewer; at least 1.
    pub min_replicas: u32,
    /// Never more.
    pub max_replicas: u32,
    /// A ratio up to 1 + this stays where it is (`behavior.scaleUp.tolerance`).
    pub tolerance_up: f64,
    /// A ratio down to 1 − this stays where it is.
    pub tolerance_down: f64,
    /// The smallest recommendation of this time holds back a rise.
    pub stabilization_up: Duration,
    /// The largest recommendation of this time holds back a fall.
    pub stabilization_down: Duration,
    /// A rise within `scale_up_period` adds at most this share of the count at its start …
    pub scale_up_ratio: f64,
    /// … or so many pods, whichever is more.
    pub scale_up_pods: u32,
    /// The period of the two limits on rises. Falls are not limited (100 % per 15 s).
    pub scale_up_period: Duration,
}

impl Default for HpaSpec {
    fn default() -> Self {
        Self {
            min_replicas: 1,
            max_replicas: 100,
            tolerance_up: 0.1,
            tolerance_down: 0.1,
            stabilization_up: Duration::ZERO,
            stabilization_down: Duration::from_secs(300),
            scale_up_ratio: 1.0,
            scale_up_pods: 4,
            scale_up_period: Duration::from_secs(15),
        }
    }
}

/// One external metric as KEDA's metrics server hands it on, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The value.
    pub value_milli: u64,
    /// The target per replica; not 0.
    pub target_milli: u64,
}

impl Reading {
    /// From the number pairs of the protocol: the float counts if it is above 0, else the integer. Three decimals are kept,
    /// cut off; what is no finite positive number becomes 0. `None` if the target is 0.
    pub fn of_wire(value: i64, value_float: f64, target: i64, target_float: f64) -> Option<Self> {
        let target_milli = milli(target, target_float);
        (target_milli > 0).then(|| Self {
            value_milli: milli(value, value_float),
            target_milli,
        })
    }
}

fn milli(int: i64, float: f64) -> u64 {
    if float.is_finite() && float > 0.0 {
        // Nudged, so that 0.29 does not become 289 thousandths.
        (float * 1000.0 + 1e-6) as u64
    } else {
        u64::try_from(int).unwrap_or(0).saturating_mul(1000)
    }
}

/// One HPA over time.
#[derive(Clone, Debug, Default)]
pub struct Hpa {
    spec: HpaSpec,
    recommendations: VecDeque<(Timestamp, u32)>,
    /// Rises within the last period: when, and by how many.
    rises: VecDeque<(Timestamp, u32)>,
}

impl Hpa {
    /// An HPA without a past.
    pub fn new(spec: HpaSpec) -> Self {
        Self {
            spec,
            ..Self::default()
        }
    }

    /// The next replica count at a sync. Metrics that are missing (`None`) can hold the count up but not take it down; with
    /// all of them missing it stays.
    pub fn sync(&mut self, now: Timestamp, current: u32, metrics: &[Option<Reading>]) -> u32 {
        let known: Vec<u32> = metrics
            .iter()
            .flatten()
            .map(|reading| self.wanted(*reading, current))
            .collect();
        let Some(mut wanted) = known.iter().copied().max() else {
            return current;
        };
        if known.len() < metrics.len() {
            wanted = wanted.max(current);
        }
        let stabilized = self.stabilize(now, current, wanted);
        let limited = stabilized.min(self.limit_of_rise(now, current));
        let next = limited.clamp(self.spec.min_replicas.max(1), self.spec.max_replicas);
        if next > current {
            self.rises.push_back((now, next - current));
        }
        next
    }

    /// One metric's replicas: unchanged within the tolerance, else ⌈value ÷ target⌉.
    fn wanted(&self, reading: Reading, current: u32) -> u32 {
        let ratio = reading.value_milli as f64 / (reading.target_milli as f64 * f64::from(current));
        let within =
            (1.0 - self.spec.tolerance_down..=1.0 + self.spec.tolerance_up).contains(&ratio);
        if within {
            return current;
        }
        u32::try_from(reading.value_milli.div_ceil(reading.target_milli)).unwrap_or(u32::MAX)
    }

    fn stabilize(&mut self, now: Timestamp, current: u32, wanted: u32) -> u32 {
        let longest = self.spec.stabilization_up.max(self.spec.stabilization_down);
        self.recommendations
            .retain(|(at, _)| now.since(*at) < longest);
        self.recommendations.push_back((now, wanted));
        let within = |window: Duration| {
            let inside = move |at: Timestamp| at == now || now.since(at) < window;
            self.recommendations
                .iter()
                .filter(move |(at, _)| inside(*at))
                .map(|(_, wanted)| *wanted)
        };
        let least = within(self.spec.stabilization_up).min().unwrap_or(wanted);
        let most = within(self.spec.stabilization_down).max().unwrap_or(wanted);
        current.max(least).min(most)
    }

    fn limit_of_rise(&mut self, now: Timestamp, current: u32) -> u32 {
        let period = self.spec.scale_up_period;
        self.rises.retain(|(at, _)| now.since(*at) < period);
        let risen: u32 = self.rises.iter().map(|(_, by)| by).sum();
        let start = current.saturating_sub(risen);
        let by_ratio = (f64::from(start) * (1.0 + self.spec.scale_up_ratio)).ceil() as u32;
        by_ratio.max(start.saturating_add(self.spec.scale_up_pods))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SYNC: Duration = Duration::from_secs(15);

    fn at(sync: u32) -> Timestamp {
        Timestamp::from_millis(1_000_000).plus(SYNC * sync)
    }

    fn reading(value: f64, target: f64) -> Reading {
        Reading::of_wire(0, value, 0, target).unwrap()
    }

    /// One sync from `current`, without limits on rises.
    fn next(value: f64, target: f64, current: u32) -> u32 {
        let spec = HpaSpec {
            scale_up_pods: 1_000,
            stabilization_down: Duration::ZERO,
            ..HpaSpec::default()
        };
        Hpa::new(spec).sync(at(0), current, &[Some(reading(value, target))])
    }

    #[test]
    fn the_arithmetic_is_kubernetes_own() {
        let check = |value, target, current, expect, why: &str| {
            assert_eq!(
                next(value, target, current),
                expect,
                "{why}: {value} / {target} at {current}"
            );
        };
        check(
            7.0,
            1.0,
            3,
            7,
            "target 1 and an integer value are a replica count",
        );
        check(
            1.0,
            1.0 / 3.0,
            1,
            4,
            "a fractional target is cut to 333 milli: one too many",
        );
        check(10.0, 1.0, 9, 10, "+1 passes up to 9");
        check(11.0, 1.0, 10, 10, "+1 is swallowed from 10 on");
        check(9.0, 1.0, 10, 10, "and −1 likewise");
        check(12.0, 1.0, 10, 12, "11·C/10 + 1 passes");
        check(8.01, 1.0, 10, 9, "R − 1 + 0.01 passes");
        check(17.01, 1.0, 19, 18, "to 19");
        check(18.01, 1.0, 20, 20, "and no further");
        check(8.000_1, 1.0, 10, 8, "below a thousandth nothing is left");
        check(30.0, 10.0, 1, 3, "KEDA's end-to-end figures");
        check(20.0, 10.0, 1, 2, "KEDA's end-to-end figures");
        check(0.0, 10.0, 3, 1, "the HPA's own minimum is 1");
        check(22.222, 6.111, 1, 4, "before the maximum of 3 there");
    }

    #[test]
    fn number_pairs_of_the_protocol_become_thousandths() {
        let check = |value, float, expect| {
            let reading = Reading::of_wire(value, float, 1, 0.0).unwrap();
            assert_eq!(reading.value_milli, expect, "{value} {float}");
        };
        check(3, 2.5, 2_500);
        check(3, 0.0, 3_000);
        check(3, f64::NAN, 3_000);
        check(-3, f64::NEG_INFINITY, 0);
        check(0, 0.29, 290);
        check(0, 0.000_9, 0);
        assert_eq!(Reading::of_wire(1, 1.0, 0, 0.0), None);
    }

    #[test]
    fn fifty_replicas_from_one_take_about_75_seconds_by_default() {
        let mut hpa = Hpa::default();
        let mut counts = vec![1];
        while *counts.last().unwrap() < 50 {
            let current = *counts.last().unwrap();
            counts.push(hpa.sync(
                at(counts.len() as u32),
                current,
                &[Some(reading(50.0, 1.0))],
            ));
        }
        assert_eq!(counts, [1, 5, 10, 20, 40, 50]);
    }

    #[test]
    fn a_fall_waits_for_the_largest_recommendation_of_five_minutes_and_a_rise_does_not() {
        let mut hpa = Hpa::default();
        assert_eq!(hpa.sync(at(0), 8, &[Some(reading(8.0, 1.0))]), 8);
        for sync in 1..20 {
            assert_eq!(
                hpa.sync(at(sync), 8, &[Some(reading(2.0, 1.0))]),
                8,
                "{sync}"
            );
        }
        assert_eq!(hpa.sync(at(20), 8, &[Some(reading(2.0, 1.0))]), 2);
        assert_eq!(hpa.sync(at(21), 2, &[Some(reading(6.0, 1.0))]), 6);
    }

    #[test]
    fn several_metrics_take_the_largest_and_a_missing_one_only_keeps_it_from_falling() {
        let spec = HpaSpec {
            stabilization_down: Duration::ZERO,
            ..HpaSpec::default()
        };
        let sync = |metrics: &[Option<Reading>]| Hpa::new(spec.clone()).sync(at(0), 4, metrics);
        assert_eq!(sync(&[Some(reading(2.0, 1.0)), Some(reading(6.0, 1.0))]), 6);
        assert_eq!(sync(&[Some(reading(2.0, 1.0)), None]), 4);
        assert_eq!(sync(&[Some(reading(6.0, 1.0)), None]), 6);
        assert_eq!(sync(&[None]), 4);
        assert_eq!(sync(&[]), 4);
    }

    proptest! {
        #[test]
        fn the_count_stays_within_its_bounds_and_rises_by_no_more_than_allowed(
            values in prop::collection::vec(prop::option::of(0.0_f64..300.0), 1..40),
        ) {
            let mut hpa = Hpa::default();
            let mut current = 1;
            for (sync, value) in values.into_iter().enumerate() {
                let next = hpa.sync(at(sync as u32), current, &[value.map(|v| reading(v, 1.0))]);
                prop_assert!((1..=100).contains(&next));
                prop_assert!(next <= (2 * current).max(current + 4));
                current = next;
            }
        }
    }
}
