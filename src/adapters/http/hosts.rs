//! Names that page, API and metrics are found by. A page of somebody else can make a browser ask this service under a name of theirs
//! (DNS rebinding) and read the answer; that name stands in the request.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::inbound::seldom::Seldom;
use crate::model::foreign;

/// Ends of names that nobody can register (RFC 6761, 6762, ICANN's .internal; .svc is Kubernetes').
const OURS: [&str; 4] = [".svc", ".local", ".localhost", ".internal"];

/// The names that are right.
#[derive(Debug, Default)]
pub struct Hosts {
    named: Vec<String>,
    told: Seldom,
}

impl Hosts {
    /// Those that the config names, and those that are always right.
    pub fn new(named: Vec<String>) -> Self {
        Self {
            named,
            told: Seldom::default(),
        }
    }

    /// Whether a name, perhaps with a port, is right.
    fn contains(&self, host: &str) -> bool {
        let Some(name) = without_port(host) else {
            return false;
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let is_named = |named: &String| match named.strip_prefix('*') {
            Some(end) => name.len() > end.len() && name.ends_with(end),
            None => name == *named,
        };
        name.parse::<IpAddr>().is_ok()
            || !name.contains('.')
            || OURS.iter().any(|end| name.ends_with(end))
            || self.named.iter().any(is_named)
    }
}

/// A name or an address without brackets.
fn without_port(host: &str) -> Option<&str> {
    if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        return (port.is_empty() || port.starts_with(':')).then_some(address);
    }
    match host.split_once(':') {
        Some((name, port)) => port.bytes().all(|b| b.is_ascii_digit()).then_some(name),
        None => Some(host),
    }
}

/// Refuses requests under a wrong name (RFC 9110, 15.5.20). One without a name is of no browser.
pub async fn check(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    let names = names(request.uri(), request.headers());
    let Some(wrong) = names.into_iter().find(|name| !hosts.contains(name)) else {
        return next.run(request).await;
    };
    let wrong = foreign::label(&wrong);
    if hosts.told.is_due("host") {
        tracing::warn!(host = %wrong, "a request was refused: server.hosts does not contain the name that it was sent to");
    }
    let text = format!("this service is not known as {wrong:?}: add the name to server.hosts\n");
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

/// Under which names a request was sent.
fn names(uri: &Uri, headers: &HeaderMap) -> Vec<String> {
    let of_headers = headers.get_all(header::HOST).into_iter();
    let of_headers = of_headers.map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
    let of_uri = uri
        .authority()
        .map(|authority| authority.as_str().to_owned());
    of_headers.chain(of_uri).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_of_the_cluster_are_right_and_those_of_others_are_not() {
        let hosts = Hosts::new(vec!["gauge.example.com".into(), "*.corp.example".into()]);
        for right in [
            "127.0.0.1:8080",
            "10.0.0.7",
            "[::1]:8080",
            "[fe80::1]",
            "localhost:8080",
            "streamgauge",
            "streamgauge.streamgauge.svc:8080",
            "streamgauge.streamgauge.svc.cluster.local",
            "Gauge.Example.com.:443",
            "a.b.corp.example",
        ] {
            assert!(hosts.contains(right), "{right}");
        }
        for wrong in [
            "evil.example:8080",
            "x.gauge.example.com",
            "corp.example",
            ".corp.example",
            "127.0.0.1.evil.example",
            "svc.evil.example",
            "evil.example:80@localhost",
            "[::1].evil.example",
            "localhost:80.evil.example",
        ] {
            assert!(!hosts.contains(wrong), "{wrong}");
        }
    }
}
