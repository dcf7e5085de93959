//! What left the log of a partition unread: how much, and whether it goes on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::accounting::Settled;
use super::quantity::Quantity;
use super::rates::{ARRIVAL_WINDOW, RateWindow};
use super::sample::PartitionSample;
use super::time::Timestamp;

/// The losses of one partition since the service watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    /// Messages that certainly left the log unprocessed.
    pub lost_total: u64,
    /// Messages that were processed or lost: which of both could not be told.
    pub possibly_lost_total: u64,
    /// Per second, those of the open ones included that were probably lost.
    rate: RateWindow,
    noted_at: Option<Timestamp>,
}

impl Default for Losses {
    fn default() -> Self {
        Self {
            lost_total: 0,
            possibly_lost_total: 0,
            rate: RateWindow::new(ARRIVAL_WINDOW),
            noted_at: None,
        }
    }
}

impl Losses {
    /// Takes in an interval of the `covered` time that ended at `at`, and how the partition was at its end.
    pub(super) fn note(
        &mut self,
        at: Timestamp,
        covered: Duration,
        settled: Settled,
        now: &PartitionSample,
    ) {
        self.lost_total += settled.lost;
        self.possibly_lost_total += settled.open;
        let probably = if is_at_the_edge(now) { settled.open } else { 0 };
        self.rate.add(at, covered, settled.lost + probably);
        self.noted_at = Some(at);
    }

    /// Messages lost per second lately; 0 where none were.
    pub(super) fn per_second(&self, now: Timestamp) -> f64 {
        let lately = self
            .noted_at
            .is_some_and(|at| now.since(at) < ARRIVAL_WINDOW);
        let rate = self.rate.per_second().filter(|_| lately);
        rate.unwrap_or(0.0)
    }
}

/// Whether the group reads where the log ends next: most of what is kept waits for it. A group further ahead keeps up.
fn is_at_the_edge(sample: &PartitionSample) -> bool {
    let undelivered = sample.lag.map_or(0, Quantity::value);
    undelivered > sample.length / 2
}
