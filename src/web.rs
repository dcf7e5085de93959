//! HTTP to others: the client that checkpoint stores, authorities, Prometheus and webhooks are asked with.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use hmac::{Hmac, Mac};
use reqwest::Certificate;
use sha2::Sha256;
use url::Url;

use crate::files;
use crate::model::sample::{Failure, FailureKind};

/// A client that trusts the system's authorities and those of the file, and follows no redirection: a signature is for one
/// place only.
///
/// # Errors
/// The file holds no certificates, or TLS cannot be set up.
pub fn client(ca: Option<(&Path, &[u8])>, patience: Duration) -> Result<reqwest::Client, Failure> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(patience)
        // A stalled HTTP/2 connection would stay in the pool and stall the next request too.
        .http1_only()
        .tcp_nodelay(true)
        .user_agent(concat!("streamgauge/", env!("CARGO_PKG_VERSION")));
    if let Some((path, pem)) = ca {
        let found = Certificate::from_pem_bundle(pem).unwrap_or_default();
        if found.is_empty() {
            let text = format!("ca_file {} contains no PEM certificate", path.display());
            return Err(Failure::new(FailureKind::Misconfigured, text));
        }
        builder = builder.tls_certs_merge(found);
    }
    builder.build().map_err(|error| {
        let text = format!("TLS cannot be set up: {}", root_cause(&error));
        Failure::new(FailureKind::Misconfigured, text)
    })
}

/// The bundles of operating systems have a quarter of it.
const MOST_BYTES: u64 = 1024 * 1024;

/// Reads a file of certificate authorities.
///
/// # Errors
/// It cannot be read.
pub fn read_ca(path: &Path) -> Result<Vec<u8>, Failure> {
    files::read(path, MOST_BYTES).map_err(|error| {
        let text = format!("ca_file {} cannot be read: {error}", path.display());
        Failure::new(FailureKind::Misconfigured, text)
    })
}

/// The innermost reason, which says what happened where the outer ones say what was tried.
pub fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// The address of a path below another one, whether or not that ends in `/`.
pub fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let prefix = base.path().trim_end_matches('/');
    url.set_path(&format!("{prefix}/{path}"));
    url
}

/// HMAC-SHA256.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    // A key of any length will do for an HMAC; the error exists for other algorithms.
    Hmac::<Sha256>::new_from_slice(key).map_or_else(
        |_| Vec::new(),
        |mac| mac.chain_update(message).finalize().into_bytes().to_vec(),
    )
}
