//! The HTTP servers' routes: metrics, API, probes and the page, and who is answered.

mod headers;
mod hosts;
mod login;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use self::hosts::Hosts;
use self::login::HttpLogin;
use super::health;
use super::json_api;
use super::packed::{self, Answers};
use super::page;
use super::prometheus::Exporter;
use super::scrapes;
use super::views::HttpState;
use crate::config::types::ServerConfig;

/// What is served where.
#[derive(Debug)]
pub struct Routes {
    /// At `server.http`.
    pub http: Router,
    /// At `server.metrics`, where metrics are apart.
    pub metrics: Option<Router>,
}

impl Routes {
    /// All of them.
    pub fn new(state: HttpState, server: &ServerConfig) -> Self {
        let answers = Answers::default();
        let exporter = Exporter::new(
            state.registry.clone(),
            state.views.clone(),
            state.now.clone(),
        );
        let probes = health::routes(state.readiness.clone(), state.registry.clone());
        let api = json_api::routes(state, answers.clone());
        let metrics = scrapes::routes(exporter, answers.clone());
        let deliver = middleware::from_fn_with_state(answers, packed::deliver);
        let metrics = metrics.layer(deliver.clone());
        let page = page::routes().layer(CompressionLayer::new().quality(CompressionLevel::Fastest));

        let login = server.login.clone();
        let login = login.map(|login| Arc::new(HttpLogin::new(login.token)));
        let login = middleware::from_fn_with_state(login, login::check);
        let hosts = Arc::new(Hosts::new(server.hosts.clone().unwrap_or_default()));
        let hosts = middleware::from_fn_with_state(hosts, hosts::check);

        let shown = api.layer(deliver).merge(page);
        let (shown, apart) = match server.metrics {
            Some(_) => (shown, Some(metrics)),
            None => (shown.merge(metrics), None),
        };
        // What does not exist is no stranger's business either.
        let shown = shown.fallback(async || StatusCode::NOT_FOUND);
        let http = shown.layer(login).layer(hosts.clone()).merge(probes);
        Self {
            http: http.layer(middleware::map_response(headers::add)),
            metrics: apart.map(|metrics| {
                let metrics = metrics.layer(hosts);
                metrics.layer(middleware::map_response(headers::add))
            }),
        }
    }
}
