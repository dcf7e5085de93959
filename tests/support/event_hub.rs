//! An AMQP 1.0 server that behaves as the management side of Azure Event Hubs does, and misbehaves when told to.
#![allow(dead_code, reason = "each user of this takes a part of it")]
#![allow(
    clippy::expect_used,
    reason = "this is test code; clippy knows only #[test] functions as such"
)]

// Written out, so that the file can be included from anywhere with #[path].
#[path = "event_hub/broker.rs"]
pub mod broker;
#[path = "event_hub/connection.rs"]
mod connection;
#[path = "event_hub/faults.rs"]
pub mod faults;
#[path = "event_hub/frames.rs"]
mod frames;
#[path = "event_hub/line.rs"]
pub mod line;
#[path = "event_hub/links.rs"]
mod links;
#[path = "event_hub/management.rs"]
mod management;
#[path = "event_hub/request.rs"]
mod request;
#[path = "event_hub/sasl.rs"]
mod sasl;
#[path = "event_hub/state.rs"]
pub mod state;
#[path = "event_hub/tokens.rs"]
pub mod tokens;

use std::net::TcpListener as StdListener;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use broker::Broker;
use line::Mode;
use state::Hub;

use super::certificates::Certificates;

/// A running server; ends when dropped, with all its connections. Everything else is done by the [`Broker`] that it
/// stands for.
pub struct EventHubServer {
    pub port: u16,
    broker: Arc<Broker>,
    certificates: Option<Certificates>,
    /// Threads of its own, as a broker has: as a task beside its client it is faster than any network, and the SDK's client loses
    /// a third of its connections ("Illegal session state") while it opens them. Taken at the end.
    runtime: Option<Runtime>,
}

impl EventHubServer {
    /// Without TLS, as Microsoft's emulator listens.
    pub async fn start(hub: Hub) -> Self {
        Self::start_with(hub, None).await
    }

    /// With TLS under a certificate of its own authority, for `localhost` and 127.0.0.1.
    pub async fn start_tls(hub: Hub) -> Self {
        Self::start_with(hub, Some(Certificates::make())).await
    }

    async fn start_with(hub: Hub, certificates: Option<Certificates>) -> Self {
        let listener = StdListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket for tokio");
        let port = listener.local_addr().expect("an address").port();
        let broker = Arc::new(Broker::new(hub));
        let tls = certificates.as_ref().map(|it| it.acceptor.clone());
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a thread");
        runtime.spawn(accept(listener, Arc::clone(&broker), tls));
        Self {
            port,
            broker,
            certificates,
            runtime: Some(runtime),
        }
    }

    /// For tasks that outlive a borrow.
    pub fn broker(&self) -> Arc<Broker> {
        Arc::clone(&self.broker)
    }

    /// `amqp://127.0.0.1:port` or `amqps://localhost:port`.
    pub fn endpoint(&self) -> String {
        match self.certificates {
            None => format!("amqp://127.0.0.1:{}", self.port),
            Some(_) => format!("amqps://localhost:{}", self.port),
        }
    }

    /// The PEM file of the authority that clients are to trust; panics without TLS.
    pub fn authority(&self) -> &Path {
        let certificates = self.certificates.as_ref();
        &certificates.expect("a server with TLS").authority
    }

    /// As the portal gives it for a policy, without the hub's name.
    pub fn connection_string(&self) -> String {
        format!(
            "Endpoint=sb://localhost:{}/;SharedAccessKeyName=listen;SharedAccessKey=c2VjcmV0",
            self.port
        )
    }

    /// As people write it for the emulator.
    pub fn emulator_connection_string(&self) -> String {
        self.connection_string() + ";UseDevelopmentEmulator=true"
    }
}

impl Deref for EventHubServer {
    type Target = Broker;

    fn deref(&self) -> &Broker {
        &self.broker
    }
}

impl Drop for EventHubServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: StdListener, broker: Arc<Broker>, tls: Option<TlsAcceptor>) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((tcp, _)) = accepted else { continue };
                if *broker.mode.borrow() != Mode::RefusingNew {
                    connections.spawn(connection::serve(Arc::clone(&broker), tcp, tls.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
