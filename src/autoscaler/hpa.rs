//! The HPA: from a metric and the current replicas to the next count.

mod history;
mod reading;
mod spec;

use crate::model::time::Timestamp;

use history::History;

pub use reading::ExternalReading;
pub use spec::HpaSpec;

/// One HPA over time.
#[derive(Clone, Debug, Default)]
pub struct Hpa {
    spec: HpaSpec,
    history: History,
}

impl Hpa {
    /// An HPA without a past.
    pub fn new(spec: HpaSpec) -> Self {
        Self {
            spec,
            ..Self::default()
        }
    }

    /// The next replica count at a sync, `current` being the replicas that exist (the scale's status); not 0, where an HPA is
    /// at rest. Metrics that are missing (`None`) can hold the count up but not take it down; with all of them missing it stays.
    /// Out of bounds it returns to the bound, whatever the metrics say.
    pub fn sync(
        &mut self,
        now: Timestamp,
        current: u32,
        metrics: &[Option<ExternalReading>],
    ) -> u32 {
        self.history.begin(now, current);
        let bounded = self.bound(current);
        let next = if bounded == current {
            self.follow(now, current, metrics)
        } else {
            bounded
        };
        self.history.moved(now, current, next);
        next
    }

    fn bound(&self, replicas: u32) -> u32 {
        let least = self.spec.min_replicas.max(1);
        replicas.min(self.spec.max_replicas).max(least)
    }

    fn follow(&mut self, now: Timestamp, current: u32, metrics: &[Option<ExternalReading>]) -> u32 {
        let known = metrics.iter().flatten();
        let known: Vec<u32> = known.map(|metric| self.wanted(*metric, current)).collect();
        let Some(most) = known.iter().copied().max() else {
            return current;
        };
        let any_missing = known.len() < metrics.len();
        let wanted = if any_missing { most.max(current) } else { most };
        let stabilized = self.history.stabilize(&self.spec, now, current, wanted);
        let limit = self.history.limit_of_rise(&self.spec, now, current);
        self.bound(stabilized.min(limit))
    }

    /// One metric's replicas: unchanged within the tolerance, else ⌈value ÷ target⌉.
    fn wanted(&self, reading: ExternalReading, current: u32) -> u32 {
        let ratio = reading.value_milli as f64 / (reading.target_milli as f64 * f64::from(current));
        let within =
            (1.0 - self.spec.tolerance_down..=1.0 + self.spec.tolerance_up).contains(&ratio);
        if within {
            return current;
        }
        u32::try_from(reading.value_milli.div_ceil(reading.target_milli)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const SYNC: Duration = Duration::from_secs(15);

    fn at(sync: u32) -> Timestamp {
        Timestamp::from_millis(1_000_000).plus(SYNC * sync)
    }

    fn reading(value: f64, target: f64) -> ExternalReading {
        ExternalReading::of_wire(0, value, 0, target).unwrap()
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
    fn without_a_behavior_a_rise_doubles_or_goes_to_4() {
        let spec = HpaSpec {
            has_behavior: false,
            ..HpaSpec::default()
        };
        let mut hpa = Hpa::new(spec);
        let mut counts = vec![1];
        while *counts.last().unwrap() < 30 {
            let current = *counts.last().unwrap();
            let metric = [Some(reading(30.0, 1.0))];
            counts.push(hpa.sync(at(counts.len() as u32), current, &metric));
        }
        // As seen on Kubernetes 1.35.
        assert_eq!(counts, [1, 4, 8, 16, 30]);
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
        let sync =
            |metrics: &[Option<ExternalReading>]| Hpa::new(spec.clone()).sync(at(0), 4, metrics);
        assert_eq!(sync(&[Some(reading(2.0, 1.0)), Some(reading(6.0, 1.0))]), 6);
        assert_eq!(sync(&[Some(reading(2.0, 1.0)), None]), 4);
        assert_eq!(sync(&[Some(reading(6.0, 1.0)), None]), 6);
        assert_eq!(sync(&[None]), 4);
        assert_eq!(sync(&[]), 4);
    }

    #[test]
    fn keda_s_end_to_end_figures_of_the_push_scaler_stop_at_their_maximum() {
        let spec = HpaSpec {
            max_replicas: 3,
            stabilization_down: Duration::ZERO,
            ..HpaSpec::default()
        };
        let mut hpa = Hpa::new(spec);
        assert_eq!(hpa.sync(at(0), 1, &[Some(reading(22.222, 6.111))]), 3);
        assert_eq!(
            hpa.sync(at(1), 3, &[ExternalReading::of_wire(0, 0.0, 6, 6.111)]),
            1
        );
    }

    #[test]
    fn a_tolerance_of_zero_passes_every_step() {
        let check = |value, tolerance_up, tolerance_down, expect| {
            let spec = HpaSpec {
                tolerance_up,
                tolerance_down,
                stabilization_down: Duration::ZERO,
                ..HpaSpec::default()
            };
            let next = Hpa::new(spec).sync(at(0), 40, &[Some(reading(value, 1.0))]);
            assert_eq!(
                next, expect,
                "{value} up {tolerance_up} down {tolerance_down}"
            );
        };
        check(41.0, 0.0, 0.1, 41);
        check(39.0, 0.0, 0.1, 40);
        check(39.0, 0.1, 0.0, 39);
        check(41.0, 0.1, 0.0, 40);
        check(40.0, 0.0, 0.0, 40);
    }

    #[test]
    fn out_of_bounds_it_returns_to_the_bound_even_without_a_metric() {
        let spec = HpaSpec {
            min_replicas: 4,
            max_replicas: 10,
            ..HpaSpec::default()
        };
        let sync = |current, metric| Hpa::new(spec.clone()).sync(at(0), current, &[metric]);
        assert_eq!(sync(12, None), 10);
        assert_eq!(sync(12, Some(reading(50.0, 1.0))), 10);
        assert_eq!(sync(2, None), 4);
        assert_eq!(sync(7, None), 7);
    }

    proptest! {
        #[test]
        fn without_windows_the_count_lies_between_what_runs_and_what_is_wanted(
            syncs in prop::collection::vec((1_u64..40, 0_i64..300), 1..60),
        ) {
            let mut hpa = Hpa::new(HpaSpec { stabilization_down: Duration::ZERO, ..HpaSpec::default() });
            let (mut now, mut current) = (at(0), 1);
            for (passed, value) in syncs {
                now = now.plus(Duration::from_secs(passed));
                let next = hpa.sync(now, current, &[ExternalReading::of_wire(value, 0.0, 1, 0.0)]);
                let wanted = (value as u32).clamp(1, 100);
                prop_assert!((current.min(wanted)..=current.max(wanted)).contains(&next));
                current = next;
            }
        }

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
