//! The lines of a server that takes them one by one: gRPC.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::door::Door;
use super::line::Line;
use super::patient::Patience;
use super::tls::ServerTls;

/// Every line that is opened from now on. One that takes its time keeps no other waiting.
pub fn lines(
    listener: TcpListener,
    patience: Patience,
    tls: Option<Arc<ServerTls>>,
) -> ReceiverStream<Result<Line, Infallible>> {
    let (out, lines) = mpsc::channel(16);
    tokio::spawn(async move {
        let mut door = Door::new(listener);
        loop {
            let connection = tokio::select! {
                connection = door.accept() => connection,
                () = out.closed() => return,
            };
            let (out, tls) = (out.clone(), tls.clone());
            tokio::spawn(async move {
                if let Some(line) = Line::open(connection, patience, tls.as_ref()).await {
                    // Only fails while shutting down.
                    let _ = out.send(Ok(line)).await;
                }
            });
        }
    });
    ReceiverStream::new(lines)
}
