//! The journals of all groups: where they are begun, gone on with, and how they fare.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::files::{self, FolderError};
use super::group_journal::GroupJournal;
use super::kept::{KeptJournal, kept};
use super::queue::{Of, WriteProgress, WriteQueue};
use super::recover::{Recovered, recover};
use super::retention::JournalRules;
use super::writer::Writer;
use crate::files::FolderLock;
use crate::group::GroupState;
use crate::model::identity::GroupKey;
use crate::model::time::Moment;

/// How writing goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Writes that failed.
    pub failures: u64,
    /// Events that are missing in the journals, because the disk was too slow or full.
    pub lost: u64,
    /// Bytes of all journals.
    pub bytes: u64,
}

/// The journals of all groups. Cheap to clone; the thread ends when the last one is gone.
#[derive(Clone, Debug)]
pub struct Journals {
    folder: PathBuf,
    queue: WriteQueue,
}

impl Journals {
    /// Starts the thread that writes, below the folder of that lock. The receiver hears when the thread ends.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        lock: Arc<FolderLock>,
        rules: JournalRules,
    ) -> io::Result<(Self, oneshot::Receiver<()>)> {
        let (queue, handed_in) = WriteQueue::new();
        let (alive, ended) = oneshot::channel();
        let folder = files::folder(lock.folder());
        let mut writer = Writer::new(folder.clone(), lock, rules, Arc::clone(&queue.progress));
        std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || {
                writer.write_all(&handed_in);
                drop(alive);
            })?;
        let journals = Self { folder, queue };
        Ok((journals, ended))
    }

    /// What is kept of a group, as far as it can be used; says what cannot. Blocks.
    pub fn recover(&self, group: &GroupKey, name: &str, now: Moment) -> Recovered {
        recover(&files::group_folder(&self.folder, group), name, now)
    }

    /// A group's journal from now on; `recovered` goes on in `state`.
    pub fn begin(
        &self,
        group: &GroupKey,
        name: &str,
        recovered: &Recovered,
        state: &GroupState,
        now: Moment,
    ) -> GroupJournal {
        let of = Of {
            folder: files::group_folder(&self.folder, group),
            group: group.clone(),
            name: name.to_owned(),
            is_over: false.into(),
            is_writing: false.into(),
        };
        let Recovered {
            position,
            continues,
            last,
            ..
        } = *recovered;
        let now = last.unwrap_or(now);
        GroupJournal::begin(self.queue.clone(), of, position, continues, state, now)
    }

    /// All that are kept, of groups that are gone as well. Blocks.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn kept(&self) -> Result<Vec<KeptJournal>, FolderError> {
        kept(&self.folder)
    }

    /// Returns once everything that was handed in is written, or could not be.
    pub async fn flush(&self) {
        self.queue.flush().await;
    }

    /// Counts that the disk did not answer.
    pub fn note_failure(&self) {
        self.queue.progress.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// How writing goes.
    pub fn stats(&self) -> JournalStats {
        let WriteProgress {
            lost,
            failures,
            bytes,
            ..
        } = &*self.queue.progress;
        JournalStats {
            failures: failures.load(Ordering::Relaxed),
            lost: lost.load(Ordering::Relaxed),
            bytes: bytes.load(Ordering::Relaxed),
        }
    }
}
