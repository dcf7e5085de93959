//! Keys of trigger metadata that are refused, and why; how keys are spelled there.

use crate::config::keys::Keys;
use crate::config::suggest::{did_you_mean, nearest};
use crate::config::table::{ConsumerKeys, PolicyKeys};

/// Keys by which KEDA's redis-streams trigger names its server, each also with `FromEnv`, and its database.
pub(super) const ADDRESS: [&str; 2] = ["address", "addresses"];
pub(super) const HOST: [&str; 2] = ["host", "hosts"];
pub(super) const PORT: [&str; 2] = ["port", "ports"];
pub(super) const DATABASE: &str = "databaseIndex";
/// By which its trigger for sentinels names the primary.
pub(super) const SENTINEL_MASTER: &str = "sentinelMaster";

/// For KEDA's connection to this service; it forwards them with the rest.
const KEDAS_OWN: [&str; 3] = ["scalerAddress", "enableTLS", "unsafeSsl"];

/// Keys of KEDA's own triggers that belong into streamgauge's config, with their place there. Each also with `FromEnv`.
const PLACES: [(&str, &str); 27] = [
    ("connection", "event_hubs.connection_string"),
    ("eventHubName", "event_hubs.event_hub"),
    ("eventHubNamespace", "event_hubs.namespace"),
    ("endpointSuffix", "event_hubs.namespace"),
    ("cloud", "event_hubs.cloud"),
    ("eventHubResourceURL", "event_hubs.cloud"),
    ("activeDirectoryEndpoint", "event_hubs.authority_host"),
    (
        "storageConnection",
        "event_hubs.checkpoints.connection_string",
    ),
    ("storageAccountName", "event_hubs.checkpoints.account_url"),
    (
        "storageEndpointSuffix",
        "event_hubs.checkpoints.account_url",
    ),
    ("address", "redis.url"),
    ("addresses", "redis.url"),
    ("host", "redis.url"),
    ("hosts", "redis.url"),
    ("port", "redis.url"),
    ("ports", "redis.url"),
    ("url", "redis.url"),
    (
        "databaseIndex",
        "redis.url (the number after the last slash)",
    ),
    ("username", "redis.username"),
    ("password", "redis.password"),
    ("tls", "redis.url"),
    (SENTINEL_MASTER, "redis.sentinel.master"),
    ("sentinelUsername", "redis.sentinel.username"),
    ("sentinelPassword", "redis.sentinel.password"),
    ("tenantId", "event_hubs.tenant_id"),
    ("clientId", "event_hubs.client_id"),
    ("clientSecret", "event_hubs.client_secret"),
];

/// Parts of names under which credentials are written, in lower case.
const CREDENTIALS: [&str; 10] = [
    "username",
    "password",
    "passwd",
    "secret",
    "token",
    "connection",
    "credential",
    "accesskey",
    "accountkey",
    "apikey",
];

/// Why a key is refused, if it is; where the server is named as KEDA names it, its address is not. What was meant by an unknown one is
/// looked for only if that `is_suggested`.
pub(super) fn refusal(
    key: &str,
    known: &[&str],
    names_server: bool,
    is_suggested: bool,
) -> Option<String> {
    if known.contains(&key) || KEDAS_OWN.contains(&key) {
        return None;
    }
    let stem = key.strip_suffix("FromEnv").unwrap_or(key);
    let is_server = [ADDRESS, HOST, PORT].concat().contains(&stem)
        || [DATABASE, SENTINEL_MASTER].contains(&key);
    if names_server && is_server {
        return None;
    }
    if let Some((_, place)) = PLACES.iter().find(|(known, _)| *known == stem) {
        return Some(format!(
            "belongs in streamgauge's config: set sources[].{place} there, set source here to the name of that source, and remove \
             this key"
        ));
    }
    if key == "stalePartitionInfoThreshold" {
        return Some(
            "is not needed: streamgauge never treats a checkpoint ahead of the log end as 0; remove it"
                .into(),
        );
    }
    if known.contains(&stem) {
        return Some(format!(
            "is not allowed, because KEDA replaces it with the variable's value, which may be a secret: set {stem} to the value itself"
        ));
    }
    let folded = key.to_lowercase();
    if stem != key || CREDENTIALS.iter().any(|part| folded.contains(part)) {
        return Some(
            "credentials are not allowed in trigger metadata: move them to the source in streamgauge's config, and remove this key".into(),
        );
    }
    if !is_suggested {
        return Some("unknown key: remove it".into());
    }
    // Short where it can be: an event holds no list of all keys per fault.
    Some(match nearest(key, known) {
        Some(meant) => format!("unknown key: did you mean {meant}?"),
        None => format!("unknown key: {}", did_you_mean(key, known)),
    })
}

/// Every field name of the policy in the text as metadata writes it: `min_replicas` becomes `minReplicas`.
pub(super) fn in_camel_case(text: &str) -> String {
    let fields = PolicyKeys::NAMES.iter().chain(ConsumerKeys::NAMES);
    let snakes = fields.filter(|field| field.contains('_'));
    snakes.fold(text.to_owned(), |text, field| {
        text.replace(field, &camel(field))
    })
}

/// `min_replicas` as metadata writes it: `minReplicas`.
pub(in crate::config) fn camel(snake: &str) -> String {
    let mut words = snake.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        name.push_str(&head.to_uppercase());
        name.push_str(tail);
        name
    })
}
