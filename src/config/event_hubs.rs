//! The `event_hubs` section of a source.

mod checkpoints;
mod identity;

use std::fmt;

use super::keys::Place;
use super::table::EventHubsKeys;
use super::types::{Endpoint, EventHubsConfig, HubAuth, Identity, ManagementClient, Secret};

pub(super) use checkpoints::account_url;
pub(super) use identity::authority;

/// `None` only after a fault that leaves nothing to connect to.
pub(super) fn config(keys: EventHubsKeys, place: &mut Place<'_>) -> Option<EventHubsConfig> {
    let identity = identity::read(keys.identity, keys.ca_file.as_ref(), place);
    let auth = auth(keys.connection_string, identity, place);
    if keys.client == ManagementClient::Sdk && keys.ca_file.is_some() {
        place.fault_at(
            "ca_file",
            "cannot be given to client: sdk: set SSL_CERT_FILE instead, or use client: pipelined",
        );
    }
    let checkpoints = keys
        .checkpoints
        .and_then(|keys| checkpoints::read(keys, auth.as_ref(), &mut place.at("checkpoints")));
    Some(EventHubsConfig {
        namespace: keys.namespace?,
        event_hub: keys.event_hub?,
        endpoint: keys.endpoint,
        auth: auth?,
        ca_file: keys.ca_file,
        client: keys.client,
        management_calls_per_second: keys.management_calls_per_second,
        throughput_units: keys.throughput_units,
        retention: keys.retention,
        checkpoints: checkpoints?,
    })
}

fn auth(
    string: Option<Secret>,
    identity: Option<Option<Identity>>,
    place: &mut Place<'_>,
) -> Option<HubAuth> {
    match (string, identity) {
        (Some(_), Some(_)) => {
            let text = "stands beside connection_string: keep one of them";
            place.fault_at("identity", text);
            None
        }
        (Some(string), None) => Some(HubAuth::ConnectionString(string)),
        (None, Some(identity)) => identity.map(HubAuth::Identity),
        (None, None) => {
            if !place.is_faulty("connection_string") && !place.is_faulty("identity") {
                place.fault(
                    "has no credential: add connection_string: { env: NAME }, or identity: workload, managed or client_secret",
                );
            }
            None
        }
    }
}

/// A host name alone: what stands in a connection string beside it is a secret and must not get here.
pub(super) fn host(text: &str) -> Result<String, &'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let is_host = !text.is_empty() && text.chars().all(allowed);
    is_host.then(|| text.to_owned()).ok_or(
        "must be a host name alone: name it as in the connection string, ns.servicebus.windows.net",
    )
}

/// An AMQP address.
pub(super) fn endpoint(text: &str) -> Result<Endpoint, &'static str> {
    parse_endpoint(text).ok_or("must look like amqps://host:5671, or amqp://host:5672 without TLS")
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "amqps" } else { "amqp" };
        let (host, port) = (&self.host, self.port);
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}"),
            false => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

fn parse_endpoint(text: &str) -> Option<Endpoint> {
    let url = url::Url::parse(text).ok()?;
    let tls = match url.scheme() {
        "amqps" => true,
        "amqp" => false,
        _ => return None,
    };
    let bare = url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    let host = url.host_str().filter(|host| bare && !host.is_empty())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(Endpoint {
        tls,
        host: host.to_owned(),
        port: url.port().unwrap_or(if tls { 5671 } else { 5672 }),
    })
}

#[cfg(test)]
mod tests;
