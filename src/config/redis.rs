//! The `redis` section of a source.

use super::keys::Place;
use super::redis_url::{RedisServer, parse_url};
use super::table::{RedisKeys, RedisTlsKeys, STUCK_AFTER};
use super::types::{CertificateFiles, RedisConfig, RedisTls};

/// `None` only after a fault that leaves nothing to connect to.
pub(super) fn config(keys: RedisKeys, place: &mut Place<'_>) -> Option<RedisConfig> {
    let server = keys.url?;
    if keys.tls.is_some() && !server.tls {
        place.fault_at("tls", "needs TLS: write rediss:// in url, or remove it");
    }
    let tls = keys.tls.map(|keys| tls(keys, &mut place.at("tls")));
    Some(RedisConfig {
        host: server.host,
        port: server.port,
        database: server.database,
        username: keys.username,
        password: keys.password,
        tls: server.tls.then(|| tls.unwrap_or_default()),
        stuck_after: keys.stuck_after,
    })
}

fn tls(keys: RedisTlsKeys, place: &mut Place<'_>) -> RedisTls {
    let certificate = match (keys.cert_file, keys.key_file) {
        (Some(cert_file), Some(key_file)) => Some(CertificateFiles {
            cert_file,
            key_file,
        }),
        (Some(_), None) => {
            place.fault_at("key_file", "is missing: set it to the key of cert_file");
            None
        }
        (None, Some(_)) => {
            place.fault_at(
                "cert_file",
                "is missing: set it to the certificate of key_file",
            );
            None
        }
        (None, None) => None,
    };
    RedisTls {
        ca_file: keys.ca_file,
        certificate,
        server_name: keys.server_name,
    }
}

/// What is wrong with a Redis URL. Never repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Redis URL {0}")]
pub struct RedisUrlError(&'static str);

impl RedisConfig {
    /// A server by its URL alone, `redis://host[:port][/db]` or `rediss://…`, with the defaults for the rest.
    ///
    /// # Errors
    /// The URL is not of that form.
    pub fn from_url(url: &str) -> Result<Self, RedisUrlError> {
        let RedisServer {
            tls,
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
            tls: tls.then(RedisTls::default),
            stuck_after: STUCK_AFTER,
        })
    }
}
