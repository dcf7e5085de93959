//! The page at `/`: a few files in the binary that read the API. Nothing of it comes from elsewhere, and its policy says so.

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

/// The page may load only what is served here, and cannot be framed.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// Path, content type, content.
const FILES: [(&str, &str, &str); 16] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/page/style.css", CSS, include_str!("page/style.css")),
    ("/page/icon.svg", PICTURE, include_str!("page/icon.svg")),
    ("/page/app.js", SCRIPT, include_str!("page/app.js")),
    ("/page/dom.js", SCRIPT, include_str!("page/dom.js")),
    ("/page/format.js", SCRIPT, include_str!("page/format.js")),
    ("/page/palette.js", SCRIPT, include_str!("page/palette.js")),
    ("/page/heatmap.js", SCRIPT, include_str!("page/heatmap.js")),
    ("/page/lines.js", SCRIPT, include_str!("page/lines.js")),
    (
        "/page/views/overview.js",
        SCRIPT,
        include_str!("page/views/overview.js"),
    ),
    (
        "/page/views/group.js",
        SCRIPT,
        include_str!("page/views/group.js"),
    ),
    (
        "/page/views/decision.js",
        SCRIPT,
        include_str!("page/views/decision.js"),
    ),
    (
        "/page/views/service.js",
        SCRIPT,
        include_str!("page/views/service.js"),
    ),
    (
        "/page/views/config.js",
        SCRIPT,
        include_str!("page/views/config.js"),
    ),
    (
        "/page/vendor/uplot.js",
        SCRIPT,
        include_str!("page/vendor/uplot.js"),
    ),
    (
        "/page/vendor/uplot.css",
        CSS,
        include_str!("page/vendor/uplot.css"),
    ),
];

/// The routes of the page.
pub fn routes() -> Router {
    FILES.iter().fold(Router::new(), |router, file| {
        let (path, kind, text) = *file;
        // Asked for anew each time, and sent only if it is another: a browser never mixes two versions.
        let tag = format!("\"{:x}\"", Sha256::digest(text));
        let answer = async move |headers: HeaderMap| answer(kind, text, tag, &headers);
        router.route(path, get(answer))
    })
}

fn answer(kind: &'static str, text: &'static str, tag: String, asked: &HeaderMap) -> Response {
    let known = asked.get(header::IF_NONE_MATCH);
    // Compressed on its way, the tag is a weak one.
    let is_known =
        known.is_some_and(|known| known.to_str().is_ok_and(|known| known.contains(&tag)));
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::ETAG, format!("W/{tag}")),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (
            header::CONTENT_SECURITY_POLICY,
            CONTENT_SECURITY_POLICY.to_owned(),
        ),
    ];
    if is_known {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    } else {
        (headers, text).into_response()
    }
}
