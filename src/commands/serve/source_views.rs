//! The statistics of guarded sources and of the cluster, in the shape that adapters read.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::adapters::calls_view::{CallsView, CallsViews};
use crate::adapters::sources_view::{RequestCount, SourceView, SourcesView};
use crate::adapters::views::{
    JournalView, NotificationsView, NotificationsViews, RecordingView, StateView, StateViews,
};
use crate::adapters::webhook::{NotificationOutcome, Webhook};
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::journal::Journals;
use crate::model::sample::FailureKind;
use crate::publish::notices::Notices;
use crate::recording::Recording;
use crate::scaled_object::UnreadKind;
use crate::signals::Prometheus;
use crate::sources::guarded::GuardedSource;
use crate::state::Keeper;

use super::sources::OpenSources;

/// Reads these sources on demand.
pub(super) fn of(sources: OpenSources, clock: Clock) -> SourcesView {
    Arc::new(move || {
        sources
            .all()
            .iter()
            .map(|source| view(source, clock))
            .collect()
    })
}

/// Reads the statistics of the recording on demand.
pub(super) fn of_recording(recording: Option<Recording>) -> RecordingView {
    Arc::new(move || recording.as_ref().map(Recording::failures))
}

/// Reads the statistics of the Kubernetes API on demand.
pub(super) fn of_cluster(cluster: Arc<Cluster>) -> CallsViews {
    Arc::new(move || {
        let stats = cluster.stats()?;
        let failed = |kind| stats.errors.get(&kind).copied().unwrap_or_default();
        let errors = UnreadKind::ALL.map(|kind| (kind.as_str(), failed(kind)));
        Some(CallsView {
            up: stats.up,
            calls: stats.calls,
            errors: errors.to_vec(),
        })
    })
}

/// Reads the statistics of the queries for signals on demand.
pub(super) fn of_prometheus(prometheus: Arc<Prometheus>) -> CallsViews {
    Arc::new(move || {
        let stats = prometheus.stats()?;
        let failed = |kind| stats.errors.get(&kind).copied().unwrap_or_default();
        let possible = FailureKind::ALL
            .into_iter()
            .filter(|kind| *kind != FailureKind::WrongType);
        Some(CallsView {
            up: stats.up,
            calls: stats.queries,
            errors: possible.map(|kind| (kind.as_str(), failed(kind))).collect(),
        })
    })
}

/// Reads the statistics of saving the state on demand.
pub(super) fn of_state(keeper: Option<Arc<Keeper>>, journals: Option<Journals>) -> StateViews {
    Arc::new(move || {
        let stats = keeper.as_ref()?.stats();
        let journal = journals.as_ref().map(Journals::stats);
        Some(StateView {
            failures: stats.failures,
            saved_at: stats.saved_at,
            journal: journal.map(|stats| JournalView {
                failures: stats.failures,
                lost: stats.lost,
                bytes: stats.bytes,
            }),
        })
    })
}

/// Reads the outcomes of notifications on demand.
pub(super) fn of_notifications(webhook: Arc<Webhook>, notices: Notices) -> NotificationsViews {
    Arc::new(move || {
        webhook.is_configured().then(|| {
            let mut outcomes = webhook.outcomes();
            outcomes.insert(NotificationOutcome::Lost, notices.lost());
            let count = |of| outcomes.get(&of).copied().unwrap_or_default();
            NotificationsView {
                outcomes: NotificationOutcome::ALL
                    .map(|of| (of.as_str(), count(of)))
                    .to_vec(),
                waiting: notices.waiting() as u64 + u64::from(webhook.is_busy()),
            }
        })
    })
}

fn view(source: &GuardedSource, clock: Clock) -> SourceView {
    let stats = source.stats();
    SourceView {
        requests: requests(source),
        memory: source.memory(),
        name: source.name().to_owned(),
        up: (stats.count > 0).then_some(stats.up),
        last_success: stats.last_success,
        circuit: source.circuit_state(clock.now()).as_str(),
        polls: stats.count,
        poll_durations: source.durations(),
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
