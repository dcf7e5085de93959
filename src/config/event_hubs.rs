//! The `event_hubs` section of a source.

mod checkpoints;

use super::identity;
use super::keys::Place;
use super::table::EventHubsKeys;
use super::types::{EventHubsConfig, HubAuth, Identity, ManagementClient, Secret};

/// `None` only after a fault that leaves nothing to connect to.
pub(super) fn config(keys: EventHubsKeys, place: &mut Place<'_>) -> Option<EventHubsConfig> {
    let identity = identity::read(keys.identity, keys.ca_file.as_ref(), place);
    let auth = auth(keys.connection_string, identity, place);
    if keys.client == ManagementClient::Sdk && keys.ca_file.is_some() {
        place.fault_at(
            "ca_file",
            "is not supported with client: sdk: set the environment variable SSL_CERT_FILE instead, or use client: pipelined",
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
            let text = "cannot be used together with connection_string: remove one of them";
            place.fault_at("identity", text);
            None
        }
        (Some(string), None) => Some(HubAuth::ConnectionString(string)),
        (None, Some(identity)) => identity.map(HubAuth::Identity),
        (None, None) => {
            if !place.is_faulty("connection_string") && !place.is_faulty("identity") {
                place.fault(
                    "has no credentials: add connection_string: { env: NAME }, or identity: workload, managed or client_secret",
                );
            }
            None
        }
    }
}

#[cfg(test)]
mod tests;
