//! The keys of trigger metadata: ours, KEDA's own, those to come, and those that must not be here.

use crate::config::suggest::{did_you_mean, nearest};

/// Keys with a meaning.
pub(super) const KNOWN: [&str; 24] = [
    "group",
    "source",
    "stream",
    "consumerGroup",
    "mode",
    "targetDelay",
    "capacityPerReplica",
    "minReplicas",
    "maxReplicas",
    "activationBacklog",
    "activationWindow",
    "scaleInHold",
    "assignment",
    "consumersPerReplica",
    "forecast",
    "backlogThreshold",
    "lagCount",
    "pendingEntriesCount",
    "streamLength",
    "activationLagCount",
    "unprocessedEventThreshold",
    "activationUnprocessedEventThreshold",
    "blobContainer",
    "checkpointStrategy",
];

/// For KEDA's connection to this service; it forwards them with the rest.
const KEDAS_OWN: [&str; 3] = ["scalerAddress", "enableTLS", "unsafeSsl"];

/// Parts of names under which credentials are written, in lower case.
const CREDENTIALS: [&str; 10] = [
    "password",
    "passwd",
    "secret",
    "token",
    "connection",
    "credential",
    "username",
    "accesskey",
    "accountkey",
    "apikey",
];

const ADDRESSES: [&str; 9] = [
    "address",
    "addresses",
    "host",
    "hosts",
    "port",
    "ports",
    "url",
    "databaseIndex",
    "sentinelMaster",
];

/// Why a key is refused, if it is.
pub(super) fn refusal(key: &str) -> Option<String> {
    if KNOWN.contains(&key) || KEDAS_OWN.contains(&key) {
        return None;
    }
    let folded = key.to_lowercase();
    if folded.ends_with("fromenv") || CREDENTIALS.iter().any(|part| folded.contains(part)) {
        return Some(
            "credentials do not belong here: put them into the source in streamgauge's config and remove this key".into(),
        );
    }
    if ADDRESSES.contains(&key) {
        return Some(
            "addresses do not belong here: name a source of streamgauge's config with source"
                .into(),
        );
    }
    // Short where it can be: an event holds no list of all keys per fault.
    Some(match nearest(key, &KNOWN) {
        Some(meant) => format!("unknown key: did you mean {meant}?"),
        None => format!("unknown key: {}", did_you_mean(key, &KNOWN)),
    })
}

/// Every field name of the policy in the text as metadata writes it: `min_replicas` becomes `minReplicas`.
pub(super) fn in_camel_case(text: &str) -> String {
    const FIELDS: [&str; 9] = [
        "target_delay",
        "capacity_per_replica",
        "min_replicas",
        "max_replicas",
        "activation_backlog",
        "activation_window",
        "scale_in_hold",
        "consumers_per_replica",
        "backlog_threshold",
    ];
    FIELDS.iter().fold(text.to_owned(), |text, field| {
        text.replace(field, &camel(field))
    })
}

fn camel(snake: &str) -> String {
    let mut words = snake.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        name.push_str(&head.to_uppercase());
        name.push_str(tail);
        name
    })
}
