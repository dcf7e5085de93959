//! The circuit against its rules written out over whole histories.

mod shared;

use super::*;
use proptest::prelude::*;

const ATTEMPT: Duration = Duration::from_secs(2);

fn breaker() -> CircuitBreaker {
    CircuitBreaker::new(BreakerSettings::for_poll_interval(Duration::from_secs(5)))
}

/// A circuit, and the only one who asks.
fn with_one_caller() -> Scene {
    let mut breaker = breaker();
    let caller = breaker.admit(Duration::ZERO);
    (breaker, caller)
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

type Scene = (CircuitBreaker, Caller);

fn attempt((breaker, caller): &mut Scene, now: Timestamp, outcome: AttemptOutcome) -> bool {
    let Permit::Allowed(ticket) = breaker.permit(now, ATTEMPT, caller) else {
        return false;
    };
    breaker.record(now, ticket, caller, outcome);
    true
}

#[test]
fn three_failures_in_a_row_open_and_one_good_probe_closes() {
    let mut b = with_one_caller();
    for _ in 0..3 {
        assert!(attempt(&mut b, at(0), AttemptOutcome::Outage));
    }
    assert_eq!(b.0.state(at(0)), CircuitState::Open);
    assert!(!attempt(&mut b, at(999), AttemptOutcome::Answered));
    assert!(attempt(&mut b, at(1000), AttemptOutcome::Outage));
    assert_eq!(b.0.state(at(1000)), CircuitState::Open);
    assert!(attempt(&mut b, at(2000), AttemptOutcome::Answered));
    assert_eq!(b.0.state(at(2000)), CircuitState::Closed);
}

#[test]
fn more_than_half_of_ten_failing_opens_and_half_does_not() {
    let check = |outcomes: &str, expect| {
        let mut b = with_one_caller();
        for c in outcomes.chars() {
            let outcome = if c == 'x' {
                AttemptOutcome::Outage
            } else {
                AttemptOutcome::Answered
            };
            attempt(&mut b, at(0), outcome);
        }
        assert_eq!(b.0.state(at(0)), expect, "{outcomes}");
    };
    check("x.x.x.x.x.", CircuitState::Closed);
    check("xx.xx.xx", CircuitState::Closed);
    check("xx.xx.xx..", CircuitState::Open);
    check("xx.xx.x....x", CircuitState::Closed);
}

#[test]
fn a_probe_that_never_reports_is_given_up() {
    let mut b = with_one_caller();
    for _ in 0..3 {
        attempt(&mut b, at(0), AttemptOutcome::Outage);
    }
    let Permit::Allowed(lost) = b.0.permit(at(1000), ATTEMPT, &b.1) else {
        panic!("a probe was due");
    };
    assert_eq!(b.0.state(at(1000)), CircuitState::HalfOpen);
    assert_eq!(b.0.permit(at(5999), ATTEMPT, &b.1), Permit::Denied);
    assert!(matches!(
        b.0.permit(at(6000), ATTEMPT, &b.1),
        Permit::Allowed(_)
    ));
    b.0.record(at(6001), lost, &mut b.1, AttemptOutcome::Answered);
    assert_eq!(
        b.0.state(at(6001)),
        CircuitState::HalfOpen,
        "a straggler closes nothing"
    );
}

#[test]
fn a_probe_that_may_take_longer_is_given_up_only_after_that() {
    let mut b = with_one_caller();
    for _ in 0..3 {
        attempt(&mut b, at(0), AttemptOutcome::Outage);
    }
    let slow = Duration::from_millis(13_500);
    let Permit::Allowed(ticket) = b.0.permit(at(1000), slow, &b.1) else {
        panic!("a probe was due");
    };
    assert_eq!(b.0.permit(at(15_499), slow, &b.1), Permit::Denied);
    b.0.record(at(14_500), ticket, &mut b.1, AttemptOutcome::Answered);
    assert_eq!(b.0.state(at(14_500)), CircuitState::Closed);
}

proptest! {
    /// Against the two rules written out over the whole history.
    #[test]
    fn a_closed_circuit_opens_at_the_first_attempt_that_meets_a_rule(
        failed in prop::collection::vec(any::<bool>(), 1..60)
    ) {
        let mut b = with_one_caller();
        for (n, outage) in failed.iter().enumerate() {
            let outcome = if *outage { AttemptOutcome::Outage } else { AttemptOutcome::Answered };
            prop_assert!(attempt(&mut b, at(0), outcome));
            let last = |many: usize| failed[..=n].iter().rev().take(many).filter(|f| **f).count();
            let must = last(3) == 3 || (n >= 9 && last(10) > 5);
            prop_assert_eq!(b.0.state(at(0)) == CircuitState::Open, must);
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
        let mut b = with_one_caller();
        let mut now = 0;
        let mut last_probe: Option<u64> = None;
        let mut open_tickets = Vec::new();
        for (wait, action) in steps {
            now += wait;
            let before = b.0.state(at(now));
            match b.0.permit(at(now), ATTEMPT, &b.1) {
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
                        prop_assert_eq!(b.0.state(at(now)), CircuitState::HalfOpen);
                    }
                    last_probe = Some(now);
                    open_tickets.push(ticket);
                }
            }
            let outcome = if action == 0 { AttemptOutcome::Answered } else { AttemptOutcome::Outage };
            if action < 3 && let Some(ticket) = open_tickets.pop() {
                b.0.record(at(now), ticket, &mut b.1, outcome);
                if outcome == AttemptOutcome::Answered && before == CircuitState::Closed {
                    prop_assert_ne!(b.0.state(at(now)), CircuitState::HalfOpen);
                }
            }
        }
    }
}
