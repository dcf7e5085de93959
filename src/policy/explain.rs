//! Decisions in words: what a person reads in the API, the page and the operator's events.

mod driver;

use std::time::{Duration, UNIX_EPOCH};

use crate::model::facts::GroupFacts;
use crate::model::quantity::Quantity;

use super::agreement;
use super::answering::Answering;
use super::decision::{Held, Inputs, Limit, Reason};
use super::replicas::Pause;
use super::spec::{Measure, TargetSpec};
use driver::driver;

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
        driver(recommended, reason, inputs)
    );
    if let Some(bound) = bound(limit, desired, recommended, inputs, spec) {
        text.push(' ');
        text.push_str(&bound);
    }
    if limit == Limit::None && desired > recommended {
        text.push_str(
            " The HPA acts on no rise of a tenth or less, so it is asked for a little more.",
        );
    }
    if inputs.answering == Answering::Part {
        text.push_str(" This is the count for this trigger alone: the ScaledObject has others or a formula, so what runs is not looked at.");
    }
    push_losses(&mut text, inputs);
    push_incurable(&mut text, inputs);
    if inputs.is_ineffective {
        text.push_str(" The last rise was ineffective: it brought less than a tenth of what it should; look at what the consumers depend on.");
    }
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

/// That messages are lost, whatever decided.
fn push_losses(text: &mut String, inputs: &Inputs) {
    if inputs.lost_per_second > 0.0 {
        text.push_str(&format!(
            " About {} messages/s leave the log unread: it is trimmed or expires before consumers get to them.",
            rate(Some(inputs.lost_per_second)),
        ));
    }
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
    let since = inputs.wall.on_the_wall(inputs.not_ready_since?);
    let since = UNIX_EPOCH + Duration::from_millis(since.as_millis().min(LAST_MILLI));
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

fn bound(
    limit: Limit,
    desired: u32,
    recommended: u32,
    inputs: &Inputs,
    spec: &TargetSpec,
) -> Option<String> {
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
        Limit::Downstream if inputs.breaker.is_open() => Some("Consumers that are never idle do far less than they can: what they depend on is slow, and more of them would make it worse.".to_owned()),
        Limit::Downstream => Some("What consumers depend on was slow until a moment ago: one step is tried first.".to_owned()),
        Limit::PodsNotReady => pods_not_ready(inputs),
        Limit::ThroughputUnits => Some(format!(
            "The throughput units let consumers read {} messages/s: more replicas would not read more.",
            rate(inputs.read_limit_per_second),
        )),
        Limit::Hold => Some(held(inputs)),
        Limit::WarmUp if recommended > desired => Some("Not more than runs, or than the backlog takes, until arrivals have been measured for 15 s.".to_owned()),
        Limit::WarmUp => Some(format!("Not below what runs during the first {} after a start.", duration(spec.scale_in_hold))),
    }
}

/// What keeps the target up.
fn held(inputs: &Inputs) -> String {
    let window = || duration(Duration::from_secs(inputs.hold_seconds as u64));
    match inputs.held_by {
        Some(Held::Backlog) => "Held: a backlog still drains.".to_owned(),
        Some(Held::Uncertain) => "Held: not everything is known that fewer would have to rest on.".to_owned(),
        Some(Held::Moves) => "Held: fewer would cost more in moved partitions than they save, or the last step is too fresh.".to_owned(),
        Some(Held::Arrivals) => format!("Held: as much arrived within the last {}.", window()),
        Some(Held::Moment) => "Held: so many were needed within the last minute.".to_owned(),
        Some(Held::Window) | None => format!("Held: so many were needed within the last {}.", window()),
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

/// The text of a decision for jobs.
pub fn jobs(jobs: u32, wanted: u32, inputs: &Inputs, spec: &TargetSpec) -> String {
    let reason = if wanted == 0 {
        Reason::Idle
    } else {
        Reason::Backlog
    };
    let mut text = match wanted {
        0 => "0 jobs: nothing waits.".to_owned(),
        _ => format!(
            "{}: {}.",
            count(jobs, "job"),
            driver(wanted, reason, inputs)
        ),
    };
    if jobs < wanted {
        text.push_str(&format!(
            " maxReplicas is {}; the work asks for {wanted}.",
            spec.max_replicas
        ));
    }
    push_pause(&mut text, inputs.paused);
    text
}

/// Nothing of the number that is asked for is known.
pub fn unknown(facts: &GroupFacts) -> String {
    if facts.vanished_partitions > 0 {
        return "the stream was there and vanished within the last minute; it counts as empty if it stays away".to_owned();
    }
    let problem = facts.partitions.values().find_map(|p| p.problem.as_deref());
    let problem = problem.unwrap_or("see /api/v1/groups");
    format!("what waits is not known yet: {problem}")
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
        format!(
            "arrivals have not been watched for {} yet, so the target cannot be called inactive",
            duration(inputs.activation_window)
        )
    }
}

/// What the answer is used for is yet to be told.
pub const OBJECT_AWAITED: &str = "just registered: the ScaledObject is being read from the Kubernetes API, since a formula or other triggers change the answer; a value follows within seconds";

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
