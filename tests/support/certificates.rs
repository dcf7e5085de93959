//! A certificate authority for one test, and certificates of its: of a server at localhost, and of a client.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// PEM files, which vanish when dropped, and the server's side of TLS with them.
pub struct Certificates {
    /// What clients are to trust.
    pub authority: PathBuf,
    /// The certificate of `localhost` and 127.0.0.1, with that of the authority after it.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The certificate of a client, and its key.
    pub client: PathBuf,
    pub client_key: PathBuf,
    /// A certificate of the same client that is over.
    pub expired: PathBuf,
    pub acceptor: TlsAcceptor,
    _folder: TempDir,
}

impl Certificates {
    pub fn make() -> Self {
        Self::of_server(&["localhost", "127.0.0.1"])
    }

    /// What a Redis server is started with to take TLS on that port.
    pub fn redis_args(&self, port: u16) -> [String; 8] {
        let text = |path: &std::path::Path| path.display().to_string();
        [
            "--tls-port".into(),
            port.to_string(),
            "--tls-cert-file".into(),
            text(&self.certificate),
            "--tls-key-file".into(),
            text(&self.key),
            "--tls-ca-cert-file".into(),
            text(&self.authority),
        ]
    }

    /// The server has these names.
    pub fn of_server(names: &[&str]) -> Self {
        let authority_key = KeyPair::generate().expect("a key");
        let authority = authority_params();
        let root = authority
            .self_signed(&authority_key)
            .expect("a root certificate");
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().expect("a key");
        let leaf = leaf_params(names)
            .signed_by(&key, &issuer)
            .expect("a certificate");
        let client_key = KeyPair::generate().expect("a key");
        let client = leaf_params(&["streamgauge"])
            .signed_by(&client_key, &issuer)
            .expect("a certificate");

        let mut past = leaf_params(&["streamgauge"]);
        past.not_before = rcgen::date_time_ymd(2020, 1, 1);
        past.not_after = rcgen::date_time_ymd(2021, 1, 1);
        let expired = past.signed_by(&client_key, &issuer).expect("a certificate");

        let folder = TempDir::new().expect("a temporary folder");
        let file = |name: &str, content: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).expect("a written file");
            path
        };
        let private = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = server_config(
            vec![leaf.der().clone(), root.der().clone()],
            PrivateKeyDer::Pkcs8(private),
        );
        Self {
            authority: file("ca.pem", root.pem()),
            certificate: file("server.pem", leaf.pem() + &root.pem()),
            key: file("server.key", key.serialize_pem()),
            client: file("client.pem", client.pem()),
            expired: file("expired.pem", expired.pem()),
            client_key: file("client.key", client_key.serialize_pem()),
            acceptor: TlsAcceptor::from(Arc::new(config)),
            _folder: folder,
        }
    }
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
        .distinguished_name
        .push(DnType::CommonName, "streamgauge test authority");
    params
}

fn leaf_params(names: &[&str]) -> CertificateParams {
    let all: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(all).expect("right names");
    params.use_authority_key_identifier_extension = true;
    params.distinguished_name.push(DnType::CommonName, names[0]);
    params
}

fn server_config(
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a right certificate")
}
