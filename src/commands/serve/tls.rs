//! TLS of the addresses, by the config.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::adapters::views::CertificateView;
use crate::config::types::ServerConfig;
use crate::inbound::tls::{ServerTls, TlsClients, TlsFiles};

/// What HTTP and gRPC agree on in the handshake.
const HTTP: &str = "http/1.1";
const GRPC: &str = "h2";

/// TLS of the addresses, where they have any.
#[derive(Clone, Debug, Default)]
pub(super) struct ServesTls {
    pub(super) grpc: Option<Arc<ServerTls>>,
    pub(super) http: Option<Arc<ServerTls>>,
}

impl ServesTls {
    /// When the certificate ends.
    pub(super) fn certificate(&self) -> CertificateView {
        let tls = self.grpc.clone();
        Arc::new(move || tls.as_ref().map(|tls| tls.not_after()))
    }

    pub(super) fn load(server: &ServerConfig) -> Result<Self> {
        let load = |files: Option<TlsFiles>, protocol| {
            let tls = files.map(|files| ServerTls::load(files, protocol));
            tls.transpose().context("server.tls")
        };
        Ok(Self {
            grpc: load(grpc_files(server), GRPC)?,
            http: load(http_files(server), HTTP)?,
        })
    }
}

/// Why the service would not start with these files.
pub fn fault(server: &ServerConfig) -> Option<String> {
    let files = [grpc_files(server), http_files(server)];
    let fault = files
        .into_iter()
        .flatten()
        .find_map(|files| files.check().err());
    fault.map(|error| format!("server.tls: {error}"))
}

fn grpc_files(server: &ServerConfig) -> Option<TlsFiles> {
    let keys = server.tls.as_ref()?;
    let clients = clients(&keys.client_ca_file, &keys.client_names, false);
    files(server, clients)
}

fn http_files(server: &ServerConfig) -> Option<TlsFiles> {
    server.tls.as_ref().filter(|keys| keys.http)?;
    let login = server.login.as_ref();
    let clients = login.and_then(|login| clients(&login.client_ca_file, &login.client_names, true));
    files(server, clients)
}

fn files(server: &ServerConfig, clients: Option<TlsClients>) -> Option<TlsFiles> {
    let keys = server.tls.as_ref()?;
    Some(TlsFiles {
        certificate: keys.cert_file.clone()?,
        key: keys.key_file.clone()?,
        clients,
    })
}

fn clients(
    authorities: &Option<PathBuf>,
    names: &Option<Vec<String>>,
    may_be_missing: bool,
) -> Option<TlsClients> {
    Some(TlsClients {
        authorities: authorities.clone()?,
        names: names.iter().flatten().cloned().collect(),
        may_be_missing,
    })
}
