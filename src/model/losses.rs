//! What left the log of a partition unread: how much, and whether it goes on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::accounting::Settled;
use super::rates::RateWindow;
use super::time::Timestamp;
use crate::model::tuning::rates::ARRIVAL_WINDOW;

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
    /// Whether the interval before looked like a loss.
    #[serde(default)]
    was_likely: bool,
}

impl Default for Losses {
    fn default() -> Self {
        Self {
            lost_total: 0,
            possibly_lost_total: 0,
            rate: RateWindow::new(ARRIVAL_WINDOW),
            noted_at: None,
            was_likely: false,
        }
    }
}

impl Losses {
    /// Takes in an interval of the `covered` time that ended at `at`, and whether what is open was more likely lost than read.
    pub(super) fn note(
        &mut self,
        at: Timestamp,
        covered: Duration,
        settled: Settled,
        is_likely: bool,
    ) {
        self.lost_total += settled.lost;
        self.possibly_lost_total += settled.open;
        // What looks like a loss once may be a chance of trims and polls.
        let was_likely = std::mem::replace(&mut self.was_likely, is_likely && settled.open > 0);
        let probably = if is_likely && was_likely {
            settled.open
        } else {
            0
        };
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
