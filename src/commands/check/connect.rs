//! Reading every group of a source once.

use std::time::Duration;

use crate::config::signals::counted_errors;
use crate::config::types::{Config, SourceConfig, SourceKind};
use crate::model::sample::{Failure, FailureKind, PartitionObservation, Sample};
use crate::model::signal::ErrorSource;
use crate::model::stream::StreamSelector;
use crate::sources::Source;

/// How long one group may take, where its polls may not take longer anyway.
const DEADLINE: Duration = Duration::from_secs(5);

/// One thing to read from a source.
#[derive(Clone, Debug)]
pub(super) struct CheckSubject {
    /// The group's name; `-` for what stands in for a source without groups.
    pub name: String,
    pub source: String,
    /// Its stream as written.
    pub stream: String,
    pub consumer_group: String,
    /// How often it is polled.
    pub poll_interval: Duration,
    selector: Option<StreamSelector>,
    /// What the source is to count as its errors.
    errors: Option<ErrorSource>,
}

/// The result of one read.
pub(super) struct GroupReport {
    /// What was read.
    pub subject: CheckSubject,
    /// What it said.
    pub result: Result<Sample, Failure>,
    /// What it found out about the source's layout.
    pub findings: Option<String>,
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

/// What to read from a source: its groups, or without any, what inline metadata may name.
pub(super) fn subjects(config: &Config, source: &SourceConfig) -> Vec<CheckSubject> {
    let groups = config.groups.iter();
    let of_source = groups.filter(|group| group.key.source == source.name);
    let mut found: Vec<CheckSubject> = of_source
        .map(|group| CheckSubject {
            name: group.name.clone(),
            source: source.name.clone(),
            stream: group.key.stream.clone(),
            consumer_group: group.key.consumer_group.clone(),
            poll_interval: group.poll_interval,
            selector: Some(group.selector.clone()),
            errors: counted_errors(&group.signals).cloned(),
        })
        .collect();
    if found.is_empty() {
        found = stand_ins(source);
    }
    found
}

/// What stands in for the groups of a source that has none.
fn stand_ins(source: &SourceConfig) -> Vec<CheckSubject> {
    let stand_in = |stream: &str, consumer_group: &str, selector| CheckSubject {
        name: "-".to_owned(),
        source: source.name.clone(),
        stream: stream.to_owned(),
        consumer_group: consumer_group.to_owned(),
        poll_interval: source.poll_interval,
        selector,
        errors: None,
    };
    if source.allow.is_empty() {
        return vec![stand_in("-", "-", None)];
    }
    match &source.kind {
        // Every event hub has that consumer group.
        SourceKind::EventHubs(hub) => {
            vec![stand_in(
                &hub.event_hub,
                "$Default",
                Some(StreamSelector::Whole),
            )]
        }
        SourceKind::Redis(_) => {
            let globs = source.allow.iter().flat_map(|rule| &rule.streams);
            globs
                .map(|glob| stand_in(glob, "", StreamSelector::parse(glob).ok()))
                .collect()
        }
    }
}

/// Reads each once; one that fails does not keep the others from being read.
pub(super) async fn read(source: &dyn Source, subjects: Vec<CheckSubject>) -> Vec<GroupReport> {
    let mut reports = Vec::with_capacity(subjects.len());
    for subject in subjects {
        reports.push(read_once(source, subject).await);
    }
    reports
}

async fn read_once(source: &dyn Source, subject: CheckSubject) -> GroupReport {
    let Some(selector) = &subject.selector else {
        // Nothing names a stream of this source: there is nothing to ask it for.
        return GroupReport {
            subject,
            result: Ok(Sample::default()),
            findings: None,
        };
    };
    let every = subject.poll_interval;
    let mut reader = source.reader(selector, &subject.consumer_group, every);
    if let Some(errors) = &subject.errors {
        reader.count_errors(errors);
    }
    let deadline = DEADLINE.max(source.poll_deadline(every));
    let read = tokio::time::timeout(deadline, reader.poll()).await;
    let result = read.unwrap_or_else(|_| {
        let text = format!(
            "no answer within {}: check that the address is correct and reachable",
            humantime::format_duration(deadline)
        );
        Err(Failure::new(FailureKind::Timeout, text))
    });
    GroupReport {
        subject,
        result,
        findings: reader.findings(),
    }
}

#[cfg(test)]
mod tests;
