//! Connections from outside: how many there may be, how long they may keep the service waiting, and whom they come from.

pub mod door;
pub mod http;
pub mod line;
pub mod lines;
pub mod patient;
pub mod peer;
pub mod seats;
pub mod seldom;
pub mod tls;

pub use self::peer::Peer;
