//! What `check` says: the summary of a config, and one table row per group.

use crate::commands::table::grouped;
use crate::config::types::{
    Config, EventHubsConfig, GroupConfig, RedisConfig, RedisServers, SourceConfig, SourceKind,
};
use crate::model::capacity::CapacityRules;
use crate::model::group::GroupModel;
use crate::model::quantity::Quantity;
use crate::model::sample::{PartitionObservation, Sample};
use crate::model::time::Timestamp;
use crate::policy::spec::Mode;

use super::connect::GroupReport;
use super::warnings::warnings;

/// Sources, groups and warnings of a valid config.
pub(super) fn summary(file: &str, config: &Config) -> String {
    let counts = format!(
        "{} source(s), {} group(s)",
        config.sources.len(),
        config.groups.len()
    );
    let mut lines = vec![format!("{file}: OK, {counts}")];
    lines.extend(config.sources.iter().map(source_line));
    lines.extend(config.groups.iter().map(group_line));
    lines.push(memory_line(config));
    lines.extend(
        warnings(config)
            .iter()
            .map(|warning| format!("warning: {warning}")),
    );
    lines.push(String::new());
    lines.join("\n")
}

/// What a service takes without any partition, and what each adds: docs/operations.md, "Memory".
const BASE_MEGABYTES: f64 = 20.0;
const PARTITION_MEGABYTES: f64 = 0.02;

fn memory_line(config: &Config) -> String {
    let megabytes = |partitions: usize| {
        (BASE_MEGABYTES + PARTITION_MEGABYTES * partitions as f64).ceil() as u64
    };
    let listed = config
        .groups
        .iter()
        .map(|group| group.selector.listed())
        .sum();
    let most = config.limits.partitions;
    format!(
        "  memory: about {} MB for the {listed} partitions listed here, {} MB once limits.partitions ({most}) is used up",
        megabytes(listed),
        megabytes(most)
    )
}

fn source_line(source: &SourceConfig) -> String {
    let every = humantime::format_duration(source.poll_interval);
    let address = match &source.kind {
        SourceKind::Redis(redis) => redis_address(redis),
        SourceKind::EventHubs(hub) => hub_address(hub),
    };
    format!("  source {}: {address}, polled every {every}", source.name)
}

fn redis_address(redis: &RedisConfig) -> String {
    let scheme = match redis.tls {
        Some(_) => "rediss",
        None => "redis",
    };
    let addresses = redis.servers.addresses().iter();
    let urls: Vec<_> = addresses.map(|at| format!("{scheme}://{at}")).collect();
    let (urls, database) = (urls.join(", "), redis.database);
    match &redis.servers {
        RedisServers::Standalone(_) => format!("{urls}/{database}"),
        RedisServers::Cluster(_) => format!("the cluster of {urls}"),
        RedisServers::Sentinel(sentinels) => {
            let master = &sentinels.master;
            format!("database {database} of the primary {master:?} of the sentinels {urls}")
        }
    }
}

fn hub_address(hub: &EventHubsConfig) -> String {
    let (namespace, event_hub) = (&hub.namespace, &hub.event_hub);
    let layout = hub.checkpoints.strategy.as_str();
    format!("event hub {namespace}/{event_hub}, checkpoints {layout}")
}

fn group_line(group: &GroupConfig) -> String {
    let mode = match group.policy.resolve().mode {
        Mode::Replicas => "replicas",
        Mode::Jobs => "jobs",
        Mode::Backlog { .. } => "backlog",
    };
    let every = humantime::format_duration(group.poll_interval);
    format!(
        "  group {}: {}, {mode} mode, polled every {every}",
        group.name, group.key
    )
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

/// What was found out about how sources are laid out, a line per group.
pub(super) fn findings(reports: &[GroupReport]) -> Vec<String> {
    let found = reports.iter().filter_map(|report| {
        let subject = &report.subject;
        let name = match subject.name.as_str() {
            "-" => &subject.source,
            name => name,
        };
        Some(format!("{name}: {}", report.findings.as_ref()?))
    });
    found.collect()
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
    // By the service's own model, so that both say the same.
    let mut model = GroupModel::new(CapacityRules::default());
    model.observe(Timestamp::default(), sample);
    let facts = model.facts();
    let unknown = || "?".to_owned();
    [
        sample.partitions.len().to_string(),
        facts.backlog.map_or_else(unknown, shown),
        facts.lag.map_or_else(unknown, shown),
        facts.pending.map_or_else(unknown, shown),
        facts
            .oldest_age_seconds
            .map_or_else(unknown, |age| format!("{age:.1}s")),
        facts.consumers.map_or_else(unknown, |n| n.to_string()),
        state(sample),
    ]
}

/// `5`, or `≥5` where part of it is not known exactly.
fn shown(quantity: Quantity) -> String {
    match quantity {
        Quantity::Exact(n) => grouped(n),
        Quantity::AtLeast(n) => format!("≥{}", grouped(n)),
    }
}

/// `ok`, or everything that is not as it should be.
fn state(sample: &Sample) -> String {
    let trouble = first_trouble(sample).or_else(|| first_remark(sample));
    let mut notes: Vec<String> = trouble.into_iter().collect();
    notes.extend(odd_partitions(sample));
    let stuck: u64 = sample.partitions.values().map(stuck).sum();
    if stuck > 0 {
        notes.push(format!("{stuck} pending entries are stuck"));
    }
    match (sample.partitions.is_empty(), notes.is_empty()) {
        (true, _) => "no partitions found".into(),
        (false, true) => "ok".into(),
        (false, false) => notes.join("; "),
    }
}

/// Why the first of the partitions has no count that has none.
fn first_trouble(sample: &Sample) -> Option<String> {
    sample
        .partitions
        .iter()
        .find_map(|(id, observed)| match observed {
            PartitionObservation::Failed(failure) => Some(format!("partition {id}: {failure}")),
            PartitionObservation::Present(partition) if partition.lag.is_none() => {
                let remark = partition.remark.as_deref();
                let remark = remark.unwrap_or("undelivered messages could not be counted");
                Some(format!("partition {id}: {remark}"))
            }
            _ => None,
        })
}

/// What is odd about the first of the partitions that have something odd although they could be read.
fn first_remark(sample: &Sample) -> Option<String> {
    sample.partitions.iter().find_map(|(id, observed)| {
        let PartitionObservation::Present(partition) = observed else {
            return None;
        };
        Some(format!("partition {id}: {}", partition.remark.as_ref()?))
    })
}

fn odd_partitions(sample: &Sample) -> Vec<String> {
    let (mut failed, mut no_stream, mut no_group, mut not_asked) = (0, 0, 0, 0);
    for observed in sample.partitions.values() {
        match observed {
            PartitionObservation::Present(_) => {}
            PartitionObservation::Failed(_) => failed += 1,
            PartitionObservation::StreamMissing => no_stream += 1,
            PartitionObservation::GroupMissing { .. } => no_group += 1,
            PartitionObservation::NotAsked => not_asked += 1,
        }
    }
    let all = sample.partitions.len();
    let counts = [
        (failed, "cannot be read"),
        (no_stream, "do not exist yet"),
        (
            no_group,
            "do not have the consumer group, or a commit of it, yet",
        ),
        (not_asked, "are read at the next poll"),
    ];
    let odd = counts.into_iter().filter(|(n, _)| *n > 0);
    odd.map(|(n, what)| format!("{n} of {all} {what}"))
        .collect()
}

fn stuck(observed: &PartitionObservation) -> u64 {
    match observed {
        PartitionObservation::Present(partition) => partition.stuck_pending,
        _ => 0,
    }
}
