//! The connection of now to one server, and what is known of it.

use tokio::time::Instant;

use super::lean::Scripting;
use super::server::ServerTraits;
use super::transport::OpenConnection;
use crate::config::types::RedisAddress;
use crate::model::sample::Failure;

/// What is known of a connection and of the attempts to open it.
#[derive(Default)]
pub struct ConnectionSlot {
    /// The connection, if one is open.
    pub live: Option<Live>,
    /// Attempts to connect that have ended.
    pub attempts: u64,
    /// Why the last attempt failed, if it did.
    pub last_failure: Option<Failure>,
    /// What the server said of itself.
    pub server: ServerTraits,
    /// Where the last attempt went, for diagnosis.
    pub at: Option<RedisAddress>,
    /// When sentinels were last asked where it is.
    pub asked_at: Option<Instant>,
}

/// A connection that requests go over.
#[derive(Clone)]
pub struct Live {
    /// The attempt that built it: what a request says of an older connection must not touch this one.
    pub generation: u64,
    /// Timeouts in a row.
    pub timeouts: u32,
    /// Whether a request on it was answered.
    pub is_proven: bool,
    /// How scripts may be run on it, once that was asked.
    pub scripting: Option<Option<Scripting>>,
    /// When it has to be replaced, because what it was opened with ends.
    pub renewed_at: Option<Instant>,
    /// The connection itself.
    pub connection: OpenConnection,
}

/// A connection that is open, and when it has to be replaced.
pub type Opened = (OpenConnection, Option<Instant>);

impl ConnectionSlot {
    /// The connection, unless it has to be replaced.
    pub fn good(&self) -> Option<Live> {
        let is_good = |live: &&Live| live.renewed_at.is_none_or(|at| Instant::now() < at);
        self.live.as_ref().filter(is_good).cloned()
    }
}
