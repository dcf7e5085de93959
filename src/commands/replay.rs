//! `replay`: decisions of the past from the journal: explained, computed again, or with other settings.

mod decisions;
mod otherwise;
mod verify;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::cli::{PointInTime, ReplayArgs};
use crate::clock::Clock;
use crate::group::GroupState;
use crate::group::event::TargetKey;
use crate::journal::{Fold, Folded, Header, group_folders};
use crate::model::time::Timestamp;
use crate::policy::decision::Decision;

/// Reads the journals and prints what is asked for.
///
/// # Errors
/// There is no journal, or none of the group that is asked for.
pub fn run(args: &ReplayArgs) -> Result<ExitCode> {
    let folders = group_folders(&args.path)?;
    let now = Clock::start().moment().on_the_wall();
    let span = Span::of(args, now);
    let (mut found, mut failed) = (false, false);
    for folder in folders {
        let Some(past) = Past::of(&folder, args.group.as_deref(), span)? else {
            continue;
        };
        if std::mem::replace(&mut found, true) {
            println!();
        }
        failed |= match (args.at, &args.policy) {
            (Some(_), _) => decisions::at(past),
            (None, Some(settings)) => otherwise::compare(past, settings),
            (None, None) if args.verify => verify::verify(past),
            (None, None) => decisions::list(past),
        };
    }
    match (&args.group, found) {
        (Some(group), false) => bail!(
            "{}: no journal of a group named {group}: leave --group out to see all",
            args.path.display()
        ),
        _ if failed => Ok(ExitCode::FAILURE),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// What is asked about, by the wall clock.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: Timestamp,
    to: Timestamp,
}

impl Span {
    fn of(args: &ReplayArgs, now: Timestamp) -> Self {
        let at = |point: Option<PointInTime>| point.map(|point| point.before(now));
        let to = at(args.at).or_else(|| at(args.to));
        Self {
            from: at(args.from).unwrap_or_default(),
            to: to.unwrap_or(Timestamp::from_millis(u64::MAX)),
        }
    }

    fn has(self, wall: Timestamp) -> bool {
        (self.from..=self.to).contains(&wall)
    }
}

/// A group's journal, as far as it is asked about.
struct Past {
    fold: Fold,
    header: Header,
    span: Span,
    /// What could not be read was told.
    is_damaged: bool,
}

/// What is worth a line.
enum Seen {
    /// A segment begins.
    Began(Header, Box<Continuity>),
    /// An event happened, when the wall clock showed so much.
    Happened(Timestamp, Box<Happened>),
}

struct Continuity {
    missing: Option<u64>,
    differs_at: Option<usize>,
}

struct Happened {
    record: crate::journal::Record,
    decided: Vec<(TargetKey, Decision)>,
}

impl Past {
    /// `None` where it is of another group than the one asked for.
    fn of(folder: &Path, group: Option<&str>, span: Span) -> Result<Option<Self>> {
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
                    println!("{} ({})", header.name, header.group);
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

    fn state(&self) -> Option<&GroupState> {
        self.fold.state()
    }

    /// What comes next, until the time that is asked about is over.
    fn next(&mut self) -> Option<Seen> {
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
                    return Some(Seen::Began(header, Box::new(continuity)));
                }
                Folded::Happened { record, decided } => {
                    let wall = self.state().map(|state| state.facts().wall);
                    let wall = wall.unwrap_or_default().on_the_wall(record.event.at);
                    if wall > self.span.to {
                        return None;
                    }
                    return Some(Seen::Happened(wall, Box::new(Happened { record, decided })));
                }
            }
        }
    }
}

/// `2026-11-30 03:14:05Z`.
fn shown(wall: Timestamp) -> String {
    let at = UNIX_EPOCH + Duration::from_secs(wall.as_millis() / 1_000);
    humantime::format_rfc3339_seconds(at)
        .to_string()
        .replace('T', " ")
}

/// Who asked.
fn named(key: &TargetKey) -> String {
    match key.is_unnamed() {
        true => "(no ScaledObject)".to_owned(),
        false => format!("{}/{}", key.namespace, key.name),
    }
}
