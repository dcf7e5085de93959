//! Event hubs in the config: what is read, and the words for every fault.

use std::time::Duration;

use super::*;
use crate::config::types::{
    BlobAuth, CheckpointStrategy, Cloud, Config, IdentityKind, Secret, SourceKind,
};

const CHECKPOINTS: &str = "checkpoints: { container: c, connection_string: { env: STORE } }";

fn parse(fields: &str) -> Result<EventHubsConfig, String> {
    let text = format!(
        "sources: [{{ name: t, event_hubs: {{ namespace: ns.example, event_hub: clicks, {fields} }} }}]"
    );
    let config = Config::parse(&text, "c.yaml").map_err(|error| error.to_string())?;
    match &config.sources[0].kind {
        SourceKind::EventHubs(hub) => Ok((**hub).clone()),
        SourceKind::Redis(_) => panic!("an event hub"),
    }
}

#[test]
fn everything_that_can_be_set_is_read_and_the_rest_has_its_default() {
    let hub = parse(&format!("connection_string: {{ env: EH }}, {CHECKPOINTS}")).expect("valid");
    assert_eq!(
        hub.auth,
        HubAuth::ConnectionString(Secret::Env("EH".into()))
    );
    assert_eq!(hub.management_calls_per_second, 45);
    assert_eq!(hub.client, ManagementClient::Pipelined);
    assert_eq!(hub.checkpoints.strategy, CheckpointStrategy::Auto);
    assert_eq!(hub.checkpoints.ownership_expiry, Duration::from_secs(120));

    let full = "identity: client_secret, tenant_id: t, client_id: c, client_secret: { file: /s }, cloud: china, \
                authority_host: 'https://login.example', ca_file: /ca.pem, endpoint: 'amqps://h:1', throughput_units: 4, retention: 24h, \
                management_calls_per_second: 10, checkpoints: { account_url: 'https://a.example/', strategy: azure_function, \
                ownership_expiry: 1m }";
    let hub = parse(full).expect("valid");
    let HubAuth::Identity(identity) = &hub.auth else {
        panic!("an identity");
    };
    assert!(matches!(identity.kind, IdentityKind::ClientSecret { .. }));
    assert_eq!(identity.cloud, Cloud::China);
    assert_eq!(identity.ca_file, hub.ca_file);
    assert_eq!(
        (hub.throughput_units, hub.management_calls_per_second),
        (Some(4), 10)
    );
    assert_eq!(hub.retention, Some(Duration::from_secs(86_400)));
    assert_eq!(
        hub.checkpoints.account_url.as_deref(),
        Some("https://a.example")
    );
    assert_eq!(
        hub.checkpoints.auth,
        BlobAuth::Identity(identity.clone()),
        "the hub's identity serves the store, too"
    );
    assert_eq!(hub.checkpoints.ownership_expiry, Duration::from_secs(60));
}

#[test]
fn each_fault_has_its_place_and_its_cure() {
    let check = |fields: &str, expect: &str| {
        let error = parse(fields).expect_err(fields);
        let at = "c.yaml: sources[0].event_hubs";
        assert!(
            error.lines().any(|line| line == format!("{at}{expect}")),
            "{fields}\n{error}"
        );
    };
    let string = "connection_string: { env: EH }";
    check(
        CHECKPOINTS,
        ": has no credentials: add connection_string: { env: NAME }, or identity: workload, managed or client_secret",
    );
    check(
        &format!("connection_string: 'Endpoint=sb://x', {CHECKPOINTS}"),
        ".connection_string: must not contain the secret itself: write { env: NAME } or { file: /path }",
    );
    check(
        &format!("{string}, identity: managed, {CHECKPOINTS}"),
        ".identity: cannot be used together with connection_string: remove one of them",
    );
    check(
        &format!("{string}, tenant_id: t, {CHECKPOINTS}"),
        ".tenant_id: requires an identity: add identity: workload, managed or client_secret",
    );
    check(
        &format!("identity: managed, tenant_id: t, {CHECKPOINTS}"),
        ".tenant_id: does not apply to this kind of identity: remove it",
    );
    check(
        &format!("identity: client_secret, tenant_id: t, client_id: c, {CHECKPOINTS}"),
        ".client_secret: is missing: identity: client_secret requires it",
    );
    check(
        &format!("identity: workload, authority_host: 'http://x', {CHECKPOINTS}"),
        ".authority_host: must be an https URL, such as https://login.microsoftonline.com",
    );
    check(
        &format!("{string}, client: sdk, ca_file: /x, {CHECKPOINTS}"),
        ".ca_file: is not supported with client: sdk: set the environment variable SSL_CERT_FILE instead, or use client: pipelined",
    );
    check(
        &format!("{string}, management_calls_per_second: 0, {CHECKPOINTS}"),
        ".management_calls_per_second: must be a whole number between 1 and 10,000 (Event Hubs allows 50)",
    );
    check(
        &format!("{string}, retention: 0s, {CHECKPOINTS}"),
        ".retention: must be longer than 0s",
    );
    check(
        &format!("{string}, checkpoints: {{ container: c }}"),
        ".checkpoints: has no credentials: add connection_string, account_key or sas as { env: NAME }, or an identity",
    );
    check(
        &format!("{string}, checkpoints: {{ container: c, sas: {{ env: S }} }}"),
        ".checkpoints.account_url: is missing: set it to the storage account's address, such as https://account.blob.core.windows.net",
    );
    check(
        &format!("{string}, checkpoints: {{ strategy: go_sdk, connection_string: {{ env: S }} }}"),
        ".checkpoints.container: is missing: set it to the blob container; only the strategies auto and azure_function have a default",
    );
    check(
        &format!(
            "{string}, checkpoints: {{ container: c, sas: {{ env: S }}, account_key: {{ env: K }} }}"
        ),
        ".checkpoints.sas: cannot be used together with another credential: keep only one of account_key, sas",
    );
    check(
        &format!(
            "{string}, checkpoints: {{ container: c, sas: {{ env: S }}, account_url: 'https://a.example/?sig=x' }}"
        ),
        ".checkpoints.account_url: must be only the storage account's address, such as https://account.blob.core.windows.net: \
         put a signature under sas: { env: NAME }",
    );
}

#[test]
fn a_namespace_that_is_a_connection_string_is_refused_and_not_shown() {
    let text = format!(
        "sources: [{{ name: t, event_hubs: {{ namespace: 'Endpoint=sb://x/;SharedAccessKey=hunter2', event_hub: e, \
         connection_string: {{ env: EH }}, {CHECKPOINTS} }} }}]"
    );
    let error = Config::parse(&text, "c.yaml")
        .expect_err("refused")
        .to_string();
    assert!(
        error.contains("namespace: must be only the host name"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}
