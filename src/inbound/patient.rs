//! The bytes of a connection, which may keep the service waiting only so long.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::peer::Peer;
use super::seats::Seat;

/// How long the other side may keep this one waiting.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For anything to read; `None` where a protocol has better limits, or may be silent.
    pub read: Option<Duration>,
    /// To take anything of what is sent.
    pub write: Duration,
}

/// Ends with an error when patience does, or when the place is needed.
pub struct Patient {
    bytes: Pin<Box<TimeoutStream<TcpStream>>>,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    _seat: Seat,
}

impl Patient {
    /// The bytes of a connection that has its place.
    pub fn new(stream: TcpStream, client: &Peer, seat: Seat, patience: Patience) -> Self {
        let mut bytes = TimeoutStream::new(stream);
        bytes.set_read_timeout(patience.read);
        bytes.set_write_timeout(Some(patience.write));
        Self {
            bytes: Box::pin(bytes),
            closing: Box::pin(client.closing.clone().cancelled_owned()),
            _seat: seat,
        }
    }

    fn is_closing(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.closing.as_mut().poll(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl fmt::Debug for Patient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patient").finish_non_exhaustive()
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_closing(context)?;
        self.bytes.as_mut().poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_closing(context)?;
        self.bytes.as_mut().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.is_closing(context)?;
        self.bytes.as_mut().poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.bytes.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bytes.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bytes.as_mut().poll_shutdown(context)
    }
}
