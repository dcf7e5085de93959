//! Points in time as the model sees them: milliseconds, handed in, never read from a clock.

use std::cell::Cell;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

/// That many seconds; none for less than none or no number, and the longest there is for what is beyond it.
pub fn seconds(seconds: f64) -> Duration {
    let most = if seconds > 0.0 {
        Duration::MAX
    } else {
        Duration::ZERO
    };
    Duration::try_from_secs_f64(seconds).unwrap_or(most)
}

/// Milliseconds since the Unix epoch. Within one process it never runs backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// A point `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Seconds since the Unix epoch.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Time passed since `earlier`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This point moved `by` into the future.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by.as_millis() as u64))
    }

    /// This point moved `by` into the past, at most to the epoch.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by.as_millis() as u64))
    }
}

thread_local! {
    /// By how much times that are read on this thread are moved.
    static MOVED: Cell<WallOffset> = const { Cell::new(WallOffset(0)) };
}

/// Has `read` read what was written by another clock: every [`Timestamp`] in it, wherever it stands, is moved by so much.
pub fn moved_by<T>(offset: WallOffset, read: impl FnOnce() -> T) -> T {
    struct Before(WallOffset);
    impl Drop for Before {
        fn drop(&mut self) {
            MOVED.set(self.0);
        }
    }
    let _before = Before(MOVED.replace(offset));
    read()
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = u64::deserialize(deserializer).map(Self)?;
        Ok(MOVED.get().on_the_wall(written))
    }
}

/// How far the wall clock, as it is set now, is ahead of [`Timestamp`]s: these never run backwards, it may be set at any time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallOffset(i64);

impl WallOffset {
    /// Ahead by so many milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// What moves `from` to `to`. A damaged file may say any number.
    pub fn between(from: Timestamp, to: Timestamp) -> Self {
        let millis = |at: Timestamp| i64::try_from(at.0).unwrap_or(i64::MAX);
        Self(millis(to).saturating_sub(millis(from)))
    }

    /// By how many milliseconds.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// What the wall clock shows at `at`.
    pub const fn on_the_wall(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.saturating_add_signed(self.0))
    }

    /// When the wall clock shows `wall`.
    pub const fn off_the_wall(self, wall: Timestamp) -> Timestamp {
        Timestamp(wall.0.saturating_add_signed(self.0.saturating_neg()))
    }
}

/// A point in time for what goes by hours and days, too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// The point.
    pub at: Timestamp,
    /// Where the wall clock is then.
    pub wall: WallOffset,
}

impl Moment {
    /// What the wall clock shows then.
    pub const fn on_the_wall(self) -> Timestamp {
        self.wall.on_the_wall(self.at)
    }

    /// When that was, by the clock of another process, which is at `now`. What seems to be from its future was a moment ago: this
    /// machine's clock is behind, or that one's was ahead, and which, nobody knows.
    pub fn by_the_clock_of(self, now: Self) -> Timestamp {
        now.wall.off_the_wall(self.on_the_wall()).min(now.at)
    }
}

/// Where times are the wall clock's.
impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        let wall = WallOffset::default();
        Self { at, wall }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_clock_wrote_is_read_with_every_time_in_it_moved() {
        let at = Timestamp::from_millis;
        let written = (vec![at(5_000)], Some(at(7_000)), 9_000_u64);
        let text = serde_json::to_string(&written).expect("can be written");
        let read = || serde_json::from_str::<(Vec<Timestamp>, Option<Timestamp>, u64)>(&text);
        let ago = WallOffset::from_millis(-6_000);
        let moved = moved_by(ago, read).expect("can be read");
        assert_eq!(moved, (vec![at(0)], Some(at(1_000)), 9_000));
        assert_eq!(read().expect("can be read"), written, "only within");
    }

    #[test]
    fn the_wall_clock_shows_what_it_is_ahead_and_back() {
        let at = Timestamp::from_millis(7_200_000);
        for (ahead, shown) in [(0, 7_200_000), (3_600_000, 10_800_000), (-7_200_000, 0)] {
            let wall = WallOffset::from_millis(ahead);
            assert_eq!(wall.on_the_wall(at).as_millis(), shown);
            assert_eq!(wall.off_the_wall(wall.on_the_wall(at)), at);
        }
    }
}
