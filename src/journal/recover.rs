//! Where the last process stopped: the newest state that can be read, and the events since.

use std::fs::{self, File};
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::Duration;

use super::files::{CHECKPOINT, READING, Segment, segments, set_aside};
use super::fold::open_events;
use super::frames::FrameError;
use super::header::Unreadable;
use super::snapshot::{self, StateSnapshot};
use crate::group::GroupState;
use crate::group::event::{Event, TargetKey, What};
use crate::model::time::{Moment, WallOffset};
use crate::policy::decision::Decision;

/// What is older than this says nothing of rates, holds and answers any more: then what was learned is enough.
const GOES_ON_WITHIN: Duration = Duration::from_secs(3_600);

/// So many processes in a row that end while they read may be chance; one more is not.
const ATTEMPTS: usize = 3;

/// Where the last process stopped.
#[derive(Debug, Default)]
pub struct Recovered {
    /// What was known and decided; `None` where nothing can be gone on with.
    pub state: Option<GroupState>,
    /// How many events there were.
    pub position: u64,
    /// Whether all of them are there.
    pub continues: bool,
    /// When the last of them happened, by the clock of that process.
    pub last: Option<Moment>,
    /// By how much this process' clock is ahead of that one's.
    pub moved: WallOffset,
    /// Answers that changed since the state that was read, oldest first.
    pub decided: Vec<(TargetKey, Decision)>,
}

impl Recovered {
    /// Nothing, behind all that may be there: no group has had as many events as milliseconds since 1970.
    pub fn unread(now: Moment) -> Self {
        Self {
            position: now.at.as_millis(),
            ..Self::default()
        }
    }
}

/// Reads it. What cannot be used is logged and set aside.
pub fn recover(folder: &Path, name: &str, now: Moment) -> Recovered {
    let all = match segments(folder) {
        Ok(all) if all.is_empty() => return Recovered::default(),
        Ok(all) => all,
        Err(error) => return unusable(folder, name, &error.into()),
    };
    let mark = folder.join(READING);
    if attempts(&mark) > ATTEMPTS {
        let why = Unreadable::damaged("several processes in a row ended while they read it");
        return unusable(folder, name, &why);
    }
    // What was written by this very code can still make it fail.
    let read = AssertUnwindSafe(|| Tail::read(folder, &all));
    let read = std::panic::catch_unwind(read);
    let _ = fs::remove_file(&mark);
    match read {
        Err(_) => unusable(
            folder,
            name,
            &Unreadable::damaged("computing it again fails"),
        ),
        Ok(Err(why)) => unusable(folder, name, &why),
        Ok(Ok(tail)) => tail.go_on(name, now),
    }
}

/// How many processes began to read, with this one.
fn attempts(mark: &Path) -> usize {
    let file = File::options().create(true).append(true).open(mark);
    // Where nothing can be written there is no mark, and what is there is read all the same.
    let _ = file.and_then(|mut file| file.write_all(b"."));
    fs::metadata(mark).map_or(0, |found| found.len() as usize)
}

fn unusable(folder: &Path, name: &str, why: &Unreadable) -> Recovered {
    let aside = match set_aside(folder) {
        Ok(aside) => format!("is now {}", aside.display()),
        Err(error) => format!("cannot be moved aside ({error})"),
    };
    let text = format!(
        "the journal cannot be gone on with and {aside}; the group goes on with what it learned: {why}"
    );
    match why {
        // As after every upgrade.
        Unreadable::OtherBuild { .. } => tracing::info!(group = name, "{text}"),
        _ => tracing::warn!(group = name, "{text}"),
    }
    Recovered::default()
}

/// The newest state that can be read, and the events since.
#[derive(Debug)]
struct Tail {
    state: GroupState,
    position: u64,
    continues: bool,
    last: Moment,
    decided: Vec<(TargetKey, Decision)>,
    problems: Vec<String>,
}

impl Tail {
    fn read(folder: &Path, all: &[Segment]) -> Result<Self, Unreadable> {
        let mut problems = Vec::new();
        let mut last = None;
        let newest = all.last().map_or(0, |segment| segment.position);
        let checkpoint = snapshot::read(&folder.join(CHECKPOINT)).ok();
        let checkpoint = checkpoint.filter(|state| state.header.segment == newest);
        if let Some(StateSnapshot { header, state }) = checkpoint {
            let mut tail = Self::new(state, header.position, header.moment());
            tail.fold(&Segment::new(folder, newest), header.events_before);
            return Ok(tail);
        }
        for (n, segment) in all.iter().enumerate().rev() {
            match snapshot::read(&segment.snapshot()) {
                Ok(StateSnapshot { header, state }) => {
                    let mut tail = Self::new(state, header.position, header.moment());
                    tail.problems = problems;
                    for segment in &all[n..] {
                        if segment.position == tail.position {
                            tail.fold(segment, 0);
                        }
                    }
                    // Never before what is there, which cannot be reached.
                    tail.continues = tail.position >= newest;
                    tail.position = tail.position.max(newest + u64::from(!tail.continues));
                    return Ok(tail);
                }
                Err(why) => {
                    problems.push(format!("{}: {why}", segment.snapshot().display()));
                    last.get_or_insert(why);
                }
            }
        }
        Err(last.unwrap_or_else(|| Unreadable::damaged("there is no state")))
    }

    const fn new(state: GroupState, position: u64, last: Moment) -> Self {
        Self {
            state,
            position,
            continues: true,
            last,
            decided: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Takes in the events of a segment from that byte on (0: the first), as far as they can be read.
    fn fold(&mut self, segment: &Segment, from: u64) {
        let path = segment.events();
        let mut frames = match open_events(&path, from) {
            Ok(frames) => frames,
            Err(why) => return self.problems.push(format!("{}: {why}", path.display())),
        };
        loop {
            match frames.next_record() {
                Ok(Some(record)) if record.position == self.position + 1 => {
                    self.position = record.position;
                    self.follow_the_clock(&record.event);
                    self.decided.extend(self.state.apply(&record.event));
                }
                Ok(Some(record)) => {
                    let (position, after) = (record.position, self.position);
                    let why = format!("event {position} follows event {after}");
                    return self.problems.push(format!("{}: {why}", path.display()));
                }
                Ok(None) | Err(FrameError::Torn) => return,
                Err(why) => return self.problems.push(format!("{}: {why}", path.display())),
            }
        }
    }

    fn follow_the_clock(&mut self, event: &Event) {
        self.last = match event.what {
            What::Resumed { wall, .. } => Moment { at: event.at, wall },
            What::WallClockSet(wall) => Moment { wall, ..self.last },
            _ => Moment {
                at: self.last.at.max(event.at),
                ..self.last
            },
        };
    }

    fn go_on(self, name: &str, now: Moment) -> Recovered {
        for problem in &self.problems {
            tracing::warn!(
                group = name,
                "part of the journal cannot be used: {problem}"
            );
        }
        let seen = self.last.by_the_clock_of(now);
        let age = now.at.since(seen);
        if age > GOES_ON_WITHIN {
            let age = humantime::format_duration(Duration::from_secs(age.as_secs()));
            tracing::info!(
                group = name,
                "the journal ends {age} ago: the group goes on with what it learned"
            );
            return Recovered {
                position: self.position + 1,
                ..Recovered::default()
            };
        }
        let (position, age_seconds) = (self.position, age.as_secs());
        tracing::info!(
            group = name,
            position,
            age_seconds,
            "goes on where the journal ends"
        );
        Recovered {
            state: Some(self.state),
            position,
            continues: self.continues,
            last: Some(self.last),
            moved: WallOffset::between(self.last.at, seen),
            decided: self.decided,
        }
    }
}
