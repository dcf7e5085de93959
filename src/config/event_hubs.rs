//! The `event_hubs` section of a source.

mod checkpoints;
mod identity;

use std::path::PathBuf;
use std::time::Duration;

use super::label::{NAME, is_name};
use super::secret;
use super::section::Section;
use super::types::{Endpoint, EventHubsConfig, HubAuth, ManagementClient};

/// Below the 50 that Event Hubs allows, so that consumers' own calls find room.
const DEFAULT_CALLS_PER_SECOND: u32 = 45;

/// More makes sense only against a server that sets no limit.
const MAX_CALLS_PER_SECOND: u32 = 10_000;

/// Reads the section; `None` after a fault that leaves nothing to connect to.
pub(super) fn read(mut section: Section<'_>) -> Option<EventHubsConfig> {
    let namespace = read_namespace(&mut section);
    let event_hub = read_event_hub(&mut section);
    let endpoint = read_endpoint(&mut section);
    let ca_file = section.file("ca_file");
    let auth = read_auth(&mut section, ca_file.as_ref());
    let client = read_client(&mut section);
    if client == ManagementClient::Sdk && ca_file.is_some() {
        section.problem(
            "ca_file",
            "cannot be given to client: sdk: set SSL_CERT_FILE instead, or use client: pipelined",
        );
    }
    let management_calls_per_second = read_calls(&mut section);
    let throughput_units = read_throughput_units(&mut section);
    let retention = read_retention(&mut section);
    let checkpoints = checkpoints::read(&mut section, auth.as_ref());
    section.finish();
    Some(EventHubsConfig {
        namespace: namespace?,
        event_hub: event_hub?,
        endpoint,
        auth: auth?,
        ca_file,
        client,
        management_calls_per_second,
        throughput_units,
        retention,
        checkpoints: checkpoints?,
    })
}

fn read_event_hub(section: &mut Section<'_>) -> Option<String> {
    let name = section.required_text("event_hub", "name the event hub")?;
    if !is_name(&name) {
        section.problem("event_hub", NAME);
        return None;
    }
    Some(name)
}

/// A host name alone: what stands in a connection string beside it is a secret and must not get here.
fn read_namespace(section: &mut Section<'_>) -> Option<String> {
    let host = section.required_text("namespace", NAMESPACE)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if host.is_empty() || !host.chars().all(allowed) {
        section.problem(
            "namespace",
            format!("must be a host name alone: {NAMESPACE}"),
        );
        return None;
    }
    Some(host)
}

const NAMESPACE: &str = "name it as in the connection string, ns.servicebus.windows.net";

fn read_auth(section: &mut Section<'_>, ca_file: Option<&PathBuf>) -> Option<HubAuth> {
    let given = section.has("connection_string");
    let string = secret::read(section, "connection_string");
    let identity = identity::read(section, ca_file);
    match (string, identity) {
        (Some(_), Some(_)) => {
            section.problem(
                "identity",
                "stands beside connection_string: keep one of them",
            );
            None
        }
        (Some(string), None) => Some(HubAuth::ConnectionString(string)),
        (None, Some(identity)) => identity.map(HubAuth::Identity),
        (None, None) if given => None,
        (None, None) => {
            section.problem(
                "",
                "has no credential: add connection_string: { env: NAME }, or identity: workload, managed or client_secret",
            );
            None
        }
    }
}

fn read_client(section: &mut Section<'_>) -> ManagementClient {
    let words = [
        ("pipelined", ManagementClient::Pipelined),
        ("sdk", ManagementClient::Sdk),
    ];
    section.word("client", &words).unwrap_or_default()
}

fn read_calls(section: &mut Section<'_>) -> u32 {
    const KEY: &str = "management_calls_per_second";
    let Some(calls) = section.whole(KEY) else {
        return DEFAULT_CALLS_PER_SECOND;
    };
    if !(1..=MAX_CALLS_PER_SECOND).contains(&calls) {
        section.problem(
            KEY,
            format!("must be between 1 and {MAX_CALLS_PER_SECOND}; Event Hubs allows 50"),
        );
    }
    calls
}

fn read_throughput_units(section: &mut Section<'_>) -> Option<u32> {
    const KEY: &str = "throughput_units";
    let units = section.whole(KEY)?;
    if units == 0 {
        section.problem(
            KEY,
            "must be at least 1: the throughput units of the namespace",
        );
    }
    Some(units)
}

fn read_retention(section: &mut Section<'_>) -> Option<Duration> {
    const KEY: &str = "retention";
    let retention = section.duration(KEY)?;
    if retention.is_zero() {
        section.problem(KEY, "must be above 0: how long the event hub keeps events");
    }
    Some(retention)
}

fn read_endpoint(section: &mut Section<'_>) -> Option<Endpoint> {
    let text = section.text("endpoint")?;
    let found = parse_endpoint(&text);
    if found.is_none() {
        section.problem(
            "endpoint",
            "must look like amqps://host:5671, or amqp://host:5672 without TLS",
        );
    }
    found
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
