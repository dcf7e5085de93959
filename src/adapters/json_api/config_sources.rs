//! The sources of the configuration, in the shape of the file.

use serde_yaml::Value;

use crate::config::types::{
    AllowRule, BlobAuth, CheckpointsConfig, Cloud, EventHubsConfig, HubAuth, Identity,
    IdentityKind, ManagementClient, RedisConfig, SourceConfig, SourceKind,
};

use super::config::{Fields, duration, secret};

/// One source.
pub(super) fn source(config: &SourceConfig) -> Value {
    let fields = Fields::default().set("name", &config.name);
    let fields = match &config.kind {
        SourceKind::Redis(server) => fields.set("redis", redis(server)),
        SourceKind::EventHubs(hub) => fields.set("event_hubs", event_hub(hub)),
    };
    let rules: Vec<Value> = config.allow.iter().map(allow).collect();
    fields
        .set("poll_interval", duration(config.poll_interval))
        .set("allow", (!rules.is_empty()).then_some(rules))
        .done()
}

fn allow(rule: &AllowRule) -> Value {
    Fields::default()
        .set("namespaces", &rule.namespaces)
        .set("streams", &rule.streams)
        .set("consumer_groups", &rule.consumer_groups)
        .done()
}

fn redis(server: &RedisConfig) -> Value {
    let (host, port, database) = (&server.host, server.port, server.database);
    Fields::default()
        .set("url", format!("redis://{host}:{port}/{database}"))
        .set("username", &server.username)
        .set("password", server.password.as_ref().map(secret))
        .set("stuck_after", duration(server.stuck_after))
        .done()
}

fn event_hub(hub: &EventHubsConfig) -> Value {
    let endpoint = hub.endpoint.as_ref().map(|at| {
        let scheme = if at.tls { "amqps" } else { "amqp" };
        format!("{scheme}://{}:{}", at.host, at.port)
    });
    let client = match hub.client {
        ManagementClient::Pipelined => "pipelined",
        ManagementClient::Sdk => "sdk",
    };
    let fields = Fields::default()
        .set("namespace", &hub.namespace)
        .set("event_hub", &hub.event_hub)
        .set("endpoint", endpoint);
    let fields = match &hub.auth {
        HubAuth::ConnectionString(place) => fields.set("connection_string", secret(place)),
        HubAuth::Identity(identity) => with_identity(fields, identity),
    };
    fields
        .set("ca_file", &hub.ca_file)
        .set("client", client)
        .set(
            "management_calls_per_second",
            hub.management_calls_per_second,
        )
        .set("throughput_units", hub.throughput_units)
        .set("retention", hub.retention.map(duration))
        .set("checkpoints", checkpoints(&hub.checkpoints))
        .done()
}

fn checkpoints(store: &CheckpointsConfig) -> Value {
    let fields = Fields::default()
        .set("account_url", &store.account_url)
        .set("container", store.container_name())
        .set("strategy", store.strategy.as_str());
    let fields = match &store.auth {
        BlobAuth::ConnectionString(place) => fields.set("connection_string", secret(place)),
        BlobAuth::AccountKey(place) => fields.set("account_key", secret(place)),
        BlobAuth::Sas(place) => fields.set("sas", secret(place)),
        BlobAuth::Identity(identity) => with_identity(fields, identity),
    };
    fields
        .set("ca_file", &store.ca_file)
        .set("ownership_expiry", duration(store.ownership_expiry))
        .done()
}

fn with_identity(fields: Fields, identity: &Identity) -> Fields {
    let fields = match &identity.kind {
        IdentityKind::Workload {
            client_id,
            tenant_id,
            token_file,
        } => fields
            .set("identity", "workload")
            .set("client_id", client_id)
            .set("tenant_id", tenant_id)
            .set("federated_token_file", token_file),
        IdentityKind::Managed { client_id } => fields
            .set("identity", "managed")
            .set("client_id", client_id),
        IdentityKind::ClientSecret {
            tenant_id,
            client_id,
            client_secret,
        } => fields
            .set("identity", "client_secret")
            .set("client_id", client_id)
            .set("tenant_id", tenant_id)
            .set("client_secret", secret(client_secret)),
    };
    let cloud = match identity.cloud {
        Cloud::Public => "public",
        Cloud::UsGovernment => "us_government",
        Cloud::China => "china",
    };
    fields
        .set("authority_host", &identity.authority_host)
        .set("cloud", cloud)
}
