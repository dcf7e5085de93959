//! TLS to others: which servers are trusted, how this side shows who it is, and what a handshake that failed means.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, ClientConfig, DEFAULT_VERSIONS};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What a connection is secured with. The files are read when it is opened, so that rotated ones are picked up.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientTls<'a> {
    /// Authorities to trust besides those of the system, PEM.
    pub ca_file: Option<&'a Path>,
    /// By which this side shows who it is.
    pub identity: Option<ClientIdentity<'a>>,
}

/// A certificate of this side, with those that lead to its authority, and its key; both PEM.
#[derive(Clone, Copy, Debug)]
pub struct ClientIdentity<'a> {
    /// The certificates.
    pub cert_file: &'a Path,
    /// The key.
    pub key_file: &'a Path,
}

/// Why a connection could not be secured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file, or the name, cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// The other side's certificate is not trusted.
    #[error("its certificate is not trusted ({0})")]
    NotTrusted(String),
    /// The other side does not accept this side's certificate, wants one, or has no cipher in common with it.
    #[error("the server refused the TLS handshake ({0})")]
    NotAccepted(String),
    /// It does not speak TLS, or the connection broke.
    #[error("the TLS handshake failed: {0}")]
    Failed(String),
}

impl TlsError {
    /// What an error of the connection means, during the handshake or after it.
    pub fn of(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(rustls::Error::InvalidCertificate(why)) => Self::NotTrusted(why.to_string()),
            Some(rustls::Error::AlertReceived(alert)) if is_about_certificate(*alert) => {
                Self::NotAccepted(format!("{alert:?}"))
            }
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// Secures a connection to the server of that name.
///
/// # Errors
/// See [`TlsError`].
pub async fn secure(
    tls: ClientTls<'_>,
    server_name: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let config = client_config(tls)?;
    let name = ServerName::try_from(server_name.to_owned())
        .map_err(|_| TlsError::Unusable(format!("{server_name:?} is not a valid server name")))?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|error| TlsError::of(&error))
}

/// Names its provider: the process may have none or two.
fn client_config(tls: ClientTls<'_>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = verifier(tls.ca_file, provider.clone())?;
    let unusable =
        |error: rustls::Error| TlsError::Unusable(format!("TLS cannot be set up: {error}"));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(DEFAULT_VERSIONS)
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some(identity) = tls.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates("cert_file", identity.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(identity.key_file)
        .map_err(|error| file_error("key_file", identity.key_file, &error))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        TlsError::Unusable(format!(
            "cert_file {} and key_file {} cannot be used together: {error}",
            identity.cert_file.display(),
            identity.key_file.display()
        ))
    })
}

fn verifier(ca_file: Option<&Path>, provider: Arc<CryptoProvider>) -> Result<Verifier, TlsError> {
    match ca_file {
        None => Verifier::new(provider).map_err(|error| {
            TlsError::Unusable(format!(
                "the system's certificate authorities could not be loaded: {error}"
            ))
        }),
        Some(path) => Verifier::new_with_extra_roots(certificates("ca_file", path)?, provider)
            .map_err(|error| file_error("ca_file", path, &error)),
    }
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> = found.map_err(|error| file_error(key, path, &error))?;
    if found.is_empty() {
        return Err(file_error(key, path, &"it contains no certificate"));
    }
    Ok(found)
}

fn file_error(key: &str, path: &Path, error: &dyn Display) -> TlsError {
    TlsError::Unusable(format!(
        "{key} {} could not be loaded: {error}",
        path.display()
    ))
}

fn is_about_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            // What servers of TLS 1.2 say where the certificate is missing.
            | Alert::HandshakeFailure
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let empty = dir.path().join("empty.pem");
        std::fs::write(&empty, "no certificate\n").expect("written");
        let missing = dir.path().join("missing.pem");
        let check = |tls: ClientTls<'_>, path: &Path, expect: &str| {
            let error = client_config(tls).expect_err("unusable").to_string();
            let named = error.contains(&path.display().to_string());
            assert!(named && error.contains(expect), "{error}");
        };
        for (path, expect) in [
            (&empty, "it contains no certificate"),
            (&missing, "could not be loaded"),
        ] {
            let authority = ClientTls {
                ca_file: Some(path),
                identity: None,
            };
            check(authority, path, &format!("ca_file {}", path.display()));
            check(authority, path, expect);
            let identity = ClientTls {
                ca_file: None,
                identity: Some(ClientIdentity {
                    cert_file: path,
                    key_file: &missing,
                }),
            };
            check(identity, path, &format!("cert_file {}", path.display()));
        }
    }
}
