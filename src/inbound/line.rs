//! A connection as servers see it, secured or not.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tonic::transport::server::Connected;

use super::door::Connection;
use super::patient::Patience;
use super::tls::ServerTls;

/// A client speaks first, within this time.
const FIRST_BYTE: Duration = Duration::from_secs(30);
/// What a TLS handshake begins with.
const HANDSHAKE_RECORD: u8 = 0x16;

trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<B: AsyncRead + AsyncWrite + Send + Unpin> Bytes for B {}

/// The bytes of a connection.
pub struct Line {
    bytes: Box<dyn Bytes>,
    is_certified: bool,
}

impl Line {
    /// The connection, secured where there is TLS; `None` if it was refused.
    pub async fn open(
        connection: Connection,
        patience: Patience,
        tls: Option<&Arc<ServerTls>>,
    ) -> Option<Self> {
        if let Some(tls) = tls {
            let secured = tls.secure(connection.patient(patience)).await?;
            return Some(Self {
                bytes: Box::new(secured.stream),
                is_certified: secured.is_certified,
            });
        }
        let first = first_byte(&connection.stream);
        let closing = connection.peer.closing.clone();
        let first = tokio::select! {
            first = tokio::time::timeout(FIRST_BYTE, first) => first.ok()?.ok()?,
            () = closing.cancelled() => return None,
        };
        if first == HANDSHAKE_RECORD {
            tell_of_tls();
            return None;
        }
        Some(Self {
            bytes: Box::new(connection.patient(patience)),
            is_certified: false,
        })
    }

    /// Whether the client showed a certificate that is right.
    pub fn is_certified(&self) -> bool {
        self.is_certified
    }
}

async fn first_byte(stream: &TcpStream) -> io::Result<u8> {
    let mut byte = [0];
    match stream.peek(&mut byte).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(byte[0]),
    }
}

/// Once: KEDA tries again and again.
fn tell_of_tls() {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "a client was refused: it speaks TLS, and this address does not; remove enableTLS from its trigger, or set server.tls"
        );
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.bytes.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(context)
    }
}

impl Connected for Line {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}
