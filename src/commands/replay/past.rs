//! A group's journal, as far as it is asked about.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::cli::{PointInTime, ReplayArgs};
use crate::group::GroupState;
use crate::group::event::TargetKey;
use crate::journal::{Fold, Folded, JournalHeader, JournalRecord};
use crate::model::time::Timestamp;
use crate::policy::decision::Decision;

/// What is asked about, by the wall clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Span {
    pub fn of(args: &ReplayArgs, now: Timestamp) -> Self {
        let at = |point: Option<PointInTime>| point.map(|point| point.before(now));
        let to = at(args.at).or_else(|| at(args.to));
        Self {
            from: at(args.from).unwrap_or_default(),
            to: to.unwrap_or(Timestamp::from_millis(u64::MAX)),
        }
    }

    pub fn has(self, wall: Timestamp) -> bool {
        (self.from..=self.to).contains(&wall)
    }
}

/// A group's journal, as far as it is asked about.
pub(super) struct ReplayedGroup {
    fold: Fold,
    pub header: JournalHeader,
    pub span: Span,
    /// What could not be read was told.
    pub is_damaged: bool,
}

/// What is worth a line.
pub(super) enum ReplayStep {
    /// A segment begins.
    Began(JournalHeader, Box<Continuity>),
    /// An event happened, when the wall clock showed so much.
    Happened(Timestamp, Box<Happened>),
}

pub(super) struct Continuity {
    pub missing: Option<u64>,
    pub differs_at: Option<usize>,
}

pub(super) struct Happened {
    pub record: JournalRecord,
    pub decided: Vec<(TargetKey, Decision)>,
}

impl ReplayedGroup {
    /// `None` where it is of another group than the one asked for.
    pub fn of(folder: &Path, group: Option<&str>, span: Span) -> Result<Option<Self>> {
        let path = folder.display().to_string();
        let mut fold = Fold::of(folder).with_context(|| path.clone())?;
        fold.skip_early(|next| next.moment().on_the_wall() <= span.from);
        let mut is_damaged = false;
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
                        is_damaged,
                    }));
                }
                Folded::Unreadable(path, why) => {
                    eprintln!("{}: {why}", path.display());
                    is_damaged = true;
                }
                Folded::Happened { .. } => {}
            }
        }
        bail!("{path}: no part of this journal can be read")
    }

    pub fn state(&self) -> Option<&GroupState> {
        self.fold.state()
    }

    /// What comes next, until the time that is asked about is over.
    pub fn next(&mut self) -> Option<ReplayStep> {
        loop {
            match self.fold.next()? {
                Folded::Unreadable(path, why) => {
                    eprintln!("{}: {why}", path.display());
                    self.is_damaged = true;
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
                Folded::Happened { record, decided } => {
                    let wall = self.state().map(|state| state.facts().wall);
                    let wall = wall.unwrap_or_default().on_the_wall(record.event.at);
                    if wall > self.span.to {
                        return None;
                    }
                    return Some(ReplayStep::Happened(
                        wall,
                        Box::new(Happened { record, decided }),
                    ));
                }
            }
        }
    }
}

/// `2026-11-30 03:14:05Z`.
pub(super) fn shown(wall: Timestamp) -> String {
    let at = UNIX_EPOCH + Duration::from_secs(wall.as_millis() / 1_000);
    humantime::format_rfc3339_seconds(at)
        .to_string()
        .replace('T', " ")
}

/// Who asked.
pub(super) fn named(key: &TargetKey) -> String {
    match key.is_unnamed() {
        true => "(no ScaledObject)".to_owned(),
        false => format!("{}/{}", key.namespace, key.name),
    }
}
