//! Several groups behind one circuit: whose failures count, and who probes.

use super::*;

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
    // Where nobody was answered for long, they do.
    for group in 1..4 {
        assert!(!all.ask(group, 2000, false));
        assert!(all.ask(group, 40_000, false));
    }
    assert_eq!(all.state(40_002), CircuitState::Open);
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
        assert_eq!(all.ask(0, 40_000, false), expect, "{begins} {shares}");
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
fn must_count(before: &[Told], (caller, started, ..): Told) -> bool {
    let last = |of: usize| before.iter().rev().find(|(c, ..)| *c == of);
    let answered_another = |since: u64| {
        let others = (0..4).filter(|other| *other != caller);
        let mut well = others.filter_map(last).filter(|(.., answered)| *answered);
        well.any(|(_, started, ..)| *started >= since)
    };
    match last(caller) {
        None => !answered_another(0),
        Some((.., true)) => !answered_another(started),
        Some((_, _, ended, false)) => !answered_another(started.saturating_sub(30_000).min(*ended)),
    }
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

    /// However they stood half a minute before: a group that never worked may be excused once, then three in a row open the circuit.
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
        now += 30_000;
        for caller in order {
            now += 1000;
            if all.state(now) != CircuitState::Open {
                let ticket = all.begin(caller, at(now)).expect("leave");
                all.end(caller, ticket, at(now + 1), false);
            }
        }
        prop_assert_eq!(all.state(now), CircuitState::Open);
    }

    /// Sooner, once all have failed.
    #[test]
    fn an_outage_that_all_groups_meet_opens_the_circuit_at_once(
        order in prop::collection::vec(0usize..5, 0..20)
    ) {
        let mut all = Callers::new(5);
        (0..5).for_each(|caller| {
            all.ask(caller, 10 * caller as u64, true);
        });
        let mut now = 100;
        for caller in order.into_iter().chain(0..5) {
            now += 100;
            if all.state(now) == CircuitState::Closed {
                all.ask(caller, now, false);
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
