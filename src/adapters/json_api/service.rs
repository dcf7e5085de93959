//! The service itself as JSON: its calls, and what it asks of others.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::adapters::calls_view::CallsView;
use crate::adapters::grpc::stats::RpcStats;
use crate::adapters::views::{HttpState, NotificationsView, StateView};
use crate::replication::Members;

use super::values::rfc3339;

/// How the service does.
#[derive(Serialize)]
pub(super) struct ServiceShape {
    version: &'static str,
    now: String,
    /// Whether requests are wanted.
    ready: bool,
    /// KEDA's calls by method and code.
    rpcs: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// All replicas that share the groups; null where there is one.
    replicas: Option<Vec<MemberShape>>,
    /// Null where it is not asked.
    kubernetes: Option<CallsShape>,
    /// Null where it is not asked.
    prometheus: Option<CallsShape>,
    /// Null without a webhook.
    notifications: Option<NotificationsShape>,
    /// Null where nothing is kept.
    state: Option<StateShape>,
    /// Rows that could not be written; null where nothing is recorded.
    recording_failures: Option<u64>,
}

#[derive(Serialize)]
struct MemberShape {
    name: String,
    /// Whether it takes its share of the groups.
    ready: bool,
    /// Whether it is the one that tells this.
    this: bool,
}

#[derive(Serialize)]
struct CallsShape {
    up: Option<bool>,
    calls: u64,
    /// Those that happened.
    errors: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct NotificationsShape {
    waiting: u64,
    outcomes: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct StateShape {
    failures: u64,
    saved_at: Option<String>,
    /// Null where none is written.
    journal: Option<JournalShape>,
}

#[derive(Serialize)]
struct JournalShape {
    failures: u64,
    /// Events that are missing in it.
    lost: u64,
    bytes: u64,
}

impl ServiceShape {
    pub(super) fn of(state: &HttpState) -> Self {
        let views = &state.views;
        Self {
            version: env!("CARGO_PKG_VERSION"),
            now: rfc3339((state.now)()),
            ready: state.readiness.is_ready(),
            rpcs: rpcs(&views.rpcs),
            replicas: views.members.as_ref().map(|members| replicas(members)),
            kubernetes: (views.cluster)().map(calls),
            prometheus: (views.prometheus)().map(calls),
            notifications: (views.notifications)().map(notifications),
            state: (views.state)().map(kept),
            recording_failures: (views.recording)(),
        }
    }
}

fn replicas(members: &Members) -> Vec<MemberShape> {
    let seen = members.seen().into_iter();
    seen.map(|member| MemberShape {
        name: member.name.to_string(),
        ready: member.is_ready,
        this: member.is_me,
    })
    .collect()
}

fn rpcs(stats: &RpcStats) -> BTreeMap<&'static str, BTreeMap<&'static str, u64>> {
    let mut all: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for ((method, code), count) in stats.answers() {
        all.entry(method.as_str()).or_default().insert(code, count);
    }
    all
}

fn calls(view: CallsView) -> CallsShape {
    let happened = view.errors.into_iter().filter(|(_, count)| *count > 0);
    CallsShape {
        up: view.up,
        calls: view.calls,
        errors: happened.collect(),
    }
}

fn notifications(view: NotificationsView) -> NotificationsShape {
    NotificationsShape {
        waiting: view.waiting,
        outcomes: view.outcomes.into_iter().collect(),
    }
}

fn kept(view: StateView) -> StateShape {
    StateShape {
        failures: view.failures,
        saved_at: view.saved_at.map(rfc3339),
        journal: view.journal.map(|journal| JournalShape {
            failures: journal.failures,
            lost: journal.lost,
            bytes: journal.bytes,
        }),
    }
}
