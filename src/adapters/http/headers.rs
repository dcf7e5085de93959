//! What every answer tells browsers, unless it says something of its own.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

const USUAL: [(HeaderName, &str); 7] = [
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Adds them.
pub async fn add(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in USUAL {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}
