//! All that is kept of a group, computed again in order, and held against what was decided and known then.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::files::{Segment, segments};
use super::frames::{FrameError, Frames, JournalRecord};
use super::header::{JournalHeader, Unreadable, shown};
use super::snapshot;
use crate::group::GroupState;
use crate::group::event::{Event, TargetKey, What};
use crate::model::time::Timestamp;
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
        /// What the wall clock showed then.
        wall: Timestamp,
        /// The event, with what was decided.
        record: JournalRecord,
        /// What is decided by this program.
        decided: Vec<(TargetKey, Decision)>,
    },
    /// A file cannot be read or computed, or not to its end. It goes on with the next segment.
    Unreadable(PathBuf, String),
}

/// How an event changes a state.
type Apply = fn(&mut GroupState, &Event) -> Vec<(TargetKey, Decision)>;

/// A group's past.
#[derive(Debug)]
pub struct Fold {
    segments: VecDeque<Segment>,
    until: Timestamp,
    is_complete: bool,
    /// Read, and next.
    due: VecDeque<JournalRecord>,
    /// Read, and too late, unless something follows that is not.
    late: VecDeque<JournalRecord>,
    apply: Apply,
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
        Self::by(folder, GroupState::apply)
    }

    pub(super) fn by(folder: &Path, apply: Apply) -> io::Result<Self> {
        Ok(Self {
            segments: segments(folder)?.into(),
            until: Timestamp::from_millis(u64::MAX),
            is_complete: false,
            due: VecDeque::new(),
            late: VecDeque::new(),
            apply,
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

    /// Without what happened after the wall clock showed that.
    pub fn stop_after(&mut self, wall: Timestamp) {
        self.until = wall;
    }

    /// What was known and decided after what came last.
    pub fn state(&self) -> Option<&GroupState> {
        self.state.as_ref()
    }

    /// `None` where that is too late, and not the first.
    fn begin(&mut self, segment: &Segment) -> Option<Folded> {
        let path = segment.snapshot();
        let read = match snapshot::read(&path) {
            Ok(read) => read,
            Err(why) => {
                self.state = None;
                return Some(Folded::Unreadable(path, why.to_string()));
            }
        };
        let header = read.header;
        if header.moment().on_the_wall() > self.until && self.state.is_some() {
            self.end();
            return None;
        }
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
        Some(Folded::Began {
            header,
            missing,
            differs,
        })
    }

    /// What the wall clock showed when that happened; `None` behind what cannot be read.
    fn wall(&self, event: &Event) -> Option<Timestamp> {
        let wall = match &event.what {
            What::Resumed { wall, .. } | What::WallClockSet(wall) => *wall,
            _ => self.state.as_ref()?.facts().wall,
        };
        Some(wall.on_the_wall(event.at))
    }

    /// Takes a record that was read, and with it those that it made wait. What happens while a poll is under way has a later time
    /// than the poll and comes before it: so the first poll that is too late ends it, and what else is too late waits.
    fn take(&mut self, record: JournalRecord) {
        let is_late = self
            .wall(&record.event)
            .is_none_or(|wall| wall > self.until);
        let ends = matches!(
            record.event.what,
            What::Observed(_) | What::Resumed { .. } | What::WallClockSet(_)
        );
        match (is_late, ends) {
            (false, _) => {
                self.due.append(&mut self.late);
                self.due.push_back(record);
            }
            (true, false) => self.late.push_back(record),
            (true, true) => self.end(),
        }
    }

    fn happened(&mut self, record: JournalRecord) -> Option<Folded> {
        let wall = self.wall(&record.event)?;
        self.position = record.position;
        let (apply, mut state) = (self.apply, self.state.take()?);
        // What was written by this very code can still make it fail.
        let applied = AssertUnwindSafe(|| {
            let decided = apply(&mut state, &record.event);
            (state, decided)
        });
        let Ok((state, decided)) = catch_unwind(applied) else {
            let (path, _) = self.reading.take()?;
            self.due.clear();
            let (position, at) = (record.position, shown(wall));
            let why = format!(
                "computing event {position} at {at} again fails, and the rest of this file with it: a bug in streamgauge; report it with this file"
            );
            return Some(Folded::Unreadable(path, why));
        };
        self.state = Some(state);
        Some(Folded::Happened {
            wall,
            record,
            decided,
        })
    }

    /// Whether something later was seen: nothing is to come that is asked about.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    fn end(&mut self) {
        self.is_complete = true;
        self.late.clear();
        self.segments.clear();
        self.reading = None;
    }
}

impl Iterator for Fold {
    type Item = Folded;

    fn next(&mut self) -> Option<Folded> {
        if let Some((path, why)) = self.unreadable.take() {
            return Some(Folded::Unreadable(path, why));
        }
        loop {
            if let Some(record) = self.due.pop_front() {
                return self.happened(record);
            }
            let Some((path, frames)) = &mut self.reading else {
                break;
            };
            match frames.next_record() {
                Ok(Some(record)) => self.take(record),
                // The process that wrote it was killed; it is as if the event had not happened yet.
                Ok(None) | Err(FrameError::Torn) => self.reading = None,
                Err(damaged) => {
                    let path = std::mem::take(path);
                    self.reading = None;
                    return Some(Folded::Unreadable(path, damaged.to_string()));
                }
            }
        }
        self.late.clear();
        let segment = self.segments.pop_front()?;
        self.begin(&segment)
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
