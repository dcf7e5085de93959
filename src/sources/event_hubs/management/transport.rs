//! The way to the broker: TCP, and TLS with the system's authorities and those of a file.

use std::io;
use std::path::Path;

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::access::ConnectTarget;
use super::failure::{misconfigured, unreachable};
use crate::model::sample::Failure;
use crate::tls::{self, ClientTls, TlsError};

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
    let tls = ClientTls {
        ca_file,
        ..ClientTls::default()
    };
    let secured = tls::secure(tls, &target.endpoint.host, stream).await;
    secured.map_err(|error| match error {
        // A certificate that is not trusted has to be put right; anything else may pass.
        TlsError::NotTrusted(_) => misconfigured(format!(
            "{subject}: {error}: check the host name, or set ca_file to the authority that issued it"
        )),
        TlsError::Unusable(_) => misconfigured(format!("{subject}: {error}")),
        TlsError::NotAccepted(_) | TlsError::Failed(_) => unreachable(&subject, &error.to_string()),
    })
}
