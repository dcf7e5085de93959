//! What an HPA remembers between syncs: its recommendations, for the stabilization windows, and its moves, for the limit on rises.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::time::Timestamp;

use super::spec::HpaSpec;

/// Kubernetes' `scaleUpLimitMinimum`.
const LEAST_LIMIT_WITHOUT_BEHAVIOR: u32 = 4;

/// The past that the next sync depends on; no more of it than that.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// Unstabilized recommendations; `None` before the first sync.
    recommendations: Option<VecDeque<(Timestamp, u32)>>,
    /// Replicas added within the last period, or taken away (negative).
    moves: VecDeque<(Timestamp, i64)>,
}

impl History {
    /// The count it starts from counts as a recommendation: a new HPA falls no sooner than an old one.
    pub(super) fn begin(&mut self, now: Timestamp, current: u32) {
        self.recommendations
            .get_or_insert_with(|| VecDeque::from([(now, current)]));
    }

    /// What the windows make of `wanted`, which is remembered for the windows to come. Without a `behavior` the largest recommendation
    /// of the window for falls counts for rises, too, as in `stabilizeRecommendation` of Kubernetes' HPA controller.
    pub(super) fn stabilize(
        &mut self,
        spec: &HpaSpec,
        now: Timestamp,
        current: u32,
        wanted: u32,
    ) -> u32 {
        let longest = spec.stabilization_up.max(spec.stabilization_down);
        let past = self.recommendations.get_or_insert_default();
        past.retain(|(at, _)| now.since(*at) < longest);
        let within = |window: Duration| {
            past.iter()
                .filter(move |(at, _)| now.since(*at) < window)
                .map(|(_, wanted)| *wanted)
        };
        let least = within(spec.stabilization_up).fold(wanted, u32::min);
        let most = within(spec.stabilization_down).fold(wanted, u32::max);
        past.push_back((now, wanted));
        match spec.has_behavior {
            true => current.max(least).min(most),
            false => most,
        }
    }

    /// The most replicas a rise may reach now, never less than `current`: it limits rises and causes no fall.
    pub(super) fn limit_of_rise(&mut self, spec: &HpaSpec, now: Timestamp, current: u32) -> u32 {
        if !spec.has_behavior {
            return current.saturating_mul(2).max(LEAST_LIMIT_WITHOUT_BEHAVIOR);
        }
        self.moves
            .retain(|(at, _)| now.since(*at) < spec.scale_up_period);
        let moved: i64 = self.moves.iter().map(|(_, by)| by).sum();
        let start = u32::try_from((i64::from(current) - moved).max(0)).unwrap_or(u32::MAX);
        let by_ratio = (f64::from(start) * (1.0 + spec.scale_up_ratio)).ceil() as u32;
        by_ratio
            .max(start.saturating_add(spec.scale_up_pods))
            .max(current)
    }

    /// Remembers a move.
    pub(super) fn moved(&mut self, now: Timestamp, from: u32, to: u32) {
        if from != to {
            self.moves.push_back((now, i64::from(to) - i64::from(from)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ExternalReading, Hpa};
    use super::*;

    #[test]
    fn without_a_behavior_a_rise_goes_on_to_what_was_wanted_before() {
        // As measured: 27 were wanted when the limit allowed 16, and 17 at the next sync.
        let after_two_syncs = |has_behavior| {
            let mut hpa = Hpa::new(HpaSpec {
                has_behavior,
                ..HpaSpec::default()
            });
            let wants = |n: f64| {
                [Some(
                    ExternalReading::of_wire(0, n, 0, 1.0).expect("a reading"),
                )]
            };
            let first = hpa.sync(at(0), 8, &wants(27.0));
            hpa.sync(at(15), first, &wants(17.0))
        };
        assert_eq!((after_two_syncs(true), after_two_syncs(false)), (16, 27));
    }

    fn at(second: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000).plus(Duration::from_secs(second))
    }

    fn whole(value: i64) -> [Option<ExternalReading>; 1] {
        [ExternalReading::of_wire(value, 0.0, 1, 0.0)]
    }

    fn without_window_down() -> HpaSpec {
        HpaSpec {
            stabilization_down: Duration::ZERO,
            ..HpaSpec::default()
        }
    }

    /// The counts that one HPA goes through, synced at these seconds with these values.
    fn counts(spec: HpaSpec, start: u32, syncs: &[(u64, i64)]) -> Vec<u32> {
        let mut hpa = Hpa::new(spec);
        let mut current = start;
        let sync = |(second, value): &(u64, i64)| {
            current = hpa.sync(at(*second), current, &whole(*value));
            current
        };
        syncs.iter().map(sync).collect()
    }

    #[test]
    fn a_new_hpa_holds_the_count_it_found_for_the_whole_window() {
        assert_eq!(
            counts(HpaSpec::default(), 8, &[(0, 2), (285, 2), (300, 2)]),
            [8, 8, 2]
        );
        assert_eq!(counts(without_window_down(), 8, &[(0, 2)]), [2]);
    }

    #[test]
    fn a_fall_soon_after_a_rise_goes_where_the_metric_says_and_no_further() {
        assert_eq!(
            counts(without_window_down(), 10, &[(0, 40), (5, 12), (10, 12)]),
            [20, 12, 12]
        );
    }

    #[test]
    fn replicas_taken_away_within_the_period_count_for_its_start() {
        // 20 at the start of the period, so 40 are allowed although only 5 run.
        assert_eq!(
            counts(without_window_down(), 20, &[(0, 5), (5, 60), (20, 60)]),
            [5, 40, 60]
        );
    }

    #[test]
    fn syncs_within_one_period_share_its_rise() {
        assert_eq!(
            counts(
                HpaSpec::default(),
                1,
                &[(0, 50), (5, 50), (10, 50), (15, 50)]
            ),
            [5, 5, 5, 10]
        );
    }

    #[test]
    fn a_window_on_rises_waits_for_the_smallest_recommendation() {
        let spec = HpaSpec {
            stabilization_up: Duration::from_secs(60),
            ..HpaSpec::default()
        };
        assert_eq!(
            counts(spec, 3, &[(0, 6), (45, 6), (60, 6), (75, 6)]),
            [3, 3, 6, 6]
        );
    }
}
