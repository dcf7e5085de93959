//! The circuit against its rules written out over whole histories.

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

/// Callers of one circuit; everyone has an attempt of its own.
struct Callers(CircuitBreaker, Vec<Caller>);

impl Callers {
    fn new(many: usize) -> Self {
        let mut breaker = breaker();
        let callers = (0..many).map(|_| breaker.admit(Duration::ZERO)).collect();
        Self(breaker, callers)
    }

    fn begin(&mut self, caller: usize, now: Timestamp) -> Option<Ticket> {
        match self.0.permit(now, ATTEMPT, &self.1[caller]) {
            Permit::Allowed(ticket) => Some(ticket),
            Permit::Denied => None,
        }
    }

    fn end(&mut self, caller: usize, ticket: Ticket, now: Timestamp, is_answered: bool) -> bool {
        let outcome = match is_answered {
            true => AttemptOutcome::Answered,
            false => AttemptOutcome::Outage,
        };
        self.0.record(now, ticket, &mut self.1[caller], outcome)
    }

    /// An attempt that takes a millisecond; whether it was an outage that counts.
    fn ask(&mut self, caller: usize, millis: u64, is_answered: bool) -> bool {
        let ticket = self.begin(caller, at(millis)).expect("a closed circuit");
        self.end(caller, ticket, at(millis + 1), is_answered)
    }

    fn state(&self, millis: u64) -> CircuitState {
        self.0.state(at(millis))
    }
}

#[test]
fn of_a_group_that_fails_while_another_is_answered_only_the_first_failure_counts() {
    let mut all = Callers::new(2);
    all.ask(0, 0, true);
    let counted: Vec<_> = (1..20)
        .map(|n| {
            all.ask(1, 1000 * n, true);
            let failed = all.ask(0, 1000 * n + 500, false);
            (failed, all.1[0].fails_alone())
        })
        .collect();
    assert_eq!(counted[..3], [(true, 1), (false, 2), (false, 3)]);
    assert!(counted[1..].iter().all(|(counts, _)| !counts));
    assert_eq!(all.state(20_000), CircuitState::Closed);
    all.ask(0, 20_000, true);
    assert_eq!(all.1[0].fails_alone(), 0);
}

#[test]
fn groups_that_never_worked_open_nothing_once_another_was_answered() {
    let mut all = Callers::new(8);
    all.ask(0, 0, true);
    for group in 1..8 {
        assert!(!all.ask(group, 1000, false));
    }
    // Asked again without another answer, they do.
    for group in 1..4 {
        assert!(all.ask(group, 2000, false));
    }
    assert_eq!(all.state(2002), CircuitState::Open);
}

#[test]
fn an_answer_that_was_asked_for_before_the_failure_or_read_for_another_excuses_nothing() {
    let check = |begins: u64, shares: u64, expect: bool| {
        let mut all = Callers::new(1);
        all.1.push(all.0.admit(Duration::from_millis(shares)));
        all.ask(0, 0, true);
        all.ask(0, 1000, false);
        let ticket = all.begin(1, at(begins)).expect("a closed circuit");
        all.end(1, ticket, at(1500), true);
        assert_eq!(all.ask(0, 2000, false), expect, "{begins} {shares}");
    };
    check(1000, 0, true);
    check(1001, 0, false);
    check(1200, 250, true);
    check(1251, 250, false);
}

#[test]
fn a_group_that_is_refused_says_nothing_of_the_source() {
    let mut all = Callers::new(2);
    let refuse = |all: &mut Callers, now| {
        let ticket = all.begin(0, at(now)).expect("leave");
        all.0
            .record(at(now), ticket, &mut all.1[0], AttemptOutcome::Refused);
    };
    all.ask(1, 0, false);
    all.ask(1, 10, false);
    refuse(&mut all, 20);
    assert!(all.ask(1, 30, false));
    assert_eq!(all.state(31), CircuitState::Open);
    // Nor does it close the circuit, or take a probe from others.
    refuse(&mut all, 1031);
    assert_eq!(all.state(1031), CircuitState::Open);
    let probe = all.begin(1, at(1031)).expect("a probe");
    all.end(1, probe, at(1032), true);
    assert_eq!(all.state(1032), CircuitState::Closed);
}

/// Everyone asks once a second, `sick` ones first, and is answered from `back` on unless sick: when the circuit closes.
fn closes_at(many: usize, sick: usize, back: u64) -> Option<u64> {
    let mut all = Callers::new(many);
    for caller in 0..many {
        all.ask(caller, 0, true);
    }
    for caller in 0..many {
        if all.state(1) == CircuitState::Closed {
            all.ask(caller, 1, false);
        }
    }
    let mut probe: Option<(usize, Ticket, u64)> = None;
    for millis in 2..100_000 {
        if let Some((caller, ticket, ends)) = probe.take_if(|(_, _, ends)| *ends == millis) {
            all.end(caller, ticket, at(ends), caller >= sick && ends >= back);
        }
        if all.state(millis) == CircuitState::Closed {
            return Some(millis);
        }
        let caller = (millis % 1000) as usize;
        if caller < many
            && let Some(ticket) = all.begin(caller, at(millis))
        {
            let is_slow = caller < sick || millis < back;
            probe = Some((caller, ticket, millis + if is_slow { 2000 } else { 1 }));
        }
    }
    None
}

#[test]
fn a_group_that_cannot_be_answered_does_not_keep_the_circuit_open() {
    for (many, sick) in [(1, 0), (4, 3), (100, 0), (100, 5)] {
        let closed = closes_at(many, sick, 0).expect("it closes");
        assert!(closed < 9_000, "{sick} of {many}: {closed}");
        let closed = closes_at(many, sick, 30_000).expect("it closes");
        assert!(closed < 40_000, "{sick} of {many}: {closed}");
    }
}

/// How an attempt ended, or does when it ends.
type Told = (usize, u64, u64, bool);

/// Whether an outage counts, written out over all that happened before it ended.
fn must_count(before: &[Told], (caller, started, _, _): Told) -> bool {
    let last = before.iter().rev().find(|(c, ..)| *c == caller);
    let since = match last {
        None => 0,
        Some((.., true)) => started,
        Some((_, _, ended, false)) => *ended,
    };
    let excuses = |(c, s, _, answered): &Told| *c != caller && *answered && *s >= since;
    !before.iter().any(excuses)
}

proptest! {
    /// Random histories of four groups, each with one attempt at a time.
    #[test]
    fn an_outage_counts_unless_another_was_answered_since(
        steps in prop::collection::vec((0usize..4, 0u64..700, any::<bool>()), 1..150)
    ) {
        let mut all = Callers::new(4);
        all.0.settings.consecutive_failures = u32::MAX;
        all.0.settings.window = usize::MAX;
        let (mut now, mut before) = (1, Vec::<Told>::new());
        let mut under_way: [Option<(Ticket, u64)>; 4] = [None; 4];
        for (caller, wait, answered) in steps {
            now += wait;
            let Some((ticket, started)) = under_way[caller].take() else {
                under_way[caller] = all.begin(caller, at(now)).map(|ticket| (ticket, now));
                continue;
            };
            let told = (caller, started, now, answered);
            let counts = all.end(caller, ticket, at(now), answered);
            prop_assert_eq!(counts, !answered && must_count(&before, told));
            before.push(told);
        }
    }

    /// However they stood when it began: of each group one failure may be excused, then three in a row open the circuit.
    #[test]
    fn an_outage_of_the_source_opens_the_circuit(
        steps in prop::collection::vec((0usize..5, any::<bool>()), 0..60),
        order in prop::collection::vec(0usize..5, 8)
    ) {
        let mut all = Callers::new(5);
        let mut now = 0;
        for (caller, answered) in steps {
            now += 1000;
            if let Some(ticket) = all.begin(caller, at(now)) {
                all.end(caller, ticket, at(now + 1), answered);
            }
        }
        for caller in order {
            now += 1000;
            if all.state(now) != CircuitState::Open {
                let ticket = all.begin(caller, at(now)).expect("leave");
                all.end(caller, ticket, at(now + 1), false);
            }
        }
        prop_assert_eq!(all.state(now), CircuitState::Open);
    }

    /// Any number of groups that fail, between whose attempts another is answered.
    #[test]
    fn a_source_that_answers_a_group_meanwhile_is_not_out(
        steps in prop::collection::vec((1usize..9, 0u64..3000), 1..200)
    ) {
        let mut all = Callers::new(9);
        let mut now = 0;
        all.ask(0, now, true);
        for (caller, wait) in steps {
            now += 2 + wait;
            all.ask(0, now, true);
            now += 2;
            all.ask(caller, now, false);
            prop_assert_eq!(all.state(now), CircuitState::Closed);
        }
        for caller in &all.1[1..] {
            prop_assert!(caller.failures == 0 || caller.fails_alone() > 0);
        }
    }
}
