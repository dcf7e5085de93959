//! The statistics of guarded sources, in the shape that adapters read.

use std::sync::Arc;

use crate::adapters::sources_view::{PollDurations, SourceView, SourcesView};
use crate::clock::Clock;
use crate::sources::guarded::{DURATION_BUCKETS_SECONDS, GuardedSource, PollStats};

use super::sources::Sources;

/// Reads these sources whenever somebody asks.
pub(super) fn of(sources: Sources, clock: Clock) -> SourcesView {
    Arc::new(move || {
        sources
            .all()
            .iter()
            .map(|source| view(source, clock))
            .collect()
    })
}

fn view(source: &GuardedSource, clock: Clock) -> SourceView {
    let stats = source.stats();
    SourceView {
        name: source.name().to_owned(),
        up: (stats.count > 0).then_some(stats.up),
        last_success: stats.last_success,
        circuit: source.circuit_state(clock.now()).as_str(),
        poll_duration: durations(&stats),
        errors: stats.errors,
    }
}

/// Buckets cumulated; the one above all bounds is the count itself.
fn durations(stats: &PollStats) -> PollDurations {
    let mut polls = 0;
    let buckets = DURATION_BUCKETS_SECONDS
        .into_iter()
        .zip(stats.buckets)
        .map(|(upper, within)| {
            polls += within;
            (upper, polls)
        })
        .collect();
    PollDurations {
        buckets,
        sum: stats.sum_seconds,
        count: stats.count,
    }
}
