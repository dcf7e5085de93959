//! What drives a decision, in words.

use crate::model::quiet::{SETTLES_OWNED, SETTLES_UNTOLD};
use crate::policy::decision::{CapacitySource, Inputs, Reason, Rule};
use crate::policy::forecast::expectation;
use std::time::Duration;

use super::{duration, quantity, rate, seconds};

/// Why the work asks for what it asks for.
pub(super) fn driver(recommended: u32, reason: Reason, inputs: &Inputs) -> String {
    if recommended == 0 && inputs.uncommitted > 0 {
        return format!(
            "nothing arrived for {}, and the {} behind the checkpoints are the rest of a batch that consumers have not checkpointed",
            duration(inputs.activation_window),
            inputs.uncommitted,
        );
    }
    if recommended == 0 {
        return format!(
            "nothing waits and nothing arrived for {}",
            duration(inputs.activation_window)
        );
    }
    let only_group_missing = inputs.partitions_without_group > 0
        && inputs.backlog.is_none_or(|backlog| backlog.value() == 0);
    if only_group_missing && reason != Reason::Arrival {
        return "the stream is there, but its consumer group does not exist or has committed nothing yet; the first consumer says where it begins"
            .to_owned();
    }
    if inputs.work_per_second == Some(0.0)
        && let Some(text) = without_work(reason, inputs)
    {
        return text;
    }
    let load = format!(
        "{} messages/s arrive{}{} and {} wait{}{}",
        rate(inputs.arrival_per_second),
        surging(inputs),
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
    if inputs.rule == Some(Rule::Losing) {
        return format!(
            "{load}; messages are lost, so there are to be {recommended} until none is"
        );
    }
    let (samples, needed) = inputs.capacity_samples;
    match (inputs.capacity_source, inputs.capacity_per_second) {
        (CapacitySource::Unknown, _) | (_, None) if inputs.rule == Some(Rule::First) => format!(
            "{load}; what one replica does is not known yet, so {recommended} start with it until the first busy seconds show that",
        ),
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
            "{load}; at {} messages/s per replica ({}), {}",
            rate(Some(capacity)),
            match source {
                CapacitySource::Configured => "configured",
                CapacitySource::Estimated => "seen in the first busy seconds",
                _ => "learned",
            },
            measured(recommended, inputs),
        ),
    }
}

/// That it is not the mean that counts; empty where it is.
fn surging(inputs: &Inputs) -> String {
    let newest = inputs.arrival_per_second.zip(inputs.surge_ratio);
    newest.map_or_else(String::new, |(mean, ratio)| {
        let newest = rate(Some(mean * ratio));
        format!(", {newest} in the newest poll ({ratio:.1}×, so that is what counts),")
    })
}

/// What the work is measured by, and that it takes so many.
fn measured(recommended: u32, inputs: &Inputs) -> String {
    let busiest = format!(
        "the busiest is given {} now",
        rate(inputs.busiest_per_second)
    );
    match inputs.rule {
        Some(Rule::Enough) => {
            format!("{recommended} keep up and work off what waits before others could help")
        }
        Some(Rule::Busiest) => {
            format!(
                "{busiest}, more than it can do in time; that takes {recommended}{}",
                by_count(recommended, inputs)
            )
        }
        Some(Rule::Relief) => format!(
            "{busiest}, and a holder is slower than the others; {recommended} take a partition from it"
        ),
        Some(Rule::Reserve) => format!(
            "{busiest}; fewer than {recommended} would not bear the peaks of the last hours if they came back"
        ),
        Some(Rule::Spread) => format!(
            "{busiest}; that takes {recommended}{}",
            by_count(recommended, inputs)
        ),
        Some(Rule::Arrivals) => format!("that takes at least {recommended}"),
        _ => format!(
            "{:.0} % utilization and {} to catch up that takes {recommended}{}",
            inputs.target_utilization_ratio * 100.0,
            duration(Duration::from_secs_f64(inputs.catch_up_seconds)),
            by_count(recommended, inputs),
        ),
    }
}

/// Why somebody is needed though there is nothing to work on, where that is not for a group yet to be made.
fn without_work(reason: Reason, inputs: &Inputs) -> Option<String> {
    let nothing_else = inputs.arrived_in_window == Some(0)
        && inputs.backlog.is_none_or(|backlog| backlog.value() == 0);
    if nothing_else && inputs.stuck_in_work > 0 {
        return Some(format!(
            "nothing waits, but consumers that are at work hold {} messages that were delivered long ago; they are not ended meanwhile",
            inputs.stuck_in_work
        ));
    }
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
            duration(inputs.activation_window),
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
