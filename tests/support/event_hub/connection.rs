//! One connection: its sessions and links, and who answers on which.

use std::sync::Arc;

use fe2o3_amqp::acceptor::{
    ConnectionAcceptor, LinkAcceptor, LinkEndpoint, ListenerSessionHandle, SessionAcceptor,
};
use fe2o3_amqp::types::definitions::{self, AmqpError, ErrorCondition};
use fe2o3_amqp::types::messaging::{Source, Target};
use fe2o3_amqp::types::primitives::Symbol;
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::broker::Broker;
use super::line::Line;
use super::links::{self, Replies};
use super::sasl::Sasl;
use super::tokens::Credentials;

const PIPE: usize = 64 * 1024;
/// As the service says it.
const MAX_FRAME_SIZE: u32 = 65_536;
const IDLE_TIMEOUT_MS: u32 = 240_000;

/// What everything on one connection shares.
#[derive(Clone)]
pub struct Connected {
    pub broker: Arc<Broker>,
    pub line: Arc<Line>,
    pub credentials: Arc<Credentials>,
    /// Orders to close the connection with an error.
    pub closing: mpsc::UnboundedSender<definitions::Error>,
}

/// Serves until the client is gone, or the connection is killed or cut.
pub async fn serve(broker: Arc<Broker>, tcp: TcpStream, tls: Option<TlsAcceptor>) {
    let mut kills = broker.kills.subscribe();
    let line = Arc::new(Line::new(broker.mode.subscribe()));
    let _open = broker.connected();
    let _ = tcp.set_nodelay(true);
    tokio::select! {
        _ = kills.changed() => {}
        () = line.until_cut() => {}
        () = carry(&broker, &line, tcp, tls) => {}
    }
}

async fn carry(broker: &Arc<Broker>, line: &Arc<Line>, tcp: TcpStream, tls: Option<TlsAcceptor>) {
    line.until_thawed().await;
    let (endpoint, far_end) = tokio::io::duplex(PIPE);
    // The line ends when the endpoint does, not when its last task does.
    let speak = async {
        speak(broker, line, endpoint).await;
        std::future::pending::<()>().await;
    };
    let carried = async {
        match tls {
            None => line.carry(tcp, far_end).await,
            Some(tls) => {
                if let Ok(tls) = tls.accept(tcp).await {
                    line.carry(tls, far_end).await;
                }
            }
        }
    };
    tokio::select! {
        () = speak => {}
        () = carried => {}
    }
}

async fn speak(broker: &Arc<Broker>, line: &Arc<Line>, stream: DuplexStream) {
    let credentials = Arc::new(Credentials::default());
    let acceptor = ConnectionAcceptor::builder()
        .container_id("streamgauge-test-event-hub")
        .max_frame_size(MAX_FRAME_SIZE)
        .idle_time_out(IDLE_TIMEOUT_MS)
        .sasl_acceptor(Sasl {
            broker: Arc::clone(broker),
            credentials: Arc::clone(&credentials),
        })
        .build();
    let Ok(mut connection) = acceptor.accept(stream).await else {
        return;
    };
    let (closing, mut ordered) = mpsc::unbounded_channel();
    let connected = Connected {
        broker: Arc::clone(broker),
        line: Arc::clone(line),
        credentials,
        closing,
    };
    // Python's client wants to be told how many handles there are.
    let sessions = SessionAcceptor::builder().handle_max(255u32).build();
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            incoming = connection.next_incoming_session() => {
                let Some(incoming) = incoming else { break };
                if let Ok(session) = sessions.accept_incoming_session(incoming, &mut connection).await {
                    running.spawn(serve_session(connected.clone(), session));
                }
            }
            Some(error) = ordered.recv() => {
                let _ = connection.close_with_error(error).await;
                break;
            }
            Some(_) = running.join_next() => {}
        }
    }
}

async fn serve_session(connected: Connected, mut session: ListenerSessionHandle) {
    let acceptor = LinkAcceptor::new();
    let replies = Replies::default();
    let mut running = JoinSet::new();
    while let Some(attach) = session.next_incoming_attach().await {
        match acceptor.accept_incoming_attach(attach, &mut session).await {
            Ok(LinkEndpoint::Sender(sender)) if is_node(source_of(sender.source())) => {
                let node = source_of(sender.source()).unwrap_or_default().to_owned();
                let address = target_of(sender.target()).map(str::to_owned);
                let outgoing = replies.add(node, address);
                running.spawn(links::write_replies(sender, outgoing));
            }
            Ok(LinkEndpoint::Receiver(receiver)) if is_node(target_of(receiver.target())) => {
                let node = target_of(receiver.target()).unwrap_or_default().to_owned();
                let (connected, replies) = (connected.clone(), replies.clone());
                running.spawn(links::read_requests(connected, node, receiver, replies));
            }
            Ok(LinkEndpoint::Sender(sender)) => {
                let _ = sender.close_with_error(no_such_node()).await;
            }
            Ok(LinkEndpoint::Receiver(receiver)) => {
                let _ = receiver.close_with_error(no_such_node()).await;
            }
            Err(_) => {}
        }
    }
}

fn is_node(address: Option<&str>) -> bool {
    address.is_some_and(|it| it.ends_with("$cbs") || it.ends_with("$management"))
}

fn source_of(source: &Option<Source>) -> Option<&str> {
    source.as_ref()?.address.as_deref()
}

fn target_of(target: &Option<Target>) -> Option<&str> {
    target.as_ref()?.address.as_deref()
}

/// Events cannot be sent or received here.
fn no_such_node() -> definitions::Error {
    let text = "this test server has no more than $cbs and $management";
    definitions::Error::new(AmqpError::NotFound, Some(text.to_owned()), None)
}

/// An error with any condition; with all of its fields, for Python's client.
pub fn error(condition: &str, text: &str) -> definitions::Error {
    let condition = ErrorCondition::Custom(Symbol::from(condition));
    definitions::Error::new(condition, Some(text.to_owned()), Some(Default::default()))
}
