//! Requests within the last hour, from a total that only grows.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::source::Requests;

const HOUR: Duration = Duration::from_secs(3_600);

/// Totals are kept this far apart: the hour is right to a minute.
const STEP: Duration = Duration::from_secs(60);

/// Totals of the last hour, oldest first.
#[derive(Debug, Default)]
pub struct HourlyRequests {
    totals: VecDeque<(Instant, Requests)>,
}

impl HourlyRequests {
    /// Notes the total of now.
    pub fn note(&mut self, total: Requests) {
        let now = Instant::now();
        if self.totals.back().is_some_and(|(at, _)| now - *at < STEP) {
            return;
        }
        self.totals.push_back((now, total));
        while self.totals.len() > 2 && now - self.totals[1].0 >= HOUR {
            self.totals.pop_front();
        }
    }

    /// (management, blob) requests per hour up to the total of now; `None` before a minute has passed.
    pub fn per_hour(&self, total: Requests) -> Option<(f64, f64)> {
        let (since, then) = *self.totals.front()?;
        let passed = since.elapsed();
        let rate = |now: u64, then: u64| {
            now.saturating_sub(then) as f64 * HOUR.as_secs_f64() / passed.as_secs_f64()
        };
        (passed >= STEP).then(|| {
            (
                rate(total.management, then.management),
                rate(total.blob, then.blob),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(management: u64) -> Requests {
        Requests {
            management,
            blob: management / 2,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_hour_counts_what_the_hour_brought_and_a_shorter_run_is_scaled_up() {
        let mut hourly = HourlyRequests::default();
        hourly.note(requests(0));
        assert_eq!(hourly.per_hour(requests(5)), None);
        for minute in 1..=600_u64 {
            tokio::time::advance(STEP).await;
            hourly.note(requests(minute * 10));
            let per_hour = hourly.per_hour(requests(minute * 10));
            assert_eq!(per_hour, Some((600.0, 300.0)), "after {minute} min");
        }
        assert!(hourly.totals.len() <= 62);
        tokio::time::advance(HOUR / 2).await;
        let (management, _) = hourly.per_hour(requests(6000)).unwrap();
        assert_eq!(management, 400.0, "600 within the last 90 min");
    }
}
