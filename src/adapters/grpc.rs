//! KEDA's external scaler protocol over gRPC: the server and its limits.

mod forward;
pub mod proto;
mod scaler;
pub mod stats;
mod status;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::transport::Server;

use crate::inbound::lines::lines;
use crate::inbound::patient::Patience;
use crate::inbound::tls::ServerTls;
use crate::replication::proto::replicas_server::ReplicasServer;
use crate::replication::service::ReplicaService;
use crate::shutdown::{Phase, Shutdown};

pub use self::forward::Forwarding;
use self::proto::external_scaler_server::ExternalScalerServer;
pub use self::scaler::Scaler;

/// A trigger's metadata fits many times over.
const MOST_MESSAGE_BYTES: usize = 64 * 1024;
const MOST_HEADER_BYTES: u32 = 8 * 1024;
/// KEDA uses one connection for all its ScaledObjects, one to three streams each.
const MOST_STREAMS: u32 = 10_000;
/// Calls in work at a time per connection; more are refused with RESOURCE_EXHAUSTED instead of queued.
const MOST_CALLS: usize = 1_024;

/// A connection without a call is asked whether it still stands this often …
const KEEPALIVE: Duration = Duration::from_secs(20);
/// … and has this long to say so.
const KEEPALIVE_PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE: Patience = Patience {
    // Of a living connection something is read at every keepalive; half a handshake ends then, too.
    read: Some(Duration::from_secs(35)),
    write: Duration::from_secs(10),
};

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The connection side failed.
    #[error("gRPC transport: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The compiled proto does not fit the reflection service.
    #[error("gRPC reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

fn server() -> Server {
    Server::builder()
        .max_concurrent_streams(MOST_STREAMS)
        .http2_max_header_list_size(MOST_HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_PATIENCE))
}

/// Serves other replicas: what these ask for themselves, and the questions of KEDA that they hand on. Ends as [`serve`] does, but at once.
///
/// # Errors
/// If the transport fails.
pub async fn serve_replicas(
    listener: TcpListener,
    scaler: Scaler,
    replicas: ReplicaService,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let scaler = ExternalScalerServer::new(scaler)
        .max_decoding_message_size(MOST_MESSAGE_BYTES)
        .max_encoding_message_size(MOST_MESSAGE_BYTES);
    let server = server()
        .add_service(scaler)
        .add_service(ReplicasServer::new(replicas))
        .serve_with_incoming(lines(listener, PATIENCE, None));
    tokio::select! {
        served = server => Ok(served?),
        () = shutdown.reached(Phase::Stopping) => Ok(()),
    }
}

/// Serves until shutdown reaches [`Phase::Stopping`] and the calls in flight are done.
///
/// # Errors
/// If the transport fails or the reflection data does not fit the server.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerTls>>,
    scaler: Scaler,
    shutdown: Shutdown,
    reflection: bool,
) -> Result<(), ServeError> {
    let scaler = ExternalScalerServer::new(scaler)
        .max_decoding_message_size(MOST_MESSAGE_BYTES)
        .max_encoding_message_size(MOST_MESSAGE_BYTES);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<ExternalScalerServer<Scaler>>().await;
    let reflection = if reflection {
        let service = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        Some(service)
    } else {
        None
    };
    let leaving = shutdown.clone();
    let health_says_no = async move {
        leaving.reached(Phase::Draining).await;
        health
            .set_not_serving::<ExternalScalerServer<Scaler>>()
            .await;
        health
            .set_service_status("", tonic_health::ServingStatus::NotServing)
            .await;
        std::future::pending::<()>().await;
    };
    let incoming = lines(listener, PATIENCE, tls);
    let server = server()
        .concurrency_limit_per_connection(MOST_CALLS)
        .load_shed(true)
        .add_service(scaler)
        .add_service(health_service)
        .add_optional_service(reflection)
        .serve_with_incoming_shutdown(incoming, async move {
            shutdown.reached(Phase::Stopping).await;
        });
    tokio::select! {
        served = server => Ok(served?),
        () = health_says_no => Ok(()),
    }
}
