//! What `check` says: the summary of a config, and one table row per group.

use std::fmt::Write;

use crate::config::types::{Config, SourceKind};
use crate::model::quantity::Quantity;
use crate::model::sample::{PartitionObservation, PartitionSample, Sample};
use crate::policy::spec::Mode;

use super::connect::GroupReport;
use super::warnings::warnings;

/// Sources, groups and warnings of a valid config.
pub(super) fn summary(file: &str, config: &Config) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{file}: OK, {} source(s), {} group(s)",
        config.sources.len(),
        config.groups.len()
    );
    for source in &config.sources {
        let SourceKind::Redis(redis) = &source.kind;
        let host = if redis.host.contains(':') {
            format!("[{}]", redis.host)
        } else {
            redis.host.clone()
        };
        let address = format!("redis://{host}:{}/{}", redis.port, redis.database);
        let every = humantime::format_duration(source.poll_interval);
        let _ = writeln!(
            out,
            "  source {}: {address}, polled every {every}",
            source.name
        );
    }
    for group in &config.groups {
        let _ = writeln!(
            out,
            "  group {}: {}, {} mode, polled every {}",
            group.name,
            group.key,
            match group.policy.resolve().mode {
                Mode::Replicas => "replicas",
                Mode::Backlog { .. } => "backlog",
            },
            humantime::format_duration(group.poll_interval),
        );
    }
    for warning in warnings(config) {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}

const HEADER: [&str; 11] = [
    "GROUP",
    "SOURCE",
    "STREAM",
    "CONSUMER GROUP",
    "PARTITIONS",
    "BACKLOG",
    "LAG",
    "PENDING",
    "OLDEST AGE",
    "CONSUMERS",
    "STATE",
];

/// The header and one row per group.
pub(super) fn rows(reports: &[GroupReport]) -> Vec<Vec<String>> {
    let header = HEADER.map(str::to_owned).to_vec();
    std::iter::once(header)
        .chain(reports.iter().map(row))
        .collect()
}

fn row(report: &GroupReport) -> Vec<String> {
    let subject = &report.subject;
    let mut row = vec![
        subject.name.clone(),
        subject.source.clone(),
        subject.stream.clone(),
        subject.consumer_group.clone(),
    ];
    match &report.result {
        Ok(sample) => row.extend(figures(sample)),
        Err(failure) => {
            row.extend(std::iter::repeat_n("-".to_owned(), 6));
            row.push(format!("{}: {failure}", failure.kind.as_str()));
        }
    }
    row
}

fn figures(sample: &Sample) -> [String; 7] {
    [
        sample.partitions.len().to_string(),
        total(sample, PartitionSample::backlog),
        total(sample, |p| p.lag),
        total(sample, |p| Some(Quantity::Exact(p.pending))),
        age(sample),
        sample
            .consumers
            .map_or_else(|| "?".into(), |n| n.to_string()),
        state(sample),
    ]
}

/// The sum over partitions: `5`, `≥5` where part of it is not known exactly, `?` where nothing is.
fn total(sample: &Sample, part: impl Fn(&PartitionSample) -> Option<Quantity>) -> String {
    let parts = sample.partitions.values().map(|observed| match observed {
        PartitionObservation::Present(partition) => part(partition),
        PartitionObservation::StreamMissing => Some(Quantity::Exact(0)),
        PartitionObservation::GroupMissing { .. } | PartitionObservation::Failed(_) => None,
    });
    match Quantity::sum(parts) {
        Some(Quantity::Exact(n)) => n.to_string(),
        Some(Quantity::AtLeast(n)) => format!("≥{n}"),
        None => "?".into(),
    }
}

fn age(sample: &Sample) -> String {
    let ages = sample
        .partitions
        .values()
        .filter_map(|observed| match observed {
            PartitionObservation::Present(partition) => partition.oldest_age_millis,
            _ => None,
        });
    ages.max().map_or_else(
        || "?".into(),
        |millis| format!("{:.1}s", millis as f64 / 1000.0),
    )
}

fn state(sample: &Sample) -> String {
    let count = |wanted: fn(&PartitionObservation) -> bool| {
        sample.partitions.values().filter(|o| wanted(o)).count()
    };
    let mut notes = Vec::new();
    for observed in sample.partitions.iter() {
        if let (id, PartitionObservation::Failed(failure)) = observed {
            notes.push(format!("partition {id}: {failure}"));
            break;
        }
    }
    let all = sample.partitions.len();
    for (n, what) in [
        (
            count(|o| matches!(o, PartitionObservation::Failed(_))),
            "cannot be read",
        ),
        (
            count(|o| matches!(o, PartitionObservation::StreamMissing)),
            "do not exist yet",
        ),
        (
            count(|o| matches!(o, PartitionObservation::GroupMissing { .. })),
            "have no such consumer group yet",
        ),
    ] {
        if n > 0 {
            notes.push(format!("{n} of {all} {what}"));
        }
    }
    let stuck: u64 = sample.partitions.values().map(stuck).sum();
    if stuck > 0 {
        notes.push(format!("{stuck} pending entries are stuck"));
    }
    match (all, notes.is_empty()) {
        (0, _) => "no partition found".into(),
        (_, true) => "ok".into(),
        (_, false) => notes.join("; "),
    }
}

fn stuck(observed: &PartitionObservation) -> u64 {
    match observed {
        PartitionObservation::Present(partition) => partition.stuck_pending,
        _ => 0,
    }
}
