//! The life of one connection: why it ended, told to everybody who waits on it, and the stream that ends with it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::model::sample::{Failure, FailureKind};

/// Whether a connection is still good. The first who says that it is not says why.
#[derive(Debug, Default)]
pub struct ConnectionHealth {
    ended: Mutex<Option<Failure>>,
    stop: CancellationToken,
}

impl ConnectionHealth {
    /// Ends the connection: whoever waits for an answer on it gets `why` at once.
    pub fn end(&self, why: Failure) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.get_or_insert(why);
        drop(ended);
        self.stop.cancel();
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Returns why, once it has ended.
    pub async fn over(&self) -> Failure {
        self.stop.cancelled().await;
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let nobody_said = || Failure::new(FailureKind::Unreachable, "the connection was dropped");
        ended.clone().unwrap_or_else(nobody_said)
    }
}

/// A stream that can be cut from outside. The AMQP library waits without limit for a frozen peer to answer a close; cutting
/// the stream under it is what ends its tasks and frees the socket.
#[derive(Debug)]
pub struct Severable<S> {
    stream: S,
    reading: Pin<Box<WaitForCancellationFutureOwned>>,
    writing: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Severable<S> {
    /// A stream that fails as soon as `cut` is cancelled.
    pub fn new(stream: S, cut: &CancellationToken) -> Self {
        Self {
            stream,
            reading: Box::pin(cut.clone().cancelled_owned()),
            writing: Box::pin(cut.clone().cancelled_owned()),
        }
    }
}

fn severed() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionAborted)
}

impl<S: AsyncRead + Unpin> AsyncRead for Severable<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.reading.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(severed()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Severable<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.writing.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(severed()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.writing.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(severed()));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.writing.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn who_waits_on_a_cut_stream_is_let_go() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let cut = CancellationToken::new();
        let (mut reader, mut writer) = tokio::io::split(Severable::new(ours, &cut));
        let read = tokio::spawn(async move { reader.read_u8().await });
        let written = tokio::spawn(async move { writer.write_all(&[0; 64]).await });
        cut.cancel();
        for ended in [
            read.await.expect("no panic").err(),
            written.await.expect("no panic").err(),
        ] {
            assert_eq!(
                ended.expect("an error").kind(),
                io::ErrorKind::ConnectionAborted
            );
        }
    }

    #[tokio::test]
    async fn the_first_reason_counts() {
        let line = ConnectionHealth::default();
        assert!(!line.is_over());
        line.end(Failure::new(FailureKind::Timeout, "first"));
        line.end(Failure::new(FailureKind::Protocol, "second"));
        assert!(line.is_over());
        assert_eq!(line.over().await.text, "first");
    }
}
