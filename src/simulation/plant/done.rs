//! What was done in a tick, and how late.

use std::time::Duration;

/// A message is late after this.
pub const LATE: Duration = Duration::from_secs(30);

/// What was done, and how long it had waited.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct WorkDone {
    /// Messages.
    pub done: f64,
    /// Of these, later than [`LATE`].
    pub late: f64,
    /// Seconds that they waited together.
    pub waited_seconds: f64,
    /// The longest wait of one.
    pub worst_seconds: f64,
}

impl WorkDone {
    /// So many messages were done that waited for so long.
    pub fn count(&mut self, messages: f64, waited_seconds: f64) {
        self.done += messages;
        if waited_seconds > LATE.as_secs_f64() {
            self.late += messages;
        }
        self.waited_seconds += messages * waited_seconds;
        self.worst_seconds = self.worst_seconds.max(waited_seconds);
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.late += other.late;
        self.waited_seconds += other.waited_seconds;
        self.worst_seconds = self.worst_seconds.max(other.worst_seconds);
    }
}
