//! Metrics per group.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::adapters::view::GroupView;
use crate::model::downstream::Breaker;

use super::family::{About, Value, counter, gauge, group_labels};

type Read = fn(&GroupView) -> Option<Value>;

const GAUGES: [(About, Read); 14] = [
    (
        About(
            "group_backlog_messages",
            "Backlog over all partitions, in messages; a lower bound while some partitions are unknown, absent while all are.",
        ),
        |g| g.facts()?.backlog.map(Value::from),
    ),
    (
        About(
            "group_oldest_age_seconds",
            "Age of the oldest unfinished message in any partition, in seconds; 0 if there is none.",
        ),
        |g| g.facts()?.oldest_age_seconds.map(Value::from),
    ),
    (
        About(
            "group_waiting_seconds",
            "Age of the oldest unprocessed message, in seconds: group_oldest_age_seconds without messages that only wait for a checkpoint.",
        ),
        |g| g.facts()?.waiting_seconds.map(Value::from),
    ),
    (
        About(
            "group_arrival_messages_per_second",
            "Arrival rate over the partitions that could be read, 15 s mean, in messages per second.",
        ),
        |g| g.facts()?.arrival_per_second.map(Value::from),
    ),
    (
        About(
            "group_processing_messages_per_second",
            "Processing rate over the partitions that could be read, 30 s mean, in messages per second.",
        ),
        |g| g.facts()?.processing_per_second.map(Value::from),
    ),
    (
        About(
            "group_read_limit_messages_per_second",
            "Read limit imposed by the source, in messages per second; absent unless throughput_units is configured.",
        ),
        |g| g.facts()?.read_limit_per_second.map(Value::from),
    ),
    (
        About("group_consumers", "Active consumers in the group."),
        |g| g.facts()?.consumers.map(Value::from),
    ),
    (
        About(
            "group_capacity_messages_per_second",
            "Capacity of one fully busy replica, configured or learned, in messages per second.",
        ),
        |g| g.capacity_per_replica().map(Value::from),
    ),
    (
        About(
            "group_utilization_ratio",
            "Arrival rate divided by the capacity of the running replicas.",
        ),
        |g| g.utilization_ratio().map(Value::from),
    ),
    (
        About(
            "group_drain_seconds",
            "Estimated time to drain the backlog with the running replicas, in seconds; absent while the backlog is not shrinking.",
        ),
        |g| g.drain_seconds().map(Value::from),
    ),
    (
        About(
            "group_trim_horizon_seconds",
            "Time until trimming reaches messages that the group has not finished, at the rates of the last 90 s, in seconds; absent while it is not coming closer.",
        ),
        |g| g.facts()?.trim_horizon_seconds.map(Value::from),
    ),
    (
        About(
            "group_outage_reserve_seconds",
            "Time for which the consumers may stand still before trimming reaches messages that they have not finished, in seconds; absent while the streams are not trimmed.",
        ),
        |g| g.facts()?.outage_reserve_seconds.map(Value::from),
    ),
    (
        About(
            "group_skew_ratio",
            "Arrival rate of the hottest partition divided by the mean over all partitions; absent without arrivals.",
        ),
        |g| g.facts()?.skew_ratio.map(Value::from),
    ),
    (
        About(
            "group_recommended_partitions",
            "Recommended number of partitions; only with exclusive assignment and a known capacity.",
        ),
        |g| g.recommended_partitions().map(Value::from),
    ),
];

const BREAKER: About = About(
    "group_breaker_state",
    "State of the downstream circuit breaker (1 = current state); open means that a dependency slows the consumers and the replica count is held.",
);

const RESTARTS: About = About(
    "group_restarts",
    "Restarts of the group's internal state after a bug in streamgauge.",
);

/// Everything about every group as a whole.
pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, groups: &[GroupView]) -> fmt::Result {
    let known = groups.iter().filter_map(|g| Some((g, g.facts()?.breaker)));
    let states = known.flat_map(|(group, breaker)| {
        Breaker::STATES.into_iter().map(move |state| {
            let labels = (group_labels(group), [("state", state)]);
            (labels, (breaker.as_str() == state).into())
        })
    });
    gauges(encoder, groups)?;
    let restarts = groups
        .iter()
        .map(|g| (group_labels(g), g.restarts().into()));
    counter(encoder, RESTARTS, restarts)?;
    gauge(encoder, BREAKER, states)
}

fn gauges(encoder: &mut DescriptorEncoder<'_>, groups: &[GroupView]) -> fmt::Result {
    GAUGES.into_iter().try_for_each(|(about, read)| {
        let samples = groups
            .iter()
            .filter_map(|group| Some((group_labels(group), read(group)?)));
        gauge(encoder, about, samples)
    })
}
