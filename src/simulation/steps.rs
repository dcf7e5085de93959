//! The length of the plant's steps in time: 5 s, or 1 s where seconds matter.

use std::time::Duration;

use crate::model::time::Timestamp;

/// The plant's usual step in time. Shorter rows are added up, longer ones spread evenly.
pub const TICK: Duration = Duration::from_secs(5);

/// Time starts here, so that nothing depends on the epoch.
const START: Timestamp = Timestamp::from_millis(1_000_000_000);

/// How long one tick is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepLength(Duration);

impl Default for StepLength {
    fn default() -> Self {
        Self(TICK)
    }
}

impl StepLength {
    /// One second: fine enough for a start from zero.
    pub const SECOND: Self = Self(Duration::from_secs(1));

    /// Steps of whole seconds, at least one.
    pub fn of_seconds(seconds: u32) -> Self {
        Self(Duration::from_secs(u64::from(seconds.max(1))))
    }

    /// One step.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// One step in seconds.
    pub const fn seconds(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// One step in microseconds.
    pub(super) const fn micros(self) -> u64 {
        self.0.as_micros() as u64
    }

    /// Time in ticks, rounded up.
    pub const fn ticks(self, time: Duration) -> usize {
        time.as_millis().div_ceil(self.0.as_millis()) as usize
    }

    /// The time at the end of so many ticks.
    pub fn at(self, tick: usize) -> Timestamp {
        START.plus(self.0 * tick as u32)
    }
}

/// The time at the end of so many ticks of 5 s.
pub fn at(tick: usize) -> Timestamp {
    StepLength::default().at(tick)
}
