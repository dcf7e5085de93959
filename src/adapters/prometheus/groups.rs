//! Metrics per group.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::adapters::view::GroupView;
use crate::model::downstream::Breaker;

use super::family::{About, Value, counter, gauge, group_labels};

type Read = fn(&GroupView) -> Option<Value>;

const GAUGES: [(About, Read); 12] = [
    (
        About(
            "group_backlog_messages",
            "Unfinished messages of all partitions; a lower bound while some are unknown, absent while nothing is known.",
        ),
        |g| g.facts()?.backlog.map(Value::from),
    ),
    (
        About(
            "group_oldest_age_seconds",
            "Seconds that the oldest unfinished message of any partition has waited; 0 for none.",
        ),
        |g| g.facts()?.oldest_age_seconds.map(Value::from),
    ),
    (
        About(
            "group_waiting_seconds",
            "As group_oldest_age_seconds, without messages that are processed and only wait for their checkpoint: what the policy acts on.",
        ),
        |g| g.facts()?.waiting_seconds.map(Value::from),
    ),
    (
        About(
            "group_arrival_messages_per_second",
            "Messages arriving per second at the partitions that could be read, averaged over 15 seconds.",
        ),
        |g| g.facts()?.arrival_per_second.map(Value::from),
    ),
    (
        About(
            "group_processing_messages_per_second",
            "Messages processed per second on the partitions that could be read, averaged over 30 seconds.",
        ),
        |g| g.facts()?.processing_per_second.map(Value::from),
    ),
    (
        About(
            "group_read_limit_messages_per_second",
            "Messages per second that the source lets consumers read at most; absent unless the config names its throughput units.",
        ),
        |g| g.facts()?.read_limit_per_second.map(Value::from),
    ),
    (About("group_consumers", "Consumers at work."), |g| {
        g.facts()?.consumers.map(Value::from)
    }),
    (
        About(
            "group_capacity_messages_per_second",
            "Messages per second one replica does when it is never idle, configured or learned.",
        ),
        |g| g.capacity_per_replica().map(Value::from),
    ),
    (
        About(
            "group_utilization_ratio",
            "Arrival rate divided by what the running replicas can do.",
        ),
        |g| g.utilization_ratio().map(Value::from),
    ),
    (
        About(
            "group_drain_seconds",
            "Seconds until the running replicas have worked off the backlog; absent unless they gain on the arrivals.",
        ),
        |g| g.drain_seconds().map(Value::from),
    ),
    (
        About(
            "group_skew_ratio",
            "Arrival rate of the hottest partition divided by the mean of all; absent without arrivals.",
        ),
        |g| g.facts()?.skew_ratio.map(Value::from),
    ),
    (
        About(
            "group_recommended_partitions",
            "Partitions that would do, the present count if it does; exclusive assignment with a known capacity only.",
        ),
        |g| g.recommended_partitions().map(Value::from),
    ),
];

const BREAKER: About = About(
    "group_breaker_state",
    "Whether what the consumers depend on is slow (open), so that the target is held: 1 for the state, 0 for the others.",
);

const RESTARTS: About = About(
    "group_restarts",
    "Times that the group failed for a fault of the program and started over.",
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
