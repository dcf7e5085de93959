//! What the work needs, before bounds and holds.

use std::time::Duration;

use crate::model::facts::GroupFacts;
use crate::model::identity::Assignment;
use crate::model::quantity::Quantity;
use crate::model::time::Timestamp;
use crate::policy::activation::ActivitySignal;
use crate::policy::answering::Answering;
use crate::policy::bounds::{GroupWork, ceil_replicas};
use crate::policy::cold;
use crate::policy::decision::Inputs;
use crate::policy::exclusive::{self, Question};
use crate::policy::forecast::{Forecasting, Raise, surge};
use crate::policy::incurable::{Diagnosis, Known};
use crate::policy::losing;
use crate::policy::rule::{Enough, FallsBehind, Foreseen, Holders, Rule, Slack};
use crate::policy::spec::TargetSpec;
use crate::policy::steps::{Proposal, Steps};
use crate::policy::target::TargetState;
use crate::policy::tuning::utilization::Utilization;

use crate::policy::tuning::bootstrap::STEP_SETTLES;
use crate::policy::tuning::cold::SHOWS_AFTER;
use crate::policy::tuning::exclusive::CATCH_UP_RATIO;
use crate::policy::tuning::fleet::{
    ASKED_WITHIN, CATCHES_UP_RATIO, DOUBLE, LONGEST_START, TOO_LONG_RATIO,
};

/// What a decision looks at.
pub(super) struct Seen<'a> {
    pub(super) now: Timestamp,
    pub(super) facts: &'a GroupFacts,
    /// What one consumer does.
    pub(super) known: Option<Known>,
    pub(super) diagnosis: Diagnosis,
}

/// What the work needs.
pub(super) struct Demand {
    /// How that was found.
    pub steps: Steps,
    /// Work per second that was counted with.
    pub work_per_second: f64,
}

/// Replicas for the work that is there.
pub(super) fn demand(
    seen: &Seen<'_>,
    target: &mut TargetState,
    inputs: &Inputs,
    signal: ActivitySignal,
) -> Demand {
    if signal == ActivitySignal::Idle {
        target.bootstrap.reset();
        return Demand {
            steps: Steps::begin(Proposal::to(0, Rule::Idle)),
            work_per_second: 0.0,
        };
    }
    let mut demand = match needed(seen, target, inputs, Raise::NONE) {
        Some(plain) => {
            target.bootstrap.reset();
            target.too_much_for_one = None;
            foresee(seen, target, inputs, plain)
        }
        None => Demand {
            steps: unknown_capacity(seen, target, inputs),
            work_per_second: inputs.work_per_second(),
        },
    };
    let steps = &mut demand.steps;
    // Messages that wait or came lately need a consumer, however little work they are; so does a group yet to be made.
    let none_active = signal == ActivitySignal::Active && steps.replicas() == 0;
    steps.apply(none_active.then_some(Proposal::to(1, Rule::Activation)));
    steps.apply(while_losing(seen, target, inputs, steps.replicas()));
    demand
}

/// More replicas while messages leave the log unread.
fn while_losing(
    seen: &Seen<'_>,
    target: &TargetState,
    inputs: &Inputs,
    by_work: u32,
) -> Option<Proposal> {
    if seen.facts.lost_per_second == 0.0 {
        return None;
    }
    let present = inputs.present();
    let consumers = target.spec.consumers_per_replica;
    let seen_at_work = seen.facts.consumers.map(|count| count / consumers);
    let all_at_work = inputs.ready.or(seen_at_work) >= Some(present);
    let replicas = losing::replicas(
        seen.now,
        by_work,
        present,
        all_at_work,
        target.scaled.rose_at(),
    );
    Some(Proposal::to(replicas.max(by_work), Rule::Losing))
}

/// While nothing is known of what a replica does. Any consumer may take any message: a first step, then what runs until they are
/// busy, which shows it. Else: the delay.
fn unknown_capacity(seen: &Seen<'_>, target: &mut TargetState, inputs: &Inputs) -> Steps {
    let facts = seen.facts;
    if target.spec.assignment == Assignment::Shared {
        let present = inputs.present();
        note_too_much_for_one(seen, target, inputs);
        let known = cold::BeforeCapacity {
            present,
            started: inputs
                .own_current()
                .filter(|_| just_started(seen, target, inputs)),
            began_here: inputs.own_current().is_some() && target.warm_up_floor == 0,
            start_takes: target.replicas.start_takes_at_least(seen.now),
            too_much_for_one: target.too_much_for_one,
        };
        let mut steps = cold::recommend(facts, &target.spec, known);
        let behind = falls_behind(seen, target, inputs);
        let doubled = steps.replicas().max(present.saturating_mul(DOUBLE));
        steps.apply(behind.map(|figures| Proposal::to(doubled, Rule::FallsBehind(figures))));
        return steps;
    }
    let present = inputs.ready.or(inputs.own_current());
    let start_takes = target.replicas.start_takes_at_least(seen.now);
    let first = cold::first_exclusive(facts, &target.spec, start_takes);
    let bootstrap = &mut target.bootstrap;
    let replicas = bootstrap.recommend(seen.now, facts, &target.spec, present, first);
    Steps::begin(Proposal::to(replicas, Rule::Delay))
}

/// Whether those that were asked for last had no time yet to show what they do.
fn just_started(seen: &Seen<'_>, target: &TargetState, inputs: &Inputs) -> bool {
    let rose = target.scaled.rose_at();
    rose.is_some_and(|at| seen.now.since(at) < SHOWS_AFTER) || inputs.ready < inputs.own_current()
}

/// Takes in that all that run had time to show that they are too few.
fn note_too_much_for_one(seen: &Seen<'_>, target: &mut TargetState, inputs: &Inputs) {
    let present = inputs.present();
    let all_there = inputs.ready.or(inputs.own_current()) >= Some(present);
    let stood = target.scaled.last_at().map(|at| seen.now.since(at));
    let kept_up = target.scaled.fell_last();
    let shown = all_there && (kept_up || stood >= Some(SHOWS_AFTER));
    if let Some(of_one) = cold::too_much_for_one(seen.facts, present, kept_up).filter(|_| shown) {
        let before = target.too_much_for_one.unwrap_or(of_one);
        target.too_much_for_one = Some(of_one.min(before));
    }
}

/// Whether those that run had time to show that they do not get messages done in time, whatever one of them does.
fn falls_behind(seen: &Seen<'_>, target: &TargetState, inputs: &Inputs) -> Option<FallsBehind> {
    let target_delay_seconds = target.spec.target_delay.as_secs_f64();
    let all_there = inputs.ready.or(inputs.own_current()) >= Some(inputs.present());
    let stood = target.scaled.last_at().map(|at| seen.now.since(at));
    let shown = all_there && stood.is_some_and(|stood| stood >= STEP_SETTLES);
    let waits_seconds = waits_without_end(seen.facts).filter(|_| shown)?;
    (waits_seconds > target_delay_seconds).then_some(FallsBehind {
        waits_seconds,
        target_delay_seconds,
    })
}

/// How long the newest message will wait, in seconds, where somebody works but no backlog is worked off.
fn waits_without_end(facts: &GroupFacts) -> Option<f64> {
    let done = facts.processing_per_second.filter(|done| *done > 0.0)?;
    let arrived = facts.arrival_per_second.unwrap_or(0.0);
    // By the count: a few that nobody will ever finish may be of any age. Where there are too many to count, the age says more.
    let backlog = facts.backlog?;
    let age = facts.waiting_seconds.filter(|_| !backlog.is_exact());
    let seconds = (backlog.value() as f64 / done).max(age.unwrap_or(0.0));
    (done <= arrived * CATCHES_UP_RATIO).then_some(seconds)
}

/// Replicas for `raise` times the arrivals; `None` while what a replica does is not known.
fn needed(seen: &Seen<'_>, target: &TargetState, inputs: &Inputs, raise: Raise) -> Option<Demand> {
    match seen.known.filter(|_| has_holders(seen.facts, &target.spec)) {
        Some(known) => Some(by_holders(seen, target, inputs, known, raise)),
        None => {
            let capacity = inputs.capacity_per_second?;
            Some(by_work(seen, target, inputs, capacity, raise))
        }
    }
}

/// `plain` in the light of the forecast. Switched off, it only notes what it would ask for.
fn foresee(seen: &Seen<'_>, target: &TargetState, inputs: &Inputs, mut plain: Demand) -> Demand {
    let raised = Raise::of(seen.facts).and_then(|raise| needed(seen, target, inputs, raise));
    let count = plain.steps.replicas();
    let Some(raised) = raised.filter(|raised| raised.steps.replicas() > count) else {
        return plain;
    };
    let replicas = raised.steps.replicas();
    let decides = target.spec.forecast == Forecasting::On;
    let rule = Rule::Forecast(Foreseen { replicas, decides });
    if decides {
        plain.steps.apply(Some(Proposal::to(replicas, rule)));
        plain.work_per_second = raised.work_per_second;
    } else {
        plain.steps.note(rule);
    }
    plain
}

/// What is known of one consumer: `capacity` of a replica, or what one was seen to do where it is known who holds what.
pub(super) fn known(facts: &GroupFacts, spec: &TargetSpec, capacity: Option<f64>) -> Option<Known> {
    let capacity =
        capacity.map(|rate| Known::Capacity(rate / f64::from(spec.consumers_per_replica)));
    let at_least = || {
        let rate = facts
            .proven_per_consumer
            .filter(|_| has_holders(facts, spec));
        rate.map(Known::AtLeast)
    };
    capacity.or_else(at_least)
}

fn has_holders(facts: &GroupFacts, spec: &TargetSpec) -> bool {
    spec.assignment == Assignment::Exclusive && facts.tally().is_held
}

fn by_holders(
    seen: &Seen<'_>,
    target: &TargetState,
    inputs: &Inputs,
    known: Known,
    raise: Raise,
) -> Demand {
    let answer = exclusive::recommend(&Question {
        now: seen.now,
        facts: seen.facts,
        spec: &target.spec,
        known,
        diagnosis: &seen.diagnosis,
        asked: inputs.wanted_or_current().unwrap_or(0),
        asked_at: target.scaled.last_at(),
        raise,
    });
    let capacity = known.per_second() * f64::from(target.spec.consumers_per_replica);
    let if_shared = ceil_replicas(answer.work_per_second / capacity);
    let figures = Holders {
        busiest_per_second: answer.busiest_per_second,
        work_per_second: answer.work_per_second,
        utilization_ratio: answer.because.utilization(),
        catch_up_seconds: target.spec.target_delay.as_secs_f64() * CATCH_UP_RATIO,
        consumer_capacity_per_second: known.per_second(),
        is_at_least: matches!(known, Known::AtLeast(_)),
        replicas_if_shared: if_shared.max(1),
    };
    let rule = answer.because.rule(figures);
    Demand {
        steps: Steps::begin(Proposal::to(answer.replicas, rule)),
        work_per_second: answer.work_per_second,
    }
}

fn by_work(
    seen: &Seen<'_>,
    target: &TargetState,
    inputs: &Inputs,
    capacity: f64,
    raise: Raise,
) -> Demand {
    let facts = seen.facts;
    let assignment = target.spec.assignment;
    let surge = surge(facts);
    let raise = Raise {
        rise: raise.rise * surge,
        fall: raise.fall * surge,
    };
    let utilization = Utilization::of(assignment);
    let work = GroupWork::of(facts, &target.spec, utilization.up, raise.rise);
    let relaxed = GroupWork::of(facts, &target.spec, utilization.down, raise.fall);
    let consumers = target.spec.consumers_per_replica;
    let up = work.replicas(capacity, consumers, assignment);
    let needed = relaxed.replicas(capacity, consumers, assignment);
    let fleet = AskedFleet::of(seen, target, inputs, capacity);
    let present = fleet.replicas;
    let mut steps = Steps::begin(Proposal::to(up, Rule::Work(work.figures(capacity))));
    // Where nobody can say what runs, it may be as many as this leaves room for.
    let may_run = inputs.wanted_or_current().unwrap_or(needed);
    let slack = Rule::Slack(Slack {
        work: relaxed.figures(capacity),
        needed,
        present: may_run,
    });
    steps.apply(Some(Proposal::to(up.max(needed.min(may_run)), slack)));
    let decisive = if steps.replicas() == up {
        &work
    } else {
        &relaxed
    };
    let may_stay = present > 0
        && steps.replicas() > present
        && assignment == Assignment::Shared
        // What runs may have other streams to read as well.
        && inputs.answering == Answering::Fleet;
    let enough = fleet.enough(
        facts,
        raise.rise,
        utilization.kept,
        target.spec.target_delay,
    );
    steps.apply(
        enough
            .filter(|_| may_stay)
            .map(|figures| Proposal::to(present, Rule::Enough(figures))),
    );
    Demand {
        steps,
        work_per_second: decisive.total(),
    }
}

/// The replicas that were asked for last (by others, where nothing was asked for yet), and what they do by and by.
struct AskedFleet {
    replicas: u32,
    /// Messages per second of those at work now.
    now: f64,
    /// … of all, once they are ready.
    then: f64,
    /// Seconds until then.
    ready_in: f64,
    /// Seconds until one more could help.
    more_in: f64,
}

impl AskedFleet {
    fn of(seen: &Seen<'_>, target: &TargetState, inputs: &Inputs, capacity: f64) -> Self {
        let present = inputs.wanted_or_current().unwrap_or(0);
        let at_work = inputs.ready.or(inputs.own_current()).unwrap_or(present);
        let start_takes = target.replicas.start_takes().unwrap_or(LONGEST_START);
        let more_in = ASKED_WITHIN + start_takes.min(LONGEST_START);
        let on_the_way = target.replicas.starts_in(seen.now).unwrap_or(more_in);
        Self {
            replicas: present,
            now: f64::from(at_work.min(present)) * capacity,
            then: f64::from(present) * capacity,
            ready_in: if at_work < present {
                on_the_way.min(more_in).as_secs_f64()
            } else {
                0.0
            },
            more_in: more_in.as_secs_f64(),
        }
    }

    /// The figures by which they keep up and clear the backlog before more of them could help, if they do.
    fn enough(
        &self,
        facts: &GroupFacts,
        raise: f64,
        kept: f64,
        target_delay: Duration,
    ) -> Option<Enough> {
        let waiting = facts.tally().waiting;
        let arrivals = facts.arrival_per_second.unwrap_or(0.0) * raise;
        let left = waiting as f64
            + (arrivals - self.now) * self.ready_in
            + (arrivals - self.then) * (self.more_in - self.ready_in);
        let within_seconds = target_delay.as_secs_f64() * TOO_LONG_RATIO;
        let suffices = arrivals <= self.then * kept && left / self.then <= within_seconds;
        suffices.then_some(Enough {
            counted_per_second: arrivals,
            does_per_second: self.then,
            utilization_ratio: kept,
            left,
            within_seconds,
        })
    }
}

/// Backlog that looks processed, but not for so long that it must be so.
pub(super) fn rest_settles(inputs: &Inputs) -> bool {
    inputs.backlog.map_or(0, Quantity::value) > inputs.settled && inputs.work_per_second() == 0.0
}
