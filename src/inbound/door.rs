//! Where connections come in.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::patient::{Patience, Patient};
use super::peer::Peer;
use super::seats::{Seat, Seats};
use super::seldom::Seldom;

/// Connections to one address at a time, where descriptors allow as many. KEDA needs one, Prometheus and every open page another.
const MOST_CONNECTIONS: usize = 256;
/// Both addresses together leave half of the descriptors to the rest of the service.
const DESCRIPTORS_PER_CONNECTION: u64 = 4;
/// After an accept that failed, so that a lasting reason does not keep a core busy.
const PAUSE: Duration = Duration::from_millis(50);

/// A connection that has its place.
#[derive(Debug)]
pub struct Connection {
    /// The bytes.
    pub stream: TcpStream,
    /// Who sends them.
    pub peer: Peer,
    seat: Seat,
}

impl Connection {
    /// Its bytes, which do not keep the service waiting.
    pub fn patient(self, patience: Patience) -> Patient {
        Patient::new(self.stream, &self.peer, self.seat, patience)
    }
}

/// An address where connections are accepted.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    seats: Arc<Seats>,
    /// Given up for one connection when descriptors are gone, so that a probe is answered even then.
    spare: Option<File>,
    told: Seldom,
}

impl Door {
    /// A door at that listener.
    pub fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            seats: Arc::new(Seats::new(most_connections())),
            spare: spare(),
            told: Seldom::default(),
        }
    }

    /// The next connection. Where too many are open, the oldest of the client that has the most is closed for it.
    pub async fn accept(&mut self) -> Connection {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    // Small answers go out at once; without it some wait 40 ms for an acknowledgement.
                    let _ = stream.set_nodelay(true);
                    let peer = Peer::at(address.ip());
                    let seat = self.seats.take(&peer);
                    self.spare = self.spare.take().or_else(spare);
                    return Connection { stream, peer, seat };
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if self.spare.take().is_some() {
                        continue;
                    }
                    if self.told.is_due("accept") {
                        tracing::warn!(%error, "a connection cannot be accepted; trying again until it can");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// The client went away before it was accepted: nothing to wait for.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused
    )
}

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Lets the process have as many descriptors as it may: most systems start it with far fewer.
pub fn raise_descriptor_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open descriptors cannot be raised");
    }
}

fn most_connections() -> usize {
    let limit = rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX);
    let share = usize::try_from(limit / DESCRIPTORS_PER_CONNECTION).unwrap_or(usize::MAX);
    share.clamp(1, MOST_CONNECTIONS)
}
