//! Stub until the export branch lands.
#![allow(missing_docs)]
pub struct HttpState;
pub fn router(_state: HttpState) -> axum::Router {
    axum::Router::new()
}
