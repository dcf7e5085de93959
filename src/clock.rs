//! The one clock: wall time at the start plus monotonic time passed since, so that it never runs backwards. What leaves the
//! process with a time is stamped by the wall clock, which may have been set since.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::time::{Moment, Timestamp, WallOffset};

/// The wall clock is followed once it is so far off: times that stand still on the wall are to stand still in what is shown.
const FOLLOWED_MILLIS: u64 = 500;

/// A machine has one wall clock, so there is one of these.
static WALL: Ahead = Ahead(AtomicI64::new(0));

thread_local! {
    /// Where it was, on a thread that tells of the past.
    static WAS: Cell<Option<WallOffset>> = const { Cell::new(None) };
}

/// Has [`on_the_wall`] go by a wall clock of the past from now on, on this thread alone.
pub fn stamp_by(wall: WallOffset) {
    WAS.set(Some(wall));
}

/// Gives the time to those who hand it to the model. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started_at: Timestamp,
    started: Instant,
}

impl Clock {
    /// Starts at the wall clock's time. A wall clock before 1970 starts at 1 ms past it.
    pub fn start() -> Self {
        Self {
            started_at: wall(),
            started: Instant::now(),
        }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        // By the machine's own time: where the runtime's is virtual, as in tests, nobody set the wall clock.
        let passed = self.started.into_std().elapsed();
        WALL.follow(self.started_at.plus(passed), wall());
        self.started_at.plus(self.started.elapsed())
    }

    /// The time now, and where the wall clock is.
    pub fn moment(&self) -> Moment {
        Moment {
            at: self.now(),
            wall: WALL.offset(),
        }
    }
}

/// What the wall clock, as it is set now, showed at a time that [`Clock::now`] gave.
pub fn on_the_wall(at: Timestamp) -> Timestamp {
    let wall = WAS.get().unwrap_or_else(|| WALL.offset());
    wall.on_the_wall(at)
}

fn wall() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let since_epoch = since_epoch.unwrap_or(Duration::from_millis(1));
    Timestamp::from_millis(since_epoch.as_millis() as u64)
}

/// By how many milliseconds the wall clock is ahead of ours.
#[derive(Debug)]
struct Ahead(AtomicI64);

impl Ahead {
    fn follow(&self, now: Timestamp, wall: Timestamp) {
        let ahead = wall.as_millis() as i64 - now.as_millis() as i64;
        if ahead.abs_diff(self.0.load(Ordering::Relaxed)) > FOLLOWED_MILLIS {
            self.0.store(ahead, Ordering::Relaxed);
        }
    }

    fn offset(&self) -> WallOffset {
        WallOffset::from_millis(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_follow_a_wall_clock_that_is_set_and_no_jitter() {
        let hour = |hours: i64| 1_700_000_000_000_u64.saturating_add_signed(hours * 3_600_000);
        let at = Timestamp::from_millis;
        let wall = Ahead(AtomicI64::new(0));
        let now = at(hour(0));
        for (shown, expect) in [
            // Started two hours behind, then NTP answers.
            (hour(0), hour(0)),
            (hour(2), hour(2)),
            (hour(2) + 400, hour(2)),
            (hour(2) - 400, hour(2)),
            (hour(2) + 501, hour(2) + 501),
            // Set back.
            (hour(-1), hour(-1)),
        ] {
            wall.follow(now, at(shown));
            assert_eq!(wall.offset().on_the_wall(now), at(expect));
        }
        assert_eq!(wall.offset().on_the_wall(at(1)), at(0), "before 1970");
    }

    #[test]
    fn the_clock_itself_never_runs_backwards() {
        let clock = Clock::start();
        let times: Vec<_> = (0..1_000).map(|_| clock.now()).collect();
        assert!(times.is_sorted());
    }
}
