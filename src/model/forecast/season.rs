//! What is usual at a time of the day or the week, in bins of five minutes; a forecast is the present rate times how much more
//! or less is usual then.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;
use crate::model::tuning::forecast::season::{BIN, MOST_CHANGE, MOST_RATIO, NEWEST, WAITING_BINS};

use super::expert::Measured;

const BINS_PER_DAY: usize = 86_400 / BIN.as_secs() as usize;
/// Of a bin that nothing is known of.
const UNSEEN: f32 = -1.0;

/// A profile over one season.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Season {
    /// Messages per second; one entry per bin of the season.
    profile: Vec<f32>,
    /// The newest bins, not yet in the profile.
    newest: VecDeque<Bin>,
    since: Option<Timestamp>,
}

/// Number of the bin since the epoch, messages, and the seconds they were counted over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Bin {
    number: u64,
    messages: f64,
    seconds: f64,
}

impl Season {
    pub fn days(days: usize) -> Self {
        Self {
            profile: vec![UNSEEN; days * BINS_PER_DAY],
            newest: VecDeque::new(),
            since: None,
        }
    }

    /// Whether it has a bin for each time of so many days.
    pub fn is_whole(&self, days: usize) -> bool {
        self.profile.len() == days * BINS_PER_DAY
    }

    pub fn add(&mut self, now: Measured) {
        let middle = now.middle();
        self.since.get_or_insert(now.end.minus(now.covered / 2));
        let number = middle.as_millis() / BIN.as_millis() as u64;
        if self.newest.back().is_none_or(|bin| bin.number != number) {
            self.newest.push_back(Bin {
                number,
                messages: 0.0,
                seconds: 0.0,
            });
        }
        let seconds = now.covered.as_secs_f64();
        if let Some(bin) = self.newest.back_mut() {
            bin.messages += now.per_second * seconds;
            bin.seconds += seconds;
        }
        while self.newest.len() > WAITING_BINS + 1 {
            if let Some(bin) = self.newest.pop_front() {
                self.learn(bin);
            }
        }
    }

    /// The present rate times what is usual then ÷ what is usual now; `None` before one whole season, and where a bin is unknown.
    pub fn ahead(&self, now: Measured, by: Duration) -> Option<f64> {
        let season = BIN * self.profile.len() as u32;
        if now.end.since(self.since?) < season {
            return None;
        }
        let middle = now.middle();
        let usual = self.usual(middle).filter(|usual| *usual > 0.0)?;
        let ratio = self.usual(middle.plus(by))? / usual;
        Some(now.per_second * ratio.clamp(1.0 / MOST_RATIO, MOST_RATIO))
    }

    /// A bin of which less than half was seen is no bin.
    fn learn(&mut self, bin: Bin) {
        if bin.seconds * 2.0 < BIN.as_secs_f64() {
            return;
        }
        let mean = bin.messages / bin.seconds;
        let first = self.since.unwrap_or_default().as_millis() / BIN.as_millis() as u64;
        let seasons = bin.number.saturating_sub(first) / self.profile.len() as u64;
        let weight = (1.0 / (seasons as f64 + 1.0)).max(NEWEST);
        let place = (bin.number % self.profile.len() as u64) as usize;
        let before = f64::from(self.profile[place]);
        let after = if before <= 0.0 {
            mean
        } else {
            let bounded = mean.clamp(before / MOST_CHANGE, before * MOST_CHANGE);
            before + weight * (bounded - before)
        };
        self.profile[place] = after as f32;
    }

    /// The mean of the bin, on a line through it that is no steeper than to either neighbour (van Leer 1979): a slow change is
    /// followed within the bin, and a step between two bins stays a step.
    fn usual(&self, at: Timestamp) -> Option<f64> {
        let bins = self.profile.len() as u64;
        let (number, within) = (
            at.as_millis() / BIN.as_millis() as u64,
            at.as_millis() % BIN.as_millis() as u64,
        );
        let of = |number: u64| {
            let seen = Some(self.profile[(number % bins) as usize]).filter(|mean| *mean >= 0.0);
            seen.map(f64::from)
        };
        let mean = of(number)?;
        let before = mean - of(number.saturating_sub(1)).unwrap_or(mean);
        let after = of(number + 1).unwrap_or(mean) - mean;
        let slope = if before * after <= 0.0 {
            0.0
        } else if before.abs() < after.abs() {
            before
        } else {
            after
        };
        Some(mean + slope * (within as f64 / BIN.as_millis() as f64 - 0.5))
    }
}
