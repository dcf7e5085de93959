//! Redis URLs. One never shows up in an error: it may hold a password by mistake.

use std::fmt;

const DEFAULT_PORT: u16 = 6379;

/// Where a Redis server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisServer {
    /// Whether the connection is secured with TLS (`rediss://`).
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database number.
    pub database: i64,
}

impl fmt::Display for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port, database) = (&self.host, self.port, self.database);
        let scheme = if self.tls { "rediss" } else { "redis" };
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}/{database}"),
            false => write!(f, "{scheme}://{host}:{port}/{database}"),
        }
    }
}

/// Reads `redis://host[:port][/db]`, or `rediss://` for TLS; the host may be an IPv6 address in brackets.
pub(super) fn parse_url(url: &str) -> Result<RedisServer, &'static str> {
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
    Ok(RedisServer {
        tls,
        host,
        port,
        database: parse_database(database)?,
    })
}

fn parse_database(text: &str) -> Result<i64, &'static str> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse::<u16>()
        .map(i64::from)
        .map_err(|_| "must end with a database number, such as /0")
}

fn split_server(server: &str) -> Result<(String, u16), &'static str> {
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
        Some("") => Some(DEFAULT_PORT),
        Some(port) => port.parse().ok().filter(|port| *port != 0),
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
            let expect = RedisServer {
                tls: url.starts_with("rediss://"),
                host: host.to_owned(),
                port,
                database,
            };
            assert_eq!(parse_url(url), Ok(expect), "{url}");
        };
        check("redis://127.0.0.1:6380/2", "127.0.0.1", 6380, 2);
        check("redis://redis.shop.svc", "redis.shop.svc", 6379, 0);
        check("redis://redis/", "redis", 6379, 0);
        check("redis://[::1]", "::1", 6379, 0);
        check("redis://[fd00::7]:7000/1", "fd00::7", 7000, 1);
        check("rediss://redis.shop.svc:6380/1", "redis.shop.svc", 6380, 1);
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
