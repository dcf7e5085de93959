//! The way to the server: TCP, and TLS on it.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_ok;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::error_lines::AsciiErrors;
use super::failure;
use crate::config::types::{RedisAddress, RedisConfig, RedisTls};
use crate::model::sample::Failure;
use crate::tls::{self, ClientIdentity, ClientTls, TlsError};

/// A connection to the first of the host's addresses that answers: one of them may be dead.
///
/// # Errors
/// The name is not known, or no address takes a connection.
pub async fn dial(at: &RedisAddress) -> io::Result<TcpStream> {
    let addresses: Vec<_> = lookup_host((at.host.as_str(), at.port)).await?.collect();
    if addresses.is_empty() {
        return Err(io::Error::other("the host name has no address"));
    }
    let attempts = addresses
        .into_iter()
        .map(|address| Box::pin(TcpStream::connect(address)));
    let (stream, _) = select_ok(attempts).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection to `at` on which nothing was said yet. `address` is for texts, `patience` for the TLS handshake.
///
/// # Errors
/// The server cannot be reached, or the connection cannot be secured.
pub async fn open(
    config: &RedisConfig,
    at: &RedisAddress,
    address: &str,
    settings: AsyncConnectionConfig,
    patience: Duration,
) -> Result<OpenConnection, Failure> {
    let stream = dial(at).await;
    let stream = stream.map_err(|error| failure::of_error(address, &error.into()))?;
    let Some(tls) = &config.tls else {
        return over(stream, address, settings).await;
    };
    let secured = timeout(patience, secure(at, tls, stream)).await;
    // A server without TLS waits for the rest of what it takes for a command.
    let no_answer = |_| Err(TlsError::Failed("no answer in time".to_owned()));
    let secured = secured.unwrap_or_else(no_answer);
    let stream = secured.map_err(|error| failure::of_tls(address, &error))?;
    over(stream, address, settings).await
}

/// What TLS says of a connection on which the server hangs up at once: in TLS 1.3 it refuses a certificate only after the handshake.
pub async fn refusal(tls: &RedisTls, at: &RedisAddress) -> Option<TlsError> {
    let stream = dial(at).await.ok()?;
    let secured = secure(at, tls, stream).await;
    let mut stream = secured.ok()?;
    stream.write_all(b"PING\r\n").await.ok()?;
    let answered = stream.read(&mut [0; 16]).await;
    answered.err().map(|error| TlsError::of(&error))
}

async fn secure(
    at: &RedisAddress,
    tls: &RedisTls,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let name = tls.server_name.as_ref().unwrap_or(&at.host);
    let identity = tls.certificate.as_ref().map(|files| ClientIdentity {
        cert_file: &files.cert_file,
        key_file: &files.key_file,
    });
    let how = ClientTls {
        ca_file: tls.ca_file.as_deref(),
        identity,
    };
    tls::secure(how, name, stream).await
}

async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: &str,
    settings: AsyncConnectionConfig,
) -> Result<OpenConnection, Failure> {
    // Nothing is introduced here: what identifies this side is sent by the caller.
    let silent = RedisConnectionInfo::default().set_skip_set_lib_name();
    let stream = AsciiErrors::new(stream);
    let opened = MultiplexedConnection::new_with_config(&silent, stream, settings).await;
    let (connection, driver) = opened.map_err(|error| failure::of_error(address, &error))?;
    Ok(OpenConnection {
        address: address.into(),
        connection,
        _driver: Arc::new(Driver(tokio::spawn(driver))),
    })
}

/// A connection that ends with its last clone, even if the server takes nothing more.
#[derive(Clone)]
pub struct OpenConnection {
    address: Arc<str>,
    connection: MultiplexedConnection,
    _driver: Arc<Driver>,
}

impl OpenConnection {
    /// `host:port` of the server.
    pub const fn address(&self) -> &Arc<str> {
        &self.address
    }
}

struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Deref for OpenConnection {
    type Target = MultiplexedConnection;

    fn deref(&self) -> &MultiplexedConnection {
        &self.connection
    }
}

impl DerefMut for OpenConnection {
    fn deref_mut(&mut self) -> &mut MultiplexedConnection {
        &mut self.connection
    }
}
