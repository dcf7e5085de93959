//! Probes. Neither depends on a source: KEDA needs GetMetricSpec during outages too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

const STARTING: u8 = 0;
const SERVING: u8 = 1;
const STOPPING: u8 = 2;

/// Whether the process wants requests. Clones share the state.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU8>);

impl Readiness {
    /// From now on requests are served. Has no effect once stopping.
    pub fn serving(&self) {
        // Fails only if it is serving or stopping already: then there is nothing to change.
        let _ = self
            .0
            .compare_exchange(STARTING, SERVING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// From now on new requests should go elsewhere.
    pub fn stopping(&self) {
        self.0.store(STOPPING, Ordering::Release);
    }

    /// Whether requests are served.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire) == SERVING
    }
}

/// `/livez` and `/readyz`.
pub fn routes(readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(readiness)
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    match readiness.0.load(Ordering::Acquire) {
        SERVING => (StatusCode::OK, "ok\n"),
        STOPPING => (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
    }
}
