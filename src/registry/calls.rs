//! When KEDA asks for a target, and how often.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::time::Timestamp;

/// KEDA's calls come in bursts: within this time they are one.
const APART: Duration = Duration::from_secs(1);

/// The calls for one target, in milliseconds. Shared with what a reload makes of it, so that no call is lost meanwhile.
#[derive(Debug)]
pub(super) struct Calls {
    last: AtomicU64,
    /// Between two of them, the longest of late; 0 before there were two.
    interval: AtomicU64,
}

impl Calls {
    /// A first one.
    pub fn since(now: Timestamp) -> Self {
        Self {
            last: AtomicU64::new(now.as_millis()),
            interval: AtomicU64::new(0),
        }
    }

    /// One more.
    pub fn note(&self, now: Timestamp) {
        let last = self.last.swap(now.as_millis(), Ordering::Relaxed);
        let gap = now.as_millis().saturating_sub(last);
        if gap >= APART.as_millis() as u64 {
            let before = self.interval.load(Ordering::Relaxed);
            let longest = gap.max(before - before / 8);
            self.interval.store(longest, Ordering::Relaxed);
        }
    }

    /// One more, of which another replica tells.
    pub fn note_elsewhere(&self, at: Timestamp) {
        self.last.fetch_max(at.as_millis(), Ordering::Relaxed);
    }

    /// When the last one came.
    pub fn last_at(&self) -> Timestamp {
        Timestamp::from_millis(self.last.load(Ordering::Relaxed))
    }

    /// How long KEDA leaves between them, once there were two.
    pub fn interval(&self) -> Option<Duration> {
        match self.interval.load(Ordering::Relaxed) {
            0 => None,
            millis => Some(Duration::from_millis(millis)),
        }
    }
}
