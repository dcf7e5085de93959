//! Metrics of what is kept over a restart; none where nothing is.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::adapters::views::StateView;
use crate::clock::on_the_wall;

use super::family::{About, Label, Value, counter, gauge};

const FAILURES: About = About(
    "state_write_failures",
    "Failed writes of the learned state.",
);
const SAVED_AT: About = About(
    "state_last_success_timestamp_seconds",
    "Time of the last successful write of the learned state, in seconds since the Unix epoch; absent before the first.",
);

const JOURNAL_FAILURES: About = About("journal_write_failures", "Failed writes of the journal.");
const JOURNAL_LOST: About = About(
    "journal_lost_events",
    "Events that are missing in the journal, because the disk was full or too slow.",
);
const JOURNAL_BYTES: About = About(
    "journal_size_bytes",
    "Size of the journals of all groups, measured every minute.",
);

pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, view: &StateView) -> fmt::Result {
    let none: [Label<'_>; 0] = [];
    counter(
        encoder,
        FAILURES,
        [(none, view.failures.into())].into_iter(),
    )?;
    let saved_at = view
        .saved_at
        .map(|at| (none, Value::from(on_the_wall(at).as_seconds())));
    gauge(encoder, SAVED_AT, saved_at.into_iter())?;
    let Some(journal) = view.journal else {
        return Ok(());
    };
    for (about, count) in [
        (JOURNAL_FAILURES, journal.failures),
        (JOURNAL_LOST, journal.lost),
    ] {
        counter(encoder, about, [(none, count.into())].into_iter())?;
    }
    let bytes = (none, Value::from(journal.bytes));
    gauge(encoder, JOURNAL_BYTES, [bytes].into_iter())
}
