//! A source behind its circuit breaker: bounds every poll, counts what happened, and has the connection rebuilt after
//! timeouts.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::hourly::HourlyRequests;
use super::source::{GroupReader, Requests, Source};
use crate::model::memory::ServerMemory;
use crate::model::sample::{Failure, FailureKind, Sample};
use crate::model::stream::StreamSelector;
use crate::model::time::Timestamp;
use crate::resilience::breaker::{
    AttemptOutcome, BreakerSettings, CircuitBreaker, CircuitState, Permit, Ticket,
};
use crate::resilience::caller::Caller;
use crate::trace::Durations;

/// Upper bounds of the poll duration buckets, in seconds.
const DURATION_BUCKETS_SECONDS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0,
];

/// A busy machine may be so much late to see a reply.
const LATE: Duration = Duration::from_secs(1);

/// Timeouts in a row after which the connection is rebuilt.
const TIMEOUTS_BEFORE_RECONNECT: u32 = 2;

/// Groups that failed alone so often in a row are polled one at a time: an overloaded server is asked no more by many than by one.
const ONE_BY_ONE_FROM: u32 = 3;

/// What the polls of a source came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PollStats {
    /// Polls that asked the source.
    pub count: u64,
    /// Failed polls by class, those denied by the circuit included.
    pub errors: BTreeMap<FailureKind, u64>,
    /// When a poll last succeeded.
    pub last_success: Option<Timestamp>,
    /// Whether the last poll that asked the source succeeded, those left aside that failed while it answered others.
    pub up: bool,
    /// How often the connection was dropped for timeouts.
    pub reconnects: u64,
}

/// Reads one group, and knows how the last polls of that group went.
pub struct GuardedReader {
    reader: Box<dyn GroupReader>,
    caller: Caller,
}

impl GuardedReader {
    /// Polls in a row that failed while the source answered other groups; 0: it may be the source that fails.
    pub const fn fails_alone(&self) -> u32 {
        self.caller.fails_alone()
    }
}

impl Deref for GuardedReader {
    type Target = dyn GroupReader;

    fn deref(&self) -> &Self::Target {
        self.reader.as_ref()
    }
}

impl DerefMut for GuardedReader {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.reader.as_mut()
    }
}

/// A source that is asked only while its circuit allows it.
pub struct GuardedSource {
    name: String,
    source: Box<dyn Source>,
    durations: Durations,
    guard: Mutex<Guard>,
    /// Held by one of the groups that keep failing alone.
    failing: tokio::sync::Mutex<()>,
}

struct Guard {
    breaker: CircuitBreaker,
    hourly: HourlyRequests,
    stats: PollStats,
    timeouts: u32,
    reconnected_at: Option<Instant>,
    /// What the last failed attempt said: still the reason while the circuit is open.
    last_outage: Option<String>,
}

impl fmt::Debug for GuardedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedSource")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl GuardedSource {
    /// A source whose circuit is closed.
    pub fn new(
        name: impl Into<String>,
        source: Box<dyn Source>,
        settings: BreakerSettings,
    ) -> Self {
        Self {
            name: name.into(),
            source,
            durations: Durations::new(&DURATION_BUCKETS_SECONDS),
            failing: tokio::sync::Mutex::default(),
            guard: Mutex::new(Guard {
                breaker: CircuitBreaker::new(settings),
                hourly: HourlyRequests::default(),
                stats: PollStats::default(),
                timeouts: 0,
                reconnected_at: None,
                last_outage: None,
            }),
        }
    }

    /// The source's configured name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A reader of one group that is polled every `poll_interval`, to be handed to [`Self::poll`].
    pub fn reader(
        &self,
        stream: &StreamSelector,
        consumer_group: &str,
        poll_interval: Duration,
    ) -> GuardedReader {
        let shares = self.source.shares(poll_interval);
        GuardedReader {
            reader: self.source.reader(stream, consumer_group, poll_interval),
            caller: self.guard().breaker.admit(shares),
        }
    }

    /// The time that a poll of a group may take.
    pub fn poll_deadline(&self, poll_interval: Duration) -> Duration {
        self.source.poll_deadline(poll_interval)
    }

    /// A moment from which on its groups are polled in step, where they are.
    pub fn in_step_with(&self) -> Option<Instant> {
        self.source.in_step_with()
    }

    /// What its servers' memory holds.
    pub fn memory(&self) -> Vec<ServerMemory> {
        self.source.memory()
    }

    /// Requests made so far, for sources where they are limited or billed.
    pub fn requests(&self) -> Requests {
        self.source.requests()
    }

    /// (management, blob) requests per hour, over the last hour or what there is of it; `None` within the first minute.
    pub fn requests_per_hour(&self) -> Option<(f64, f64)> {
        self.guard().hourly.per_hour(self.requests())
    }

    /// What the polls so far came to.
    pub fn stats(&self) -> PollStats {
        self.guard().stats.clone()
    }

    /// How long the polls took that asked the source: what is counted later shows in it, too.
    pub fn durations(&self) -> Durations {
        self.durations.clone()
    }

    /// Where the circuit stands.
    pub fn circuit_state(&self, now: Timestamp) -> CircuitState {
        self.guard().breaker.state(now)
    }

    /// Waits for the turn of a group that failed alone so often; what is returned is held while it is polled.
    pub async fn turn(&self, fails_alone: u32) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match fails_alone {
            0..ONE_BY_ONE_FROM => None,
            _ => Some(self.failing.lock().await),
        }
    }

    /// Polls once, within `deadline`. `clock` tells the time before and after.
    ///
    /// # Errors
    /// What the source failed with, a timeout, or at once [`FailureKind::CircuitOpen`].
    pub async fn poll(
        &self,
        reader: &mut GuardedReader,
        deadline: Duration,
        clock: &(dyn Fn() -> Timestamp + Send + Sync),
    ) -> Result<Sample, Failure> {
        let ticket = self.permit(clock(), deadline, &reader.caller)?;
        let started = Instant::now();
        let polled = tokio::time::timeout(deadline, reader.poll()).await;
        // A process that was stopped meanwhile finds the reply before it finds that the time is over; it tells of a moment long past.
        let in_time = polled.ok().filter(|_| started.elapsed() <= deadline + LATE);
        let result = in_time.unwrap_or_else(|| Err(self.timed_out(deadline)));
        let caller = &mut reader.caller;
        if self.record(ticket, caller, started, clock(), &result) {
            self.source.reconnect();
        }
        result
    }

    fn permit(
        &self,
        now: Timestamp,
        attempt: Duration,
        caller: &Caller,
    ) -> Result<Ticket, Failure> {
        let mut guard = self.guard();
        match guard.breaker.permit(now, attempt, caller) {
            Permit::Allowed(ticket) => Ok(ticket),
            Permit::Denied => {
                let kind = FailureKind::CircuitOpen;
                *guard.stats.errors.entry(kind).or_default() += 1;
                let why = guard.last_outage.as_deref().unwrap_or("it did not answer");
                let text = format!(
                    "source {} keeps failing, so its circuit is open and only probes are sent: {why}",
                    self.name
                );
                Err(Failure::new(kind, text))
            }
        }
    }

    fn timed_out(&self, deadline: Duration) -> Failure {
        let text = format!(
            "source {} did not answer within {}",
            self.name,
            humantime::format_duration(deadline)
        );
        Failure::new(FailureKind::Timeout, text)
    }

    /// Counts the poll; true if the connection should be rebuilt.
    fn record(
        &self,
        ticket: Ticket,
        caller: &mut Caller,
        started: Instant,
        now: Timestamp,
        result: &Result<Sample, Failure>,
    ) -> bool {
        self.durations.observe(started.elapsed());
        let requests = self.source.requests();
        let mut guard = self.guard();
        guard.hourly.note(requests);
        let failure = result.as_ref().err();
        let outcome = outcome(result);
        let is_out = guard.breaker.record(now, ticket, caller, outcome);
        let is_excused = outcome == AttemptOutcome::Outage && !is_out;
        guard.stats.count(failure.map(|failure| failure.kind), now);
        if is_excused {
            return false;
        }
        guard.stats.up = failure.is_none();
        if outcome != AttemptOutcome::Refused {
            guard.last_outage = failure.map(|failure| failure.text.clone());
        }
        guard.must_reconnect(started, failure.map(|failure| failure.kind))
    }

    fn guard(&self) -> MutexGuard<'_, Guard> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a poll says of the source. One that read nothing of what there is was not answered.
fn outcome(result: &Result<Sample, Failure>) -> AttemptOutcome {
    match result {
        Ok(sample) if !sample.was_told() => AttemptOutcome::Refused,
        _ => AttemptOutcome::of(result.as_ref().err()),
    }
}

impl Guard {
    fn must_reconnect(&mut self, started: Instant, kind: Option<FailureKind>) -> bool {
        if self.reconnected_at.is_some_and(|at| started < at) {
            // It waited on the connection that was dropped already.
            return false;
        }
        self.timeouts = if kind == Some(FailureKind::Timeout) {
            self.timeouts + 1
        } else {
            0
        };
        let must = self.timeouts >= TIMEOUTS_BEFORE_RECONNECT;
        if must {
            self.timeouts = 0;
            self.reconnected_at = Some(Instant::now());
            self.stats.reconnects += 1;
        }
        must
    }
}

impl PollStats {
    fn count(&mut self, kind: Option<FailureKind>, now: Timestamp) {
        self.count += 1;
        match kind {
            None => self.last_success = Some(now),
            Some(kind) => *self.errors.entry(kind).or_default() += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::BoxFuture;

    /// Finds its reply only after a minute, and before anybody could find that the time is over.
    struct Frozen;

    impl Source for Frozen {
        fn reader(&self, _: &StreamSelector, _: &str, _: Duration) -> Box<dyn GroupReader> {
            Box::new(Self)
        }
    }

    impl GroupReader for Frozen {
        fn poll(&mut self) -> BoxFuture<'_, Result<Sample, Failure>> {
            Box::pin(async {
                tokio::time::advance(Duration::from_secs(60)).await;
                Ok(Sample::default())
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_that_lay_there_while_the_process_was_stopped_tells_nothing_of_now() {
        let poll = Duration::from_secs(5);
        let settings = BreakerSettings::for_poll_interval(poll);
        let source = GuardedSource::new("main", Box::new(Frozen), settings);
        let mut reader = source.reader(&StreamSelector::Whole, "g", poll);
        let clock = || Timestamp::from_millis(0);
        let polled = source.poll(&mut reader, poll, &clock).await;
        assert_eq!(polled.map_err(|f| f.kind), Err(FailureKind::Timeout));
    }
}
