//! Who is at the other end of a connection.

use std::net::{IpAddr, Ipv4Addr};

use tokio_util::sync::CancellationToken;

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it comes from.
    pub address: IpAddr,
    /// Closes the connection, whatever it is doing.
    pub closing: CancellationToken,
}

impl Default for Peer {
    /// Somebody without a connection: a test.
    fn default() -> Self {
        Self {
            address: Ipv4Addr::UNSPECIFIED.into(),
            closing: CancellationToken::new(),
        }
    }
}
