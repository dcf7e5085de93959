//! What the work asks for, before bounds and holds.

use std::time::Duration;

use crate::model::facts::GroupFacts;
use crate::model::identity::Assignment;
use crate::model::quantity::Quantity;
use crate::policy::activation::Signal;
use crate::policy::bounds::{TARGET_UTILIZATION_DOWN, TARGET_UTILIZATION_UP, Work};
use crate::policy::decision::{Inputs, Reason, Rule};
use crate::policy::exclusive::{self, Question};
use crate::policy::forecast::{Forecasting, Raise};
use crate::policy::incurable::Known;
use crate::policy::spec::TargetSpec;
use crate::policy::state::TargetState;
use crate::policy::surge::surge;

use super::Seen;

/// Until a new replica helps where no partition moves: poll, HPA sync, start.
const HELPS_AFTER: Duration = Duration::from_secs(60);

/// Arrivals up to this share of what the present replicas can do ask for no more of them.
const KEPT_UTILIZATION: f64 = 0.90;

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
    let work = Work::of(facts, &target.spec, TARGET_UTILIZATION_UP, 1.0);
    inputs.work_per_second = Some(work.total());
    let (replicas, foreseen) = match needed(seen, target, inputs, Raise::NONE) {
        Some(replicas) => {
            target.bootstrap.reset();
            foresee(seen, target, inputs, replicas)
        }
        None => {
            inputs.rule = Some(Rule::Delay);
            let present = inputs.ready.or(inputs.current);
            let bootstrap = &mut target.bootstrap;
            let replicas = bootstrap.recommend(seen.now, facts, &target.spec, present);
            (replicas, false)
        }
    };
    // Messages that wait or came lately need somebody, however little work they are; so does a group yet to be made.
    let replicas = if signal == Signal::Active {
        replicas.max(1)
    } else {
        replicas
    };
    inputs.work_replicas = Some(replicas);
    let from_zero = target.last_desired.unwrap_or(0) == 0 && inputs.current.unwrap_or(0) == 0;
    let no_work = work.total() == 0.0;
    let only_group_missing = facts.partitions_without_group > 0 && no_work;
    // Processed already, as it seems, but not for so long that it must be so.
    let rest_settles = facts.backlog.map_or(0, Quantity::value) > facts.settled && no_work;
    let reason = match () {
        () if replicas == 0 => Reason::Idle,
        () if from_zero || only_group_missing => Reason::Activation,
        () if foreseen => Reason::Forecast,
        () if work.from_backlog > work.from_arrivals || rest_settles => Reason::Backlog,
        () => Reason::Arrival,
    };
    Recommendation { replicas, reason }
}

/// Replicas for `raise` times the arrivals; `None` while what a replica does is not known.
fn needed(seen: &Seen<'_>, target: &TargetState, inputs: &mut Inputs, raise: Raise) -> Option<u32> {
    match seen.known.filter(|_| has_holders(seen.facts, &target.spec)) {
        Some(known) => Some(by_holders(seen, target, inputs, (known, raise))),
        None => {
            let capacity = inputs.capacity_per_second?;
            Some(by_work(seen.facts, target, inputs, capacity, raise))
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
    spec.assignment == Assignment::Exclusive && facts.partitions.values().any(|p| p.owner.is_some())
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
        asked: target.last_desired.or(inputs.current).unwrap_or(0),
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
    facts: &GroupFacts,
    target: &TargetState,
    inputs: &mut Inputs,
    capacity: f64,
    raise: Raise,
) -> u32 {
    let assignment = target.spec.assignment;
    let surge = surge(facts);
    let raise = Raise {
        rise: raise.rise * surge,
        fall: raise.fall * surge,
    };
    let work = Work::of(facts, &target.spec, TARGET_UTILIZATION_UP, raise.rise);
    let relaxed = Work::of(facts, &target.spec, TARGET_UTILIZATION_DOWN, raise.fall);
    let consumers = target.spec.consumers_per_replica;
    let up = work.replicas(capacity, consumers, assignment);
    let down = relaxed.replicas(capacity, consumers, assignment);
    let replicas = up.max(down.min(target.last_desired.unwrap_or(0)));
    let decisive = if replicas == up {
        &work
    } else {
        inputs.target_utilization_ratio = TARGET_UTILIZATION_DOWN;
        &relaxed
    };
    inputs.work_per_second = Some(decisive.total());
    inputs.work_replicas_if_shared = Some(decisive.replicas(capacity, 1, Assignment::Shared));
    let present = target.last_desired.unwrap_or(0);
    if present > 0
        && replicas > present
        && suffices(facts, target, inputs, present, (capacity, raise))
    {
        inputs.rule = Some(Rule::Enough);
        inputs.target_utilization_ratio = KEPT_UTILIZATION;
        return present;
    }
    inputs.rule = Some(Rule::Work);
    replicas
}

/// Whether so many replicas keep up and work off the backlog before more of them could help.
fn suffices(
    facts: &GroupFacts,
    target: &TargetState,
    inputs: &Inputs,
    present: u32,
    (capacity, raise): (f64, Raise),
) -> bool {
    let at_work = inputs.ready.or(inputs.current);
    if target.spec.assignment == Assignment::Exclusive || at_work.is_some_and(|n| n < present) {
        return false;
    }
    let most = f64::from(present) * capacity;
    let waiting: u64 = facts.partitions.values().map(|p| p.waiting()).sum();
    let arrivals = facts.arrival_per_second.unwrap_or(0.0) * raise.rise;
    let then = waiting as f64 + (arrivals - most) * HELPS_AFTER.as_secs_f64();
    arrivals <= most * KEPT_UTILIZATION
        && then / most <= target.spec.target_delay.as_secs_f64() / 2.0
}
