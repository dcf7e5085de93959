//! What one of KEDA's triggers for Redis streams asks for, every key of it mapped or refused.

use std::collections::HashMap;

use crate::config::metadata::{TriggerRequest, TriggerSubject};
use crate::policy::spec::{Measure, Mode};

use super::origin::{ValueOrigin, ValueOrigins};
use super::source::{AllowDraft, RedisDraft, TlsDraft};

/// KEDA's three triggers for Redis streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RedisTrigger {
    Standalone,
    Cluster,
    Sentinel,
}

impl RedisTrigger {
    /// By the `type` of a trigger.
    pub fn of(kind: &str) -> Option<Self> {
        match kind {
            "redis-streams" => Some(Self::Standalone),
            "redis-cluster-streams" => Some(Self::Cluster),
            "redis-sentinel-streams" => Some(Self::Sentinel),
            _ => None,
        }
    }

    const fn mode(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Cluster => "cluster",
            Self::Sentinel => "sentinel",
        }
    }
}

/// Keys that name the servers.
const SERVERS: [&str; 7] = [
    "address",
    "addresses",
    "host",
    "hosts",
    "port",
    "ports",
    "sentinelMaster",
];

/// Keys of the connection, which become the source's.
const CONNECTION: [&str; 10] = [
    "username",
    "password",
    "sentinelUsername",
    "sentinelPassword",
    "enableTLS",
    "tls",
    "unsafeSsl",
    "ca",
    "cert",
    "key",
];

/// What a trigger is to become.
#[derive(Debug)]
pub(super) struct MovedTrigger {
    pub source: RedisDraft,
    pub allow: AllowDraft,
    /// The metadata that stays, KEDA's default threshold written out.
    pub kept: Vec<(String, String)>,
}

/// Reads a trigger; or tells everything that is in the way, each with the cure.
pub(super) fn read(
    kind: RedisTrigger,
    origins: &ValueOrigins<'_>,
    namespace: &str,
) -> Result<MovedTrigger, Vec<String>> {
    let mut problems = Vec::new();
    if let Some(name) = origins.missing_authentication() {
        problems.push(format!(
            "authenticationRef: {name} is in none of the files: add its manifest, so that its credentials are mapped too"
        ));
    }
    let kept: Vec<(String, String)> = origins
        .metadata()
        .filter(|(key, _)| stays(key))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let mut metadata: HashMap<String, String> = kept.iter().cloned().collect();
    for key in SERVERS.into_iter().chain(["databaseIndex"]) {
        match origins.of(key) {
            None => {}
            Some(ValueOrigin::Here(text)) => {
                metadata.insert(key.to_owned(), text);
            }
            Some(ValueOrigin::Elsewhere(place)) => problems.push(format!(
                "{key}: it is {place}: write its value into the trigger, or add the manifest that holds it"
            )),
        }
    }
    if let Some(stream) = metadata.get("stream")
        && stream.contains(['*', '?', '[', '{', '\\'])
    {
        problems.push(
            "stream: streamgauge would read *, ?, [, { and \\ as a pattern: name the stream in a group of the config, as a \
             list (stream: [NAME]), and set group in the trigger"
                .to_owned(),
        );
    }
    let connection = connection(origins, &mut problems);
    let request = TriggerRequest::parse(&metadata).map_err(|errors| {
        let texts = errors.problems.iter().map(ToString::to_string);
        problems.drain(..).chain(texts).collect::<Vec<_>>()
    })?;
    let TriggerSubject::AtServers {
        servers,
        stream: Some(stream),
        consumer_group,
    } = request.subject
    else {
        problems.push("address and stream: KEDA requires both".to_owned());
        return Err(problems);
    };
    if kind == RedisTrigger::Sentinel && servers.master.is_none() {
        problems.push("sentinelMaster: is missing: set it to the name of the primary".to_owned());
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(MovedTrigger {
        source: RedisDraft {
            mode: kind.mode(),
            addresses: servers.addresses.iter().map(ToString::to_string).collect(),
            database: servers.database,
            master: servers.master.filter(|_| kind == RedisTrigger::Sentinel),
            ..connection
        },
        allow: AllowDraft {
            namespace: namespace.to_owned(),
            stream: stream.text,
            consumer_group: consumer_group.unwrap_or_else(|| "*".to_owned()),
        },
        kept: with_threshold(kept, request.settings.mode),
    })
}

/// Whether a key of the metadata stays in the trigger: all but those of servers and connection.
fn stays(key: &str) -> bool {
    let stem = key.strip_suffix("FromEnv").unwrap_or(key);
    let moves = SERVERS.contains(&stem) || CONNECTION.contains(&stem);
    !moves && key != "databaseIndex"
}

/// KEDA's default threshold, written out where the trigger leaves it to KEDA: with `source` streamgauge's own mode would be meant.
fn with_threshold(mut kept: Vec<(String, String)>, mode: Option<Mode>) -> Vec<(String, String)> {
    let Some(Mode::Backlog { threshold, measure }) = mode else {
        return kept;
    };
    let key = match measure {
        Measure::Pending => "pendingEntriesCount",
        Measure::StreamLength => "streamLength",
        _ => return kept,
    };
    if !kept.iter().any(|(known, _)| known == key) {
        kept.push((key.to_owned(), threshold.to_string()));
    }
    kept
}

/// Credentials and TLS; the servers are filled in later.
fn connection(origins: &ValueOrigins<'_>, problems: &mut Vec<String>) -> RedisDraft {
    let mut name = |key: &str| match origins.of(key)? {
        ValueOrigin::Here(text) => Some(text),
        ValueOrigin::Elsewhere(place) => {
            problems.push(format!(
                "{key}: it is {place}: write it into the trigger, because a source of streamgauge takes user names as text"
            ));
            None
        }
    };
    let (username, sentinel_username) = (name("username"), name("sentinelUsername"));
    if origins.of("keyPassword").is_some() {
        problems.push(
            "keyPassword: streamgauge takes keys without a password: decrypt the key (openssl pkey -in tls.key -out plain.key), and \
             set redis.tls.key_file to the result"
                .to_owned(),
        );
    }
    let is_on = |key: &str| match origins.of(key) {
        Some(ValueOrigin::Here(text)) => {
            matches!(
                text.as_str(),
                "1" | "t" | "T" | "true" | "TRUE" | "True" | "enable"
            )
        }
        // A secret holds it: it would not be there to say "disable".
        Some(ValueOrigin::Elsewhere(_)) => true,
        None => false,
    };
    let secured = is_on("enableTLS") || is_on("tls");
    let ca = origins.of("ca");
    if secured && is_on("unsafeSsl") && ca.is_none() {
        problems.push(
            "unsafeSsl: streamgauge always verifies the server: remove it; if its certificate is not signed by a public authority, \
             pass that as ca in the TriggerAuthentication"
                .to_owned(),
        );
    }
    let tls = TlsDraft {
        ca,
        certificate: origins.of("cert"),
        key: origins.of("key"),
    };
    RedisDraft {
        mode: "",
        addresses: Vec::new(),
        database: 0,
        master: None,
        username,
        password: origins.of("password"),
        sentinel_username,
        sentinel_password: origins.of("sentinelPassword"),
        tls: secured.then_some(tls),
    }
}
