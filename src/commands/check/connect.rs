//! Reading every group of a source once.

use std::time::Duration;

use crate::config::types::{Config, GroupConfig};
use crate::model::sample::{Failure, FailureKind, PartitionObservation, Sample};
use crate::sources::Source;

/// How long one group may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// What one group's read brought.
pub(super) struct GroupReport {
    /// The group's name; `None` for a source without groups.
    pub name: Option<String>,
    /// Its source.
    pub source: String,
    /// Its stream.
    pub stream: String,
    /// Its consumer group.
    pub consumer_group: String,
    /// What was read.
    pub result: Result<Sample, Failure>,
}

impl GroupReport {
    /// Whether the group, or a partition of it, could not be read.
    pub fn failed(&self) -> bool {
        let broken = |o: &PartitionObservation| matches!(o, PartitionObservation::Failed(_));
        match &self.result {
            Ok(sample) => sample.partitions.values().any(broken),
            Err(_) => true,
        }
    }
}

/// The groups that read from a source.
pub(super) fn groups_of<'c>(config: &'c Config, source: &str) -> Vec<&'c GroupConfig> {
    config
        .groups
        .iter()
        .filter(|group| group.key.source == source)
        .collect()
}

/// Reads each group once; one that fails does not keep the others from being read.
pub(super) async fn read_groups(
    source: &dyn Source,
    name: &str,
    groups: &[&GroupConfig],
) -> Vec<GroupReport> {
    let mut reports = Vec::with_capacity(groups.len());
    for group in groups {
        let result = read_once(source, group).await;
        reports.push(report(name, group, result));
    }
    reports
}

async fn read_once(source: &dyn Source, group: &GroupConfig) -> Result<Sample, Failure> {
    let mut reader = source.reader(&group.selector, &group.key.consumer_group);
    let read = tokio::time::timeout(DEADLINE, reader.poll()).await;
    read.unwrap_or_else(|_| {
        let text = format!(
            "no answer within {} s: is the address right and reachable?",
            DEADLINE.as_secs()
        );
        Err(Failure::new(FailureKind::Timeout, text))
    })
}

/// The reports of a source that cannot be opened at all; one even if it has no group.
pub(super) fn all_failed(name: &str, groups: &[&GroupConfig], text: &str) -> Vec<GroupReport> {
    let failure = || Err(Failure::new(FailureKind::Misconfigured, text));
    if groups.is_empty() {
        return vec![GroupReport {
            name: None,
            source: name.to_owned(),
            stream: String::new(),
            consumer_group: String::new(),
            result: failure(),
        }];
    }
    groups
        .iter()
        .map(|group| report(name, group, failure()))
        .collect()
}

fn report(source: &str, group: &GroupConfig, result: Result<Sample, Failure>) -> GroupReport {
    GroupReport {
        name: Some(group.name.clone()),
        source: source.to_owned(),
        stream: group.key.stream.clone(),
        consumer_group: group.key.consumer_group.clone(),
        result,
    }
}

#[cfg(test)]
mod tests;
