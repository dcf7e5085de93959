//! The way to the broker: TCP, and TLS with the system's authorities and those of a file.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, DEFAULT_VERSIONS};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::access::ConnectTarget;
use super::failure::{misconfigured, unreachable};
use crate::model::sample::Failure;

/// Opens a TCP connection that sends small frames at once.
pub async fn connect(target: &ConnectTarget) -> Result<TcpStream, Failure> {
    let address = (target.endpoint.host.as_str(), target.endpoint.port);
    let fail = |error: io::Error| unreachable(&target.subject(), &error.to_string());
    let stream = TcpStream::connect(address).await.map_err(fail)?;
    stream.set_nodelay(true).map_err(fail)?;
    Ok(stream)
}

/// Secures a connection.
pub async fn secure(
    target: &ConnectTarget,
    ca_file: Option<&Path>,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Failure> {
    let subject = target.subject();
    let config = client_config(&subject, ca_file)?;
    let host = target.endpoint.host.clone();
    let name = ServerName::try_from(host)
        .map_err(|_| misconfigured(format!("{subject}: its host name is not valid")))?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|error| of_handshake(&subject, &error))
}

/// Trusts what the system trusts, and the authorities of the file. Names its provider: the process may have none or two.
fn client_config(subject: &str, ca_file: Option<&Path>) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = verifier(subject, ca_file, provider.clone())?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(DEFAULT_VERSIONS)
        .map_err(|error| misconfigured(format!("{subject}: TLS cannot be set up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

fn verifier(
    subject: &str,
    ca_file: Option<&Path>,
    provider: Arc<CryptoProvider>,
) -> Result<Verifier, Failure> {
    let Some(path) = ca_file else {
        return Verifier::new(provider).map_err(|error| {
            misconfigured(format!(
                "{subject}: the system's certificate authorities could not be loaded: {error}"
            ))
        });
    };
    let fail = |error: &dyn std::fmt::Display| {
        misconfigured(format!(
            "{subject}: ca_file {} could not be loaded: {error}",
            path.display()
        ))
    };
    let found = CertificateDer::pem_file_iter(path).map_err(|error| fail(&error))?;
    let found: Vec<_> = found
        .collect::<Result<_, _>>()
        .map_err(|error| fail(&error))?;
    if found.is_empty() {
        return Err(fail(&"it contains no certificate"));
    }
    Verifier::new_with_extra_roots(found, provider).map_err(|error| fail(&error))
}

/// A certificate that is not trusted has to be put right; anything else may pass.
fn of_handshake(subject: &str, error: &io::Error) -> Failure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => misconfigured(format!(
            "{subject}: its certificate is not trusted ({why}): check the host name, or set ca_file to the authority that issued it"
        )),
        _ => unreachable(subject, &format!("the TLS handshake failed: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::FailureKind;

    #[test]
    fn a_ca_file_that_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let empty = dir.path().join("empty.pem");
        std::fs::write(&empty, "no certificate\n").expect("written");
        for (path, expect) in [
            (empty, "it contains no certificate"),
            (dir.path().join("missing.pem"), "could not be loaded"),
        ] {
            let failure = client_config("hub", Some(&path)).expect_err("no authority");
            assert_eq!(failure.kind, FailureKind::Misconfigured);
            let named = failure.text.contains(&path.display().to_string());
            assert!(named && failure.text.contains(expect), "{failure}");
        }
    }
}
