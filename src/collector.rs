//! Per group: poll → observe → publish, for as long as somebody wants it.

mod keep_going;
mod keeping;
mod news;
mod outlets;
pub mod replicas;
mod roles;
pub mod signals;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;
use tracing::field::Empty;

use crate::clock::Clock;
use crate::config::signals::counted_errors;
use crate::group::event::{Event, What};
use crate::model::sample::{Failure, FailureKind, Sample};
use crate::policy::pace::{Pace, between_wakes};
use crate::publish::Group;
use crate::sources::GroupReader;
use crate::sources::guarded::{GuardedReader, GuardedSource};

pub use self::keep_going::keep_collecting;
pub use self::outlets::Outlets;

use self::news::ReportedIncidents;

/// A source that is out is asked again at least this often, so that its return is noticed at once; one that answers, be it with
/// a refusal, is not asked more often than it is to be polled.
const RETRY: Duration = Duration::from_secs(1);

/// A group that fails alone is asked again after half its interval, so that one failure alone makes nothing stale. After that the time
/// is doubled so often, …
const MOST_DOUBLED: u32 = 3;
/// … to no more than this, or its interval.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// Polls the group until it is retired. Never ends on its own.
async fn collect(group: Arc<Group>, source: Arc<GuardedSource>, outlets: Outlets, clock: Clock) {
    let definition = group.definition();
    let deadline = source.poll_deadline(definition.poll_interval);
    let mut reader = reader(&group, &source);
    if let Some(errors) = counted_errors(&definition.signals) {
        reader.count_errors(errors);
    }
    let mut failing = None;
    let mut told = ReportedIncidents::already(&group.snapshot().incidents);
    // Groups that came together are not polled together for ever: the second poll comes earlier, by another share for each.
    let mut share = spread(&definition.name);
    let mut pace = Pace::new(definition.poll_interval, share);
    let mut woken_at: Option<Instant> = None;
    loop {
        let turn = source.turn(reader.fails_alone()).await;
        if group.is_retired() {
            break;
        }
        let started = Instant::now();
        // The start of the poll, so that an answer is never taken for fresher than it is.
        let now = clock.moment();
        let at = now.at;
        group.go_by(now);
        let span = tracing::info_span!("poll", group = definition.name, source = source.name());
        let read = tracing::info_span!(parent: &span, "read", failure = Empty);
        let seen = source
            .poll(&mut reader, deadline, &move || clock.now())
            .instrument(read.clone())
            .await
            .and_then(|sample| room_for(&group, sample.partitions.len()).map(|()| sample));
        if let Err(failure) = &seen {
            read.record("failure", failure.kind.as_str());
        }
        drop((read, turn));
        let took = started.elapsed();
        failing = report(&definition.name, failing, &seen);
        let interval = definition.poll_interval;
        let rest = match &seen {
            Ok(_) => interval,
            Err(failure) => again_after(failure, interval, reader.fails_alone()),
        };
        let mut next = match source.in_step_with() {
            Some(beat) if rest >= interval => in_step(
                started + rest - interval,
                interval,
                beat + step(source.name()),
            ),
            None if seen.is_ok() => started + rest.mul_f64(std::mem::replace(&mut share, 1.0)),
            _ => started + rest,
        };
        if let (Some(recording), Ok(sample)) = (&outlets.recording, &seen) {
            recording.note(&definition.name, now, sample);
        }
        let is_read = seen.is_ok();
        let event = Event {
            at,
            what: What::Observed(seen),
        };
        span.in_scope(|| group.apply(&event));
        drop(span);
        let incidents = &group.reportable().incidents;
        told.tell(at, &definition.name, incidents, outlets.notices.as_ref());
        if let Some(keeper) = &outlets.state {
            keeping::keep(&group, keeper, now);
        }
        let is_inactive = is_read && group.is_inactive();
        if is_read && source.in_step_with().is_none() {
            next = next.min(started + pace.after(is_inactive));
        }
        let rest = between_wakes(interval, took);
        let watched_from = is_inactive.then(|| woken_at.map_or(started, |at| at + rest));
        if wait(&mut *reader, next, watched_from).await {
            woken_at = Some(Instant::now());
        }
    }
    if let Some(keeper) = &outlets.state {
        keeper.retire(&definition.key);
    }
}

/// Reads the group, as far as there is room for its partitions.
fn reader(group: &Arc<Group>, source: &GuardedSource) -> GuardedReader {
    let definition = group.definition();
    let mut reader = source.reader(
        &definition.selector,
        &definition.key.consumer_group,
        definition.poll_interval,
    );
    let of = group.clone();
    reader.within(Arc::new(move |partitions| room_for(&of, partitions)));
    reader
}

/// Whether the group may have so many partitions.
fn room_for(group: &Group, partitions: usize) -> Result<(), Failure> {
    let room = group.claim().resize(partitions);
    room.map_err(|no_room| Failure::new(FailureKind::Misconfigured, no_room.to_string()))
}

/// Waits until the next poll is due, or until a message comes, from when on that is watched, or what a poll lacked; whether it did.
async fn wait(reader: &mut dyn GroupReader, next: Instant, watched_from: Option<Instant>) -> bool {
    let news = async {
        match watched_from {
            Some(from) => {
                tokio::time::sleep_until(from).await;
                reader.until_news().await;
            }
            None => reader.until_ready().await,
        }
    };
    tokio::select! {
        () = tokio::time::sleep_until(next) => false,
        () = news => true,
    }
}

/// How soon after its start a poll that failed is followed by the next. A group that fails while the source answers others rests.
fn again_after(failure: &Failure, interval: Duration, fails_alone: u32) -> Duration {
    let is_out = failure.kind.is_outage();
    match fails_alone.checked_sub(1) {
        // While the circuit is open, asking costs the source a probe at most.
        _ if failure.kind == FailureKind::CircuitOpen => interval.min(RETRY),
        None if is_out => interval.min(RETRY),
        Some(before) if is_out => {
            let rest = interval / 2 * (1 << before.min(MOST_DOUBLED));
            rest.clamp(interval.min(RETRY), LONGEST_REST.max(interval))
        }
        _ => interval,
    }
}

/// A share between 0 and 1 that depends on the name alone.
fn spread(name: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    f64::from((hasher.finish() >> 40) as u32) / f64::from(1_u32 << 24)
}

/// Within what time the sources take their turns whose groups are polled in step.
const STEPS_WITHIN: Duration = Duration::from_secs(15);

/// How much later than another a source's groups are polled, so that not all are at once.
fn step(source: &str) -> Duration {
    STEPS_WITHIN.mul_f64(spread(source))
}

/// The first beat of `interval` that is half an interval away at least.
fn in_step(polled: Instant, interval: Duration, beat: Instant) -> Instant {
    let earliest = polled + interval / 2;
    let every = interval.as_nanos().max(1);
    let to_beat = beat.saturating_duration_since(earliest).as_nanos() % every;
    let since_beat = earliest.saturating_duration_since(beat).as_nanos() % every;
    let wait = (to_beat + every - since_beat) % every;
    earliest + Duration::from_nanos(u64::try_from(wait).unwrap_or_default())
}

/// Logs the first failure of a kind, and the recovery; not every poll in between.
fn report(
    group: &str,
    before: Option<FailureKind>,
    seen: &Result<Sample, Failure>,
) -> Option<FailureKind> {
    match seen {
        Ok(_) => {
            if before.is_some() {
                tracing::info!(group, "polling works again");
            }
            None
        }
        // Says nothing new: the failure that opened the circuit was logged.
        Err(failure) if failure.kind == FailureKind::CircuitOpen => before.or(Some(failure.kind)),
        Err(failure) => {
            if before != Some(failure.kind) {
                tracing::warn!(
                    group,
                    reason = failure.kind.as_str(),
                    "poll failed: {}",
                    failure.text
                );
            }
            Some(failure.kind)
        }
    }
}

#[cfg(test)]
mod tests;
