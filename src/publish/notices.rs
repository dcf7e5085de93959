//! News of incidents on their way out of the service: a bounded queue between those who notice and those who deliver.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::model::incident::Incident;
use crate::model::time::Timestamp;

/// News that wait at most; what comes on top is lost, and counted.
pub const MOST_WAITING: usize = 1000;

/// What is new about an incident. A closed set: it is part of a type name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncidentChange {
    /// It was noticed.
    Noticed,
    /// It turns out to be of another kind.
    Changed,
    /// It is over.
    Ended,
}

impl IncidentChange {
    /// The last part of the type name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Noticed => "noticed",
            Self::Changed => "changed",
            Self::Ended => "ended",
        }
    }
}

/// One piece of news.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// When it was told.
    pub at: Timestamp,
    /// The group.
    pub group: String,
    /// What is new.
    pub change: IncidentChange,
    /// The incident as it is now.
    pub incident: Incident,
}

/// Where news are told. Clones lead to the same queue.
#[derive(Clone, Debug)]
pub struct Notices {
    queue: mpsc::Sender<Notice>,
    lost: Arc<AtomicU64>,
}

impl Notices {
    /// A queue, and its end.
    pub fn new() -> (Self, mpsc::Receiver<Notice>) {
        let (queue, end) = mpsc::channel(MOST_WAITING);
        let lost = Arc::default();
        (Self { queue, lost }, end)
    }

    /// Tells a piece of news; never waits.
    pub fn tell(&self, notice: Notice) {
        if self.queue.try_send(notice).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// News that were lost because too many waited.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// News that wait.
    pub fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }
}
