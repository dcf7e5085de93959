//! The way to the server: TCP, and TLS on it.

use std::io;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::failure;
use crate::config::types::{RedisConfig, RedisTls};
use crate::model::sample::Failure;
use crate::tls::{self, ClientIdentity, ClientTls, TlsError};

/// A handshake takes a few round trips; who does not answer within this speaks no TLS.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(1);

/// A connection on which nothing was said yet. `address` is for texts.
///
/// # Errors
/// The server cannot be reached, or the connection cannot be secured.
pub async fn open(
    config: &RedisConfig,
    address: &str,
    settings: AsyncConnectionConfig,
) -> Result<MultiplexedConnection, Failure> {
    let fail = |error: io::Error| failure::of_error(address, &error.into());
    let stream = TcpStream::connect((config.host.as_str(), config.port)).await;
    let stream = stream.map_err(fail)?;
    stream.set_nodelay(true).map_err(fail)?;
    let Some(tls) = &config.tls else {
        return over(stream, address, settings).await;
    };
    let secured = secure(config, tls, stream).await;
    let stream = secured.map_err(|error| failure::of_tls(address, &error))?;
    over(stream, address, settings).await
}

/// What TLS says of a connection on which the server hangs up at once: in TLS 1.3 it refuses a certificate only after the handshake.
pub async fn refusal(config: &RedisConfig) -> Option<TlsError> {
    let stream = TcpStream::connect((config.host.as_str(), config.port)).await;
    let secured = secure(config, config.tls.as_ref()?, stream.ok()?).await;
    let mut stream = secured.ok()?;
    stream.write_all(b"PING\r\n").await.ok()?;
    let answered = stream.read(&mut [0; 16]).await;
    answered.err().map(|error| TlsError::of(&error))
}

async fn secure(
    config: &RedisConfig,
    tls: &RedisTls,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let name = tls.server_name.as_ref().unwrap_or(&config.host);
    let identity = tls.certificate.as_ref().map(|files| ClientIdentity {
        cert_file: &files.cert_file,
        key_file: &files.key_file,
    });
    let how = ClientTls {
        ca_file: tls.ca_file.as_deref(),
        identity,
    };
    let secured = timeout(HANDSHAKE_WITHIN, tls::secure(how, name, stream)).await;
    // A server without TLS waits for the rest of what it takes for a command.
    secured.unwrap_or_else(|_| Err(TlsError::Failed("no answer in time".to_owned())))
}

async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: &str,
    settings: AsyncConnectionConfig,
) -> Result<MultiplexedConnection, Failure> {
    // Nothing is introduced here: what identifies this side is sent by the caller.
    let silent = RedisConnectionInfo::default().set_skip_set_lib_name();
    let opened = MultiplexedConnection::new_with_config(&silent, stream, settings).await;
    let (connection, driver) = opened.map_err(|error| failure::of_error(address, &error))?;
    // It ends with the last clone of the connection.
    tokio::spawn(driver);
    Ok(connection)
}
