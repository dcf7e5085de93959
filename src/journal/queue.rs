//! What waits to be written: handed in by the groups, taken out by the thread that writes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;

use super::header::JournalHeader;
use crate::group::GroupState;
use crate::model::identity::GroupKey;

/// What may wait for the disk: pieces, …
const MOST_WAITING: usize = 8_192;
/// … and bytes of records.
const MOST_BYTES_WAITING: usize = 32 << 20;
/// Which group it is, for the thread that writes.
#[derive(Debug)]
pub(super) struct Of {
    pub folder: PathBuf,
    pub group: GroupKey,
    pub name: String,
    /// Nothing can be added to the segment: one is to begin.
    pub is_over: AtomicBool,
    /// A state is on its way.
    pub is_writing: AtomicBool,
}

/// What is handed in.
#[derive(Debug)]
pub(super) enum HandedIn {
    /// An event.
    Happened {
        of: Arc<Of>,
        position: u64,
        record: Vec<u8>,
    },
    /// A state after so many events.
    State {
        of: Arc<Of>,
        header: Box<JournalHeader>,
        state: Box<GroupState>,
        /// Else it is a checkpoint.
        new_segment: bool,
    },
    /// A group's last event was before.
    End(Arc<Of>),
    /// Somebody waits until all of that is written.
    Flush(oneshot::Sender<()>),
}

/// How writing goes, for those who look.
#[derive(Debug, Default)]
pub(super) struct WriteProgress {
    pub bytes_waiting: AtomicUsize,
    pub lost: AtomicU64,
    pub failures: AtomicU64,
    pub bytes: AtomicU64,
}

/// Where it is handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct WriteQueue {
    written: SyncSender<HandedIn>,
    pub progress: Arc<WriteProgress>,
}

impl WriteQueue {
    /// With its other end.
    pub fn new() -> (Self, Receiver<HandedIn>) {
        let (written, handed_in) = sync_channel(MOST_WAITING);
        let progress = Arc::default();
        (Self { written, progress }, handed_in)
    }

    /// Returns at once. What finds no room is left out, and the segment is over.
    pub fn hand_in(&self, written: HandedIn) {
        let bytes = written.bytes();
        let waiting = self
            .progress
            .bytes_waiting
            .fetch_add(bytes, Ordering::AcqRel);
        let refused = match waiting + bytes > MOST_BYTES_WAITING && waiting > 0 {
            true => Some(written),
            false => self
                .written
                .try_send(written)
                .err()
                .map(|error| match error {
                    TrySendError::Full(written) | TrySendError::Disconnected(written) => written,
                }),
        };
        if let Some(written) = refused {
            self.progress
                .bytes_waiting
                .fetch_sub(bytes, Ordering::AcqRel);
            match written {
                HandedIn::Happened { of, .. } => {
                    self.progress.lost.fetch_add(1, Ordering::Relaxed);
                    of.is_over.store(true, Ordering::Release);
                }
                HandedIn::State { of, .. } => of.is_writing.store(false, Ordering::Release),
                HandedIn::End(_) | HandedIn::Flush(_) => {}
            }
        }
    }

    /// Returns once everything that was handed in is written, or could not be.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        self.hand_in(HandedIn::Flush(done));
        // Fails where there is nobody left to write.
        let _ = flushed.await;
    }
}

impl HandedIn {
    pub fn bytes(&self) -> usize {
        match self {
            Self::Happened { record, .. } => record.len(),
            Self::State { .. } | Self::End(_) | Self::Flush(_) => 0,
        }
    }
}

impl Of {
    /// Between 0 and 1, another one for each group.
    pub fn share(&self) -> f64 {
        let name = self.folder.file_name().and_then(|name| name.to_str());
        let digits = name.and_then(|name| u16::from_str_radix(name.get(..4)?, 16).ok());
        f64::from(digits.unwrap_or_default()) / f64::from(u16::MAX)
    }
}
