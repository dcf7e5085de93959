//! A circuit breaker that reads as its own state diagram: closed → open → half-open → closed.

use std::collections::VecDeque;
use std::time::Duration;

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

/// Says which attempt an outcome belongs to, so that a straggler from before a state change counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The source answered, be it with a refusal.
    Answered,
    /// The source is in trouble.
    Outage,
}

/// The circuit breaker of one source, shared by all its groups.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    settings: BreakerSettings,
    state: BreakerState,
    /// Raised at every state change and every probe.
    epoch: u64,
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
        /// When the probe is given up.
        until: Timestamp,
    },
}

/// A probe is given up no sooner than so long after its own deadline.
const GRACE: Duration = Duration::from_secs(1);

const fn closed() -> BreakerState {
    BreakerState::Closed {
        in_a_row: 0,
        window: VecDeque::new(),
    }
}

impl CircuitBreaker {
    /// A closed circuit.
    pub const fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            state: closed(),
            epoch: 0,
        }
    }

    /// Asks for leave to make one attempt, which may take `attempt` at most.
    pub fn permit(&mut self, now: Timestamp, attempt: Duration) -> Permit {
        let due = match self.state {
            BreakerState::Closed { .. } => return Permit::Allowed(Ticket(self.epoch)),
            BreakerState::Open { since } => now.since(since) >= self.settings.probe_interval,
            BreakerState::HalfOpen { until } => now >= until,
        };
        if !due {
            return Permit::Denied;
        }
        let lasts = self.settings.probe_expiry.max(attempt + GRACE);
        self.enter(BreakerState::HalfOpen {
            until: now.plus(lasts),
        });
        Permit::Allowed(Ticket(self.epoch))
    }

    /// Reports how the attempt of that ticket ended.
    pub fn record(&mut self, now: Timestamp, ticket: Ticket, outcome: AttemptOutcome) {
        if ticket.0 != self.epoch {
            return;
        }
        match (&mut self.state, outcome) {
            (BreakerState::Closed { in_a_row, window }, _) => {
                let failed = outcome == AttemptOutcome::Outage;
                *in_a_row = if failed { *in_a_row + 1 } else { 0 };
                window.push_back(failed);
                if window.len() > self.settings.window {
                    window.pop_front();
                }
                if must_open(&self.settings, *in_a_row, window) {
                    self.enter(BreakerState::Open { since: now });
                }
            }
            (BreakerState::HalfOpen { .. }, AttemptOutcome::Answered) => self.enter(closed()),
            (BreakerState::HalfOpen { .. }, AttemptOutcome::Outage) => {
                self.enter(BreakerState::Open { since: now })
            }
            (BreakerState::Open { .. }, _) => {}
        }
    }

    /// Where the circuit stands at `now`.
    pub fn state(&self, now: Timestamp) -> CircuitState {
        match self.state {
            BreakerState::Closed { .. } => CircuitState::Closed,
            BreakerState::HalfOpen { until } if now < until => CircuitState::HalfOpen,
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ATTEMPT: Duration = Duration::from_secs(2);

    fn breaker() -> CircuitBreaker {
        CircuitBreaker::new(BreakerSettings::for_poll_interval(Duration::from_secs(5)))
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn attempt(breaker: &mut CircuitBreaker, now: Timestamp, outcome: AttemptOutcome) -> bool {
        let Permit::Allowed(ticket) = breaker.permit(now, ATTEMPT) else {
            return false;
        };
        breaker.record(now, ticket, outcome);
        true
    }

    #[test]
    fn three_failures_in_a_row_open_and_one_good_probe_closes() {
        let mut b = breaker();
        for _ in 0..3 {
            assert!(attempt(&mut b, at(0), AttemptOutcome::Outage));
        }
        assert_eq!(b.state(at(0)), CircuitState::Open);
        assert!(!attempt(&mut b, at(999), AttemptOutcome::Answered));
        assert!(attempt(&mut b, at(1000), AttemptOutcome::Outage));
        assert_eq!(b.state(at(1000)), CircuitState::Open);
        assert!(attempt(&mut b, at(2000), AttemptOutcome::Answered));
        assert_eq!(b.state(at(2000)), CircuitState::Closed);
    }

    #[test]
    fn more_than_half_of_ten_failing_opens_and_half_does_not() {
        let check = |outcomes: &str, expect| {
            let mut b = breaker();
            for c in outcomes.chars() {
                let outcome = if c == 'x' {
                    AttemptOutcome::Outage
                } else {
                    AttemptOutcome::Answered
                };
                attempt(&mut b, at(0), outcome);
            }
            assert_eq!(b.state(at(0)), expect, "{outcomes}");
        };
        check("x.x.x.x.x.", CircuitState::Closed);
        check("xx.xx.xx", CircuitState::Closed);
        check("xx.xx.xx..", CircuitState::Open);
        check("xx.xx.x....x", CircuitState::Closed);
    }

    #[test]
    fn a_probe_that_never_reports_is_given_up() {
        let mut b = breaker();
        for _ in 0..3 {
            attempt(&mut b, at(0), AttemptOutcome::Outage);
        }
        let Permit::Allowed(lost) = b.permit(at(1000), ATTEMPT) else {
            panic!("a probe was due");
        };
        assert_eq!(b.state(at(1000)), CircuitState::HalfOpen);
        assert_eq!(b.permit(at(5999), ATTEMPT), Permit::Denied);
        assert!(matches!(b.permit(at(6000), ATTEMPT), Permit::Allowed(_)));
        b.record(at(6001), lost, AttemptOutcome::Answered);
        assert_eq!(
            b.state(at(6001)),
            CircuitState::HalfOpen,
            "a straggler closes nothing"
        );
    }

    #[test]
    fn a_probe_that_may_take_longer_is_given_up_only_after_that() {
        let mut b = breaker();
        for _ in 0..3 {
            attempt(&mut b, at(0), AttemptOutcome::Outage);
        }
        let slow = Duration::from_millis(13_500);
        let Permit::Allowed(ticket) = b.permit(at(1000), slow) else {
            panic!("a probe was due");
        };
        assert_eq!(b.permit(at(15_499), slow), Permit::Denied);
        b.record(at(14_500), ticket, AttemptOutcome::Answered);
        assert_eq!(b.state(at(14_500)), CircuitState::Closed);
    }

    proptest! {
        /// Against the two rules written out over the whole history.
        #[test]
        fn a_closed_circuit_opens_at_the_first_attempt_that_meets_a_rule(
            failed in prop::collection::vec(any::<bool>(), 1..60)
        ) {
            let mut b = breaker();
            for (n, outage) in failed.iter().enumerate() {
                let outcome = if *outage { AttemptOutcome::Outage } else { AttemptOutcome::Answered };
                prop_assert!(attempt(&mut b, at(0), outcome));
                let last = |many: usize| failed[..=n].iter().rev().take(many).filter(|f| **f).count();
                let must = last(3) == 3 || (n >= 9 && last(10) > 5);
                prop_assert_eq!(b.state(at(0)) == CircuitState::Open, must);
                if must {
                    break;
                }
            }
        }

        /// Random histories of attempts, some never reported, some reported late.
        #[test]
        fn while_not_closed_probes_keep_their_distance_and_one_is_always_due_in_time(
            steps in prop::collection::vec((0u64..3000, 0u8..4), 1..200)
        ) {
            let mut b = breaker();
            let mut now = 0;
            let mut last_probe: Option<u64> = None;
            let mut open_tickets = Vec::new();
            for (wait, action) in steps {
                now += wait;
                let before = b.state(at(now));
                match b.permit(at(now), ATTEMPT) {
                    Permit::Denied => {
                        prop_assert_ne!(before, CircuitState::Closed);
                        if let Some(last) = last_probe {
                            prop_assert!(now - last < 6000, "never denied for longer than expiry and interval");
                        }
                    }
                    Permit::Allowed(ticket) => {
                        prop_assert_ne!(before, CircuitState::HalfOpen, "one probe at a time");
                        if before == CircuitState::Open {
                            if let Some(last) = last_probe {
                                prop_assert!(now - last >= 1000, "probes keep their distance");
                            }
                            prop_assert_eq!(b.state(at(now)), CircuitState::HalfOpen);
                        }
                        last_probe = Some(now);
                        open_tickets.push(ticket);
                    }
                }
                let outcome = if action == 0 { AttemptOutcome::Answered } else { AttemptOutcome::Outage };
                if action < 3 && let Some(ticket) = open_tickets.pop() {
                    b.record(at(now), ticket, outcome);
                    if outcome == AttemptOutcome::Answered && before == CircuitState::Closed {
                        prop_assert_ne!(b.state(at(now)), CircuitState::HalfOpen);
                    }
                }
            }
        }
    }
}
