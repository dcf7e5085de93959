//! What adapters read of the rest of the service, on demand.

use std::fmt;
use std::sync::Arc;

use crate::model::time::Timestamp;
use crate::publish::archive::Archive;
use crate::registry::Registry;
use crate::replication::Members;
use crate::shutdown::Shutdown;

use super::calls_view::CallsViews;
use super::grpc::stats::RpcStats;
use super::health::Readiness;
use super::sources_view::SourcesView;
use super::view::Now;

/// Rows that could not be written since the start; `None` where nothing is recorded.
pub type RecordingView = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// How keeping what is learned goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StateView {
    /// Writes that failed.
    pub failures: u64,
    /// When a write last succeeded.
    pub saved_at: Option<Timestamp>,
    /// How the journal fares, where there is one.
    pub journal: Option<JournalView>,
}

/// How writing the journal goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JournalView {
    /// Writes that failed.
    pub failures: u64,
    /// Events that are missing in it.
    pub lost: u64,
    /// Its size.
    pub bytes: u64,
}

/// Reads it; `None` where nothing is kept.
pub type StateViews = Arc<dyn Fn() -> Option<StateView> + Send + Sync>;

/// What became of notifications.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NotificationsView {
    /// How many of every outcome there is.
    pub outcomes: Vec<(&'static str, u64)>,
    /// How many wait.
    pub waiting: u64,
}

/// Reads it; `None` without a webhook.
pub type NotificationsViews = Arc<dyn Fn() -> Option<NotificationsView> + Send + Sync>;

/// When the certificate that is served ends, in seconds since 1970; `None` without TLS.
pub type CertificateView = Arc<dyn Fn() -> Option<i64> + Send + Sync>;

/// Statistics of every part that has any.
#[derive(Clone)]
pub struct Views {
    /// The sources.
    pub sources: SourcesView,
    /// The Kubernetes API.
    pub cluster: CallsViews,
    /// The Prometheus that signals are asked of.
    pub prometheus: CallsViews,
    /// The recording.
    pub recording: RecordingView,
    /// KEDA's calls.
    pub rpcs: Arc<RpcStats>,
    /// The server's certificate.
    pub certificate: CertificateView,
    /// What is kept over a restart.
    pub state: StateViews,
    /// The webhook.
    pub notifications: NotificationsViews,
    /// The replicas that share the groups; `None` where this is the only one.
    pub members: Option<Arc<Members>>,
    /// The past, where a journal is kept.
    pub archive: Option<Archive>,
}

impl fmt::Debug for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Views").finish_non_exhaustive()
    }
}

/// What the routes read.
#[derive(Clone)]
pub struct HttpState {
    /// Groups and targets.
    pub registry: Arc<Registry>,
    /// Statistics of the parts.
    pub views: Views,
    /// The time.
    pub now: Now,
    /// Whether requests are wanted.
    pub readiness: Readiness,
    /// When streams have to end.
    pub shutdown: Shutdown,
}

impl fmt::Debug for HttpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpState")
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}
