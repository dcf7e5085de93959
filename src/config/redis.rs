//! The `redis` section of a source.

use super::redis_url::{RedisServer, parse_url};
use super::table::{RedisKeys, STUCK_AFTER};
use super::types::RedisConfig;

/// `None` only after a fault that leaves nothing to connect to.
pub(super) fn config(keys: RedisKeys) -> Option<RedisConfig> {
    let server = keys.url?;
    Some(RedisConfig {
        host: server.host,
        port: server.port,
        database: server.database,
        username: keys.username,
        password: keys.password,
        stuck_after: keys.stuck_after,
    })
}

/// What is wrong with a Redis URL. Never repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Redis URL {0}")]
pub struct RedisUrlError(&'static str);

impl RedisConfig {
    /// A server by its URL alone, `redis://host[:port][/db]`, with the defaults for the rest.
    ///
    /// # Errors
    /// The URL is not of that form.
    pub fn from_url(url: &str) -> Result<Self, RedisUrlError> {
        let RedisServer {
            host,
            port,
            database,
        } = parse_url(url).map_err(RedisUrlError)?;
        Ok(Self {
            host,
            port,
            database,
            username: None,
            password: None,
            stuck_after: STUCK_AFTER,
        })
    }
}
