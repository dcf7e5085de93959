//! The HTTP server's routes: metrics, API, probes and the page.

use axum::Router;
use axum::middleware;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use super::health;
use super::json_api;
use super::packed::{self, Answers};
use super::page;
use super::prometheus::Exporter;
use super::scrapes;
use super::views::HttpState;

/// Every route.
pub fn router(state: HttpState) -> Router {
    let answers = Answers::default();
    let exporter = Exporter::new(
        state.registry.clone(),
        state.views.clone(),
        state.now.clone(),
    );
    let page = page::routes();
    let probes = health::routes(state.readiness.clone(), state.registry.clone());
    let api = json_api::routes(state, answers.clone());
    let deliver = middleware::from_fn_with_state(answers.clone(), packed::deliver);
    scrapes::routes(exporter, answers)
        .merge(api)
        .layer(deliver)
        .merge(probes)
        .merge(page.layer(CompressionLayer::new().quality(CompressionLevel::Fastest)))
}
