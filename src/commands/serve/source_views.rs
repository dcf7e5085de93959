//! The statistics of guarded sources and of the cluster, in the shape that adapters read.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::adapters::cluster_view::{ClusterView, ClusterViews};
use crate::adapters::recording_view::RecordingView;
use crate::adapters::sources_view::{PollDurations, RequestCount, SourceView, SourcesView};
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::recording::Recording;
use crate::sources::guarded::{DURATION_BUCKETS_SECONDS, GuardedSource, PollStats};

use super::sources::Sources;

/// Reads these sources whenever somebody asks.
pub(super) fn of(sources: Sources, clock: Clock) -> SourcesView {
    Arc::new(move || {
        sources
            .all()
            .iter()
            .map(|source| view(source, clock))
            .collect()
    })
}

/// Reads how the Kubernetes API does whenever somebody asks.
pub(super) fn of_recording(recording: Option<Recording>) -> RecordingView {
    Arc::new(move || recording.as_ref().map(Recording::failures))
}

pub(super) fn of_cluster(cluster: Arc<Cluster>) -> ClusterViews {
    Arc::new(move || {
        let stats = cluster.stats()?;
        Some(ClusterView {
            up: stats.up,
            calls: stats.calls,
            errors: stats.errors,
        })
    })
}

fn view(source: &GuardedSource, clock: Clock) -> SourceView {
    let stats = source.stats();
    SourceView {
        requests: requests(source),
        name: source.name().to_owned(),
        up: (stats.count > 0).then_some(stats.up),
        last_success: stats.last_success,
        circuit: source.circuit_state(clock.now()).as_str(),
        poll_duration: durations(&stats),
        errors: stats.errors,
    }
}

/// Those APIs that were asked at all.
fn requests(source: &GuardedSource) -> BTreeMap<&'static str, RequestCount> {
    let (total, per_hour) = (source.requests(), source.requests_per_hour());
    let all = [
        (
            "management",
            total.management,
            per_hour.map(|(management, _)| management),
        ),
        ("blob", total.blob, per_hour.map(|(_, blob)| blob)),
    ];
    all.into_iter()
        .filter(|(_, total, _)| *total > 0)
        .map(|(api, total, per_hour)| (api, RequestCount { total, per_hour }))
        .collect()
}

/// Buckets cumulated; the one above all bounds is the count itself.
fn durations(stats: &PollStats) -> PollDurations {
    let mut polls = 0;
    let buckets = DURATION_BUCKETS_SECONDS
        .into_iter()
        .zip(stats.buckets)
        .map(|(upper, within)| {
            polls += within;
            (upper, polls)
        })
        .collect();
    PollDurations {
        buckets,
        sum: stats.sum_seconds,
        count: stats.count,
    }
}
