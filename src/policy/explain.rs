//! Decisions in words: what a person reads in the API, the page and the operator's events.

use std::time::{Duration, UNIX_EPOCH};

use crate::model::quantity::Quantity;
use crate::model::quiet::{SETTLES_OWNED, SETTLES_UNTOLD};

use super::agreement;
use super::decision::{CapacitySource, Inputs, Limit, Reason};
use super::forecast::expectation;
use super::replicas::Pause;
use super::spec::{Measure, TargetSpec};

/// The end of the year 9999: later times have no RFC 3339 form.
const LAST_MILLI: u64 = 253_402_300_799_999;

/// The text of a decision in `replicas` mode; `reason` is that of the recommendation.
pub fn replicas(
    desired: u32,
    recommended: u32,
    limit: Limit,
    reason: Reason,
    inputs: &Inputs,
    spec: &TargetSpec,
) -> String {
    let mut text = format!(
        "{}: {}.",
        count(desired, "replica"),
        driver(recommended, reason, inputs, spec)
    );
    if let Some(bound) = bound(limit, recommended, inputs, spec) {
        text.push(' ');
        text.push_str(&bound);
    }
    if limit == Limit::None && desired > recommended {
        text.push_str(
            " The HPA acts on no rise of a tenth or less, so it is asked for a little more.",
        );
    }
    push_incurable(&mut text, inputs);
    if inputs.unknown_partitions > 0 {
        text.push_str(&format!(
            " {} of {} could not be read, so the target may rise but not fall.",
            inputs.unknown_partitions,
            count(inputs.partitions, "partition"),
        ));
    }
    push_pause(&mut text, inputs.paused);
    text
}

/// What no number of replicas cures, whatever decided.
fn push_incurable(text: &mut String, inputs: &Inputs) {
    match inputs.hot_partitions {
        0 => {}
        1 => text.push_str(" One partition is hotter than a replica: more replicas cannot cure that, more partitions can."),
        n => text.push_str(&format!(" {n} partitions are hotter than a replica: more replicas cannot cure that, more partitions can.")),
    }
    if inputs.hot_partitions > 0 {
        text.push_str(&would_do(inputs));
    }
    match inputs.stuck_partitions {
        0 => {}
        1 => text.push_str(" 1 partition does not move although somebody holds it: a message that cannot be processed, as a rule; replicas cannot cure that."),
        n => text.push_str(&format!(" {n} partitions do not move although somebody holds them: messages that cannot be processed, as a rule; replicas cannot cure that.")),
    }
}

fn push_pause(text: &mut String, pause: Option<Pause>) {
    if let Some(pause) = pause {
        text.push(' ');
        text.push_str(&agreement::paused(pause));
    }
}

/// That pods hang, and since when: the moment, not the time passed, so that the sentence stands still.
fn pods_not_ready(inputs: &Inputs) -> Option<String> {
    let (asked, ready) = inputs.asked.zip(inputs.ready)?;
    let since = inputs.not_ready_since?.as_millis().min(LAST_MILLI);
    let since = UNIX_EPOCH + Duration::from_millis(since);
    Some(format!(
        "{} of {} not ready since {}; more replicas would not help until they are.",
        asked.saturating_sub(ready),
        if asked == 1 {
            "1 pod is".to_owned()
        } else {
            format!("{asked} pods are")
        },
        humantime::format_rfc3339_seconds(since),
    ))
}

/// Why the work asks for what it asks for.
fn driver(recommended: u32, reason: Reason, inputs: &Inputs, spec: &TargetSpec) -> String {
    if recommended == 0 && inputs.uncommitted > 0 {
        return format!(
            "nothing arrived for {}, and the {} behind the checkpoints are the rest of a batch that consumers have not checkpointed",
            duration(spec.activation_window),
            inputs.uncommitted,
        );
    }
    if recommended == 0 {
        return format!(
            "nothing waits and nothing arrived for {}",
            duration(spec.activation_window)
        );
    }
    let only_group_missing = inputs.partitions_without_group > 0
        && inputs.backlog.is_none_or(|backlog| backlog.value() == 0);
    if only_group_missing && reason != Reason::Arrival {
        return "the stream is there, but its consumer group does not exist or has committed nothing yet; the first consumer says where it begins"
            .to_owned();
    }
    if inputs.work_per_second == Some(0.0)
        && let Some(text) = without_work(reason, inputs, spec)
    {
        return text;
    }
    let load = format!(
        "{} messages/s arrive{} and {} wait{}{}",
        rate(inputs.arrival_per_second),
        Some(inputs)
            .filter(|_| reason == Reason::Forecast)
            .map_or_else(String::new, expectation),
        inputs
            .backlog
            .map_or_else(|| "an unknown number".to_owned(), quantity),
        inputs
            .oldest_age_seconds
            .filter(|age| *age > 0.0)
            .map_or_else(String::new, |age| format!(
                ", the oldest for {}",
                seconds(age)
            )),
        match inputs.uncommitted {
            0 => String::new(),
            n => format!(" (about {n} of them only for their checkpoint)"),
        },
    );
    let (samples, needed) = inputs.capacity_samples;
    match (inputs.capacity_source, inputs.capacity_per_second) {
        (CapacitySource::Unknown, _) | (_, None) => match inputs.capacity_at_least_per_second {
            Some(seen) => format!(
                "{load}; what one replica does is not known yet ({samples} of {needed} busy samples), but one was seen to do {} messages/s, so {recommended} will do as long as nothing waits",
                rate(Some(seen)),
            ),
            None => format!(
                "{load}; what one replica does is not known yet ({samples} of {needed} busy samples), so the target follows the delay"
            ),
        },
        (source, Some(capacity)) => format!(
            "{load}; at {} messages/s per replica ({}), {} that takes {recommended}{}",
            rate(Some(capacity)),
            if source == CapacitySource::Configured {
                "configured"
            } else {
                "learned"
            },
            measure(inputs),
            by_count(recommended, inputs),
        ),
    }
}

/// What the work is measured by: the busiest holder where holders are known, else utilization and the time to catch up.
fn measure(inputs: &Inputs) -> String {
    match inputs.busiest_per_second {
        Some(busiest) => format!("of which the busiest is given {} now,", rate(Some(busiest))),
        None => format!(
            "{:.0} % utilization and {} to catch up",
            inputs.target_utilization_ratio * 100.0,
            duration(Duration::from_secs_f64(inputs.catch_up_seconds)),
        ),
    }
}

/// Why somebody is needed though there is nothing to work on, where that is not for a group yet to be made.
fn without_work(reason: Reason, inputs: &Inputs, spec: &TargetSpec) -> Option<String> {
    match reason {
        Reason::Backlog => Some(format!(
            "nothing arrives, and the {} behind the checkpoints look processed; that counts as certain once nothing has moved for {} with an owner, or for {} where no owner is told",
            inputs
                .backlog
                .map_or_else(|| "messages".to_owned(), quantity),
            duration(SETTLES_OWNED),
            duration(SETTLES_UNTOLD),
        )),
        Reason::Arrival => Some(format!(
            "nothing waits, but {} arrived within the last {}",
            inputs.arrived_in_window.filter(|n| *n > 0)?,
            duration(spec.activation_window),
        )),
        _ => None,
    }
}

/// Why more replicas are asked for than the sum of the work takes: where partitions are shared out by count.
fn by_count(recommended: u32, inputs: &Inputs) -> String {
    match inputs.work_replicas_if_shared {
        Some(shared @ 1..) if shared < recommended => format!(
            " ({shared} would do for all of it together, but partitions are shared out by count, and the hottest that meet on one replica must fit it)"
        ),
        _ => String::new(),
    }
}

fn bound(limit: Limit, recommended: u32, inputs: &Inputs, spec: &TargetSpec) -> Option<String> {
    match limit {
        Limit::None => None,
        Limit::MinReplicas => Some(format!("minReplicas is {}.", spec.min_replicas)),
        Limit::MaxReplicas => Some(format!("maxReplicas is {}; the work asks for {recommended}.", spec.max_replicas)),
        Limit::PartitionCount => Some(format!(
            "The stream has {}; more replicas would have nothing to do.{}",
            count(inputs.partitions, "partition"),
            // Said with the hot partitions, if there are any.
            if inputs.hot_partitions == 0 { would_do(inputs) } else { String::new() },
        )),
        Limit::Skew | Limit::Stuck => None,
        Limit::Downstream => Some("Consumers that are never idle do far less than they can: what they depend on is slow, and more of them would make it worse.".to_owned()),
        Limit::PodsNotReady => pods_not_ready(inputs),
        Limit::ThroughputUnits => Some(format!(
            "The throughput units let consumers read {} messages/s: more replicas would not read more.",
            rate(inputs.read_limit_per_second),
        )),
        Limit::Hold => Some(format!("Held: so many were needed within the last {}, a backlog still drains, or fewer would cost more in moved partitions than they save.", duration(Duration::from_secs(inputs.hold_seconds as u64)))),
        Limit::WarmUp => Some(format!("Not below what runs during the first {} after a start.", duration(spec.scale_in_hold))),
    }
}

/// How many partitions would do, where these do not.
fn would_do(inputs: &Inputs) -> String {
    let more = inputs
        .recommended_partitions
        .filter(|n| *n > inputs.partitions);
    more.map_or_else(String::new, |n| format!(" {n} partitions would do."))
}

/// The text of a decision in `backlog` mode.
pub fn backlog(
    counted: Quantity,
    measure: Measure,
    threshold: u64,
    active: bool,
    capped: Option<u64>,
    pause: Option<Pause>,
) -> String {
    let what = match measure {
        Measure::Backlog => "unfinished messages",
        Measure::Lag => "undelivered messages",
        Measure::Pending => "pending messages",
        Measure::StreamLength => "messages in the stream",
        Measure::UnprocessedEvents => "unprocessed events",
    };
    let state = if active { "active" } else { "inactive" };
    let sent = capped.map_or_else(String::new, |most| {
        format!(" {most} are sent: more replicas than partitions would have nothing to do.")
    });
    let mut text = format!(
        "{} {what} at {threshold} per replica; {state}.{sent}",
        quantity(counted)
    );
    push_pause(&mut text, pause);
    text
}

/// The stream was there and is not any more.
pub fn vanished() -> String {
    "the stream was there and vanished within the last minute; it counts as empty if it stays away"
        .to_owned()
}

/// Neither activity nor inactivity is certain.
pub fn unsure(inputs: &Inputs) -> String {
    if inputs.unknown_partitions > 0 || inputs.backlog.is_none_or(|backlog| !backlog.is_exact()) {
        format!(
            "the backlog is not fully known ({} of {} unreadable), so the target cannot be called inactive; see /api/v1/groups for the reason",
            inputs.unknown_partitions,
            count(inputs.partitions, "partition"),
        )
    } else {
        "arrivals have not been watched for one activationWindow yet, so the target cannot be called inactive".to_owned()
    }
}

/// The start without memory.
pub fn too_early(left: Duration) -> String {
    format!(
        "just started: the running replicas are not visible and rates are not known yet; a value follows with the first poll after {}",
        duration(Duration::from_secs_f64(left.as_secs_f64().ceil()))
    )
}

fn count(n: u32, what: &str) -> String {
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {what}s")
    }
}

fn quantity(quantity: Quantity) -> String {
    match quantity {
        Quantity::Exact(n) => n.to_string(),
        Quantity::AtLeast(n) => format!("at least {n}"),
    }
}

fn rate(per_second: Option<f64>) -> String {
    match per_second {
        None => "an unknown number of".to_owned(),
        Some(rate) if rate >= 10.0 || rate == 0.0 => format!("{rate:.0}"),
        Some(rate) => format!("{rate:.1}"),
    }
}

fn seconds(seconds: f64) -> String {
    if seconds < 10.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{seconds:.0} s")
    }
}

fn duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
