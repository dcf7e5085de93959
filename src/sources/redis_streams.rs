//! Redis Streams: partitions are stream keys, read with pipelined transactions over one supervised connection.

use std::sync::Arc;
use std::time::Duration;

use crate::config::types::RedisConfig;
use crate::model::memory::ServerMemory;
use crate::model::sample::Failure;
use crate::model::stream::StreamSelector;
use crate::sources::{GroupReader, Source, call_deadline};

mod all_keys;
pub mod answer;
mod connection;
mod consumers;
mod count;
mod diagnosis;
mod discovery;
pub mod error_lines;
mod errors;
pub mod failure;
mod followup;
mod glob;
mod handshake;
mod id;
mod key;
mod keyspace;
mod lag;
mod last_count;
mod lean;
mod live;
mod log_end;
mod login;
mod memory;
mod nodes;
#[cfg(test)]
mod odd_replies;
pub mod partition;
mod pending;
mod places;
mod poll;
mod primary;
mod range;
pub mod read;
mod reader;
mod recount;
pub mod reply;
mod round;
pub mod server;
mod server_layout;
mod shard;
mod shared;
pub mod slots;
mod transport;
mod turns;
mod wake;

pub use failure::ACL_HINT;
pub use transport::OpenConnection;

/// Redis or Valkey: a server, a cluster of them, or the primary that sentinels name.
pub struct RedisStreams {
    servers: Arc<nodes::Servers>,
    wake: Arc<wake::Wake>,
    keyspace: Arc<keyspace::Keyspace>,
    stuck_after: Duration,
}

impl RedisStreams {
    /// A source that connects at its first poll. `response_timeout` bounds connecting and each request.
    pub fn new(config: RedisConfig, response_timeout: Duration) -> Self {
        let stuck_after = config.stuck_after;
        let servers = Arc::new(nodes::Servers::new(config, response_timeout));
        Self {
            wake: Arc::new(wake::Wake::new(Arc::clone(&servers))),
            keyspace: Arc::new(keyspace::Keyspace::new(Arc::clone(&servers))),
            servers,
            stuck_after,
        }
    }
}

impl RedisStreams {
    /// The servers that have these keys, each with a connection apart from those of the polls and with its own keys. A read on it may
    /// block for so long.
    ///
    /// # Errors
    /// One of them cannot be opened, the server refuses it, or none has the key.
    pub async fn apart(
        &self,
        keys: &[String],
        block: Duration,
    ) -> Result<Vec<(OpenConnection, Vec<String>)>, Failure> {
        self.servers.apart_by_keys(keys, block).await
    }

    /// Whether the keys are spread over several servers, so that one command cannot name several of them.
    pub fn is_cluster(&self) -> bool {
        self.servers.is_cluster()
    }

    /// Whether a server that is read as if it were alone said, when it was connected to, that it is one of a cluster.
    pub fn is_part_of_cluster(&self) -> bool {
        self.servers.is_part_of_cluster()
    }
}

impl Source for RedisStreams {
    fn reader(
        &self,
        stream: &StreamSelector,
        consumer_group: &str,
        poll_interval: Duration,
    ) -> Box<dyn GroupReader> {
        Box::new(reader::StreamReader::new(
            Arc::clone(&self.servers),
            Arc::clone(&self.wake),
            &self.keyspace,
            stream,
            consumer_group,
            self.stuck_after,
            reader::StreamPace {
                // No longer than the poll is waited for; but where requests may take longer, neither is it cut short.
                deadline: call_deadline(poll_interval)
                    .max(self.servers.response_timeout())
                    .min(poll_interval),
                poll_interval,
                outdated_after: 2 * poll_interval,
            },
        ))
    }

    fn reconnect(&self) {
        self.servers.reconnect();
    }

    fn shares(&self, poll_interval: Duration) -> Duration {
        shared::taken_for(poll_interval)
    }

    fn described(&self) -> Option<String> {
        self.servers.described()
    }

    fn memory(&self) -> Vec<ServerMemory> {
        self.servers.memory()
    }
}
