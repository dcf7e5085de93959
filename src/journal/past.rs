//! A group's journal, as far as it is asked about.

use std::path::Path;

use super::files::FolderError;
use super::fold::{Fold, Folded};
use super::frames::JournalRecord;
use super::header::JournalHeader;
use crate::group::GroupState;
use crate::group::event::TargetKey;
use crate::model::time::Timestamp;
use crate::policy::decision::Decision;

/// What is asked about, by the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct PastSpan {
    /// Nothing before it.
    pub from: Timestamp,
    /// Nothing after it.
    pub to: Timestamp,
}

impl PastSpan {
    /// Whether that is asked about.
    pub fn has(self, wall: Timestamp) -> bool {
        (self.from..=self.to).contains(&wall)
    }
}

/// A group's journal, as far as it is asked about.
#[derive(Debug)]
pub struct ReplayedGroup {
    fold: Fold,
    /// Of the part that it begins with.
    pub header: JournalHeader,
    /// What is asked about.
    pub span: PastSpan,
    /// What could not be read, or not be computed.
    pub problems: Vec<String>,
}

/// What is worth a line.
#[derive(Debug)]
pub enum ReplayStep {
    /// A segment begins.
    Began(JournalHeader, Box<Continuity>),
    /// An event happened, when the wall clock showed so much.
    Happened(Timestamp, Box<Happened>),
}

/// How a segment follows from the one before.
#[derive(Debug)]
pub struct Continuity {
    /// As in [`Folded::Began`].
    pub missing: Option<u64>,
    /// The first byte of the state that is another one.
    pub differs_at: Option<usize>,
}

/// An event, and what came of it.
#[derive(Debug)]
pub struct Happened {
    /// Then.
    pub record: JournalRecord,
    /// Now.
    pub decided: Vec<(TargetKey, Decision)>,
}

impl ReplayedGroup {
    /// `None` where it is of another group than the one asked for.
    ///
    /// # Errors
    /// No part of it can be read.
    pub fn of(
        folder: &Path,
        group: Option<&str>,
        span: PastSpan,
    ) -> Result<Option<Self>, FolderError> {
        let path = folder.to_owned();
        let fold = Fold::of(folder).map_err(|error| FolderError::Io(path.clone(), error))?;
        let mut fold = fold;
        fold.skip_early(|next| next.moment().on_the_wall() <= span.from);
        fold.stop_after(span.to);
        let mut problems = Vec::new();
        for next in fold.by_ref() {
            match next {
                Folded::Began { header, .. } => {
                    if group.is_some_and(|group| group != header.name) {
                        return Ok(None);
                    }
                    return Ok(Some(Self {
                        fold,
                        header,
                        span,
                        problems,
                    }));
                }
                Folded::Unreadable(path, why) => {
                    problems.push(format!("{}: {why}", path.display()));
                }
                Folded::Happened { .. } => {}
            }
        }
        Err(FolderError::Unreadable(path, problems.join("; ")))
    }

    /// What was known and decided after what came last; `None` behind what cannot be read.
    pub fn state(&self) -> Option<&GroupState> {
        self.fold.state()
    }

    /// Whether the journal went on after the time that is asked about.
    pub fn is_complete(&self) -> bool {
        self.fold.is_complete()
    }

    /// What comes next, until the time that is asked about is over.
    pub fn next_step(&mut self) -> Option<ReplayStep> {
        loop {
            match self.fold.next()? {
                Folded::Unreadable(path, why) => {
                    self.problems.push(format!("{}: {why}", path.display()));
                }
                Folded::Began {
                    header,
                    missing,
                    differs,
                } => {
                    let continuity = Continuity {
                        missing,
                        differs_at: differs.map(|differs| differs.byte),
                    };
                    return Some(ReplayStep::Began(header, Box::new(continuity)));
                }
                Folded::Happened {
                    wall,
                    record,
                    decided,
                } => {
                    let happened = Box::new(Happened { record, decided });
                    return Some(ReplayStep::Happened(wall, happened));
                }
            }
        }
    }
}
