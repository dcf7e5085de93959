//! What keeps a target up although less work is there, or from being given at all so soon after a start.

use std::time::Duration;

use crate::model::downstream::Breaker;
use crate::model::group::GroupModel;
use crate::model::identity::Assignment;
use crate::model::quantity::Quantity;
use crate::model::time::Timestamp;
use crate::policy::answering::Answering;
use crate::policy::cold::steady_arrivals;
use crate::policy::decision::Inputs;
use crate::policy::explain;
use crate::policy::rule::{HeldFor, Rule};
use crate::policy::steps::Proposal;
use crate::policy::target::TargetState;
use crate::policy::tuning::utilization::Utilization;

use super::work::Seen;
use crate::policy::tuning::fleet::{ASKED_WITHIN, TOO_LONG_RATIO};
use crate::policy::tuning::held::{
    ANSWER_ANYWAY_AFTER, IN_WORK_RATIO, MOMENT_RATIO, MOVE_LANDS_AFTER, RATES_KNOWN_AFTER,
    ROUNDING, SHORTEST_HOLD, STEP_AFTER_OUTAGE_DIVISOR, WORTH_FALLING_RATIO, WORTH_MOVING_RATIO,
};

/// In an outage of what consumers depend on, nothing changes at all, and after it one step is tried first. `last` is what was
/// wanted before.
pub(super) fn downstream(
    breaker: Breaker,
    target: &TargetState,
    count: u32,
    last: u32,
) -> Option<Proposal> {
    if last == 0 {
        return None;
    }
    let after = match breaker {
        Breaker::Open(_) => last,
        Breaker::HalfOpen(since) => {
            let tried = target.scaled.rose_at().is_some_and(|at| at >= since);
            let step = if tried {
                0
            } else {
                (last / STEP_AFTER_OUTAGE_DIVISOR).max(1)
            };
            count.min(last.saturating_add(step))
        }
        Breaker::Closed => count,
    };
    Some(Proposal::to(after, Rule::Downstream))
}

/// Scale-in waits for a backlog to drain, and for certain knowledge.
pub(super) fn keep(
    seen: &Seen<'_>,
    target: &TargetState,
    count: u32,
    last: u32,
    certain: bool,
) -> Option<Proposal> {
    let rule = if seen.facts.lost_per_second > 0.0 || drains(seen, target) {
        Rule::Draining
    } else if !certain {
        Rule::Uncertain
    } else {
        return None;
    };
    Some(Proposal::to(count.max(last), rule))
}

/// What the work needs now.
#[derive(Clone, Copy)]
pub(super) struct Needed {
    pub(super) replicas: u32,
    /// The work that they were counted for.
    pub(super) work_per_second: f64,
}

/// Scale-in waits for the hold window, and `needed` is added to it. What is held keeps a count from falling; it is no reason to rise
/// above what was wanted before.
pub(super) fn hold(
    seen: &Seen<'_>,
    target: &mut TargetState,
    inputs: &Inputs,
    needed: Needed,
) -> Proposal {
    let now = seen.now;
    let window = target.scaled.hold(now, hold_of(target));
    match target.spec.assignment {
        Assignment::Exclusive => {
            let held = &mut target.hold.replicas;
            let held = held.hold(now, f64::from(needed.replicas), window) as u32;
            Proposal::to(held, Rule::HeldWindow(HeldFor::of(window)))
        }
        Assignment::Shared => hold_work(seen, target, inputs, needed, window),
    }
}

/// Where any consumer may take any message: what arrived for a while is held for the whole window, as it may come back; what a
/// moment asked for, a burst or catching up, only for a moment. Both as work, in today's capacity. Nothing where that is unknown.
fn hold_work(
    seen: &Seen<'_>,
    target: &mut TargetState,
    inputs: &Inputs,
    needed: Needed,
    window: Duration,
) -> Proposal {
    let (now, facts) = (seen.now, seen.facts);
    let mean = facts.arrival_per_second.unwrap_or(0.0);
    // When a load ends, the newest poll says so at once: the means would let the count fall in several steps.
    let newest = facts.newest_arrival_per_second.unwrap_or(mean).min(mean);
    // A burst is in the one and not in the other: before and after it, and as long as it lies in the minute.
    let lasting = steady_arrivals(facts).min(newest);
    let utilization = Utilization::of(target.spec.assignment);
    let work = (needed.work_per_second - (mean - newest) / utilization.up).max(0.0);
    let is_short = short_hold(target).is_some();
    let longest = target.spec.hold();
    let held = &mut target.hold;
    let (window, moment) = if is_short {
        // Where polls are rare, the last one counts all the same: a single one that shows less is no reason to fall.
        let since_last = held
            .arrivals
            .last_at()
            .map_or(Duration::ZERO, |at| now.since(at));
        let window = window.max((since_last * 2).min(longest));
        (window, window)
    } else {
        (window, window.mul_f64(MOMENT_RATIO))
    };
    let arrivals = held.arrivals.hold(now, lasting / utilization.down, window);
    let work = held.work.hold(now, work, moment);
    let Some(capacity) = inputs.capacity_per_second else {
        return Proposal::to(0, Rule::HeldArrivals(HeldFor::of(window)));
    };
    let replicas = |work: f64| (work / capacity - ROUNDING).ceil() as u32;
    let by = replicas(arrivals.max(work));
    let last = inputs.desired_before.unwrap_or(0);
    let leaves_many = f64::from(by) > f64::from(last) * WORTH_FALLING_RATIO;
    if is_short && needed.replicas < by && leaves_many {
        // One fall instead of several: fewer are needed soon. A long hold has that effect by itself.
        Proposal::to(last.max(by), Rule::HeldMoment(HeldFor::of(moment)))
    } else if work > arrivals {
        Proposal::to(by, Rule::HeldMoment(HeldFor::of(moment)))
    } else {
        Proposal::to(by, Rule::HeldArrivals(HeldFor::of(window)))
    }
}

/// The hold of that target, before what it learned.
pub(super) fn hold_of(target: &TargetState) -> Duration {
    short_hold(target).unwrap_or(target.spec.hold())
}

/// The hold where replicas that were taken away too early would be back before a message is late, as starts here show: keeping one
/// for longer than it takes to start costs more than starting it again. Who set a hold wants that one.
fn short_hold(target: &TargetState) -> Option<Duration> {
    let spec = &target.spec;
    let start_takes = target.replicas.start_takes()?;
    let is_back_in_time = ASKED_WITHIN + start_takes <= spec.target_delay;
    let may = is_back_in_time && spec.scale_in_hold.is_none();
    (may && spec.assignment == Assignment::Shared).then(|| start_takes.max(SHORTEST_HOLD))
}

/// Whether a backlog is being worked off that makes messages late. One that does not move is not: entries whose consumers are
/// gone wait for whoever claims them, not for more replicas.
fn drains(seen: &Seen<'_>, target: &TargetState) -> bool {
    let facts = seen.facts;
    let long = target.spec.target_delay.as_secs_f64() * TOO_LONG_RATIO;
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
        .is_none_or(|age| age <= all * IN_WORK_RATIO + long);
    undelivered > long || all > long && moves
}

/// Whether a scale-in from `last` costs more than it saves: every partition that moves rests for a while.
pub(super) fn moves(
    seen: &Seen<'_>,
    target: &TargetState,
    count: u32,
    last: u32,
) -> Option<Proposal> {
    let is_scale_in = count < last && count > 0;
    if target.spec.assignment != Assignment::Exclusive || !is_scale_in {
        return None;
    }
    let now = seen.now;
    let moved = |at: Timestamp| now.since(at) < MOVE_LANDS_AFTER;
    let mut partitions = seen.facts.partitions.values();
    let costs_more = !target.scaled.may_fall(now, target.spec.hold())
        || f64::from(last - count) < f64::from(last) * WORTH_MOVING_RATIO
        || partitions.any(|p| p.owned_since.is_some_and(moved));
    costs_more.then_some(Proposal::to(last, Rule::Moves))
}

/// Never below what runs at somebody else's wish, for one hold window after a start without memory: before it, or of another
/// instance that knows more.
pub(super) fn warm_up(
    now: Timestamp,
    target: &mut TargetState,
    inputs: &Inputs,
    desired: u32,
) -> Option<Proposal> {
    if !warming_up(now, target) || inputs.answering != Answering::Fleet {
        return None;
    }
    let running = inputs
        .own_current()
        .unwrap_or(0)
        .min(target.spec.max_replicas);
    if running > target.most_asked {
        target.warm_up_floor = target.warm_up_floor.max(running);
    }
    let rule = Rule::WarmUp(HeldFor::of(target.spec.hold()));
    Some(Proposal::to(desired.max(target.warm_up_floor), rule))
}

fn warming_up(now: Timestamp, target: &TargetState) -> bool {
    now.since(target.registered_at) < target.spec.hold()
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
    if inputs.desired_before.is_some() || !may_be_low || !warming_up(now, target) {
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
    let warm_after = target.spec.hold().saturating_sub(registered);
    (watched < enough).then(|| explain::too_early((enough - watched).min(warm_after)))
}
