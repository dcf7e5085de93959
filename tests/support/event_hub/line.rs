//! The line between a socket and the AMQP endpoint: freezes, is cut, and writes performatives at full length.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;

use super::frames;

const BUFFER: usize = 64 * 1024;

/// How the server meets its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Serving,
    /// Connections are accepted and stay; nothing is read and nothing written, on old ones too.
    Frozen,
    /// New connections are closed at once; old ones go on.
    RefusingNew,
}

/// One connection's line.
pub struct Line {
    mode: watch::Receiver<Mode>,
    cut: watch::Sender<bool>,
    cut_after_disposition: AtomicBool,
}

impl Line {
    pub fn new(mode: watch::Receiver<Mode>) -> Self {
        Self {
            mode,
            cut: watch::Sender::new(false),
            cut_after_disposition: AtomicBool::new(false),
        }
    }

    /// Ends the TCP connection.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Ends the TCP connection once the next disposition is on it.
    pub fn cut_after_disposition(&self) {
        self.cut_after_disposition.store(true, Ordering::SeqCst);
    }

    /// Returns when the line is cut.
    pub async fn until_cut(&self) {
        let mut cut = self.cut.subscribe();
        let _ = cut.wait_for(|cut| *cut).await;
    }

    /// Returns when the server is not frozen.
    pub async fn until_thawed(&self) {
        let mut mode = self.mode.clone();
        let _ = mode.wait_for(|mode| *mode != Mode::Frozen).await;
    }

    /// Carries bytes both ways until the endpoint has written its last.
    pub async fn carry(&self, socket: impl AsyncRead + AsyncWrite + Unpin, endpoint: DuplexStream) {
        let (socket_in, socket_out) = tokio::io::split(socket);
        let (endpoint_out, endpoint_in) = tokio::io::split(endpoint);
        let inward = async {
            let _ = self.inward(socket_in, endpoint_in).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = self.outward(endpoint_out, socket_out) => {}
            () = inward => {}
        }
    }

    async fn inward(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> std::io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            // A reset ends the endpoint's input as an orderly end does.
            let read = from.read(&mut buffer).await.unwrap_or(0);
            if read == 0 {
                return to.shutdown().await;
            }
            self.until_thawed().await;
            to.write_all(&buffer[..read]).await?;
        }
    }

    async fn outward(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        while from.read_buf(&mut bytes).await? > 0 {
            self.until_thawed().await;
            while let Some(frame) = frames::take_frame(&mut bytes) {
                let code = frames::performative(&frame);
                to.write_all(&frames::at_full_length(frame)).await?;
                let last = self.cut_after_disposition.load(Ordering::SeqCst);
                if last && code == Some(frames::DISPOSITION) {
                    return to.flush().await;
                }
            }
            to.flush().await?;
        }
        to.shutdown().await
    }
}
