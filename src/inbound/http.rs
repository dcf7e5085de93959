//! The HTTP server: half requests, idle connections and clients that do not read end in time.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::door::Door;
use super::line::Line;
use super::patient::Patience;
use super::peer::Peer;
use super::tls::ServerTls;

/// From the end of an answer to the next request's last header. Longer than the usual scrape interval of a minute, so that Prometheus
/// keeps its connection.
const NEXT_REQUEST: Duration = Duration::from_secs(70);
const PATIENCE: Patience = Patience {
    // Whoever listens to events says nothing.
    read: None,
    write: Duration::from_secs(10),
};
/// Of an answer, and of a request's headers, per connection. The rest waits where it is shared.
const BUFFER_BYTES: usize = 64 * 1024;

/// Serves until `stop`, then finishes the requests in flight. Requests carry their [`Peer`].
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerTls>>,
    router: Router,
    stop: impl Future<Output = ()>,
) {
    let mut door = Door::new(listener);
    let mut stop = pin!(stop);
    let graceful = GracefulShutdown::new();
    let leaving = CancellationToken::new();
    loop {
        let connection = tokio::select! {
            connection = door.accept() => connection,
            () = &mut stop => break,
        };
        let peer = connection.peer.clone();
        let (router, tls) = (router.clone(), tls.clone());
        let (watcher, leaving) = (graceful.watcher(), leaving.clone());
        tokio::spawn(async move {
            let line = tokio::select! {
                Some(line) = Line::open(connection, PATIENCE, tls.as_ref()) => line,
                () = leaving.cancelled() => return,
                else => return,
            };
            let peer = Peer {
                is_certified: line.is_certified(),
                ..peer
            };
            let service = service_of(router, peer.clone());
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(NEXT_REQUEST)
                .max_buf_size(BUFFER_BYTES)
                .serve_connection(TokioIo::new(line), service);
            tokio::select! {
                // How a connection ended is the client's affair.
                _ = watcher.watch(served) => {}
                () = peer.closing.cancelled() => {}
            }
        });
    }
    drop(door);
    leaving.cancel();
    graceful.shutdown().await;
}

fn service_of(
    router: Router,
    peer: Peer,
) -> impl hyper::service::Service<
    hyper::Request<Incoming>,
    Response = axum::response::Response,
    Error = std::convert::Infallible,
    Future: Send,
> {
    service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        router.clone().oneshot(request)
    })
}
