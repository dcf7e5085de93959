//! One decision from one observation.

use std::time::Duration;

use crate::model::facts::GroupFacts;
use crate::model::group::GroupModel;
use crate::model::identity::Assignment;
use crate::model::quantity::Quantity;
use crate::model::time::Timestamp;

use super::activation::{Signal, signal};
use super::bounds::{
    TARGET_UTILIZATION_DOWN, TARGET_UTILIZATION_UP, Work, cap, hotter_than_a_replica,
};
use super::decision::{CapacitySource, Decision, Inputs, Limit, Metric, Reason};
use super::emit::emitted;
use super::explain;
use super::spec::{Measure, Mode};
use super::state::TargetState;

/// Where the running replicas are unknown, the first value waits until rates are known for so long …
const RATES_KNOWN_AFTER: Duration = Duration::from_secs(30);
/// … or, while capacity stays unknown, for so long.
const ANSWER_ANYWAY_AFTER: Duration = Duration::from_secs(60);

/// Decides for `target` from what is known at `now`. Changes only the memory that decisions need (holds, steps).
pub fn decide(
    now: Timestamp,
    model: &GroupModel,
    facts: &GroupFacts,
    target: &mut TargetState,
) -> Decision {
    let inputs = inputs(now, model, facts, target);
    match target.spec.mode {
        Mode::Replicas => decide_replicas(now, model, facts, target, inputs),
        Mode::Backlog { threshold, measure } => {
            decide_backlog(now, model, facts, target, inputs, (threshold, measure))
        }
    }
}

fn inputs(now: Timestamp, model: &GroupModel, facts: &GroupFacts, target: &TargetState) -> Inputs {
    let spec = &target.spec;
    let at_work = facts
        .consumers
        .map(|count| count.div_ceil(spec.consumers_per_replica));
    let running = target.replicas.running(now, at_work);
    let learned = facts
        .capacity_per_consumer
        .map(|rate| rate * f64::from(spec.consumers_per_replica));
    Inputs {
        backlog: facts.backlog,
        uncommitted: facts
            .partitions
            .values()
            .filter_map(|p| p.uncommitted)
            .sum(),
        read_limit_per_second: facts.read_limit_per_second,
        arrival_per_second: facts.arrival_per_second,
        arrived_in_window: Some(model.arrived_within(spec.activation_window, now)),
        oldest_age_seconds: facts.oldest_age_seconds,
        waiting_seconds: facts.waiting_seconds,
        capacity_per_second: spec.capacity_per_replica.or(learned),
        capacity_source: match (spec.capacity_per_replica, learned) {
            (Some(_), _) => CapacitySource::Configured,
            (None, Some(_)) => CapacitySource::Learned,
            (None, None) => CapacitySource::Unknown,
        },
        capacity_samples: facts.capacity_samples,
        current: running.current,
        current_source: running.source,
        ready: running.ready,
        asked: running.asked,
        not_ready_since: running.not_ready_since,
        paused: running.paused,
        partitions: u32::try_from(facts.partitions.len()).unwrap_or(u32::MAX),
        unknown_partitions: facts.unknown_partitions,
        partitions_without_group: facts.partitions_without_group,
        work_per_second: None,
        work_replicas: None,
        work_replicas_if_shared: None,
        held_replicas: None,
        target_utilization_ratio: TARGET_UTILIZATION_UP,
        catch_up_seconds: spec.target_delay.as_secs_f64(),
    }
}

/// What the work asks for, before bounds and holds.
struct Recommendation {
    replicas: u32,
    reason: Reason,
}

fn decide_replicas(
    now: Timestamp,
    model: &GroupModel,
    facts: &GroupFacts,
    target: &mut TargetState,
    mut inputs: Inputs,
) -> Decision {
    if facts.backlog.is_none() {
        return unavailable(now, inputs, Limit::None, explain::vanished());
    }
    let signal = signal(model, facts, &target.spec, now);
    let certain = facts.backlog.is_some_and(Quantity::is_exact);
    if let Some(text) = too_early(now, model, target, &inputs) {
        // No value is safe below what runs, but to have work is certain at once.
        return Decision {
            active: (signal == Signal::Active).then_some(true),
            ..unavailable(now, inputs, Limit::WarmUp, text)
        };
    }
    let recommended = recommend(now, facts, target, &mut inputs, signal);
    let (most, most_limit) = cap_of(facts, target, &inputs);
    let mut limit = if recommended.replicas > most {
        most_limit
    } else if recommended.replicas < target.spec.min_replicas {
        Limit::MinReplicas
    } else {
        Limit::None
    };
    let bounded = recommended.replicas.min(most).max(target.spec.min_replicas);
    let desired = hold_back(
        now,
        facts,
        target,
        &mut inputs,
        bounded,
        certain && signal != Signal::Unsure,
        &mut limit,
    );
    let desired = warm_up(now, target, &inputs, desired, &mut limit);
    let hot = inputs
        .capacity_per_second
        .is_some_and(|c| hotter_than_a_replica(facts, c, target.spec.assignment));
    if limit == Limit::None && hot {
        limit = Limit::Skew;
    }
    let active = match signal {
        _ if desired > 0 => Some(true),
        Signal::Active => Some(true),
        Signal::Idle => Some(false),
        Signal::Unsure => None,
    };
    if active.is_none() {
        let text = explain::unsure(&inputs);
        return unavailable(now, inputs, Limit::None, text);
    }
    let reason = if desired == recommended.replicas {
        recommended.reason
    } else {
        Reason::Limit
    };
    Decision {
        at: now,
        metric: Some(emitted(desired, inputs.current, most)),
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

fn recommend(
    now: Timestamp,
    facts: &GroupFacts,
    target: &mut TargetState,
    inputs: &mut Inputs,
    signal: Signal,
) -> Recommendation {
    if signal == Signal::Idle {
        target.bootstrap.reset();
        inputs.work_replicas = Some(0);
        return Recommendation {
            replicas: 0,
            reason: Reason::Idle,
        };
    }
    let work = Work::of(facts, &target.spec, TARGET_UTILIZATION_UP);
    inputs.work_per_second = Some(work.total());
    let replicas = match inputs.capacity_per_second {
        Some(capacity) => {
            target.bootstrap.reset();
            let assignment = target.spec.assignment;
            let relaxed = Work::of(facts, &target.spec, TARGET_UTILIZATION_DOWN);
            let up = work.replicas(capacity, assignment);
            let down = relaxed.replicas(capacity, assignment);
            let replicas = up.max(down.min(target.last_desired.unwrap_or(0)));
            let decisive = if replicas == up {
                &work
            } else {
                inputs.target_utilization_ratio = TARGET_UTILIZATION_DOWN;
                &relaxed
            };
            inputs.work_per_second = Some(decisive.total());
            let if_shared = decisive.replicas(capacity, Assignment::Shared);
            inputs.work_replicas_if_shared = Some(if_shared);
            replicas
        }
        None => {
            target
                .bootstrap
                .recommend(now, facts, &target.spec, inputs.ready.or(inputs.current))
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
        () if work.from_backlog > work.from_arrivals || rest_settles => Reason::Backlog,
        () => Reason::Arrival,
    };
    Recommendation { replicas, reason }
}

fn cap_of(facts: &GroupFacts, target: &TargetState, inputs: &Inputs) -> (u32, Limit) {
    let running = inputs.current.or(target.last_desired);
    let cap = cap(facts, &target.spec, inputs.capacity_per_second, running);
    match inputs.present_while_pods_hang(target.last_desired, target.spec.min_replicas) {
        Some(present) if present < cap.0 => (present, Limit::PodsNotReady),
        _ => cap,
    }
}

/// Scale-in waits: for the hold window, for a backlog to drain, for certain knowledge.
fn hold_back(
    now: Timestamp,
    facts: &GroupFacts,
    target: &mut TargetState,
    inputs: &mut Inputs,
    bounded: u32,
    certain: bool,
    limit: &mut Limit,
) -> u32 {
    let asked_for = bounded;
    let most = cap_of(facts, target, inputs).0;
    let last = target.last_desired.unwrap_or(0).min(most);
    let draining = facts
        .waiting_seconds
        .is_some_and(|age| age > target.spec.target_delay.as_secs_f64() / 2.0);
    let bounded = if certain && !draining {
        bounded
    } else {
        bounded.max(last)
    };
    let held = target.hold.hold(now, bounded, target.spec.scale_in_hold);
    inputs.held_replicas = Some(held);
    let desired = held.min(most);
    if desired > asked_for {
        *limit = Limit::Hold;
    }
    desired
}

/// Never below what runs, for one hold window after a start without memory.
fn warm_up(
    now: Timestamp,
    target: &mut TargetState,
    inputs: &Inputs,
    desired: u32,
    limit: &mut Limit,
) -> u32 {
    if !warming_up(now, target) {
        return desired;
    }
    let running = inputs.current.unwrap_or(0).min(target.spec.max_replicas);
    target.warm_up_floor = target.warm_up_floor.max(running);
    if desired >= target.warm_up_floor {
        return desired;
    }
    *limit = Limit::WarmUp;
    target.warm_up_floor
}

fn warming_up(now: Timestamp, target: &TargetState) -> bool {
    now.since(target.registered_at) < target.spec.scale_in_hold
}

/// Why no first value can be given yet: the running replicas are unknown, and so is what the work needs.
fn too_early(
    now: Timestamp,
    model: &GroupModel,
    target: &TargetState,
    inputs: &Inputs,
) -> Option<String> {
    if target.last_desired.is_some() || inputs.current.is_some() || !warming_up(now, target) {
        return None;
    }
    let watched = model
        .first_observed_at()
        .map_or(Duration::ZERO, |first| now.since(first));
    let enough = if inputs.capacity_per_second.is_some() {
        RATES_KNOWN_AFTER
    } else {
        ANSWER_ANYWAY_AFTER
    };
    let registered = now.since(target.registered_at);
    let warm_after = target.spec.scale_in_hold.saturating_sub(registered);
    (watched < enough).then(|| explain::too_early((enough - watched).min(warm_after)))
}

fn decide_backlog(
    now: Timestamp,
    model: &GroupModel,
    facts: &GroupFacts,
    target: &TargetState,
    inputs: Inputs,
    (threshold, measure): (u64, Measure),
) -> Decision {
    let counted = match measure {
        Measure::Backlog | Measure::UnprocessedEvents => facts.backlog_or_length,
        Measure::StreamLength => facts.length,
        _ if facts.partitions_without_group > 0 => facts.backlog_or_length,
        Measure::Lag => facts.lag,
        Measure::Pending => facts.pending,
    };
    let Some(counted) = counted else {
        return unavailable(now, inputs, Limit::None, explain::vanished());
    };
    let spec = &target.spec;
    // As KEDA: consumers beyond one per partition have nothing to do. Activity knows no such cap.
    let most = (measure == Measure::UnprocessedEvents)
        .then(|| threshold.saturating_mul(u64::from(inputs.partitions)));
    let arrived = measure == Measure::Backlog
        && inputs.arrived_in_window.unwrap_or(0) > spec.activation_backlog;
    let watched = measure != Measure::Backlog
        || model.watched_for(spec.activation_window, now)
        || inputs.current == Some(0);
    let active = match counted {
        _ if arrived || counted.value() > spec.activation_backlog => Some(true),
        Quantity::Exact(_) if watched => Some(false),
        _ => target.last_active.filter(|active| *active),
    };
    let Some(active) = active else {
        let text = explain::unsure(&inputs);
        return unavailable(now, inputs, Limit::None, text);
    };
    let capped = most.filter(|most| counted.value() > *most);
    let mut metric = Metric::whole(capped.unwrap_or(counted.value()));
    if !counted.is_exact() {
        metric.milli = metric
            .milli
            .max(target.last_metric.map_or(0, |last| last.milli));
    }
    let reason = match (active, target.last_active) {
        (true, Some(false) | None) => Reason::Activation,
        (true, Some(true)) => Reason::Backlog,
        (false, _) => Reason::Idle,
    };
    Decision {
        at: now,
        metric: Some(metric),
        active: Some(active),
        desired: None,
        limit: capped.map_or(Limit::None, |_| Limit::PartitionCount),
        reason,
        text: explain::backlog(counted, measure, threshold, active, capped, inputs.paused),
        inputs,
    }
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
