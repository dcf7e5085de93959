//! Who is at the other end of a connection.

use std::net::{IpAddr, Ipv4Addr};

use tokio_util::sync::CancellationToken;

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it comes from.
    pub address: IpAddr,
    /// Whether it showed a certificate that is right.
    pub is_certified: bool,
    /// Closes the connection, whatever it is doing.
    pub closing: CancellationToken,
}

impl Peer {
    /// Somebody at that address.
    pub fn at(address: IpAddr) -> Self {
        Self {
            address,
            is_certified: false,
            closing: CancellationToken::new(),
        }
    }
}

impl Default for Peer {
    /// Somebody without a connection: a test.
    fn default() -> Self {
        Self::at(Ipv4Addr::UNSPECIFIED.into())
    }
}
