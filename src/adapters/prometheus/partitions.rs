//! Metrics per partition.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::adapters::view::{GroupView, PartitionView};
use crate::config::types::Granularity;
use crate::model::facts::PartitionStatus;
use crate::model::sample::AgeMethod;

use super::family::{About, Label, Value, counter, gauge, group_labels};

type Read = fn(&PartitionView<'_>) -> Option<Value>;

const GAUGES: [(About, Read); 14] = [
    (
        About(
            "partition_backlog_messages",
            "Backlog of the partition (undelivered and pending, without stuck messages), in messages; absent while unknown.",
        ),
        |p| p.backlog().map(Value::from),
    ),
    (
        About(
            "partition_backlog_known",
            "Whether the backlog is known (1); 0 if it could not be read or is stale.",
        ),
        |p| Some(p.backlog().is_some().into()),
    ),
    (
        About(
            "partition_backlog_at_least",
            "Whether partition_backlog_messages is a lower bound (1) or exact (0).",
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
            "Messages delivered but not yet acknowledged, stuck ones included.",
        ),
        |p| p.facts()?.pending.map(Value::from),
    ),
    (
        About(
            "partition_stuck_pending_messages",
            "Messages pending for longer than stuck_after; they do not count for the backlog or the replica count.",
        ),
        |p| p.facts()?.stuck_pending.map(Value::from),
    ),
    (
        About(
            "partition_stored_bytes",
            "Memory that the stream takes on the Redis server, up to ten minutes old, in bytes; absent where MEMORY USAGE is not permitted.",
        ),
        |p| p.facts()?.stored_bytes.map(Value::from),
    ),
    (
        About(
            "partition_oldest_pending_deliveries",
            "Deliveries of the oldest pending message; a high count suggests a message that no consumer can process.",
        ),
        |p| p.facts()?.oldest_delivery_count.map(Value::from),
    ),
    (
        About(
            "partition_oldest_age_seconds",
            "Age of the oldest unfinished message in the partition, in seconds; 0 if there is none.",
        ),
        |p| p.facts()?.oldest_age_seconds.map(Value::from),
    ),
    (
        About(
            "partition_arrival_messages_per_second",
            "Arrival rate of the partition, 15 s mean, in messages per second.",
        ),
        |p| p.arrival_per_second().map(Value::from),
    ),
    (
        About(
            "partition_processing_messages_per_second",
            "Processing rate of the partition without lost messages, 30 s mean (longer if commits are rarer), in messages per second.",
        ),
        |p| p.processing_per_second().map(Value::from),
    ),
    (
        About(
            "partition_uncommitted_messages",
            "Estimated messages processed but not yet checkpointed, part of the backlog; absent without checkpoints.",
        ),
        |p| p.facts()?.uncommitted.map(Value::from),
    ),
    (
        About(
            "partition_commit_interval_seconds",
            "Learned interval between checkpoints of the partition, in seconds.",
        ),
        |p| p.facts()?.commit_interval_seconds.map(Value::from),
    ),
    (
        About(
            "partition_status_code",
            "Status of the partition as a number, for heatmaps: 0 ok, 1 behind, 2 stuck, 3 stopped, 4 rewound, 5 unknown.",
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
    "How partition_oldest_age_seconds was obtained (1 = current method): exact, interpolated, or bounded (a lower bound).",
);

const STATUS: About = About(
    "partition_status",
    "Status of the partition (1 = current status).",
);

const ANOMALY: About = About(
    "partition_anomaly",
    "Whether the signal of the partition is anomalous (1) or not (0); absent while its baseline is learning.",
);

type CountOf = fn(&PartitionView<'_>) -> u64;

const COUNTERS: [(About, CountOf); 4] = [
    (
        About(
            "partition_arrived_messages",
            "Messages added to the partition since streamgauge started, in messages.",
        ),
        |p| p.counters().arrived_total,
    ),
    (
        About(
            "partition_processed_messages",
            "Messages processed since streamgauge started, in messages.",
        ),
        |p| p.counters().processed_total,
    ),
    (
        About(
            "partition_lost_messages",
            "Messages that left the log unprocessed since streamgauge started, in messages.",
        ),
        |p| p.counters().lost_total,
    ),
    (
        About(
            "partition_possibly_lost_messages",
            "Messages either processed or lost since streamgauge started (the source does not show which), in messages.",
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
