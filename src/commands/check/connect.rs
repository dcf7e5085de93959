//! Reading every group of a source once.

use std::time::Duration;

use crate::config::types::{Config, SourceConfig};
use crate::model::sample::{Failure, FailureKind, PartitionObservation, Sample};
use crate::model::stream::StreamSelector;
use crate::sources::Source;

/// How long one group may take where its polls take no longer.
const DEADLINE: Duration = Duration::from_secs(5);

/// One thing to read from a source.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// The group's name; `-` for what stands in for a source without groups.
    pub name: String,
    /// Its source.
    pub source: String,
    /// Its stream as written.
    pub stream: String,
    /// Its consumer group.
    pub consumer_group: String,
    selector: Option<StreamSelector>,
}

/// What one read brought.
pub(super) struct GroupReport {
    /// What was read.
    pub subject: Subject,
    /// What it said.
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

/// What to read from a source: its groups, or without any, the streams that inline metadata may name.
pub(super) fn subjects(config: &Config, source: &SourceConfig) -> Vec<Subject> {
    let subject = |name: &str, stream: &str, consumer_group: &str, selector| Subject {
        name: name.to_owned(),
        source: source.name.clone(),
        stream: stream.to_owned(),
        consumer_group: consumer_group.to_owned(),
        selector,
    };
    let groups = config
        .groups
        .iter()
        .filter(|group| group.key.source == source.name);
    let mut found: Vec<Subject> = groups
        .map(|group| {
            let (key, selector) = (&group.key, group.selector.clone());
            subject(
                &group.name,
                &key.stream,
                &key.consumer_group,
                Some(selector),
            )
        })
        .collect();
    if found.is_empty() {
        let globs = source.allow.iter().flat_map(|rule| &rule.streams);
        found.extend(globs.map(|glob| subject("-", glob, "", StreamSelector::parse(glob).ok())));
    }
    if found.is_empty() {
        found.push(subject("-", "-", "-", None));
    }
    found
}

/// Reads each once; one that fails does not keep the others from being read.
pub(super) async fn read(source: &dyn Source, subjects: Vec<Subject>) -> Vec<GroupReport> {
    let mut reports = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let result = read_once(source, &subject).await;
        reports.push(GroupReport { subject, result });
    }
    reports
}

async fn read_once(source: &dyn Source, subject: &Subject) -> Result<Sample, Failure> {
    let Some(selector) = &subject.selector else {
        // Nothing names a stream of this source: there is nothing to ask it for.
        return Ok(Sample::default());
    };
    let mut reader = source.reader(selector, &subject.consumer_group);
    let read = tokio::time::timeout(DEADLINE, reader.poll()).await;
    read.unwrap_or_else(|_| {
        let text = format!(
            "no answer within {} s: is the address right and reachable?",
            DEADLINE.as_secs()
        );
        Err(Failure::new(FailureKind::Timeout, text))
    })
}

#[cfg(test)]
mod tests;
