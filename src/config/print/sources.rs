//! The sources, in the shape of the file.

use crate::config::keys;
use crate::config::redis_url::{RedisAddress, RedisUrl};
use crate::config::table::{
    AllowKeys, CheckpointKeys, EventHubsKeys, IdentityKeys, IdentityWord, RedisKeys, RedisMode,
    RedisSentinelKeys, RedisTlsKeys, SourceKeys,
};
use crate::config::types::{
    AllowRule, BlobAuth, CheckpointsConfig, EventHubsConfig, HubAuth, Identity, IdentityKind,
    RedisConfig, RedisSentinels, RedisServers, RedisTls, SourceConfig, SourceKind,
};

pub(super) fn source(config: &SourceConfig) -> SourceKeys {
    let (redis, event_hubs) = match &config.kind {
        SourceKind::Redis(server) => (Some(redis(server)), None),
        SourceKind::EventHubs(hub) => (None, Some(event_hub(hub))),
    };
    let rules = config.allow.iter().map(allow).map(Some);
    SourceKeys {
        name: Some(config.name.clone()),
        poll_interval: Some(config.poll_interval),
        redis,
        event_hubs,
        allow: (!config.allow.is_empty()).then(|| rules.collect()),
    }
}

fn allow(rule: &AllowRule) -> AllowKeys {
    AllowKeys {
        namespaces: Some(rule.namespaces.clone()),
        streams: Some(rule.streams.clone()),
        consumer_groups: Some(rule.consumer_groups.clone()),
    }
}

fn redis(server: &RedisConfig) -> RedisKeys {
    let (mode, sentinel) = match &server.servers {
        RedisServers::Standalone(_) => (RedisMode::Standalone, None),
        RedisServers::Cluster(_) => (RedisMode::Cluster, None),
        RedisServers::Sentinel(sentinels) => (RedisMode::Sentinel, Some(sentinel(sentinels))),
    };
    let url_of = |address: &RedisAddress| RedisUrl {
        tls: server.tls.is_some(),
        host: address.host.clone(),
        port: Some(address.port),
        database: (mode != RedisMode::Cluster).then_some(server.database),
    };
    let (url, urls) = match server.servers.addresses() {
        [one] => (Some(url_of(one)), None),
        several => (None, Some(several.iter().map(url_of).collect())),
    };
    RedisKeys {
        url,
        urls,
        mode,
        sentinel,
        username: server.username.clone(),
        password: server.password.clone(),
        identity: server
            .identity
            .as_ref()
            .map_or_else(keys::standard, identity_keys),
        tls: server
            .tls
            .as_ref()
            .filter(|tls| **tls != RedisTls::default())
            .map(tls),
        stuck_after: server.stuck_after,
    }
}

fn sentinel(sentinels: &RedisSentinels) -> RedisSentinelKeys {
    RedisSentinelKeys {
        master: Some(sentinels.master.clone()),
        username: sentinels.username.clone(),
        password: sentinels.password.clone(),
    }
}

fn tls(tls: &RedisTls) -> RedisTlsKeys {
    let certificate = tls.certificate.as_ref();
    RedisTlsKeys {
        ca_file: tls.ca_file.clone(),
        cert_file: certificate.map(|files| files.cert_file.clone()),
        key_file: certificate.map(|files| files.key_file.clone()),
        server_name: tls.server_name.clone(),
    }
}

fn event_hub(hub: &EventHubsConfig) -> EventHubsKeys {
    let (connection_string, identity) = match &hub.auth {
        HubAuth::ConnectionString(place) => (Some(place.clone()), None),
        HubAuth::Identity(identity) => (None, Some(identity)),
    };
    EventHubsKeys {
        namespace: Some(hub.namespace.clone()),
        event_hub: Some(hub.event_hub.clone()),
        connection_string,
        identity: identity.map_or_else(keys::standard, identity_keys),
        endpoint: hub.endpoint.clone(),
        ca_file: hub.ca_file.clone(),
        client: hub.client,
        management_calls_per_second: hub.management_calls_per_second,
        throughput_units: hub.throughput_units,
        retention: hub.retention,
        checkpoints: Some(checkpoints(&hub.checkpoints)),
    }
}

fn checkpoints(store: &CheckpointsConfig) -> CheckpointKeys {
    let mut keys = CheckpointKeys {
        account_url: store.account_url.clone(),
        container: Some(store.container_name().to_owned()),
        strategy: store.strategy,
        connection_string: None,
        account_key: None,
        sas: None,
        identity: keys::standard(),
        ca_file: store.ca_file.clone(),
        ownership_expiry: store.ownership_expiry,
    };
    match &store.auth {
        BlobAuth::ConnectionString(place) => keys.connection_string = Some(place.clone()),
        BlobAuth::AccountKey(place) => keys.account_key = Some(place.clone()),
        BlobAuth::Sas(place) => keys.sas = Some(place.clone()),
        BlobAuth::Identity(identity) => keys.identity = identity_keys(identity),
    }
    keys
}

fn identity_keys(identity: &Identity) -> IdentityKeys {
    let mut keys = IdentityKeys {
        cloud: Some(identity.cloud),
        authority_host: identity.authority_host.clone(),
        ..keys::standard()
    };
    let word = match identity.kind.clone() {
        IdentityKind::Workload {
            client_id,
            tenant_id,
            token_file,
        } => {
            keys.client_id = client_id;
            keys.tenant_id = tenant_id;
            keys.federated_token_file = token_file;
            IdentityWord::Workload
        }
        IdentityKind::Managed { client_id } => {
            keys.client_id = client_id;
            IdentityWord::Managed
        }
        IdentityKind::ClientSecret {
            tenant_id,
            client_id,
            client_secret,
        } => {
            keys.client_id = Some(client_id);
            keys.tenant_id = Some(tenant_id);
            keys.client_secret = Some(client_secret);
            IdentityWord::ClientSecret
        }
    };
    keys.identity = Some(word);
    keys
}
