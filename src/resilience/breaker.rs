//! A circuit breaker that reads as its own state diagram: closed → open → half-open → closed.

use std::collections::VecDeque;
use std::time::Duration;

use super::caller::{Caller, LastAnswers};
use crate::model::sample::Failure;
use crate::model::time::Timestamp;

/// When the circuit opens and how it is probed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerSettings {
    /// Failures in a row that open the circuit.
    pub consecutive_failures: u32,
    /// Attempts that the failure share is taken over; the share counts only once so many were made.
    pub window: usize,
    /// The circuit opens when more than this share of the window failed.
    pub failure_share: f64,
    /// Time between probes while open.
    pub probe_interval: Duration,
    /// A probe that reported nothing for so long is given up, so that a dropped one never blocks for ever; at least.
    pub probe_expiry: Duration,
}

impl BreakerSettings {
    /// The settings of a source polled every `poll_interval`: probed every min(poll interval, 1 s).
    pub fn for_poll_interval(poll_interval: Duration) -> Self {
        Self {
            consecutive_failures: 3,
            window: 10,
            failure_share: 0.5,
            probe_interval: poll_interval.min(Duration::from_secs(1)),
            probe_expiry: Duration::from_secs(5),
        }
    }
}

/// Where the circuit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// Every attempt is allowed.
    Closed,
    /// Attempts are denied until the next probe is due.
    Open,
    /// One probe is under way; the others are denied.
    HalfOpen,
}

impl CircuitState {
    /// Every state, in label order.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Permit {
    /// Go on, and report the outcome with this ticket.
    Allowed(Ticket),
    /// Do not ask the source now.
    Denied,
}

/// Says which attempt an outcome belongs to, so that a straggler from before a state change moves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    epoch: u64,
    started: Timestamp,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The source told what it was asked for.
    Answered,
    /// It says nothing of the source: a refusal, or the source was not even asked.
    Refused,
    /// The source is in trouble, unless it answered another meanwhile.
    Outage,
}

impl AttemptOutcome {
    /// By what it failed with, if it did.
    pub fn of(failure: Option<&Failure>) -> Self {
        match failure {
            None => Self::Answered,
            Some(failure) if failure.kind.is_outage() => Self::Outage,
            Some(_) => Self::Refused,
        }
    }
}

/// The circuit breaker of one source, shared by all its callers.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    settings: BreakerSettings,
    state: BreakerState,
    /// Raised at every state change and every probe.
    epoch: u64,
    answers: LastAnswers,
    /// Who is to make the next probe, of those that were denied since the last, and when it asked.
    awaited: Option<(Caller, Timestamp)>,
}

#[derive(Clone, Debug)]
enum BreakerState {
    Closed {
        in_a_row: u32,
        /// Outcomes of the last attempts; true is an outage.
        window: VecDeque<bool>,
    },
    Open {
        since: Timestamp,
    },
    HalfOpen {
        /// As before the probe.
        since: Timestamp,
        /// When the probe is given up.
        until: Timestamp,
    },
}

/// A probe is given up no sooner than so long after its own deadline.
const GRACE: Duration = Duration::from_secs(1);

/// Who was denied a probe is waited for so long: callers ask again every second at least.
const AWAITED_FOR: Duration = Duration::from_secs(2);

const fn closed() -> BreakerState {
    BreakerState::Closed {
        in_a_row: 0,
        window: VecDeque::new(),
    }
}

impl CircuitBreaker {
    /// A closed circuit.
    pub fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            state: closed(),
            epoch: 0,
            answers: LastAnswers::default(),
            awaited: None,
        }
    }

    /// One more who asks the source. `shares`: how old readings may be that it takes from others.
    pub const fn admit(&mut self, shares: Duration) -> Caller {
        self.answers.admit(shares)
    }

    /// Asks for leave to make one attempt, which may take `attempt` at most.
    pub fn permit(&mut self, now: Timestamp, attempt: Duration, caller: &Caller) -> Permit {
        let (due, since) = match self.state {
            BreakerState::Closed { .. } => return Permit::Allowed(self.ticket(now)),
            BreakerState::Open { since } => {
                (now.since(since) >= self.settings.probe_interval, since)
            }
            BreakerState::HalfOpen { since, until } => (now >= until, since),
        };
        let awaited = self.awaited.take();
        let awaited = awaited.filter(|(_, at)| now.since(*at) <= AWAITED_FOR);
        let is_last = awaited.as_ref().is_some_and(|(c, _)| caller.yields_to(c));
        if !due || is_last {
            let waits = || Some((caller.clone(), now));
            self.awaited = awaited.filter(|_| is_last).or_else(waits);
            return Permit::Denied;
        }
        let lasts = self.settings.probe_expiry.max(attempt + GRACE);
        let until = now.plus(lasts);
        self.enter(BreakerState::HalfOpen { since, until });
        Permit::Allowed(self.ticket(now))
    }

    const fn ticket(&self, started: Timestamp) -> Ticket {
        let epoch = self.epoch;
        Ticket { epoch, started }
    }

    /// Reports how the attempt of that ticket ended; whether it was an outage that says something of the source.
    pub fn record(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        caller: &mut Caller,
        outcome: AttemptOutcome,
    ) -> bool {
        let is_out = match outcome {
            AttemptOutcome::Answered => {
                self.answers.answered(caller, ticket.started, now);
                Some(false)
            }
            AttemptOutcome::Refused => None,
            AttemptOutcome::Outage => {
                let excused = self.answers.excuses(caller, ticket.started, now);
                let is_closed = matches!(self.state, BreakerState::Closed { .. });
                if !is_closed {
                    caller.is_not_alone();
                }
                (!excused || !is_closed).then_some(true)
            }
        };
        if ticket.epoch == self.epoch {
            self.take(now, is_out);
        }
        is_out == Some(true)
    }

    fn take(&mut self, now: Timestamp, is_out: Option<bool>) {
        match (&mut self.state, is_out) {
            (BreakerState::Closed { in_a_row, window }, Some(failed)) => {
                *in_a_row = if failed { *in_a_row + 1 } else { 0 };
                window.push_back(failed);
                if window.len() > self.settings.window {
                    window.pop_front();
                }
                if must_open(&self.settings, *in_a_row, window) {
                    self.enter(BreakerState::Open { since: now });
                }
            }
            (BreakerState::HalfOpen { .. }, Some(false)) => self.enter(closed()),
            (BreakerState::HalfOpen { .. }, Some(true)) => {
                self.enter(BreakerState::Open { since: now });
            }
            // The probe is left to the next who asks.
            (BreakerState::HalfOpen { since, .. }, None) => {
                let since = *since;
                self.enter(BreakerState::Open { since });
            }
            (BreakerState::Closed { .. }, None) | (BreakerState::Open { .. }, _) => {}
        }
    }

    /// Where the circuit stands at `now`.
    pub fn state(&self, now: Timestamp) -> CircuitState {
        match self.state {
            BreakerState::Closed { .. } => CircuitState::Closed,
            BreakerState::HalfOpen { until, .. } if now < until => CircuitState::HalfOpen,
            BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => CircuitState::Open,
        }
    }

    fn enter(&mut self, state: BreakerState) {
        self.state = state;
        self.epoch += 1;
    }
}

fn must_open(settings: &BreakerSettings, in_a_row: u32, window: &VecDeque<bool>) -> bool {
    let failures = window.iter().filter(|failed| **failed).count();
    in_a_row >= settings.consecutive_failures
        || (window.len() >= settings.window
            && failures as f64 > settings.failure_share * window.len() as f64)
}

#[cfg(test)]
mod tests;
