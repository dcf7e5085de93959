//! `replay`: decisions of the past from the journal: explained, computed again, or with other settings.

mod decisions;
mod otherwise;
mod past;
mod verify;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anyhow::{Result, bail};

use self::past::{ReplayedGroup, Span};
use crate::cli::ReplayArgs;
use crate::clock::Clock;
use crate::journal::group_folders;

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
    let span = Span::of(args, now);
    let (mut found, mut failed) = (false, false);
    for folder in folders {
        let Some(past) = ReplayedGroup::of(&folder, args.group.as_deref(), span)? else {
            continue;
        };
        if std::mem::replace(&mut found, true) {
            writeln!(out)?;
        }
        writeln!(out, "{} ({})", past.header.name, past.header.group)?;
        failed |= match (args.at, &args.policy) {
            (Some(_), _) => decisions::at(past, out)?,
            (None, Some(settings)) => otherwise::compare(past, settings, out)?,
            (None, None) if args.verify => verify::verify(past, out)?,
            (None, None) => decisions::list(past, out)?,
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
