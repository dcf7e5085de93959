//! Metrics per partition.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::adapters::view::{GroupView, PartitionView};
use crate::config::types::Granularity;
use crate::model::sample::AgeMethod;
use crate::model::status::PartitionStatus;

use super::family::{About, Label, Value, counter, gauge, group_labels};

type Read = fn(&PartitionView<'_>) -> Option<Value>;

const GAUGES: [(About, Read); 13] = [
    (
        About(
            "partition_backlog_messages",
            "Unfinished messages: undelivered plus pending, without stuck ones; absent while unknown.",
        ),
        |p| p.backlog().map(Value::from),
    ),
    (
        About(
            "partition_backlog_known",
            "Whether the backlog is known: 1, or 0 where it could not be read or was read too long ago.",
        ),
        |p| Some(p.backlog().is_some().into()),
    ),
    (
        About(
            "partition_backlog_at_least",
            "Whether the backlog sample is only a lower bound: 1, or 0 where it was counted exactly.",
        ),
        |p| p.backlog().map(|backlog| (!backlog.is_exact()).into()),
    ),
    (
        About(
            "partition_lag_messages",
            "Messages not yet delivered to the consumer group.",
        ),
        |p| p.facts()?.lag.map(Value::from),
    ),
    (
        About(
            "partition_pending_messages",
            "Messages delivered and not yet acknowledged, stuck ones included.",
        ),
        |p| p.facts()?.pending.map(Value::from),
    ),
    (
        About(
            "partition_stuck_pending_messages",
            "Messages pending for so long that they count neither as backlog nor towards any target.",
        ),
        |p| p.facts()?.stuck_pending.map(Value::from),
    ),
    (
        About(
            "partition_oldest_pending_deliveries",
            "How often the oldest pending message was delivered; many deliveries mean that nobody can process it.",
        ),
        |p| p.facts()?.oldest_delivery_count.map(Value::from),
    ),
    (
        About(
            "partition_oldest_age_seconds",
            "Seconds that the oldest unfinished message has waited; 0 for none.",
        ),
        |p| p.facts()?.oldest_age_seconds.map(Value::from),
    ),
    (
        About(
            "partition_arrival_messages_per_second",
            "Messages arriving per second, averaged over 15 seconds.",
        ),
        |p| p.arrival_per_second().map(Value::from),
    ),
    (
        About(
            "partition_processing_messages_per_second",
            "Messages processed per second, averaged over 30 seconds or, where commits are rarer, over the last ones; lost ones are not among them.",
        ),
        |p| p.processing_per_second().map(Value::from),
    ),
    (
        About(
            "partition_uncommitted_messages",
            "Of the backlog, what is processed already and only not checkpointed yet: an estimate, absent where consumers do not checkpoint.",
        ),
        |p| p.facts()?.uncommitted.map(Value::from),
    ),
    (
        About(
            "partition_commit_interval_seconds",
            "Seconds between checkpoints, once learned.",
        ),
        |p| p.facts()?.commit_interval_seconds.map(Value::from),
    ),
    (
        About(
            "partition_status_code",
            "The status of the partition as a number, for pictures of many: 0 ok, 1 behind, 2 stuck, 3 stopped, 4 rewound, 5 unknown.",
        ),
        |p| {
            PartitionStatus::ALL
                .into_iter()
                .position(|status| status == p.status())
                .map(|n| Value::from(n as u64))
        },
    ),
];

const AGE_METHOD: About = About(
    "partition_oldest_age_method",
    "How the oldest age was obtained: 1 for that one of exact, interpolated, bounded (at least so old), 0 for the others.",
);

const STATUS: About = About(
    "partition_status",
    "What the partition is like: 1 for that one of ok, behind, stuck, stopped, rewound, unknown, 0 for the others.",
);

const ANOMALY: About = About(
    "partition_anomaly",
    "Whether the signal of the partition is unusual: 1, else 0; absent while its baseline is learning.",
);

type Count = fn(&PartitionView<'_>) -> u64;

const COUNTERS: [(About, Count); 4] = [
    (
        About(
            "partition_arrived_messages",
            "Messages that arrived since the service watches.",
        ),
        |p| p.counters().arrived_total,
    ),
    (
        About(
            "partition_processed_messages",
            "Messages processed since the service watches.",
        ),
        |p| p.counters().processed_total,
    ),
    (
        About(
            "partition_lost_messages",
            "Messages that left the log before they were processed, since the service watches.",
        ),
        |p| p.counters().lost_total,
    ),
    (
        About(
            "partition_possibly_lost_messages",
            "Messages that were processed or left the log unread, where the source does not tell which, since the service watches.",
        ),
        |p| p.counters().possibly_lost_total,
    ),
];

/// What a partition has at most: gauges and counters, methods of its age, statuses, flags of three signals.
const SERIES_PER_PARTITION: usize =
    GAUGES.len() + COUNTERS.len() + AgeMethod::ALL.len() + PartitionStatus::ALL.len() + 3;

/// The groups whose partitions are written: the smallest first, as long as there is room for all partitions of one. And how many
/// series are left out of the others.
pub(super) fn fitting(groups: &[GroupView], max_series: usize) -> (Vec<&GroupView>, u64) {
    let size = |group: &GroupView| group.partitions().len() * SERIES_PER_PARTITION;
    let wanted = |group: &&GroupView| group.definition().granularity == Granularity::Partition;
    let mut sizes: Vec<(usize, usize)> = groups
        .iter()
        .enumerate()
        .filter(|(_, group)| wanted(group))
        .map(|(n, group)| (size(group), n))
        .collect();
    sizes.sort_unstable();
    let (mut room, mut left_out, mut fit) = (max_series, 0, Vec::new());
    for (size, n) in sizes {
        match room.checked_sub(size) {
            Some(rest) => {
                room = rest;
                fit.push(n);
            }
            None => left_out += size as u64,
        }
    }
    fit.sort_unstable();
    (fit.into_iter().map(|n| &groups[n]).collect(), left_out)
}

/// Everything about every partition of these groups.
pub(super) fn write(encoder: &mut DescriptorEncoder<'_>, groups: &[&GroupView]) -> fmt::Result {
    let rows: Vec<([Label<'_>; 5], PartitionView<'_>)> = groups
        .iter()
        .flat_map(|group| {
            group.partitions().into_iter().map(|partition| {
                let [name, source, stream, consumer_group] = group_labels(group);
                let partition_label = ("partition", partition.name());
                (
                    [name, source, stream, consumer_group, partition_label],
                    partition,
                )
            })
        })
        .collect();
    for (about, read) in GAUGES {
        let samples = rows
            .iter()
            .filter_map(|(labels, partition)| Some((*labels, read(partition)?)));
        gauge(encoder, about, samples)?;
    }
    let methods = rows.iter().flat_map(|(labels, partition)| {
        let found = partition.facts().and_then(|facts| facts.age_method);
        let one = move |method: AgeMethod| {
            let labels = (*labels, [("method", method.as_str())]);
            Some((labels, Value::from(found? == method)))
        };
        AgeMethod::ALL.into_iter().filter_map(one)
    });
    gauge(encoder, AGE_METHOD, methods)?;
    let statuses = rows.iter().flat_map(|(labels, partition)| {
        let found = partition.status();
        PartitionStatus::ALL.map(|status| {
            let labels = (*labels, [("status", status.as_str())]);
            (labels, Value::from(found == status))
        })
    });
    gauge(encoder, STATUS, statuses)?;
    let flags = rows.iter().flat_map(|(labels, partition)| {
        let known = partition.facts().map(|facts| facts.normal.iter());
        known.into_iter().flatten().filter_map(|(signal, normal)| {
            let flag = (!normal.reading.learning).then_some(normal.reading.anomaly)?;
            let labels = (*labels, [("signal", signal.as_str())]);
            Some((labels, Value::from(flag)))
        })
    });
    gauge(encoder, ANOMALY, flags)?;
    for (about, read) in COUNTERS {
        let samples = rows
            .iter()
            .map(|(labels, partition)| (*labels, read(partition).into()));
        counter(encoder, about, samples)?;
    }
    Ok(())
}
