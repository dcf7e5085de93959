//! The `redis` section of a source.

use super::identity;
use super::keys::Place;
use super::redis_url::{RedisAddress, RedisUrl, SENTINEL_PORT, SERVER_PORT, parse_url};
use super::table::{RedisKeys, RedisMode, RedisSentinelKeys, RedisTlsKeys, STUCK_AFTER};
use super::types::{CertificateFiles, RedisConfig, RedisSentinels, RedisServers, RedisTls};

/// `None` only after a fault that leaves nothing to connect to.
pub(super) fn config(keys: RedisKeys, place: &mut Place<'_>) -> Option<RedisConfig> {
    let urls = urls(keys.url, keys.urls, keys.mode, place)?;
    let first = urls.first()?;
    let (is_secured, database) = (first.tls, first.database.unwrap_or(0));
    let tls = keys.tls.map(|keys| tls(keys, &mut place.at("tls")));
    if tls.is_some() && !is_secured {
        place.fault_at("tls", "needs TLS: write rediss:// in the URL, or remove it");
    }
    let ca_file = tls.as_ref().and_then(|tls| tls.ca_file.as_ref());
    let identity = identity::read(keys.identity, ca_file, place).flatten();
    if identity.is_some() && !is_secured {
        place.fault_at("identity", "needs TLS: write rediss:// in the URL");
    }
    if identity.is_some() && keys.password.is_some() {
        place.fault_at(
            "identity",
            "cannot be combined with password: remove one of them",
        );
    }
    if keys.mode == RedisMode::Cluster && database != 0 {
        place.fault_at(
            "mode",
            "cluster has no databases: remove the database number from the URLs",
        );
    }
    let sentinels = sentinels(keys.mode, keys.sentinel, place);
    let addresses = |usual| urls.iter().map(|url| url.address(usual)).collect();
    let servers = match keys.mode {
        RedisMode::Standalone => RedisServers::Standalone(first.address(SERVER_PORT)),
        RedisMode::Cluster => RedisServers::Cluster(addresses(SERVER_PORT)),
        RedisMode::Sentinel => RedisServers::Sentinel(RedisSentinels {
            addresses: addresses(SENTINEL_PORT),
            ..sentinels?
        }),
    };
    Some(RedisConfig {
        servers,
        database,
        username: keys.username,
        password: keys.password,
        identity,
        tls: is_secured.then(|| tls.unwrap_or_default()),
        stuck_after: keys.stuck_after,
    })
}

/// The URLs, of which there is at least one; all with the same scheme and database.
fn urls(
    url: Option<RedisUrl>,
    urls: Option<Vec<RedisUrl>>,
    mode: RedisMode,
    place: &mut Place<'_>,
) -> Option<Vec<RedisUrl>> {
    let urls = match (url, urls) {
        (Some(_), Some(_)) => {
            place.fault_at("urls", "cannot be combined with url: remove one of them");
            return None;
        }
        (Some(url), None) => vec![url],
        (None, Some(urls)) => urls,
        (None, None) => {
            if !place.is_faulty("urls") {
                let advice = match mode {
                    RedisMode::Standalone => {
                        "set it to the URL of the server, such as redis://host:6379/0"
                    }
                    RedisMode::Cluster => {
                        "set it to the URL of a node, or urls to those of several"
                    }
                    RedisMode::Sentinel => {
                        "set it to the URL of a sentinel, or urls to those of several"
                    }
                };
                place.missing("url", advice);
            }
            return None;
        }
    };
    if mode == RedisMode::Standalone && urls.len() > 1 {
        let fault = "lists several servers: set mode to cluster or sentinel, or list one server";
        place.fault_at("urls", fault);
    }
    let first = urls.first()?;
    let differs = |url: &RedisUrl| (url.tls, url.database) != (first.tls, first.database);
    if urls.iter().any(differs) {
        let fault = "mixes redis:// with rediss://, or different databases: use the same in all";
        place.fault_at("urls", fault);
    }
    Some(urls)
}

/// What is said of sentinels, their addresses aside.
fn sentinels(
    mode: RedisMode,
    keys: Option<RedisSentinelKeys>,
    place: &mut Place<'_>,
) -> Option<RedisSentinels> {
    match (mode, keys) {
        (RedisMode::Sentinel, Some(keys)) => Some(RedisSentinels {
            addresses: Vec::new(),
            master: keys.master?,
            username: keys.username,
            password: keys.password,
        }),
        (RedisMode::Sentinel, None) => {
            place.missing(
                "sentinel",
                "set sentinel.master to the name of the primary in the sentinels' configuration",
            );
            None
        }
        (RedisMode::Standalone | RedisMode::Cluster, Some(_)) => {
            place.fault_at(
                "sentinel",
                "needs mode: sentinel: set it, or remove this section",
            );
            None
        }
        (RedisMode::Standalone | RedisMode::Cluster, None) => None,
    }
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
        let url = parse_url(url).map_err(RedisUrlError)?;
        Ok(Self {
            servers: RedisServers::Standalone(url.address(SERVER_PORT)),
            database: url.database.unwrap_or(0),
            username: None,
            password: None,
            identity: None,
            tls: url.tls.then(RedisTls::default),
            stuck_after: STUCK_AFTER,
        })
    }
}

impl RedisServers {
    /// The addresses in the config: of the servers, or of the sentinels that know them.
    pub fn addresses(&self) -> &[RedisAddress] {
        match self {
            Self::Standalone(address) => std::slice::from_ref(address),
            Self::Cluster(addresses) => addresses,
            Self::Sentinel(sentinels) => &sentinels.addresses,
        }
    }

    /// The name under which sentinels know the primary, where they are asked.
    pub fn master(&self) -> Option<&str> {
        match self {
            Self::Sentinel(sentinels) => Some(&sentinels.master),
            Self::Standalone(_) | Self::Cluster(_) => None,
        }
    }
}
