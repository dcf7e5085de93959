//! Jobs for the work that is there: nothing held, nothing for a fleet that runs, never more than there are messages.

use crate::model::quantity::Quantity;
use crate::policy::activation::Signal;
use crate::policy::bounds::{Utilization, Work};
use crate::policy::cold;
use crate::policy::decision::{Decision, Inputs, Limit, Metric, Reason, Rule};
use crate::policy::explain;
use crate::policy::state::TargetState;

use super::Seen;

/// KEDA starts `answer − running` jobs at every poll: what is counted is all unfinished work, that of running jobs included.
pub(super) fn decide_jobs(
    seen: &Seen<'_>,
    target: &TargetState,
    mut inputs: Inputs,
    signal: Signal,
) -> Decision {
    let facts = seen.facts;
    let backlog = facts.backlog.map_or(0, Quantity::value);
    let wanted = needed(seen, target, &mut inputs).min(u32::try_from(backlog).unwrap_or(u32::MAX));
    inputs.work_replicas = Some(wanted);
    let most = target.spec.max_replicas;
    let jobs = wanted.min(most);
    let (limit, reason) = match () {
        () if wanted > most => (Limit::MaxReplicas, Reason::Limit),
        () if jobs == 0 => (Limit::None, Reason::Idle),
        () => (Limit::None, Reason::Backlog),
    };
    let active = match signal {
        _ if backlog > target.spec.activation_backlog => Some(true),
        Signal::Unsure if facts.backlog.is_some_and(|b| !b.is_exact()) => None,
        _ => Some(false),
    };
    if active.is_none() {
        let text = explain::unsure(&inputs);
        return super::unavailable(seen.now, inputs, Limit::None, text);
    }
    Decision {
        at: seen.now,
        metric: Some(Metric::whole(u64::from(jobs))),
        active,
        desired: Some(jobs),
        limit,
        reason,
        text: explain::jobs(jobs, wanted, &inputs, &target.spec),
        inputs,
    }
}

fn needed(seen: &Seen<'_>, target: &TargetState, inputs: &mut Inputs) -> u32 {
    let facts = seen.facts;
    let mut work = Work::of(
        facts,
        &target.spec,
        Utilization::of(target.spec.assignment).up,
        1.0,
    );
    // What arrives is taken by jobs that run as long as nothing waits for one.
    let undelivered = facts.lag.or(facts.backlog).map_or(0, Quantity::value);
    if undelivered == 0 {
        work.from_arrivals = 0.0;
    }
    inputs.work_per_second = Some(work.total());
    match inputs.capacity_per_second {
        Some(capacity) => {
            inputs.rule = Some(Rule::Work);
            (work.total() / capacity).ceil() as u32
        }
        None if work.total() > 0.0 => {
            inputs.rule = Some(Rule::First);
            let start_takes = target.replicas.start_takes();
            let arrivals = if undelivered > 0 {
                cold::arriving(facts)
            } else {
                0.0
            };
            cold::first(facts, &target.spec, start_takes, arrivals)
        }
        None => 0,
    }
}
