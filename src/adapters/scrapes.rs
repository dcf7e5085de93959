//! `/metrics`: a scrape that waits for another gets what that one is given, if that was begun after it came.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::time::Instant;

use super::packed::{self, Answers, Packing, TooMany};
use super::prometheus::Exporter;
use super::prometheus::negotiate::Form;

/// Writes scrapes.
#[derive(Debug)]
struct Scrapes {
    exporter: Exporter,
    answers: Answers,
    latest: Mutex<Vec<LatestScrape>>,
}

/// The newest scrape of a form.
#[derive(Clone, Debug)]
struct LatestScrape {
    form: Form,
    begun: Instant,
    packed: Bytes,
}

/// Why there is none.
#[derive(Debug)]
enum ScrapeError {
    TooMany(TooMany),
    Failed(String),
}

impl IntoResponse for ScrapeError {
    fn into_response(self) -> Response {
        match self {
            Self::TooMany(too_many) => too_many.into_response(),
            Self::Failed(why) => (StatusCode::INTERNAL_SERVER_ERROR, why).into_response(),
        }
    }
}

/// The route.
pub fn routes(exporter: Exporter, answers: Answers) -> Router {
    let scrapes = Scrapes {
        exporter,
        answers,
        latest: Mutex::default(),
    };
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(Arc::new(scrapes))
}

async fn metrics(
    State(scrapes): State<Arc<Scrapes>>,
    headers: HeaderMap,
) -> Result<Response, ScrapeError> {
    let accept: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let form = Form::negotiate(&accept.join(","));
    let packed = scrapes.written_since(Instant::now(), form).await?;
    let mut response = packed::response(form.content_type(), packed);
    // Caches must not hand one client the other's form.
    let vary = HeaderValue::from_static("accept");
    response.headers_mut().insert(header::VARY, vary);
    Ok(response)
}

impl Scrapes {
    async fn written_since(
        self: Arc<Self>,
        asked: Instant,
        form: Form,
    ) -> Result<Bytes, ScrapeError> {
        let turn = self.answers.turn().await.map_err(ScrapeError::TooMany)?;
        if let Some(written) = self.latest(form).filter(|written| written.begun >= asked) {
            return Ok(written.packed);
        }
        // It goes on where whoever asked has left, and keeps its turn: else others would be begun beside it.
        let writing = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            self.write(form)
        });
        match writing.await {
            Ok(written) => written.map_err(|why| ScrapeError::Failed(why.to_string())),
            Err(panic) => Err(ScrapeError::Failed(panic.to_string())),
        }
    }

    fn write(&self, form: Form) -> anyhow::Result<Bytes> {
        let begun = Instant::now();
        let mut packing = Packing::default();
        self.exporter.write(form, &mut packing)?;
        let packed = packing.finish()?;
        let written = LatestScrape {
            form,
            begun,
            packed: packed.clone(),
        };
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.retain(|other| other.form != form);
        latest.push(written);
        Ok(packed)
    }

    fn latest(&self, form: Form) -> Option<LatestScrape> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.iter().find(|written| written.form == form).cloned()
    }
}
