//! What each later step did, as a sentence of its own.

use std::time::{Duration, UNIX_EPOCH};

use crate::model::tuning::forecast::{HORIZON, LOOK_AHEAD};
use crate::policy::decision::Inputs;
use crate::policy::rule::{Foreseen, HeldFor, Rule, Slack};
use crate::policy::steps::Step;
use crate::policy::tuning::new_instance::MEASURED_FOR;
use crate::scaled_object::Pause;

use super::numbers::{count, duration, grouped, percent, rate, seconds};

/// The end of the year 9999: later times have no RFC 3339 form.
const LAST_MILLI: u64 = 253_402_300_799_999;

/// The step as a sentence; empty where it needs none.
pub(super) fn sentence(step: &Step, inputs: &Inputs) -> String {
    let after = grouped(step.after);
    match &step.rule {
        Rule::Kept => format!("Until that is known, what runs stays: {after}."),
        Rule::Started(started) => format!(
            "{} are already starting or running, and streamgauge asks for more only if it needs over {} more, so {after} for now.",
            grouped(started.replicas.into()),
            percent(started.larger_by_ratio),
        ),
        Rule::FallsBehind(behind) => format!(
            "Messages would wait {} at the present rate, longer than the target delay of {}, so streamgauge tries {after}.",
            seconds(behind.waits_seconds),
            seconds(behind.target_delay_seconds),
        ),
        Rule::Slack(slack) => scale_in(&after, slack),
        Rule::Enough(_) => {
            format!("But the present {after} keep up and clear the backlog before more could help.")
        }
        Rule::Forecast(foreseen) => forecast(foreseen, inputs),
        Rule::Losing => {
            format!("Messages are being lost, so {after} are requested until none are lost.")
        }
        Rule::OneJobPerMessage => format!("Only {} wait, one per job.", messages_of(step.after)),
        Rule::MaxReplicas(_) => format!("maxReplicas is {after}; the work needs {}.", grouped(step.before)),
        Rule::PartitionCount(_) => partition_count(inputs),
        Rule::ThroughputUnits(_) => format!(
            "The throughput units let consumers read {} messages/s: more replicas would not read more.",
            rate(inputs.read_limit_per_second.unwrap_or(0.0)),
        ),
        Rule::PodsNotReady(_) => pods_not_ready(inputs),
        Rule::NotMeasured(_) => format!("No more than are running, or than the backlog needs, until arrivals have been measured for {}.", duration(MEASURED_FOR)),
        Rule::HpaTolerance(tolerance) => format!(
            "The HPA ignores a rise of {} or less, so {after} are requested.",
            percent(tolerance.tolerance_ratio)
        ),
        Rule::MinReplicas(_) => format!("minReplicas is {after}."),
        Rule::Downstream if inputs.breaker.is_open() => "Fully busy consumers process far less than their capacity: what they depend on is slow, and more consumers would make it worse.".to_owned(),
        Rule::Downstream => "What consumers depend on was slow until a moment ago, so streamgauge tries only one step for now.".to_owned(),
        Rule::Draining if inputs.lost_per_second > 0.0 => "Held: messages are being lost.".to_owned(),
        Rule::Draining => "Held: a backlog is still draining.".to_owned(),
        Rule::Uncertain => "Held: some data is missing, so scale-in waits.".to_owned(),
        Rule::HeldArrivals(hold) => format!("Held: the arrivals of the last {} needed this many.", window(hold)),
        Rule::HeldMoment(hold) | Rule::HeldWindow(hold) => {
            format!("Held: this many were needed within the last {}.", window(hold))
        }
        Rule::Moves => "Held: fewer would cost more in moved partitions than they save, or the last step is too recent.".to_owned(),
        Rule::WarmUp(hold) => format!("No fewer than are running, for the first {} after a start.", window(hold)),
        remark => note(remark, inputs),
    }
}

/// What a person should know, whatever decided.
fn note(remark: &Rule, inputs: &Inputs) -> String {
    match remark {
        Rule::Part => "This is the count for this trigger alone: the ScaledObject has others or a formula, so the running replicas do not matter.".to_owned(),
        Rule::Losses => format!(
            "About {} messages/s leave the log unread: it is trimmed or expires before consumers read them.",
            rate(inputs.lost_per_second),
        ),
        Rule::Skew => {
            let hot = match inputs.hot_partitions {
                1 => "One partition receives more than one consumer can process".to_owned(),
                n => format!("{n} partitions each receive more than one consumer can process"),
            };
            format!("{hot}: more replicas do not help, more partitions do.{}", would_do(inputs))
        }
        Rule::Stuck => {
            let stuck = match inputs.stuck_partitions {
                1 => "1 partition makes no progress although a consumer holds it".to_owned(),
                n => format!("{n} partitions make no progress although consumers hold them"),
            };
            format!("{stuck}, usually because a message cannot be processed: more replicas do not help.")
        }
        Rule::Ineffective => "The last rise was ineffective: it added less than a tenth of the expected rate. Look at what the consumers depend on.".to_owned(),
        Rule::Unread => format!(
            "{} of {} could not be read, so the answer may rise but not fall.",
            inputs.unknown_partitions,
            count(inputs.partitions, "partition"),
        ),
        Rule::Paused => inputs.paused.map_or_else(String::new, Pause::sentence),
        _ => String::new(),
    }
}

fn messages_of(n: u64) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} message{s}", grouped(n))
}

fn scale_in(after: &str, slack: &Slack) -> String {
    let utilization = percent(slack.work.utilization_ratio);
    if slack.needed > slack.present {
        format!(
            "Scale-in leaves room: {utilization} utilization needs {}, so the present {after} stay.",
            grouped(slack.needed.into())
        )
    } else {
        format!("Scale-in leaves room: {utilization} utilization needs {after}.")
    }
}

fn forecast(foreseen: &Foreseen, inputs: &Inputs) -> String {
    let expected = inputs
        .forecast_upper_per_second
        .zip(inputs.forecast_largest_per_second);
    let Some((upper, largest)) = expected.filter(|_| foreseen.decides) else {
        return String::new();
    };
    format!(
        "The forecast expects up to {}/s in {} and {}/s within {}, which needs {}.",
        rate(upper),
        duration(HORIZON),
        rate(largest),
        duration(LOOK_AHEAD),
        grouped(foreseen.replicas.into()),
    )
}

/// How many partitions would do, where these do not.
fn would_do(inputs: &Inputs) -> String {
    let recommended = inputs.recommended_partitions;
    let more = recommended.filter(|n| *n > inputs.partitions);
    more.map_or_else(String::new, |n| {
        format!(" {} partitions are recommended.", grouped(n.into()))
    })
}

fn partition_count(inputs: &Inputs) -> String {
    format!(
        "The stream has {}; more replicas would have nothing to do.{}",
        count(inputs.partitions, "partition"),
        // Said with the hot partitions, if there are any.
        if inputs.hot_partitions == 0 {
            would_do(inputs)
        } else {
            String::new()
        },
    )
}

/// That pods hang, and since when: the moment, not the time passed, so that the sentence stands still.
fn pods_not_ready(inputs: &Inputs) -> String {
    let pods = inputs.asked.zip(inputs.ready).zip(inputs.not_ready_since);
    let Some(((asked, ready), since)) = pods else {
        return String::new();
    };
    let since = inputs.wall.on_the_wall(since).as_millis().min(LAST_MILLI);
    let since = UNIX_EPOCH + Duration::from_millis(since);
    let verb = if asked == 1 { "has" } else { "have" };
    let why = inputs.waiting.as_ref();
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    format!(
        "{} of {} {verb} not been ready since {}{why}; more replicas would not help until they are.",
        asked.saturating_sub(ready),
        count(asked, "pod"),
        humantime::format_rfc3339_seconds(since),
    )
}

fn window(hold: &HeldFor) -> String {
    duration(Duration::from_secs_f64(hold.window_seconds))
}
