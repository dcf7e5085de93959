//! How long the first unprocessed event has waited, from points that polls brought: the newest event of a moment and when it was
//! enqueued. Between two points it is interpolated; before the first one there is only a bound.

use std::collections::VecDeque;

use crate::model::sample::AgeMethod;
use crate::model::time::Timestamp;

/// Points kept per partition; when there are more, every other one goes.
const MAX_POINTS: usize = 256;

/// Known (sequence number, enqueued time) pairs of one partition, ascending.
#[derive(Clone, Debug, Default)]
pub struct EnqueuedTimes {
    points: VecDeque<(i64, Timestamp)>,
}

impl EnqueuedTimes {
    /// Adds the newest event. Numbers that went back belong to another log: what was known is forgotten.
    pub fn add(&mut self, sequence_number: i64, at: Timestamp) {
        match self.points.back() {
            Some((last, _)) if *last == sequence_number => return,
            Some((last, time)) if *last > sequence_number || *time > at => self.points.clear(),
            _ => {}
        }
        self.points.push_back((sequence_number, at));
        if self.points.len() > MAX_POINTS {
            let mut nth = 0;
            self.points.retain(|_| {
                nth += 1;
                nth % 2 == 1 || nth > MAX_POINTS
            });
        }
    }

    /// The newest point known.
    pub fn newest(&self) -> Option<(i64, Timestamp)> {
        self.points.back().copied()
    }

    /// The oldest event known to have been enqueued after `at`.
    pub fn first_after(&self, at: Timestamp) -> Option<i64> {
        let mut points = self.points.iter();
        points
            .find(|(_, time)| *time > at)
            .map(|(number, _)| *number)
    }

    /// When the event of that number was enqueued, and how that is known. A bound is the latest time that it can be.
    pub fn of(&self, sequence_number: i64) -> Option<(Timestamp, AgeMethod)> {
        let after = self
            .points
            .iter()
            .position(|(number, _)| *number >= sequence_number)?;
        let (number, at) = self.points[after];
        if number == sequence_number {
            return Some((at, AgeMethod::Exact));
        }
        let Some((before, then)) = after.checked_sub(1).map(|n| self.points[n]) else {
            return Some((at, AgeMethod::Bounded));
        };
        let share = (sequence_number - before) as f64 / (number - before) as f64;
        let passed = at.since(then).mul_f64(share);
        Some((then.plus(passed), AgeMethod::Interpolated))
    }

    /// Forgets points that no event from `sequence_number` on needs.
    pub fn forget_before(&mut self, sequence_number: i64) {
        while self.points.len() > 1 && self.points[1].0 <= sequence_number {
            self.points.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(points: &[(i64, u64)]) -> EnqueuedTimes {
        let mut times = EnqueuedTimes::default();
        for (number, second) in points {
            times.add(*number, Timestamp::from_millis(second * 1000));
        }
        times
    }

    #[test]
    fn a_time_is_exact_at_a_point_interpolated_between_two_and_bounded_before_the_first() {
        let times = times(&[(100, 1000), (200, 1100), (200, 1100), (201, 1200)]);
        let check = |number: i64, expect: Option<(u64, AgeMethod)>| {
            let found = times
                .of(number)
                .map(|(at, how)| (at.as_millis() / 1000, how));
            assert_eq!(found, expect, "{number}");
        };
        check(99, Some((1000, AgeMethod::Bounded)));
        check(100, Some((1000, AgeMethod::Exact)));
        check(150, Some((1050, AgeMethod::Interpolated)));
        check(201, Some((1200, AgeMethod::Exact)));
        check(202, None);
    }

    #[test]
    fn another_log_under_the_same_name_starts_afresh() {
        let times = times(&[(100, 1000), (3, 1100)]);
        assert_eq!(
            times.of(2).map(|(_, how)| how),
            Some(AgeMethod::Bounded),
            "nothing of the old log is used"
        );
    }

    proptest! {
        #[test]
        fn however_many_polls_the_times_stay_ordered_and_the_memory_bounded(
            steps in prop::collection::vec((1_i64..50, 0_u64..9), 1..2000), asked in 0_i64..2000,
        ) {
            let mut times = EnqueuedTimes::default();
            let (mut number, mut second) = (0, 1000);
            for (events, seconds) in steps {
                number += events;
                second += seconds;
                times.add(number, Timestamp::from_millis(second * 1000));
            }
            prop_assert!(times.points.len() <= MAX_POINTS + 1);
            prop_assert_eq!(times.of(number), Some((Timestamp::from_millis(second * 1000), AgeMethod::Exact)));
            let (here, next) = (times.of(asked.min(number - 1)), times.of(asked.min(number - 1) + 1));
            prop_assert!(here.map(|(at, _)| at) <= next.map(|(at, _)| at));
            times.forget_before(number);
            prop_assert_eq!(times.points.len(), 1);
        }
    }
}
