//! `replay`: decisions of the past from the journal: explained, computed again, or with other settings.

mod decisions;
mod otherwise;
mod verify;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cli::{PointInTime, ReplayArgs};
use crate::clock::Clock;
use crate::journal::{PastSpan, ReplayedGroup, group_folders};
use crate::model::time::Timestamp;

/// Reads the journals and prints what is asked for.
///
/// # Errors
/// There is no journal, or none of the group that is asked for.
pub fn run(args: &ReplayArgs) -> Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout().lock());
    let done = replay(args, &mut out);
    let flushed = out.flush().map_err(anyhow::Error::from);
    match done.and_then(|code| flushed.map(|()| code)) {
        // Who reads has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        done => done,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn replay(args: &ReplayArgs, out: &mut impl Write) -> Result<ExitCode> {
    let folders = group_folders(&args.path)?;
    let now = Clock::start().moment().on_the_wall();
    let span = span(args, now);
    let (mut found, mut failed) = (false, false);
    for folder in folders {
        let mut past = match ReplayedGroup::of(&folder, args.group.as_deref(), span) {
            Ok(Some(past)) => past,
            Ok(None) => continue,
            Err(error) => {
                eprintln!("{error}");
                failed = true;
                continue;
            }
        };
        if std::mem::replace(&mut found, true) {
            writeln!(out)?;
        }
        writeln!(out, "{} ({})", past.header.name, past.header.group)?;
        match (args.at, &args.policy) {
            (Some(_), _) => failed |= decisions::at(&mut past, out)?,
            (None, Some(settings)) => otherwise::compare(&mut past, settings, out)?,
            (None, None) if args.verify => failed |= verify::verify(&mut past, out)?,
            (None, None) => decisions::list(&mut past, out)?,
        }
        for problem in &past.problems {
            failed = true;
            eprintln!("{}: {problem}", past.header.name);
        }
    }
    match (&args.group, found) {
        (Some(group), false) if !failed => bail!(
            "{}: no journal of a group named {group}: leave --group out to see all",
            args.path.display()
        ),
        _ if failed => Ok(ExitCode::FAILURE),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn span(args: &ReplayArgs, now: Timestamp) -> PastSpan {
    let wall = |point: Option<PointInTime>| point.map(|point| point.before(now));
    let at = wall(args.at);
    PastSpan {
        from: at.or(wall(args.from)).unwrap_or_default(),
        to: at
            .or(wall(args.to))
            .unwrap_or(Timestamp::from_millis(u64::MAX)),
    }
}
