//! All that is kept of a group, computed again in order, and held against what was decided and known then.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::files::{Segment, segments};
use super::frames::{FrameError, Frames, JournalRecord};
use super::header::{JournalHeader, Unreadable};
use super::snapshot;
use crate::group::GroupState;
use crate::group::event::TargetKey;
use crate::policy::decision::Decision;

/// How a state that was written differs from what the events before it lead to.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// The first byte of both, as they are written, that differs.
    pub byte: usize,
}

/// What comes next.
#[derive(Debug)]
pub enum Folded {
    /// A segment begins with its state.
    Began {
        /// Whose, and where.
        header: JournalHeader,
        /// Events between the segment before and this one that nobody wrote; `None` where it does not go on from there, or is the first.
        missing: Option<u64>,
        /// That the events of the segment before lead to another state.
        differs: Option<Mismatch>,
    },
    /// An event happened.
    Happened {
        /// The event, with what was decided.
        record: JournalRecord,
        /// What is decided by this program.
        decided: Vec<(TargetKey, Decision)>,
    },
    /// A file cannot be read, or not to its end. It goes on with the next segment.
    Unreadable(PathBuf, String),
}

/// A group's past.
#[derive(Debug)]
pub struct Fold {
    segments: VecDeque<Segment>,
    state: Option<GroupState>,
    position: u64,
    reading: Option<(PathBuf, Frames<BufReader<File>>)>,
    unreadable: Option<(PathBuf, String)>,
}

impl Fold {
    /// From the oldest segment in that folder on.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn of(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            segments: segments(folder)?.into(),
            state: None,
            position: 0,
            reading: None,
            unreadable: None,
        })
    }

    /// Without the segments that are over before the one begins that is no longer early: for a look at a later time.
    pub fn skip_early(&mut self, is_early: impl Fn(&JournalHeader) -> bool) {
        while let Some(next) = self.segments.get(1) {
            match read_header(&next.snapshot()) {
                Ok(header) if is_early(&header) => drop(self.segments.pop_front()),
                _ => return,
            }
        }
    }

    /// What was known and decided after what came last.
    pub fn state(&self) -> Option<&GroupState> {
        self.state.as_ref()
    }

    fn begin(&mut self, segment: &Segment) -> Folded {
        let path = segment.snapshot();
        let read = match snapshot::read(&path) {
            Ok(read) => read,
            Err(why) => {
                self.state = None;
                return Folded::Unreadable(path, why.to_string());
            }
        };
        let header = read.header;
        let before = self.state.replace(read.state).filter(|_| header.continues);
        let missing = header.position.checked_sub(self.position);
        let missing = missing.filter(|_| before.is_some());
        let compared = before.filter(|_| missing == Some(0));
        let differs = compared.and_then(|before| differ(&before, self.state.as_ref()?));
        self.position = header.position;
        let events = segment.events();
        match open_events(&events, 0) {
            Ok(frames) => self.reading = Some((events, frames)),
            Err(why) => self.unreadable = Some((events, why.to_string())),
        }
        Folded::Began {
            header,
            missing,
            differs,
        }
    }

    fn happened(&mut self, record: JournalRecord) -> Folded {
        self.position = record.position;
        let state = self.state.as_mut();
        let decided = state.map(|state| state.apply(&record.event));
        Folded::Happened {
            record,
            decided: decided.unwrap_or_default(),
        }
    }
}

impl Iterator for Fold {
    type Item = Folded;

    fn next(&mut self) -> Option<Folded> {
        if let Some((path, why)) = self.unreadable.take() {
            return Some(Folded::Unreadable(path, why));
        }
        if let Some((path, frames)) = &mut self.reading {
            match frames.next_record() {
                Ok(Some(record)) => return Some(self.happened(record)),
                Ok(None) => {}
                // The process that wrote it was killed; it is as if the event had not happened yet.
                Err(FrameError::Torn) => {}
                Err(damaged) => {
                    let path = std::mem::take(path);
                    self.reading = None;
                    return Some(Folded::Unreadable(path, damaged.to_string()));
                }
            }
            self.reading = None;
        }
        let segment = self.segments.pop_front()?;
        Some(self.begin(&segment))
    }
}

/// The events of a segment, from that byte on where one is named.
pub(super) fn open_events(path: &Path, from: u64) -> Result<Frames<BufReader<File>>, Unreadable> {
    let file = crate::files::open(path)?;
    let mut input = BufReader::with_capacity(64 << 10, file);
    JournalHeader::read(&mut input)?;
    let begins = input.stream_position()?.max(from);
    input.seek(SeekFrom::Start(begins))?;
    Ok(Frames::new(input, begins))
}

fn read_header(path: &Path) -> Result<JournalHeader, Unreadable> {
    let file = crate::files::open(path)?;
    JournalHeader::read(&mut BufReader::new(file))
}

/// Where they differ as they are written: to the bit, of every number.
fn differ(one: &GroupState, other: &GroupState) -> Option<Mismatch> {
    let (one, other) = (rmp_serde::to_vec(one).ok()?, rmp_serde::to_vec(other).ok()?);
    let differs = || one.iter().zip(&other).position(|(a, b)| a != b);
    let shorter = || one.len().min(other.len());
    (one != other).then(|| Mismatch {
        byte: differs().unwrap_or_else(shorter),
    })
}
