//! What the work asks for, before bounds and holds.

use std::time::Duration;

use crate::model::facts::GroupFacts;
use crate::model::identity::Assignment;
use crate::model::quantity::Quantity;
use crate::policy::activation::Signal;
use crate::policy::answering::Answering;
use crate::policy::bootstrap::STEP_SETTLES;
use crate::policy::bounds::{Utilization, Work};
use crate::policy::cold;
use crate::policy::decision::{Inputs, Reason, Rule};
use crate::policy::exclusive::{self, Question};
use crate::policy::forecast::{Forecasting, Raise};
use crate::policy::incurable::Known;
use crate::policy::losing;
use crate::policy::spec::TargetSpec;
use crate::policy::state::TargetState;
use crate::policy::surge::surge;

use super::Seen;

/// Until a new replica starts: poll, HPA sync.
const ASKED_WITHIN: Duration = Duration::from_secs(20);
/// How long it starts where none was seen, and at most: what takes longer is no reason to ask for nothing.
const LONGEST_START: Duration = Duration::from_secs(40);

/// What the work asks for.
pub(super) struct Recommendation {
    /// Replicas.
    pub replicas: u32,
    /// What drives it.
    pub reason: Reason,
}

/// Replicas for the work that is there; notes in `inputs` what it was computed from.
pub(super) fn recommend(
    seen: &Seen<'_>,
    target: &mut TargetState,
    inputs: &mut Inputs,
    signal: Signal,
) -> Recommendation {
    let facts = seen.facts;
    if signal == Signal::Idle {
        target.bootstrap.reset();
        inputs.work_replicas = Some(0);
        return Recommendation {
            replicas: 0,
            reason: Reason::Idle,
        };
    }
    inputs.surge_ratio = Some(surge(facts)).filter(|ratio| *ratio > 1.0);
    let work = Work::of(
        facts,
        &target.spec,
        Utilization::of(target.spec.assignment).up,
        1.0,
    );
    inputs.work_per_second = Some(work.total());
    let (replicas, foreseen) = match needed(seen, target, inputs, Raise::NONE) {
        Some(replicas) => {
            target.bootstrap.reset();
            foresee(seen, target, inputs, replicas)
        }
        None => (unknown_capacity(seen, target, inputs), false),
    };
    // Messages that wait or came lately need somebody, however little work they are; so does a group yet to be made.
    let replicas = if signal == Signal::Active {
        replicas.max(1)
    } else {
        replicas
    };
    let (replicas, loses) = while_losing(seen, target, inputs, replicas);
    inputs.work_replicas = Some(replicas);
    let from_zero = target.last_desired.unwrap_or(0) == 0 && inputs.own_current().unwrap_or(0) == 0;
    let no_work = work.total() == 0.0;
    let only_group_missing = facts.partitions_without_group > 0 && no_work;
    // Processed already, as it seems, but not for so long that it must be so.
    let rest_settles = facts.backlog.map_or(0, Quantity::value) > facts.settled && no_work;
    let reason = match () {
        () if replicas == 0 => Reason::Idle,
        () if from_zero || only_group_missing => Reason::Activation,
        () if loses => Reason::Backlog,
        () if foreseen => Reason::Forecast,
        () if work.from_backlog > work.from_arrivals || rest_settles => Reason::Backlog,
        () => Reason::Arrival,
    };
    Recommendation { replicas, reason }
}

/// More replicas while messages leave the log unread, and whether that is why.
fn while_losing(
    seen: &Seen<'_>,
    target: &TargetState,
    inputs: &mut Inputs,
    by_work: u32,
) -> (u32, bool) {
    if seen.facts.lost_per_second == 0.0 {
        return (by_work, false);
    }
    let present = inputs.own_current().max(target.last_desired).unwrap_or(0);
    let consumers = target.spec.consumers_per_replica;
    let seen_at_work = seen.facts.consumers.map(|count| count / consumers);
    let all_at_work = inputs.ready.or(seen_at_work) >= Some(present);
    let replicas = losing::replicas(
        seen.now,
        by_work,
        present,
        all_at_work,
        target.steps.rose_at(),
    );
    let loses = replicas > by_work;
    if loses {
        inputs.rule = Some(Rule::Losing);
    }
    (replicas, loses)
}

/// While nothing is known of what a replica does. Any consumer may take any message: a first step, then what runs until they are
/// busy, which shows it. Else: the delay.
fn unknown_capacity(seen: &Seen<'_>, target: &mut TargetState, inputs: &mut Inputs) -> u32 {
    let facts = seen.facts;
    if target.spec.assignment == Assignment::Shared {
        inputs.rule = Some(Rule::First);
        let present = inputs.own_current().max(target.last_desired).unwrap_or(0);
        let start_takes = target.replicas.start_takes_at_least(seen.now);
        let began_here = inputs.own_current().is_some() && target.warm_up_floor == 0;
        let replicas = cold::replicas(facts, &target.spec, present, began_here, start_takes);
        return if is_too_few(seen, target, inputs, present) {
            replicas.max(present.saturating_mul(2))
        } else {
            replicas
        };
    }
    inputs.rule = Some(Rule::Delay);
    let present = inputs.ready.or(inputs.own_current());
    let start_takes = target.replicas.start_takes_at_least(seen.now);
    let first = cold::first_exclusive(facts, &target.spec, start_takes);
    let bootstrap = &mut target.bootstrap;
    bootstrap.recommend(seen.now, facts, &target.spec, present, first)
}

/// Whether those that run had time to show that they do not get messages done in time, whatever one of them does.
fn is_too_few(seen: &Seen<'_>, target: &TargetState, inputs: &Inputs, present: u32) -> bool {
    let late = target.spec.target_delay.as_secs_f64();
    let all_there = inputs.ready.or(inputs.own_current()) >= Some(present);
    let stood = target.steps.last_at().map(|at| seen.now.since(at));
    all_there
        && stood.is_some_and(|stood| stood >= STEP_SETTLES)
        && waits_without_end(seen.facts).is_some_and(|seconds| seconds > late)
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

/// Who processes so many times the arrivals catches up.
const CATCHES_UP_RATIO: f64 = 1.05;

/// Replicas for `raise` times the arrivals; `None` while what a replica does is not known.
fn needed(seen: &Seen<'_>, target: &TargetState, inputs: &mut Inputs, raise: Raise) -> Option<u32> {
    match seen.known.filter(|_| has_holders(seen.facts, &target.spec)) {
        Some(known) => Some(by_holders(seen, target, inputs, (known, raise))),
        None => {
            let capacity = inputs.capacity_per_second?;
            Some(by_work(seen, target, inputs, capacity, raise))
        }
    }
}

/// The count in the light of the forecast, and whether that changed it. Switched off, it only notes what it would have been.
fn foresee(
    seen: &Seen<'_>,
    target: &TargetState,
    inputs: &mut Inputs,
    replicas: u32,
) -> (u32, bool) {
    let mut foreseen = inputs.clone();
    let raised = Raise::of(seen.facts).and_then(|raise| needed(seen, target, &mut foreseen, raise));
    let raised = raised.map(|raised| raised.max(replicas));
    let decides = target.spec.forecast == Forecasting::On;
    match raised.filter(|raised| decides && *raised > replicas) {
        Some(more) => {
            *inputs = foreseen;
            inputs.work_replicas_with_forecast = raised;
            (more, true)
        }
        None => {
            inputs.work_replicas_with_forecast = raised;
            (replicas, false)
        }
    }
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
    inputs: &mut Inputs,
    (known, raise): (Known, Raise),
) -> u32 {
    let answer = exclusive::recommend(&Question {
        now: seen.now,
        facts: seen.facts,
        spec: &target.spec,
        known,
        diagnosis: &seen.diagnosis,
        asked: target.last_desired.or(inputs.own_current()).unwrap_or(0),
        asked_at: target.steps.last_at(),
        raise,
    });
    inputs.rule = Some(answer.rule);
    inputs.work_per_second = Some(answer.work_per_second);
    inputs.busiest_per_second = Some(answer.busiest_per_second);
    inputs.target_utilization_ratio = match answer.rule {
        Rule::Spread => exclusive::UTILIZATION_DOWN,
        Rule::Arrivals => 1.0,
        _ => exclusive::UTILIZATION_UP,
    };
    inputs.catch_up_seconds = target.spec.target_delay.as_secs_f64() * exclusive::CATCH_UP_RATIO;
    let per_replica = known.per_second() * f64::from(target.spec.consumers_per_replica);
    match known {
        Known::Capacity(_) => {
            let if_shared = (answer.work_per_second / per_replica).ceil() as u32;
            inputs.work_replicas_if_shared = Some(if_shared.max(1));
        }
        Known::AtLeast(_) => inputs.capacity_at_least_per_second = Some(per_replica),
    }
    answer.replicas
}

fn by_work(
    seen: &Seen<'_>,
    target: &TargetState,
    inputs: &mut Inputs,
    capacity: f64,
    raise: Raise,
) -> u32 {
    let facts = seen.facts;
    let assignment = target.spec.assignment;
    let surge = surge(facts);
    let raise = Raise {
        rise: raise.rise * surge,
        fall: raise.fall * surge,
    };
    let utilization = Utilization::of(assignment);
    let work = Work::of(facts, &target.spec, utilization.up, raise.rise);
    let relaxed = Work::of(facts, &target.spec, utilization.down, raise.fall);
    let consumers = target.spec.consumers_per_replica;
    let up = work.replicas(capacity, consumers, assignment);
    let down = relaxed.replicas(capacity, consumers, assignment);
    let fleet = Fleet::of(seen, target, inputs, capacity);
    let present = fleet.replicas;
    let replicas = up.max(down.min(present));
    let decisive = if replicas == up {
        &work
    } else {
        inputs.target_utilization_ratio = utilization.down;
        &relaxed
    };
    inputs.work_per_second = Some(decisive.total());
    inputs.work_replicas_if_shared = Some(decisive.replicas(capacity, 1, Assignment::Shared));
    if present > 0
        && replicas > present
        && assignment == Assignment::Shared
        // What runs may have other streams to read as well.
        && inputs.answering == Answering::Fleet
        && fleet.suffices(facts, raise.rise, utilization.kept, target.spec.target_delay)
    {
        inputs.rule = Some(Rule::Enough);
        inputs.target_utilization_ratio = utilization.kept;
        return present;
    }
    inputs.rule = Some(Rule::Work);
    replicas
}

/// The replicas that were asked for last (by others, where nothing was asked for yet), and what they do by and by.
struct Fleet {
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

impl Fleet {
    fn of(seen: &Seen<'_>, target: &TargetState, inputs: &Inputs, capacity: f64) -> Self {
        let present = target.last_desired.or(inputs.own_current()).unwrap_or(0);
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

    /// Whether they keep up and work off the backlog before more of them could help.
    fn suffices(&self, facts: &GroupFacts, raise: f64, kept: f64, target_delay: Duration) -> bool {
        let waiting = facts.tally().waiting;
        let arrivals = facts.arrival_per_second.unwrap_or(0.0) * raise;
        let left = waiting as f64
            + (arrivals - self.now) * self.ready_in
            + (arrivals - self.then) * (self.more_in - self.ready_in);
        arrivals <= self.then * kept && left / self.then <= target_delay.as_secs_f64() / 2.0
    }
}
