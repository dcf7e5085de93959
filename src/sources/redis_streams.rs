//! Redis Streams: partitions are stream keys, read with pipelined transactions over one supervised connection.

use std::sync::Arc;
use std::time::Duration;

use crate::config::types::RedisConfig;
use crate::model::stream::StreamSelector;
use crate::sources::{GroupReader, Source, call_deadline};

mod connection;
mod consumers;
mod count;
mod diagnosis;
mod discovery;
mod errors;
mod failure;
mod followup;
mod id;
mod key;
mod lag;
mod log_end;
#[cfg(test)]
mod odd_replies;
mod partition;
mod pending;
mod range;
mod read;
mod reader;
mod recount;
mod reply;
mod server;
mod transport;
mod turns;
mod wake;

pub use failure::ACL_HINT;

/// A standalone Redis or Valkey server. A cluster or a sentinel set would stand behind another `Connection`.
pub struct RedisStreams {
    connection: Arc<connection::RedisConnection>,
    wake: Arc<wake::Wake>,
    stuck_after: Duration,
}

impl RedisStreams {
    /// A source that connects at its first poll. `response_timeout` bounds connecting and each request.
    pub fn new(config: RedisConfig, response_timeout: Duration) -> Self {
        let stuck_after = config.stuck_after;
        let connection = Arc::new(connection::RedisConnection::new(config, response_timeout));
        Self {
            wake: Arc::new(wake::Wake::new(Arc::clone(&connection))),
            connection,
            stuck_after,
        }
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
            Arc::clone(&self.connection),
            Arc::clone(&self.wake),
            stream,
            consumer_group,
            self.stuck_after,
            reader::StreamPace {
                // No longer than the poll is waited for; but where requests may take longer, neither is it cut short.
                deadline: call_deadline(poll_interval)
                    .max(self.connection.response_timeout())
                    .min(poll_interval),
                outdated_after: 2 * poll_interval,
            },
        ))
    }

    fn reconnect(&self) {
        self.connection.reconnect();
    }
}
