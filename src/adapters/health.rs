//! Probes. Neither depends on a source: KEDA needs GetMetricSpec during outages too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::registry::Registry;

/// Whether the process wants requests: once it serves, and until it leaves. Clones share the state.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says so from now on.
    pub fn set_ready(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// Whether requests are wanted.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// `/livez` and `/readyz`. Both need the runtime to run; `/livez` also waits for the lock that every answer to KEDA needs, so that a
/// service that hangs there is restarted.
pub fn routes(readiness: Readiness, registry: Arc<Registry>) -> Router {
    let live = async move || {
        registry.wait_for_lock();
        "ok\n"
    };
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .with_state(readiness)
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.is_ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: starting or shutting down\n",
        )
    }
}
