//! What keeps a target up although less work is there, or from being given at all so soon after a start.

use std::time::Duration;

use crate::model::downstream::Breaker;
use crate::model::facts::GroupFacts;
use crate::model::group::GroupModel;
use crate::model::identity::Assignment;
use crate::model::quantity::Quantity;
use crate::model::time::Timestamp;
use crate::policy::answering::Answering;
use crate::policy::bounds::Utilization;
use crate::policy::cold::steady_arrivals;
use crate::policy::decision::{Held, Inputs, Limit};
use crate::policy::explain;
use crate::policy::state::TargetState;

use super::Seen;

/// Where the running replicas are unknown, the first value waits until rates are known for so long …
const RATES_KNOWN_AFTER: Duration = Duration::from_secs(30);
/// … or, while capacity stays unknown, for so long.
const ANSWER_ANYWAY_AFTER: Duration = Duration::from_secs(60);
/// A partition that moved lately is not to move again.
const MOVE_LANDS_AFTER: Duration = Duration::from_secs(30);
/// Where partitions move, a scale-in has to take away at least this share of the replicas.
const WORTH_MOVING_RATIO: f64 = 0.2;

/// Scale-in waits: for the hold window, for a backlog to drain, for certain knowledge; where partitions move, also until it is
/// worth that. In an outage of what consumers depend on, nothing changes at all, and after it one step is tried first.
pub(super) fn hold_back(
    seen: &Seen<'_>,
    target: &mut TargetState,
    inputs: &mut Inputs,
    (bounded, most): (u32, u32),
    certain: bool,
    limit: &mut Limit,
) -> u32 {
    let (now, facts) = (seen.now, seen.facts);
    let last = target.last_desired.unwrap_or(0).min(most);
    let draining = facts.lost_per_second > 0.0 || drains(seen, target);
    let (least, highest) = allowed_downstream(facts.breaker, target, last);
    let recommended = if certain && !draining {
        bounded.clamp(least, highest)
    } else {
        bounded.max(last).clamp(least, highest)
    };
    let window = target.steps.hold(now, target.spec.scale_in_hold);
    inputs.hold_seconds = window.as_secs_f64();
    let (held, held_by) = match target.spec.assignment {
        Assignment::Exclusive => {
            // What only uncertainty keeps is not held for a window more: one unread partition now and then would keep it for ever.
            let recommended = if certain {
                recommended
            } else {
                bounded.clamp(least, highest)
            };
            let held = target
                .hold
                .replicas
                .hold(now, f64::from(recommended), window);
            (held as u32, Held::Window)
        }
        Assignment::Shared => hold_work(seen, target, inputs, window),
    };
    // What is held keeps a count from falling; it is no reason to rise.
    let held = recommended.max(held.min(last));
    inputs.held_replicas = Some(held);
    // What an outage stopped from rising is not to rise by what was asked for before it.
    let held = held.clamp(least, highest);
    let moves = held < last && held > 0 && moves_forbid(now, facts, target, held, last);
    let desired = if moves { last } else { held.min(most) };
    inputs.held_by = match () {
        () if desired <= bounded => None,
        () if moves => Some(Held::Moves),
        () if recommended == bounded => Some(held_by),
        () if draining => Some(Held::Backlog),
        () => Some(Held::Uncertain),
    };
    let downstream = desired == least && bounded < least || desired == highest && bounded > highest;
    *limit = match () {
        () if downstream => Limit::Downstream,
        () if desired > bounded => Limit::Hold,
        () => *limit,
    };
    desired
}

/// A count that a moment asked for is held for this share of the hold, which grows where that was too short.
const MOMENT_RATIO: f64 = 0.2;

/// Where any consumer may take any message: what arrived for a while is held for the whole window, as it may come back; what a
/// moment asked for, a burst or catching up, only for a moment. Both as work, in today's capacity. Nothing where that is unknown.
fn hold_work(
    seen: &Seen<'_>,
    target: &mut TargetState,
    inputs: &Inputs,
    window: Duration,
) -> (u32, Held) {
    let (now, facts) = (seen.now, seen.facts);
    // A burst is in the one and not in the other: before and after it, and as long as it lies in the minute.
    let lasting = steady_arrivals(facts).min(facts.arrival_per_second.unwrap_or(0.0));
    let arrivals = lasting / Utilization::of(target.spec.assignment).down;
    let work = inputs.work_per_second.unwrap_or(0.0);
    let arrivals = target.hold.arrivals.hold(now, arrivals, window);
    let work = target
        .hold
        .work
        .hold(now, work, window.mul_f64(MOMENT_RATIO));
    let Some(capacity) = inputs.capacity_per_second else {
        return (0, Held::Window);
    };
    let replicas = |work: f64| (work / capacity - ROUNDING).ceil() as u32;
    let (by_arrivals, by_work) = (replicas(arrivals), replicas(work));
    if by_work > by_arrivals {
        (by_work, Held::Moment)
    } else {
        (by_arrivals, Held::Arrivals)
    }
}

/// So much of a replica is no reason for another one.
const ROUNDING: f64 = 1e-6;

/// Whether a backlog is being worked off that makes messages late. One that does not move is not: entries whose consumers are
/// gone wait for whoever claims them, not for more replicas.
fn drains(seen: &Seen<'_>, target: &TargetState) -> bool {
    let facts = seen.facts;
    let long = target.spec.target_delay.as_secs_f64() / 2.0;
    if target.spec.assignment == Assignment::Exclusive {
        let waiting = seen.diagnosis.waiting_seconds(facts);
        return waiting.is_some_and(|age| age > long);
    }
    let Some(done) = facts.processing_per_second.filter(|rate| *rate > 0.0) else {
        return false;
    };
    let takes = |messages: Option<Quantity>| messages.map_or(0, Quantity::value) as f64 / done;
    let (undelivered, all) = (takes(facts.lag), takes(facts.backlog));
    // What is handed out is in work as long as the oldest of it is no older than that explains.
    let moves = facts
        .oldest_age_seconds
        .is_none_or(|age| age <= all * 3.0 + long);
    undelivered > long || all > long && moves
}

/// Between which counts the target stays while what consumers depend on is slow or was so a moment ago.
fn allowed_downstream(breaker: Breaker, target: &TargetState, last: u32) -> (u32, u32) {
    match breaker {
        Breaker::Open(_) if last > 0 => (last, last),
        Breaker::HalfOpen(since) if last > 0 => {
            let tried = target.steps.rose_at().is_some_and(|at| at >= since);
            let step = if tried { 0 } else { (last / 2).max(1) };
            (0, last.saturating_add(step))
        }
        _ => (0, u32::MAX),
    }
}

/// Whether a scale-in costs more than it saves: every partition that moves rests for a while.
fn moves_forbid(
    now: Timestamp,
    facts: &GroupFacts,
    target: &TargetState,
    held: u32,
    last: u32,
) -> bool {
    let moved = |at: Timestamp| now.since(at) < MOVE_LANDS_AFTER;
    target.spec.assignment == Assignment::Exclusive
        && (!target.steps.may_fall(now, target.spec.scale_in_hold)
            || f64::from(last - held) < f64::from(last) * WORTH_MOVING_RATIO
            || facts
                .partitions
                .values()
                .any(|p| p.owned_since.is_some_and(moved)))
}

/// Never below what runs at somebody else's wish, for one hold window after a start without memory: before it, or of another
/// instance that knows more.
pub(super) fn warm_up(
    now: Timestamp,
    target: &mut TargetState,
    inputs: &Inputs,
    desired: u32,
    limit: &mut Limit,
) -> u32 {
    if !warming_up(now, target) || inputs.answering != Answering::Fleet {
        return desired;
    }
    let running = inputs
        .own_current()
        .unwrap_or(0)
        .min(target.spec.max_replicas);
    if running > target.most_asked {
        target.warm_up_floor = target.warm_up_floor.max(running);
    }
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
pub(super) fn too_early(
    now: Timestamp,
    model: &GroupModel,
    target: &TargetState,
    inputs: &Inputs,
) -> Option<String> {
    let may_be_low = match inputs.own_current() {
        Some(_) => false,
        // Nothing runs that a part of it could take away.
        None => inputs.current != Some(0),
    };
    if target.last_desired.is_some() || !may_be_low || !warming_up(now, target) {
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
