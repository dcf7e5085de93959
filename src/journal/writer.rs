//! The thread that writes. It takes what is handed in and writes it, in order; who hands in never waits for the disk.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::files::{self, CHECKPOINT, Segment};
use super::frames;
use super::group_journal::{GroupJournal, Of};
use super::header::Header;
use super::recover::{Recovered, recover};
use super::retention::{Found, prune};
use super::snapshot;
use crate::files::FolderLock;
use crate::group::GroupState;
use crate::model::identity::GroupKey;
use crate::model::time::Moment;

/// What may wait for the disk: pieces, …
const MOST_WAITING: usize = 8_192;
/// … and bytes of records.
const MOST_BYTES_WAITING: usize = 32 << 20;
/// How often all journals are measured, and the oldest of them deleted.
const PRUNED_EVERY: Duration = Duration::from_secs(60);

/// How long and how much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalRules {
    /// What is older is deleted.
    pub keep: Duration,
    /// All journals together take no more, for longer than a minute.
    pub max_bytes: u64,
}

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

/// What is handed in.
#[derive(Debug)]
pub(super) enum Written {
    /// An event.
    Record {
        of: Arc<Of>,
        position: u64,
        record: Vec<u8>,
    },
    /// A state after so many events.
    State {
        of: Arc<Of>,
        header: Box<Header>,
        state: Box<GroupState>,
        /// Else it is a checkpoint.
        new_segment: bool,
    },
    /// A group's last event was before.
    End(Arc<Of>),
    /// Somebody waits until all of that is written.
    Flush(oneshot::Sender<()>),
}

/// The journals of all groups. Cheap to clone; the thread ends when the last one is gone.
#[derive(Clone, Debug)]
pub struct Journals {
    folder: PathBuf,
    queue: SyncSender<Written>,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    bytes_waiting: AtomicUsize,
    lost: AtomicU64,
    failures: AtomicU64,
    bytes: AtomicU64,
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
        let (queue, handed_in) = sync_channel(MOST_WAITING);
        let (alive, ended) = oneshot::channel();
        let progress = Arc::new(Progress::default());
        let folder = files::folder(lock.folder());
        let mut writer = Writer {
            folder: folder.clone(),
            lock,
            rules,
            open: HashMap::new(),
            is_failing: false,
            progress: Arc::clone(&progress),
        };
        std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || {
                writer.write_all(&handed_in);
                drop(alive);
            })?;
        let journals = Self {
            folder,
            queue,
            progress,
        };
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
        GroupJournal::begin(self.clone(), of, position, continues, state, now)
    }

    /// Returns at once. What finds no room is left out, and the segment is over.
    pub(super) fn hand_in(&self, written: Written) {
        let bytes = written.bytes();
        let waiting = self
            .progress
            .bytes_waiting
            .fetch_add(bytes, Ordering::AcqRel);
        let refused = match waiting + bytes > MOST_BYTES_WAITING && waiting > 0 {
            true => Some(written),
            false => self.queue.try_send(written).err().map(|error| match error {
                std::sync::mpsc::TrySendError::Full(written)
                | std::sync::mpsc::TrySendError::Disconnected(written) => written,
            }),
        };
        if let Some(written) = refused {
            self.progress
                .bytes_waiting
                .fetch_sub(bytes, Ordering::AcqRel);
            match written {
                Written::Record { of, .. } => {
                    self.progress.lost.fetch_add(1, Ordering::Relaxed);
                    of.is_over.store(true, Ordering::Release);
                }
                Written::State { of, .. } => of.is_writing.store(false, Ordering::Release),
                Written::End(_) | Written::Flush(_) => {}
            }
        }
    }

    /// Returns once everything that was handed in is written, or could not be.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        self.hand_in(Written::Flush(done));
        // Fails where there is nobody left to write.
        let _ = flushed.await;
    }

    /// How writing goes.
    pub fn stats(&self) -> JournalStats {
        let Progress {
            lost,
            failures,
            bytes,
            ..
        } = &*self.progress;
        JournalStats {
            failures: failures.load(Ordering::Relaxed),
            lost: lost.load(Ordering::Relaxed),
            bytes: bytes.load(Ordering::Relaxed),
        }
    }
}

impl Written {
    fn bytes(&self) -> usize {
        match self {
            Self::Record { record, .. } => record.len(),
            Self::State { .. } | Self::End(_) | Self::Flush(_) => 0,
        }
    }
}

/// A segment that is being written.
#[derive(Debug)]
struct Open {
    events: PathBuf,
    /// Where it began.
    segment: u64,
    /// Of the next record.
    next: u64,
    /// Of whole records, with the header.
    bytes: u64,
    /// What the next record is told the difference to.
    last: Vec<u8>,
}

struct Writer {
    folder: PathBuf,
    lock: Arc<FolderLock>,
    rules: JournalRules,
    open: HashMap<PathBuf, Open>,
    is_failing: bool,
    progress: Arc<Progress>,
}

impl Writer {
    fn write_all(&mut self, handed_in: &Receiver<Written>) {
        let mut pruned = Instant::now();
        let mut is_first = true;
        loop {
            match handed_in.recv_timeout(PRUNED_EVERY) {
                Ok(written) => self.write(written),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if is_first || pruned.elapsed() >= PRUNED_EVERY {
                (is_first, pruned) = (false, Instant::now());
                self.prune();
            }
        }
    }

    fn write(&mut self, written: Written) {
        let waited = written.bytes();
        match written {
            Written::Flush(done) => drop(done.send(())),
            Written::End(of) => drop(self.open.remove(&of.folder)),
            Written::Record {
                of,
                position,
                record,
            } => self.record(&of, position, record),
            Written::State {
                of,
                header,
                state,
                new_segment,
            } => {
                self.state(&of, *header, &state, new_segment);
                of.is_writing.store(false, Ordering::Release);
            }
        }
        self.progress
            .bytes_waiting
            .fetch_sub(waited, Ordering::AcqRel);
    }

    fn record(&mut self, of: &Of, position: u64, record: Vec<u8>) {
        let most = self.rules.max_bytes / 8;
        let Some(open) = self.open.get_mut(&of.folder).filter(|o| o.next == position) else {
            // A gap: others went before it, and a segment is to begin.
            self.progress.lost.fetch_add(1, Ordering::Relaxed);
            self.open.remove(&of.folder);
            of.is_over.store(true, Ordering::Release);
            return;
        };
        // Not kept open: there may be thousands.
        let file = File::options().append(true).open(&open.events);
        let written = file.and_then(|mut file| {
            let written = frames::append(&mut file, &open.last, &record);
            // Of a record that was not written whole nothing stays.
            written.inspect_err(|_| drop(file.set_len(open.bytes)))
        });
        match written {
            Ok(bytes) => {
                open.bytes += bytes;
                open.next += 1;
                open.last = record;
                if open.bytes > most {
                    of.is_over.store(true, Ordering::Release);
                }
            }
            Err(error) => {
                self.progress.lost.fetch_add(1, Ordering::Relaxed);
                self.open.remove(&of.folder);
                of.is_over.store(true, Ordering::Release);
                self.done(of, Err(error));
            }
        }
    }

    fn state(&mut self, of: &Of, mut header: Header, state: &GroupState, new_segment: bool) {
        let open = self.open.get_mut(&of.folder);
        let open = open.filter(|open| open.next == header.position + 1);
        if !new_segment {
            let Some(open) = open else {
                return;
            };
            header.segment = open.segment;
            header.events_before = open.bytes;
            let path = of.folder.join(CHECKPOINT);
            let written = snapshot::write(&path, &header, state, false);
            if written.is_ok() {
                open.last.clear();
            }
            return self.done(of, written);
        }
        header.continues |= open.is_some();
        match self.begin(of, &header, state) {
            Ok(open) => {
                self.open.insert(of.folder.clone(), open);
                of.is_over.store(false, Ordering::Release);
                self.done(of, Ok(()));
            }
            Err(error) => {
                of.is_over.store(true, Ordering::Release);
                self.done(of, Err(error));
            }
        }
    }

    fn begin(&self, of: &Of, header: &Header, state: &GroupState) -> io::Result<Open> {
        self.lock.hold()?;
        fs::create_dir_all(&of.folder)?;
        let segment = Segment::new(&of.folder, header.position);
        // The events first: where there is a state, there are its events.
        let events = segment.events();
        let mut file = File::create(&events)?;
        let bytes = header.write(&mut file)?;
        snapshot::write(&segment.snapshot(), header, state, true)?;
        Ok(Open {
            events,
            segment: header.position,
            next: header.position + 1,
            bytes,
            last: Vec::new(),
        })
    }

    /// Notes how that went. The first failure is logged, and the recovery.
    fn done(&mut self, of: &Of, written: io::Result<()>) {
        let was_failing = std::mem::replace(&mut self.is_failing, written.is_err());
        match written {
            Ok(()) if was_failing => tracing::info!("writing the journal works again"),
            Ok(()) => {}
            Err(error) => {
                self.progress.failures.fetch_add(1, Ordering::Relaxed);
                if !was_failing {
                    tracing::warn!(
                        group = of.name,
                        "the journal cannot be written; everything else continues: {}: {error}",
                        of.folder.display()
                    );
                }
            }
        }
    }

    fn prune(&mut self) {
        if self.lock.hold().is_err() {
            return;
        }
        match prune(&self.folder, self.rules) {
            Ok(Found { bytes, files }) => {
                self.progress.bytes.store(bytes, Ordering::Relaxed);
                // Of groups that are gone, and were deleted.
                self.open.retain(|folder, _| files.contains(folder));
            }
            Err(error) => tracing::debug!("the journals cannot be measured: {error}"),
        }
    }
}
