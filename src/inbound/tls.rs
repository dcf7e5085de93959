//! TLS of this side: certificates that are followed while serving, and who may come in.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{DEFAULT_VERSIONS, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::patient::Patient;
use super::seldom::Seldom;
use crate::files;

/// How often the files are looked at. By their contents: a mounted Secret changes by a link, not by a write.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Of a file.
const MOST_BYTES: u64 = 1024 * 1024;
/// For a whole handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Where the certificates are, and who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, with those that lead to its authority; PEM, as all of them.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Which client certificates are right; `None`: nobody is asked for one.
    pub clients: Option<TlsClients>,
}

/// Client certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsClients {
    /// Their authorities.
    pub authorities: PathBuf,
    /// Names of which a certificate must contain one; none: every certificate of the authorities will do.
    pub names: BTreeSet<String>,
    /// Whether a client may show none.
    pub may_be_missing: bool,
}

/// A connection after its handshake.
#[derive(Debug)]
pub struct Secured {
    /// Its bytes.
    pub stream: TlsStream<Patient>,
    /// Whether the client showed a certificate that is right.
    pub is_certified: bool,
}

/// The contents of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TlsContents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_authorities: Option<Vec<u8>>,
}

/// TLS as it is served.
#[derive(Debug)]
pub struct ServerTls {
    files: TlsFiles,
    /// What is agreed on in the handshake: `h2` or `http/1.1`.
    protocol: &'static str,
    serving: RwLock<TlsServing>,
    told: Seldom,
}

#[derive(Clone, Debug)]
struct TlsServing {
    config: Arc<ServerConfig>,
    /// Seconds since 1970.
    not_after: i64,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// One of them cannot be used; says which.
    pub fn load(files: TlsFiles, protocol: &'static str) -> io::Result<Arc<Self>> {
        let contents = files.read()?;
        let serving = files.serving(&contents, protocol)?;
        let tls = Arc::new(Self {
            files,
            protocol,
            serving: RwLock::new(serving),
            told: Seldom::default(),
        });
        tokio::spawn(Arc::clone(&tls).follow(contents));
        Ok(tls)
    }

    /// When the certificate ends, in seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.serving().not_after
    }

    /// Secures a connection; `None` if it was refused, which is logged.
    pub async fn secure(&self, bytes: Patient) -> Option<Secured> {
        let acceptor = TlsAcceptor::from(self.serving().config);
        let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(bytes)).await;
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.tell(why(&error), &error);
                return None;
            }
            Err(_) => {
                self.tell("it did not finish the TLS handshake in time", &"");
                return None;
            }
        };
        let is_certified = stream.get_ref().1.peer_certificates().is_some();
        let expected = self.files.clients.as_ref().map(|clients| &clients.names);
        if let Some(expected) = expected.filter(|names| is_certified && !names.is_empty()) {
            let names = names_of(&stream);
            if names.iter().all(|name| !expected.contains(name)) {
                let names = format!("{names:?}");
                self.tell("its certificate has none of client_names", &names);
                return None;
            }
        }
        Some(Secured {
            stream,
            is_certified,
        })
    }

    fn serving(&self) -> TlsServing {
        let serving = self.serving.read();
        serving.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Follows the files until nobody serves any more.
    async fn follow(self: Arc<Self>, mut seen: TlsContents) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        while Arc::strong_count(&self) > 1 {
            look.tick().await;
            let tls = Arc::clone(&self);
            let Ok(Ok(now)) = tokio::task::spawn_blocking(move || tls.files.read()).await else {
                continue;
            };
            if now == seen {
                continue;
            }
            match self.files.serving(&now, self.protocol) {
                Ok(serving) => {
                    let mut current = self.serving.write().unwrap_or_else(PoisonError::into_inner);
                    *current = serving;
                    tracing::info!(certificate = %self.files.certificate.display(), "the changed certificate is served");
                }
                // A pair that is half replaced is whole at the next look.
                Err(error) => {
                    tracing::warn!(%error, "the changed certificate cannot be used; the previous one is still served")
                }
            }
            seen = now;
        }
    }

    fn tell(&self, why: &'static str, details: &dyn std::fmt::Display) {
        if !self.told.is_due(why) {
            return;
        }
        tracing::warn!(protocol = self.protocol, %details, "a client was refused: {why}");
    }
}

impl TlsFiles {
    /// Whether they can be used.
    ///
    /// # Errors
    /// One of them cannot; says which.
    pub fn check(&self) -> io::Result<()> {
        self.serving(&self.read()?, "").map(drop)
    }

    fn read(&self) -> io::Result<TlsContents> {
        let read = |path: &PathBuf| {
            files::read(path, MOST_BYTES).map_err(|error| {
                io::Error::other(format!("{} cannot be read: {error}", path.display()))
            })
        };
        Ok(TlsContents {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            client_authorities: self
                .clients
                .as_ref()
                .map(|clients| read(&clients.authorities))
                .transpose()?,
        })
    }

    fn serving(&self, contents: &TlsContents, protocol: &str) -> io::Result<TlsServing> {
        let unusable = |path: &PathBuf, why: &dyn std::fmt::Display| {
            io::Error::other(format!("{} cannot be used: {why}", path.display()))
        };
        let chain =
            certificates(&contents.certificate).map_err(|why| unusable(&self.certificate, &why))?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|why| unusable(&self.key, &why))?;
        let not_after = chain.first().and_then(not_after).unwrap_or_default();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(DEFAULT_VERSIONS)
            .map_err(io::Error::other)?;
        let builder = match (&self.clients, &contents.client_authorities) {
            (Some(clients), Some(pem)) => {
                let path = &clients.authorities;
                let mut roots = RootCertStore::empty();
                for authority in certificates(pem).map_err(|why| unusable(path, &why))? {
                    roots.add(authority).map_err(|why| unusable(path, &why))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match clients.may_be_missing {
                    true => verifier.allow_unauthenticated(),
                    false => verifier,
                };
                let verifier = verifier.build().map_err(|why| unusable(path, &why))?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|why| unusable(&self.certificate, &why))?;
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Ok(TlsServing {
            config: Arc::new(config),
            not_after,
        })
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| error.to_string())?;
    match found.is_empty() {
        true => Err("it contains no certificate".to_owned()),
        false => Ok(found),
    }
}

fn not_after(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.validity().not_after.timestamp())
}

/// DNS names and URIs of the client's certificate.
fn names_of(stream: &TlsStream<Patient>) -> Vec<String> {
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let Some(Ok((_, parsed))) = certificate.map(|der| X509Certificate::from_der(der)) else {
        return Vec::new();
    };
    let names = parsed.subject_alternative_name().ok().flatten();
    let names = names
        .into_iter()
        .flat_map(|extension| &extension.value.general_names);
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect()
}

/// What a handshake that failed means, in words for who runs this service.
fn why(error: &io::Error) -> &'static str {
    use rustls::{CertificateError as Certificate, Error};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(Error::InvalidMessage(_)) => {
            "it does not speak TLS: set enableTLS: \"true\" in its trigger"
        }
        Some(Error::NoCertificatesPresented) => {
            "it showed no client certificate: set tlsClientCert and tlsClientKey; KEDA shows none that is not of client_ca_file"
        }
        Some(Error::InvalidCertificate(
            Certificate::Expired | Certificate::ExpiredContext { .. },
        )) => "its certificate has expired",
        Some(Error::InvalidCertificate(_)) => "its certificate is not one of client_ca_file",
        Some(Error::AlertReceived(_)) => {
            "it does not trust this service's certificate (caCert), or has no protocol in common"
        }
        _ => "its TLS handshake failed",
    }
}
