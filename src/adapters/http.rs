//! The HTTP server's routes: metrics, API, probes and the page.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use super::health;
use super::json_api;
use super::page;
use super::prometheus::Exporter;
use super::prometheus::negotiate::Form;
use super::views::HttpState;

/// Every route.
pub fn router(state: HttpState) -> Router {
    let exporter = Exporter::new(
        state.registry.clone(),
        state.views.clone(),
        state.now.clone(),
    );
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(Arc::new(exporter))
        .merge(page::routes())
        .merge(health::routes(
            state.readiness.clone(),
            state.registry.clone(),
        ))
        .merge(json_api::routes(state))
        // The fastest level: names repeat so much that the others hardly gain.
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
}

async fn metrics(State(exporter): State<Arc<Exporter>>, headers: HeaderMap) -> Response {
    let accept: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let form = Form::negotiate(&accept.join(","));
    match exporter.write(form) {
        Ok(body) => {
            let content_type = (header::CONTENT_TYPE, form.content_type());
            // Caches must not hand one client the other's form.
            ([content_type, (header::VARY, "accept")], body).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
