//! A rate per second over a sliding window, from counted intervals. Intervals that cannot be trusted are left out.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;
use crate::model::tuning::rates::{
    BUCKET, ENDS, HANDFUL, HISTORY_STEP, LEAST_COVERED, LONGEST_ARRIVAL_WINDOW, PAUSES_TELL,
};

/// Counted intervals of the last so many seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateWindow {
    window: Duration,
    intervals: VecDeque<RateInterval>,
    /// Of all intervals together.
    covered: Duration,
    count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct RateInterval {
    end: Timestamp,
    covered: Duration,
    count: u64,
}

impl RateWindow {
    /// Averages over `window`.
    pub const fn new(window: Duration) -> Self {
        Self {
            window,
            intervals: VecDeque::new(),
            covered: Duration::ZERO,
            count: 0,
        }
    }

    /// Adds `count` messages counted over the `covered` time that ended at `end`.
    pub fn add(&mut self, end: Timestamp, covered: Duration, count: u64) {
        self.covered += covered;
        self.count += count;
        match self.intervals.back_mut() {
            Some(last) if last.covered + covered <= BUCKET && end.since(last.end) == covered => {
                last.end = end;
                last.covered += covered;
                last.count += count;
            }
            _ => self.intervals.push_back(RateInterval {
                end,
                covered,
                count,
            }),
        }
        while self.intervals.len() > 1
            && let Some(first) = self.intervals.front()
            && end.since(first.end) >= self.window
        {
            self.covered -= first.covered;
            self.count -= first.count;
            self.intervals.pop_front();
        }
    }

    /// Messages per second: all counted ÷ all covered time, of a few over five seconds at least; `None` before the first
    /// interval.
    pub fn per_second(&self) -> Option<f64> {
        (!self.covered.is_zero()).then(|| rate(self.count, self.covered))
    }

    /// As [`Self::per_second`], of a window that is only so long.
    pub fn per_second_within(&self, window: Duration) -> Option<f64> {
        let end = self.intervals.back()?.end;
        let (mut covered, mut count) = (Duration::ZERO, 0);
        let newest_first = self.intervals.iter().rev();
        for interval in newest_first.take_while(|i| end.since(i.end) < window) {
            covered += interval.covered;
            count += interval.count;
        }
        (!covered.is_zero()).then(|| rate(count, covered))
    }

    /// Messages per second in the newest interval alone.
    pub fn newest_per_second(&self) -> Option<f64> {
        let newest = self.intervals.back()?;
        Some(rate(newest.count, newest.covered))
    }

    /// Forgets everything once the newest interval is that old.
    pub fn expire(&mut self, now: Timestamp, after: Duration) {
        if self
            .intervals
            .back()
            .is_some_and(|last| now.since(last.end) >= after)
        {
            self.clear();
        }
    }

    /// Forgets everything, after a reset of the counter behind it.
    pub fn clear(&mut self) {
        self.intervals.clear();
        self.covered = Duration::ZERO;
        self.count = 0;
    }
}

fn rate(count: u64, covered: Duration) -> f64 {
    let least = LEAST_COVERED.mul_f64(HANDFUL as f64 / count.max(HANDFUL) as f64);
    count as f64 / covered.max(least).as_secs_f64()
}

/// How many messages arrived lately, for activation. Coarse on purpose: never fewer than truly arrived in the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ArrivalHistory {
    /// (end of the last interval that fell into the entry, messages)
    entries: VecDeque<(Timestamp, u64)>,
}

impl ArrivalHistory {
    /// Adds messages that arrived in the interval that ended at `end`.
    pub fn add(&mut self, end: Timestamp, count: u64) {
        if count > 0 {
            match self.entries.back_mut() {
                Some((last, sum))
                    if end.as_millis() / HISTORY_STEP.as_millis() as u64
                        == last.as_millis() / HISTORY_STEP.as_millis() as u64 =>
                {
                    *last = end;
                    *sum += count;
                }
                _ => self.entries.push_back((end, count)),
            }
            // Only now: what was usual when the last message came stays so until the next.
            while let Some((first, _)) = self.entries.front()
                && end.since(*first) > LONGEST_ARRIVAL_WINDOW
            {
                self.entries.pop_front();
            }
        }
    }

    /// Messages that arrived within `window` before `now`, rounded up to whole entries.
    pub fn within(&self, window: Duration, now: Timestamp) -> u64 {
        self.entries
            .iter()
            .rev()
            .take_while(|(end, _)| now.since(*end) < window)
            .map(|(_, count)| count)
            .sum()
    }

    /// The longest pause between arrivals, of those shorter than `most`; as coarse as the entries, and never shorter than the time
    /// between polls. `None` while fewer than ten were seen, and where messages come in bursts: then pauses of `most`
    /// and up to `bridged` more come again and again.
    pub fn longest_pause(&self, most: Duration, bridged: Duration) -> Option<Duration> {
        let (mut count, mut longest, mut between_bursts) = (0, Duration::ZERO, 0);
        let ends = self.entries.iter().map(|(end, _)| *end);
        for (one, next) in ends.clone().zip(ends.skip(1)) {
            let pause = next.since(one);
            if pause < most {
                count += 1;
                longest = longest.max(pause);
            } else if pause < most + bridged {
                between_bursts += 1;
            }
        }
        (count >= PAUSES_TELL && between_bursts <= ENDS).then_some(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tuning::rates::PROCESSING_WINDOW;

    const POLL: Duration = Duration::from_secs(5);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn a_burst_of_acknowledgements_is_spread_over_the_window() {
        let mut window = RateWindow::new(PROCESSING_WINDOW);
        assert_eq!(window.per_second(), None);
        for poll in 1..=6 {
            window.add(at(poll * 5), POLL, if poll % 3 == 0 { 300 } else { 0 });
        }
        assert_eq!(window.per_second(), Some(20.0));
    }

    #[test]
    fn a_burst_within_the_first_moments_is_not_taken_for_a_rate() {
        let mut window = RateWindow::new(PROCESSING_WINDOW);
        window.add(at(1), Duration::from_millis(200), 30);
        assert_eq!(window.per_second(), Some(6.0));
        window.add(at(1), Duration::ZERO, 70);
        assert_eq!(
            window.per_second(),
            Some(40.0),
            "half as long for twice as many"
        );
        let mut window = RateWindow::new(PROCESSING_WINDOW);
        window.add(at(1), Duration::from_secs(1), 400);
        assert_eq!(window.per_second(), Some(400.0), "many are a rate at once");
    }

    #[test]
    fn a_gap_counts_its_whole_time_and_a_dropped_interval_counts_nothing() {
        let mut window = RateWindow::new(PROCESSING_WINDOW);
        window.add(at(5), POLL, 50);
        window.add(at(65), Duration::from_secs(60), 1200);
        assert_eq!(
            window.per_second(),
            Some(20.0),
            "the old interval left the window"
        );
        // 65–70 s was dropped by the caller.
        window.add(at(75), POLL, 100);
        assert_eq!(window.per_second(), Some(20.0));
        window.clear();
        assert_eq!(window.per_second(), None);
    }

    #[test]
    fn polling_every_50_ms_keeps_few_entries_and_the_same_rate() {
        let mut window = RateWindow::new(PROCESSING_WINDOW);
        for poll in 1..=4_000_u64 {
            window.add(
                Timestamp::from_millis(poll * 50),
                Duration::from_millis(50),
                5,
            );
        }
        assert_eq!(window.per_second(), Some(100.0));
        assert!(window.intervals.len() <= 14, "{}", window.intervals.len());
    }

    #[test]
    fn arrivals_are_never_undercounted_within_the_window() {
        let mut history = ArrivalHistory::default();
        history.add(at(1), 7);
        history.add(at(2), 0);
        assert_eq!(history.within(Duration::from_secs(60), at(60)), 7);
        assert_eq!(history.within(Duration::from_secs(60), at(61)), 0);
    }

    /// The longest pause of arrivals that came so many seconds after another, polled every second.
    fn longest(pauses: &[u64]) -> Option<u64> {
        let mut history = ArrivalHistory::default();
        let mut now = 10;
        history.add(at(now), 1);
        for pause in pauses {
            for second in 1..*pause {
                history.add(at(now + second), 0);
            }
            now += pause;
            history.add(at(now), 1);
        }
        let longest = history.longest_pause(Duration::from_secs(45), Duration::from_secs(60));
        longest.map(|pause| pause.as_secs())
    }

    #[test]
    fn pauses_tell_how_regularly_messages_come() {
        let times = |n: usize, pauses: &[u64]| longest(&pauses.repeat(n));
        assert_eq!(times(9, &[10]), None, "too few");
        assert_eq!(times(10, &[10]), Some(10));
        assert_eq!(times(100, &[1]), Some(5), "as coarse as the entries");
        assert_eq!(times(10, &[10, 40]), Some(40));
        // It ended, and began again: once a quarter of an hour, or once at all.
        assert_eq!(
            longest(&[&[10; 10][..], &[900], &[10; 10], &[900]].concat()),
            Some(10)
        );
        assert_eq!(
            longest(&[&[10; 10][..], &[60], &[10; 10]].concat()),
            Some(10)
        );
        // Bursts.
        assert_eq!(times(10, &[10, 10, 60]), None);
        assert_eq!(times(20, &[45]), None);
        assert_eq!(times(10, &[10, 10, 104]), None);
        assert_eq!(
            times(10, &[10, 10, 105]),
            Some(10),
            "too far apart to wait for"
        );
        // Long ago.
        assert_eq!(longest(&[&[40; 10][..], &[10; 400]].concat()), Some(10));
        assert_eq!(longest(&[&[10; 10][..], &[3_595], &[900]].concat()), None);
    }
}
