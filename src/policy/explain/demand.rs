//! What the work needs, in words: the first step of a decision.

use std::time::Duration;

use crate::model::quantity::Quantity;
use crate::model::tuning::quiet::{SETTLES_OWNED, SETTLES_UNTOLD};
use crate::policy::answering::Answering;
use crate::policy::decision::{CapacitySource, Inputs};
use crate::policy::rule::{Counted, Holders, Rule};
use crate::policy::spec::Measure;
use crate::policy::steps::Step;

use super::numbers::{duration, grouped, percent, quantity, rate, seconds};

/// Why the work needs what it needs, as the rest of a sentence, with its full stop.
pub(super) fn first(step: &Step, inputs: &Inputs) -> String {
    match &step.rule {
        Rule::Idle => return idle(inputs),
        Rule::Counted(counted) => return messages(step.after, counted),
        _ => {}
    }
    let nothing_to_count = inputs.work_per_second() == 0.0 && step.after > 0;
    let is_activation = matches!(step.rule, Rule::Activation);
    let without_work = Some(inputs).filter(|_| is_activation || nothing_to_count);
    without_work.and_then(without_work_text).unwrap_or_else(|| {
        let needs = needs(step.after, &step.rule, inputs);
        format!("{}; {needs}.", load(inputs, &step.rule))
    })
}

fn idle(inputs: &Inputs) -> String {
    let quiet = duration(inputs.activation_window);
    let arrived = inputs.arrived_in_window.unwrap_or(0);
    let waiting = inputs.backlog.map_or(0, Quantity::value);
    let waiting = waiting.saturating_sub(inputs.settled);
    if inputs.answering == Answering::Jobs && waiting == 0 && arrived > 0 {
        // Jobs that are at work have taken it.
        return "nothing waits.".to_owned();
    }
    if waiting > 0 || arrived > 0 {
        return format!(
            "{} wait and {} arrived within {quiet}: no more than activationBacklog.",
            grouped(waiting),
            grouped(arrived)
        );
    }
    match inputs.uncommitted {
        0 => format!("nothing waits and nothing arrived for {quiet}."),
        rest => format!(
            "nothing arrived for {quiet}, and the {} behind the checkpoints are the rest of a batch that consumers have not checkpointed.",
            grouped(rest)
        ),
    }
}

/// What arrives and what waits.
fn load(inputs: &Inputs, rule: &Rule) -> String {
    let arrivals = inputs.arrival_per_second;
    let arrivals = arrivals.map_or_else(|| "an unknown number of".to_owned(), rate);
    let waiting = inputs.backlog;
    let waiting = waiting.map_or_else(|| "an unknown number".to_owned(), quantity);
    let oldest = inputs.oldest_age_seconds.filter(|age| *age > 0.0);
    let oldest = oldest.map_or_else(String::new, |age| {
        format!(", the oldest for {}", seconds(age))
    });
    let uncommitted = match inputs.uncommitted {
        0 => String::new(),
        rest => format!(
            " (about {} of them are processed and only wait for a checkpoint)",
            grouped(rest)
        ),
    };
    let surging = surging(inputs, rule);
    format!("{arrivals} messages/s arrive{surging} and {waiting} wait{oldest}{uncommitted}")
}

/// That it is not the mean that counts; empty where it is.
fn surging(inputs: &Inputs, rule: &Rule) -> String {
    let is_counted = !matches!(
        rule,
        Rule::Explored(_) | Rule::Kept | Rule::Delay | Rule::Spread(_) | Rule::Reserve(_)
    );
    let surge = inputs.arrival_per_second.zip(inputs.surge_ratio);
    let surge = surge.filter(|_| is_counted);
    surge.map_or_else(String::new, |(mean, ratio)| {
        let newest = rate(mean * ratio);
        format!(" ({newest}/s in the newest poll, {ratio:.1}× the mean: this rate counts)")
    })
}

/// How many that needs, and why.
fn needs(replicas: u64, rule: &Rule, inputs: &Inputs) -> String {
    let after = grouped(replicas);
    match rule {
        Rule::Work(work) => format!(
            "{}, {} utilization and {} to catch up, that needs {after}{}",
            at_capacity(work.capacity_per_second, inputs),
            percent(work.utilization_ratio),
            duration(Duration::from_secs_f64(work.catch_up_seconds)),
            by_count(work.replicas_if_shared, replicas),
        ),
        Rule::Busiest(holders) if holders.is_at_least => format!(
            "the busiest consumer receives {}/s{}, so streamgauge tries {after}",
            rate(holders.busiest_per_second),
            beyond_what_was_seen(holders),
        ),
        Rule::Busiest(holders) => format!(
            "{}, more than it can process in time; that needs {after}{}",
            busiest(holders, inputs),
            by_count(holders.replicas_if_shared, replicas)
        ),
        Rule::Relief(holders) => format!(
            "{}, and one consumer is slower than the others; with {after} it loses a partition",
            busiest(holders, inputs)
        ),
        Rule::Reserve(holders) => format!(
            "{}; fewer than {after} could not handle the peaks of the last hours if they returned",
            busiest(holders, inputs)
        ),
        Rule::Spread(holders) => format!(
            "{}; that needs {after}{}",
            busiest(holders, inputs),
            by_count(holders.replicas_if_shared, replicas)
        ),
        Rule::Arrivals(holders) => format!(
            "{}; all arrivals together need at least {after}",
            at_consumer_capacity(holders, inputs)
        ),
        Rule::Explored(explored) => format!(
            "{}, but one consumer was seen to process {} messages/s, so {after} are enough as long as nothing waits",
            unknown_capacity(inputs),
            rate(explored.consumer_seen_per_second),
        ),
        Rule::FirstStep(_) => format!(
            "the capacity of one replica is not known yet, so {after} start, until the first busy seconds show it"
        ),
        Rule::Kept => format!(
            "{}, and the running replicas keep up, so {after} stay",
            unknown_capacity(inputs)
        ),
        Rule::Activation => format!("{after} starts for it"),
        _ => format!(
            "{}, so the replica count follows the delay",
            unknown_capacity(inputs)
        ),
    }
}

/// Where a capacity is from.
const fn source(inputs: &Inputs) -> &'static str {
    match inputs.capacity_source {
        CapacitySource::Configured => "configured",
        CapacitySource::Estimated => "seen in the first busy seconds",
        CapacitySource::Learned | CapacitySource::Unknown => "learned",
    }
}

fn at_capacity(per_second: f64, inputs: &Inputs) -> String {
    let source = source(inputs);
    format!("at {} messages/s per replica ({source})", rate(per_second))
}

fn at_consumer_capacity(holders: &Holders, inputs: &Inputs) -> String {
    let source = source(inputs);
    let capacity = rate(holders.consumer_capacity_per_second);
    format!("at {capacity} messages/s per consumer ({source})")
}

/// Why a holder is given relief while capacity is only known to be at least so much.
fn beyond_what_was_seen(holders: &Holders) -> String {
    let seen = holders.consumer_capacity_per_second;
    if holders.busiest_per_second > seen {
        format!(", more than one was seen to process ({}/s)", rate(seen))
    } else {
        format!(" and is behind (one was seen to process {}/s)", rate(seen))
    }
}

/// The count in `backlog` mode.
fn messages(count: u64, counted: &Counted) -> String {
    format!(
        "{}{} {} at {} per replica.",
        if counted.is_at_least { "at least " } else { "" },
        grouped(count),
        measured(counted.measure),
        grouped(counted.threshold),
    )
}

/// What `backlog` mode counts.
const fn measured(measure: Measure) -> &'static str {
    match measure {
        Measure::Backlog => "unfinished messages",
        Measure::Lag => "undelivered messages",
        Measure::Pending => "pending messages",
        Measure::StreamLength => "messages in the stream",
        Measure::UnprocessedEvents => "unprocessed events",
    }
}

fn busiest(holders: &Holders, inputs: &Inputs) -> String {
    format!(
        "{}, the busiest consumer receives {}/s",
        at_consumer_capacity(holders, inputs),
        rate(holders.busiest_per_second)
    )
}

fn unknown_capacity(inputs: &Inputs) -> String {
    let (samples, needed) = inputs.capacity_samples;
    format!("the capacity of one replica is not known yet ({samples} of {needed} busy samples)")
}

/// Why more replicas are needed than the sum of the work takes: where partitions are shared out by count.
fn by_count(if_shared: u32, replicas: u64) -> String {
    if (1..replicas).contains(&u64::from(if_shared)) {
        format!(
            " ({if_shared} could process everything together, but partitions are assigned by count, and the hottest that meet on one replica must fit it)"
        )
    } else {
        String::new()
    }
}

/// Why a replica is needed although there is nothing to work on, where that is known.
fn without_work_text(inputs: &Inputs) -> Option<String> {
    let backlog = inputs.backlog.map_or(0, Quantity::value);
    let arrived = inputs.arrived_in_window.unwrap_or(0);
    let window = duration(inputs.activation_window);
    if inputs.lacks_only_the_group() && backlog == 0 {
        Some("the stream exists, but its consumer group does not, or has committed nothing yet; the first consumer decides where to start.".to_owned())
    } else if backlog == 0 && arrived == 0 && inputs.stuck_in_work > 0 {
        Some(format!(
            "nothing waits, but active consumers hold {} messages that were delivered long ago; their pods keep running meanwhile.",
            grouped(inputs.stuck_in_work)
        ))
    } else if backlog > inputs.settled {
        Some(format!(
            "nothing arrives, and the {} behind the checkpoints look processed; that counts as certain once nothing has moved for {} with an owner, or for {} without one.",
            grouped(backlog),
            duration(SETTLES_OWNED),
            duration(SETTLES_UNTOLD),
        ))
    } else {
        (arrived > 0).then(|| {
            format!(
                "nothing waits, but {} arrived within the last {window}.",
                grouped(arrived)
            )
        })
    }
}
