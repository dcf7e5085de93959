//! The thread that writes. It takes what is handed in and writes it, in order; who hands in never waits for the disk.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::files::{CHECKPOINT, Segment};
use super::frames;
use super::header::JournalHeader;
use super::queue::{HandedIn, Of, WriteProgress};
use super::retention::{JournalRules, Remaining, prune};
use super::snapshot;
use crate::files::FolderLock;
use crate::group::GroupState;

/// How often all journals are measured, and the oldest of them deleted.
const PRUNED_EVERY: Duration = Duration::from_secs(60);

/// A segment that is being written.
#[derive(Debug)]
struct OpenSegment {
    /// Who writes it; whoever wrote in the folder before is done.
    of: Arc<Of>,
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

/// The group's segment, if the record of that position comes next in it.
fn opened<'o>(
    open: &'o mut HashMap<PathBuf, OpenSegment>,
    of: &Arc<Of>,
    position: u64,
) -> Option<&'o mut OpenSegment> {
    let open = open.get_mut(&of.folder);
    open.filter(|open| open.next == position && Arc::ptr_eq(&open.of, of))
}

/// The thread that writes.
pub(super) struct Writer {
    folder: PathBuf,
    lock: Arc<FolderLock>,
    rules: JournalRules,
    open: HashMap<PathBuf, OpenSegment>,
    is_failing: bool,
    progress: Arc<WriteProgress>,
}

impl Writer {
    pub fn new(
        folder: PathBuf,
        lock: Arc<FolderLock>,
        rules: JournalRules,
        progress: Arc<WriteProgress>,
    ) -> Self {
        Self {
            folder,
            lock,
            rules,
            open: HashMap::new(),
            is_failing: false,
            progress,
        }
    }

    /// Until nobody can hand in anything.
    pub fn write_all(&mut self, handed_in: &Receiver<HandedIn>) {
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

    fn write(&mut self, written: HandedIn) {
        let waited = written.bytes();
        match written {
            HandedIn::Flush(done) => drop(done.send(())),
            HandedIn::End(of) => self.close(&of),
            HandedIn::Happened {
                of,
                position,
                record,
            } => self.record(&of, position, record),
            HandedIn::State {
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

    fn record(&mut self, of: &Arc<Of>, position: u64, record: Vec<u8>) {
        let most = self.rules.max_bytes / 8;
        let Some(open) = opened(&mut self.open, of, position) else {
            // A gap: others went before it, and a segment is to begin.
            return self.lost(of);
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
                self.lost(of);
                self.done(of, Err(error));
            }
        }
    }

    fn lost(&mut self, of: &Arc<Of>) {
        self.progress.lost.fetch_add(1, Ordering::Relaxed);
        self.close(of);
        of.is_over.store(true, Ordering::Release);
    }

    fn close(&mut self, of: &Arc<Of>) {
        let open = self.open.get(&of.folder);
        if open.is_some_and(|open| Arc::ptr_eq(&open.of, of)) {
            self.open.remove(&of.folder);
        }
    }

    fn state(
        &mut self,
        of: &Arc<Of>,
        mut header: JournalHeader,
        state: &GroupState,
        new_segment: bool,
    ) {
        let open = opened(&mut self.open, of, header.position + 1);
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

    fn begin(
        &self,
        of: &Arc<Of>,
        header: &JournalHeader,
        state: &GroupState,
    ) -> io::Result<OpenSegment> {
        self.lock.hold()?;
        fs::create_dir_all(&of.folder)?;
        let segment = Segment::new(&of.folder, header.position);
        // The events first: where there is a state, there are its events.
        let events = segment.events();
        let mut file = File::create(&events)?;
        let bytes = header.write(&mut file)?;
        snapshot::write(&segment.snapshot(), header, state, true)?;
        Ok(OpenSegment {
            of: Arc::clone(of),
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
            Ok(Remaining { bytes, folders }) => {
                self.progress.bytes.store(bytes, Ordering::Relaxed);
                // Of groups that are gone, and were deleted.
                self.open.retain(|folder, _| folders.contains(folder));
            }
            Err(error) => tracing::debug!("the journals cannot be measured: {error}"),
        }
    }
}
