//! One decision from one observation.

mod backlog;
mod held;
mod jobs;
mod work;

use std::time::Duration;

use crate::model::facts::GroupFacts;
use crate::model::group::GroupModel;
use crate::model::quantity::Quantity;
use crate::model::rates::ARRIVAL_WINDOW;
use crate::model::time::Timestamp;

use super::activation::{Signal, signal, window};
use super::answering::Answering;
use super::bounds::{Utilization, cap};
use super::decision::{CapacitySource, Decision, Inputs, Limit, Reason};
use super::emit::{Band, emitted, reachable};
use super::explain;
use super::hold::Hold;
use super::incurable::{Diagnosis, Incurable, Known};
use super::spec::Mode;
use super::state::TargetState;
use backlog::decide_backlog;
use held::{hold_back, too_early, warm_up};
use jobs::decide_jobs;
use work::{known, recommend};

/// Decides for `target` from what is known at `now`. Changes only the memory that decisions need (holds, steps).
pub fn decide(
    now: Timestamp,
    model: &GroupModel,
    facts: &GroupFacts,
    target: &mut TargetState,
) -> Decision {
    let mut inputs = inputs(now, model, facts, target);
    let capacity = inputs.capacity_per_second;
    let known = known(facts, &target.spec, capacity);
    let seen = Seen {
        now,
        facts,
        known,
        diagnosis: Diagnosis::of(now, facts, target.spec.assignment, known),
    };
    inputs.hot_partitions = seen.diagnosis.count(Incurable::Hot);
    inputs.stuck_partitions = seen.diagnosis.count(Incurable::Stuck);
    inputs.recommended_partitions = target.advisor.advise(now, facts, &target.spec, capacity);
    match target.spec.mode {
        Mode::Replicas | Mode::Jobs => decide_replicas(model, &seen, target, inputs),
        Mode::Backlog { threshold, measure } => {
            decide_backlog(now, model, facts, target, inputs, (threshold, measure))
        }
    }
}

/// What a decision looks at.
struct Seen<'a> {
    now: Timestamp,
    facts: &'a GroupFacts,
    /// What one consumer does.
    known: Option<Known>,
    diagnosis: Diagnosis,
}

fn inputs(now: Timestamp, model: &GroupModel, facts: &GroupFacts, target: &TargetState) -> Inputs {
    let spec = &target.spec;
    let at_work = facts
        .consumers
        .map(|count| count.div_ceil(spec.consumers_per_replica));
    let running = target.replicas.running(now, at_work);
    let of_replica = |rate: f64| rate * f64::from(spec.consumers_per_replica);
    let learned = facts.capacity_per_consumer.map(of_replica);
    let estimated = facts
        .early_capacity_per_consumer
        // Whoever did that much can.
        .map(|rate| of_replica(rate.max(facts.seen_per_consumer.unwrap_or(0.0))));
    let forecast = facts.forecast.as_ref();
    let cooldown = target
        .replicas
        .seen_at(now)
        .and_then(|seen| seen.object.cooldown_seconds);
    let cooldown = cooldown.map(|seconds| Duration::from_secs(seconds.into()));
    let activation_window = window(model, spec, cooldown);
    Inputs {
        backlog: facts.backlog,
        uncommitted: facts.tally().uncommitted,
        read_limit_per_second: facts.read_limit_per_second,
        stuck_in_work: facts.stuck_in_work,
        lost_per_second: facts.lost_per_second,
        arrival_per_second: facts.arrival_per_second,
        forecast_per_second: forecast.map(|f| f.per_second),
        forecast_upper_per_second: forecast.map(|f| f.upper_per_second),
        forecast_largest_per_second: forecast.map(|f| f.largest_per_second),
        arrived_in_window: Some(model.arrived_within(activation_window, now)),
        activation_window,
        oldest_age_seconds: facts.oldest_age_seconds,
        waiting_seconds: facts.waiting_seconds,
        capacity_per_second: spec.capacity_per_replica.or(learned).or(estimated),
        capacity_source: match (spec.capacity_per_replica, learned, estimated) {
            (Some(_), _, _) => CapacitySource::Configured,
            (None, Some(_), _) => CapacitySource::Learned,
            (None, None, Some(_)) if facts.is_early_capacity_proven => CapacitySource::Learned,
            (None, None, Some(_)) => CapacitySource::Estimated,
            (None, None, None) => CapacitySource::Unknown,
        },
        capacity_samples: facts.capacity_samples,
        breaker: facts.breaker,
        answering: Answering::of(spec, target.replicas.seen_at(now).map(|seen| &seen.object)),
        current: running.current,
        current_source: running.source,
        ready: running.ready,
        asked: running.asked,
        not_ready_since: running.not_ready_since,
        wall: facts.wall,
        paused: running.paused,
        partitions: u32::try_from(facts.partitions.len()).unwrap_or(u32::MAX),
        unknown_partitions: facts.unknown_partitions,
        partitions_without_group: facts.partitions_without_group,
        hold_seconds: spec.scale_in_hold.as_secs_f64(),
        target_utilization_ratio: Utilization::of(spec.assignment).up,
        catch_up_seconds: spec.target_delay.as_secs_f64(),
        ..Inputs::default()
    }
}

fn decide_replicas(
    model: &GroupModel,
    seen: &Seen<'_>,
    target: &mut TargetState,
    mut inputs: Inputs,
) -> Decision {
    let (now, facts) = (seen.now, seen.facts);
    if facts.backlog.is_none() {
        return unavailable(now, inputs, Limit::None, explain::unknown(facts));
    }
    let signal = signal(model, facts, &target.spec, now, &inputs);
    if inputs.answering == Answering::Jobs {
        return decide_jobs(seen, target, inputs, signal);
    }
    if signal == Signal::Idle && inputs.own_current() == Some(0) {
        // It went to zero: what comes next is another story.
        target.hold = Hold::default();
        target.last_desired = Some(0);
    }
    let certain = facts.backlog.is_some_and(Quantity::is_exact);
    let awaits = inputs.answering == Answering::Fleet && target.awaits_object(now);
    let awaited = awaits.then(|| explain::OBJECT_AWAITED.to_owned());
    if let Some(text) = awaited.or_else(|| too_early(now, model, target, &inputs)) {
        // No value is safe below what runs, but to have work is certain at once.
        return Decision {
            active: (signal == Signal::Active).then_some(true),
            ..unavailable(now, inputs, Limit::WarmUp, text)
        };
    }
    let recommended = recommend(seen, target, &mut inputs, signal);
    let current = inputs.own_current();
    let band = Band::of(target.replicas.seen_at(now).map(|seen| &seen.object));
    let wanted = reachable(recommended.replicas, current, target.last_desired, band);
    let (most, most_limit) = cap_of(model, seen, target, &inputs);
    let mut limit = if recommended.replicas > most {
        most_limit
    } else if recommended.replicas < target.spec.min_replicas {
        Limit::MinReplicas
    } else {
        Limit::None
    };
    let bounded = wanted.min(most).max(target.spec.min_replicas);
    let last = target.last_desired.unwrap_or(0);
    let desired = hold_back(
        seen,
        target,
        &mut inputs,
        (bounded, most),
        certain && signal != Signal::Unsure,
        &mut limit,
    );
    let desired = warm_up(now, target, &inputs, desired, &mut limit);
    note_step(seen, target, &mut inputs, (last, desired));
    if limit == Limit::None && inputs.hot_partitions > 0 {
        limit = Limit::Skew;
    } else if limit == Limit::None && inputs.stuck_partitions > 0 {
        limit = Limit::Stuck;
    }
    // What is held is held for a fleet that may be needed again, not against KEDA's cooldown: that begins when nothing is left.
    let active = match signal {
        Signal::Active => Some(true),
        Signal::Idle => Some(target.spec.min_replicas > 0),
        Signal::Unsure => (desired > 0).then_some(true),
    };
    if active.is_none() {
        let text = explain::unsure(&inputs);
        return unavailable(now, inputs, Limit::None, text);
    }
    let reason = if desired == wanted {
        recommended.reason
    } else {
        Reason::Limit
    };
    Decision {
        at: now,
        metric: Some(emitted(desired, current, most, band)),
        active,
        desired: Some(desired),
        limit,
        reason,
        text: explain::replicas(
            desired,
            recommended.replicas,
            limit,
            recommended.reason,
            &inputs,
            &target.spec,
        ),
        inputs,
    }
}

/// Remembers the step from what was wanted before to what is wanted now, and says whether the last rise brought anything.
fn note_step(
    seen: &Seen<'_>,
    target: &mut TargetState,
    inputs: &mut Inputs,
    (last, desired): (u32, u32),
) {
    target.steps.note(seen.now, last, desired);
    target.effect.note(seen.now, last, desired, seen.facts);
    inputs.is_ineffective = target.effect.judge(
        seen.now,
        seen.facts,
        inputs.capacity_per_second,
        seen.diagnosis.waiting_seconds(seen.facts),
        target.spec.target_delay,
    );
}

fn unavailable(now: Timestamp, inputs: Inputs, limit: Limit, text: String) -> Decision {
    Decision {
        at: now,
        metric: None,
        active: None,
        desired: None,
        limit,
        reason: Reason::Limit,
        text,
        inputs,
    }
}

fn cap_of(
    model: &GroupModel,
    seen: &Seen<'_>,
    target: &TargetState,
    inputs: &Inputs,
) -> (u32, Limit) {
    let running = inputs.own_current().or(target.last_desired);
    let capacity = inputs.capacity_per_second;
    let (most, limit) = cap(seen.facts, &target.spec, capacity, running);
    let least = target.spec.min_replicas;
    // Whoever asks for more than can have work gets it.
    let cap = (most.max(least), limit);
    let present = inputs.present_while_pods_hang(target.last_desired, least);
    let hang = present.map(|present| (present, Limit::PodsNotReady));
    let new = most_of_a_new_instance(model, seen.now, target, inputs);
    let new = new.map(|most| (most.max(least), Limit::WarmUp));
    hang.into_iter()
        .chain(new)
        .fold(cap, |cap, other| if other.0 < cap.0 { other } else { cap })
}

/// Rates of less are no reason to change what others sized.
const MEASURED_FOR: Duration = ARRIVAL_WINDOW;

/// Until rates have been measured for a while: what runs, or what the backlog alone takes, which is no rate.
fn most_of_a_new_instance(
    model: &GroupModel,
    now: Timestamp,
    target: &TargetState,
    inputs: &Inputs,
) -> Option<u32> {
    let running = inputs.own_current().filter(|running| *running > 0)?;
    let first = model.first_observed_at()?;
    let is_new = now.since(first) < MEASURED_FOR && inputs.answering == Answering::Fleet;
    let backlog = inputs.backlog.map_or(0, Quantity::value) as f64;
    let in_time = inputs.capacity_per_second? * target.spec.target_delay.as_secs_f64();
    let present = running.max(target.last_desired.unwrap_or(0));
    is_new.then(|| present.max((backlog / in_time).ceil() as u32))
}

#[cfg(test)]
mod tests;
