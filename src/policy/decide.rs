//! One decision from one observation.

mod backlog;
mod held;
mod jobs;
mod work;

use std::time::Duration;

use crate::model::facts::GroupFacts;
use crate::model::group::GroupModel;
use crate::model::quantity::Quantity;
use crate::model::time::Timestamp;

use super::activation::{ActivitySignal, signal, window};
use super::answering::Answering;
use super::bounds::{Cap, GroupWork, cap};
use super::decision::{CapacitySource, Decision, Inputs, Reason};
use super::emit::{Band, emitted, reachable};
use super::explain;
use super::forecast::surge;
use super::hold::Hold;
use super::incurable::{Diagnosis, Incurable};
use super::rule::Limit;
use super::rule::{Bound, Counted, HpaTolerance, Rule};
use super::spec::Mode;
use super::steps::{Proposal, Steps};
use super::target::TargetState;
use super::tuning::utilization::Utilization;
use crate::policy::tuning::new_instance::MEASURED_FOR;
use backlog::decide_backlog;
use held::{Needed, downstream, hold, hold_of, keep, moves, too_early, warm_up};
use jobs::decide_jobs;
use work::{Demand, Seen, demand, known, rest_settles};

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
            let counted = Counted {
                measure,
                threshold,
                is_at_least: false,
            };
            decide_backlog(now, model, facts, target, inputs, counted)
        }
    }
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
    let answering = Answering::of(spec, target.replicas.seen_at(now).map(|seen| &seen.object));
    let counts_surges = spec.mode == Mode::Replicas && answering != Answering::Jobs;
    let work = GroupWork::of(facts, spec, Utilization::of(spec.assignment).up, 1.0);
    Inputs {
        backlog: facts.backlog,
        uncommitted: facts.tally().uncommitted,
        read_limit_per_second: facts.read_limit_per_second,
        settled: facts.settled,
        stuck_in_work: facts.stuck_in_work,
        lost_per_second: facts.lost_per_second,
        arrival_per_second: facts.arrival_per_second,
        surge_ratio: Some(surge(facts)).filter(|ratio| *ratio > 1.0 && counts_surges),
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
        answering,
        desired_before: target.last_desired,
        current: running.current,
        current_source: running.source,
        ready: running.ready,
        asked: running.asked,
        not_ready_since: running.not_ready_since,
        waiting: target
            .replicas
            .seen_at(now)
            .and_then(|seen| seen.waiting.clone()),
        wall: facts.wall,
        paused: running.paused,
        partitions: u32::try_from(facts.partitions.len()).unwrap_or(u32::MAX),
        unknown_partitions: facts.unknown_partitions,
        partitions_without_group: facts.partitions_without_group,
        work_from_arrivals_per_second: work.from_arrivals,
        work_from_backlog_per_second: work.from_backlog,
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
        let text = explain::unknown(facts);
        return Decision::unavailable(now, inputs, Limit::None, text);
    }
    let signal = signal(model, facts, &target.spec, now, &inputs, target.last_active);
    if inputs.answering == Answering::Jobs {
        return decide_jobs(seen, target, inputs, signal);
    }
    if signal == ActivitySignal::Idle && inputs.own_current() == Some(0) {
        // It went to zero: what comes next is another story.
        target.hold = Hold::default();
        inputs.desired_before = Some(0);
    }
    let certain = facts.backlog.is_some_and(Quantity::is_exact) && signal != ActivitySignal::Unsure;
    let awaits = inputs.answering == Answering::Fleet && target.awaits_object(now);
    let awaited = awaits.then(|| explain::OBJECT_AWAITED.to_owned());
    if let Some(text) = awaited.or_else(|| too_early(now, model, target, &inputs)) {
        // No value is safe below what runs, but to have work is certain at once.
        return Decision {
            active: (signal == ActivitySignal::Active).then_some(true),
            ..Decision::unavailable(now, inputs, Limit::WarmUp, text)
        };
    }
    // The rules, in the order in which they apply.
    let current = inputs.own_current();
    let band = Band::of(target.replicas.seen_at(now).map(|seen| &seen.object));
    let Demand {
        mut steps,
        work_per_second,
    } = demand(seen, target, &inputs, signal);
    let Cap { most, rule } = most_of(model, seen, target, &inputs);
    steps.apply(Some(Proposal::to(steps.replicas().min(most), rule)));
    steps.apply(past_the_band(steps.replicas(), most, &inputs, band));
    steps.apply(at_least(steps.replicas(), target.spec.min_replicas));

    let last = inputs.desired_before.unwrap_or(0);
    let kept = last.min(most);
    steps.apply(downstream(facts.breaker, target, steps.replicas(), kept));
    let before_keeping = steps.replicas();
    steps.apply(keep(seen, target, steps.replicas(), kept, certain));
    // What only uncertainty keeps is not held for a window more: one unread partition now and then would keep it for ever.
    let needed = Needed {
        replicas: if certain {
            steps.replicas()
        } else {
            before_keeping
        },
        work_per_second,
    };
    let held = hold(seen, target, &inputs, needed);
    let after = steps.replicas().max(held.after.min(kept));
    steps.apply(Some(Proposal { after, ..held }));
    steps.apply(moves(seen, target, steps.replicas(), kept));
    steps.apply(warm_up(now, target, &inputs, steps.replicas()));

    let desired = steps.replicas();
    let is_ineffective = note_change(seen, target, &inputs, desired);
    // What is held is held for a fleet that may be needed again, not against KEDA's cooldown: that begins when nothing is left.
    let active = match signal {
        ActivitySignal::Active => Some(true),
        ActivitySignal::Idle => Some(target.spec.min_replicas > 0),
        ActivitySignal::Unsure => (desired > 0).then_some(true),
    };
    if active.is_none() {
        let text = explain::unsure(&inputs);
        return Decision::unavailable(now, inputs, Limit::None, text);
    }
    note_remarks(&mut steps, &inputs, is_ineffective);
    Decision {
        at: now,
        metric: Some(emitted(desired, current, most, band)),
        active,
        desired: Some(desired),
        limit: steps.limit(),
        reason: reason(&steps, &inputs),
        text: explain::replicas(&steps, &inputs),
        steps,
        inputs,
    }
}

/// The smallest count that the HPA acts on, where it would ignore the rise.
fn past_the_band(count: u32, most: u32, inputs: &Inputs, band: Band) -> Option<Proposal> {
    let current = inputs.own_current()?;
    let reached = reachable(count, Some(current), inputs.desired_before, band);
    let figures = HpaTolerance {
        current,
        tolerance_ratio: band.up_milli as f64 / 1_000.0,
    };
    Some(Proposal::to(
        reached.min(most).max(count),
        Rule::HpaTolerance(figures),
    ))
}

fn at_least(count: u32, min_replicas: u32) -> Option<Proposal> {
    let bound = u64::from(min_replicas);
    let after = count.max(min_replicas);
    Some(Proposal::to(after, Rule::MinReplicas(Bound { bound })))
}

/// Remembers the step from what was wanted before to what is wanted now, and says whether the last rise brought nothing.
fn note_change(seen: &Seen<'_>, target: &mut TargetState, inputs: &Inputs, desired: u32) -> bool {
    let last = inputs.desired_before.unwrap_or(0);
    let hold = hold_of(target);
    target.scaled.note(seen.now, last, desired, hold);
    target.effect.note(seen.now, last, desired, seen.facts);
    target.effect.judge(
        seen.now,
        seen.facts,
        inputs.capacity_per_second,
        seen.diagnosis.waiting_seconds(seen.facts),
        target.spec.target_delay,
    )
}

/// What a person should know, whatever decided.
fn note_remarks(steps: &mut Steps, inputs: &Inputs, is_ineffective: bool) {
    let remarks = [
        (inputs.answering == Answering::Part, Rule::Part),
        (inputs.lost_per_second > 0.0, Rule::Losses),
        (inputs.hot_partitions > 0, Rule::Skew),
        (inputs.stuck_partitions > 0, Rule::Stuck),
        (is_ineffective, Rule::Ineffective),
        (inputs.unknown_partitions > 0, Rule::Unread),
        (inputs.paused.is_some(), Rule::Paused),
    ];
    for (_, remark) in remarks.into_iter().filter(|(applies, _)| *applies) {
        steps.note(remark);
    }
}

/// What drove the count.
fn reason(steps: &Steps, inputs: &Inputs) -> Reason {
    let changed = |rule: fn(&Rule) -> bool| {
        let mut changes = steps.iter().filter(|step| step.changes());
        changes.any(|step| rule(&step.rule))
    };
    let from_zero = inputs.present() == 0;
    if steps.is_limited() {
        Reason::Limit
    } else if steps.demand() == 0 {
        Reason::Idle
    } else if from_zero || inputs.lacks_only_the_group() {
        Reason::Activation
    } else if changed(|rule| matches!(rule, Rule::Losing)) {
        Reason::Backlog
    } else if changed(|rule| matches!(rule, Rule::Forecast(_))) {
        Reason::Forecast
    } else if inputs.work_from_backlog_per_second > inputs.work_from_arrivals_per_second
        || rest_settles(inputs)
    {
        Reason::Backlog
    } else {
        Reason::Arrival
    }
}

/// The count that is not exceeded.
fn most_of(model: &GroupModel, seen: &Seen<'_>, target: &TargetState, inputs: &Inputs) -> Cap {
    let running = inputs.own_current().or(inputs.desired_before);
    let least = target.spec.min_replicas;
    let hang = inputs.present_while_pods_hang();
    let new = most_of_a_new_instance(model, seen.now, target, inputs);
    cap(
        seen.facts,
        &target.spec,
        inputs.capacity_per_second,
        running,
    )
    .or_less(hang.map(|most| Cap::of(most.max(least), Rule::PodsNotReady)))
    .or_less(new.map(|most| Cap::of(most.max(least), Rule::NotMeasured)))
}

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
    let present = running.max(inputs.desired_before.unwrap_or(0));
    is_new.then(|| present.max((backlog / in_time).ceil() as u32))
}
