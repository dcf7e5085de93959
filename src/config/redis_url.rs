//! Redis URLs. One never shows up in an error: it may hold a password by mistake.

use std::fmt;

/// The port of a server, where none is given …
pub(super) const SERVER_PORT: u16 = 6379;
/// … and that of a sentinel.
pub(super) const SENTINEL_PORT: u16 = 26379;

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RedisAddress {
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

/// What a URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisUrl {
    /// Whether the connection is secured with TLS (`rediss://`).
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port; `None` for the usual one.
    pub port: Option<u16>,
    /// Database number; `None` where none is given.
    pub database: Option<i64>,
}

impl RedisUrl {
    /// Where it points to, if `usual` is the port where none is given.
    pub(super) fn address(&self, usual: u16) -> RedisAddress {
        RedisAddress {
            host: self.host.clone(),
            port: self.port.unwrap_or(usual),
        }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]", self.host)?,
            false => write!(f, "{scheme}://{}", self.host)?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match self.database {
            Some(database) => write!(f, "/{database}"),
            None => Ok(()),
        }
    }
}

/// Reads `redis://host[:port][/db]`, or `rediss://` for TLS; the host may be an IPv6 address in brackets.
pub(super) fn parse_url(url: &str) -> Result<RedisUrl, &'static str> {
    if url.contains('@') {
        return Err(
            "must not contain a user name or password: set username, and set password to { env: NAME } or { file: /path }",
        );
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err("must look like redis://host:6379/0");
    };
    let tls = match scheme {
        "redis" => false,
        "rediss" => true,
        "redis+unix" | "unix" => {
            return Err("is a Unix socket, which is not supported: use redis://host:6379/0");
        }
        _ => return Err("must start with redis://, or with rediss:// for TLS"),
    };
    if rest.contains(['?', '#']) {
        return Err(
            "must not contain query parameters: use the form redis://host:6379/0, and set username and password instead",
        );
    }
    let (server, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = split_server(server)?;
    Ok(RedisUrl {
        tls,
        host,
        port,
        database: parse_database(database)?,
    })
}

fn parse_database(text: &str) -> Result<Option<i64>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse::<u16>()
        .map(|database| Some(i64::from(database)))
        .map_err(|_| "must end with a database number, such as /0")
}

fn split_server(server: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = if let Some(rest) = server.strip_prefix('[') {
        let (host, port) = rest
            .split_once(']')
            .ok_or("has an IPv6 address without a closing bracket: write redis://[::1]:6379/0")?;
        host.parse::<std::net::Ipv6Addr>().map_err(
            |_| "has brackets around a host that is not an IPv6 address: remove the brackets",
        )?;
        (
            host,
            port.strip_prefix(':').or(port.is_empty().then_some("")),
        )
    } else {
        match server.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("has an IPv6 address without brackets: write redis://[::1]:6379/0");
            }
            Some((host, port)) => (host, Some(port)),
            None => (server, Some("")),
        }
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(allowed) {
        return Err("must contain a host, such as redis://host:6379/0");
    }
    let port = match port {
        Some("") => Some(None),
        Some(port) => port.parse().ok().filter(|port| *port != 0).map(Some),
        None => None,
    };
    let port = port.ok_or("must have a port between 1 and 65535, such as redis://host:6379/0")?;
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_defaults_for_the_rest() {
        let check = |url: &str, host: &str, port, database| {
            let expect = RedisUrl {
                tls: url.starts_with("rediss://"),
                host: host.to_owned(),
                port,
                database,
            };
            assert_eq!(parse_url(url), Ok(expect), "{url}");
        };
        check("redis://127.0.0.1:6380/2", "127.0.0.1", Some(6380), Some(2));
        check("redis://redis.shop.svc", "redis.shop.svc", None, None);
        check("redis://redis/", "redis", None, None);
        check("redis://[::1]", "::1", None, None);
        check("redis://[fd00::7]:7000/1", "fd00::7", Some(7000), Some(1));
        let host = "redis.shop.svc";
        check("rediss://redis.shop.svc:6380/1", host, Some(6380), Some(1));
    }

    #[test]
    fn a_bad_url_is_described_and_never_shown() {
        let urls = [
            "",
            "hunter2",
            "redis://",
            "redis:///0",
            "redis://u:hunter2@h",
            "redis://:hunter2@h:1/0",
            "rediss://u:hunter2@h",
            "http://hunter2",
            "redis://h?password=hunter2",
            "redis://h:hunter2",
            "redis://h/hunter2",
            "redis://::1",
            "redis://[hunter2]",
            "redis://[::1",
            "redis://[::1]x",
            "redis://h:0",
            "redis://h:70000",
            "redis://h/-1",
            "redis://h unter2/0",
            "unix:///hunter2",
        ];
        for url in urls {
            let fault = parse_url(url).expect_err(url);
            assert!(!fault.contains("hunter2"), "{url}: {fault}");
        }
    }
}
