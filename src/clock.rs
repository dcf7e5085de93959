//! The one clock: wall time at the start plus monotonic time passed since, so that it never runs backwards.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::time::Timestamp;

/// Gives the time to those who hand it to the model. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started_at: Timestamp,
    started: Instant,
}

impl Clock {
    /// Starts at the wall clock's time. A wall clock before 1970 starts at 1 ms past it.
    pub fn start() -> Self {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::from_millis(1));
        Self {
            started_at: Timestamp::from_millis(wall.as_millis() as u64),
            started: Instant::now(),
        }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.started_at.plus(self.started.elapsed())
    }
}
