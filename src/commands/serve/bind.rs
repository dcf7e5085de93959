//! Addresses to listen at.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::net::TcpListener;

/// Listens there; `field` names the config's key in the error.
pub(super) async fn bind(address: SocketAddr, field: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{field}: cannot listen on {address}; check whether another process uses the port")
    })
}
