//! Jobs for the work that is there: nothing held, nothing for a fleet that runs, never more than there are messages.

use crate::model::quantity::Quantity;
use crate::policy::activation::ActivitySignal;
use crate::policy::bounds::{GroupWork, ceil_replicas};
use crate::policy::cold;
use crate::policy::decision::{Decision, Inputs, Metric, Reason};
use crate::policy::explain;
use crate::policy::forecast::surge;
use crate::policy::rule::Limit;
use crate::policy::rule::{Bound, Rule};
use crate::policy::steps::{Proposal, Step, Steps};
use crate::policy::target::TargetState;
use crate::policy::tuning::utilization::Utilization;

use super::work::Seen;

/// KEDA starts `answer − running` jobs at every poll: what is counted is all unfinished work, that of running jobs included.
pub(super) fn decide_jobs(
    seen: &Seen<'_>,
    target: &TargetState,
    mut inputs: Inputs,
    signal: ActivitySignal,
) -> Decision {
    let facts = seen.facts;
    let backlog = facts.backlog.map_or(0, Quantity::value);
    let mut steps = Steps::begin(needed(seen, target, &inputs));
    // Only the first step counts a surge here.
    let counts_surge =
        |step: &Step| matches!(step.rule, Rule::FirstStep(first) if first.counted_per_second > 0.0);
    if steps.deciding().is_some_and(counts_surge) {
        inputs.surge_ratio = Some(surge(facts)).filter(|ratio| *ratio > 1.0);
    }
    let messages = u32::try_from(backlog).unwrap_or(u32::MAX);
    let with_work = steps.replicas().min(messages);
    steps.apply(Some(Proposal::to(with_work, Rule::OneJobPerMessage)));
    let most = target.spec.max_replicas;
    let bound = u64::from(most);
    let within = steps.replicas().min(most);
    steps.apply(Some(Proposal::to(
        within,
        Rule::MaxReplicas(Bound { bound }),
    )));
    let jobs = steps.replicas();
    let active = match signal {
        _ if backlog > target.spec.activation_backlog => Some(true),
        ActivitySignal::Unsure if facts.backlog.is_some_and(|b| !b.is_exact()) => None,
        _ => Some(false),
    };
    if active.is_none() {
        let text = explain::unsure(&inputs);
        return Decision::unavailable(seen.now, inputs, Limit::None, text);
    }
    let reason = match jobs {
        _ if steps.is_limited() => Reason::Limit,
        0 => Reason::Idle,
        _ => Reason::Backlog,
    };
    if inputs.paused.is_some() {
        steps.note(Rule::Paused);
    }
    Decision {
        at: seen.now,
        metric: Some(Metric::whole(u64::from(jobs))),
        active,
        desired: Some(jobs),
        limit: steps.limit(),
        reason,
        text: explain::jobs(&steps, &inputs),
        steps,
        inputs,
    }
}

fn needed(seen: &Seen<'_>, target: &TargetState, inputs: &Inputs) -> Proposal {
    let facts = seen.facts;
    let utilization = Utilization::of(target.spec.assignment).up;
    let work = GroupWork::of(facts, &target.spec, utilization, 1.0);
    // What arrives is taken by jobs that run as long as nothing waits for one.
    let undelivered = facts.lag.or(facts.backlog).map_or(0, Quantity::value);
    let work = if undelivered == 0 {
        work.without_arrivals()
    } else {
        work
    };
    match inputs.capacity_per_second {
        _ if work.total() == 0.0 => Proposal::to(0, Rule::Idle),
        Some(capacity) => {
            let jobs = ceil_replicas(work.total() / capacity);
            Proposal::to(jobs, Rule::Work(work.figures(capacity)))
        }
        None => {
            let start_takes = target.replicas.start_takes();
            let arrivals = if undelivered > 0 {
                cold::arriving(facts)
            } else {
                0.0
            };
            cold::first(facts, &target.spec, start_takes, arrivals)
        }
    }
}
