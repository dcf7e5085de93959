//! KEDA's own keys: those of `azure-eventhub` (default 64), and those of `redis-streams`, where the choice among them is KEDA's:
//! with a consumer group, `lagCount` goes before `pendingEntriesCount` (default 5) and `streamLength` does not count; without one,
//! `streamLength` (default 5) alone does.

use crate::config::keys::{KeyReader as _, Keys, Whole};
use crate::config::redis_url::{RedisAddress, SENTINEL_PORT, SERVER_PORT, parse_url};
use crate::config::table::{ConsumerKeys, KedaKeys, ModeWord, PolicyKeys, TriggerKeys};
use crate::policy::spec::{Measure, Mode};

use super::keys::{ADDRESS, DATABASE, HOST, PORT, SENTINEL_MASTER};
use super::reader::MetadataReader;

const KEYS: [&str; 3] = ["lagCount", "pendingEntriesCount", "streamLength"];

/// KEDA's threshold for event hubs.
const UNPROCESSED: &str = "unprocessedEventThreshold";

/// streamgauge's own threshold.
const OF_OURS: &str = "backlogThreshold";

const OF_HUBS_ACTIVATION: &str = "activationUnprocessedEventThreshold";

/// KEDA's names for a backlog up to which a target stays inactive, each with what is said of it in another mode.
const ACTIVATIONS: [(&str, &str); 2] = [
    (
        "activationLagCount",
        "works only with lagCount, pendingEntriesCount or streamLength: use activationBacklog instead",
    ),
    (
        OF_HUBS_ACTIVATION,
        "works only with unprocessedEventThreshold: use activationBacklog instead",
    ),
];

/// Messages per replica where KEDA's user named none: pending entries, or the length of the stream.
pub(in crate::config) const DEFAULT_COUNT: u64 = 5;

/// Events per replica where KEDA's user named none.
const DEFAULT_UNPROCESSED: u64 = 64;

/// The mode that KEDA's keys ask for, its defaults included; `None` if there are none, or with a fault noted.
pub(super) fn read(reader: &mut MetadataReader<'_>, keys: &TriggerKeys) -> Option<Mode> {
    let all = KEYS.into_iter().chain([UNPROCESSED]);
    let named: Vec<&str> = all.filter(|key| reader.has_key(key)).collect();
    let Some(first) = named.first().copied() else {
        return default(reader, keys.policy.mode);
    };
    if keys.policy.mode == Some(ModeWord::Replicas) {
        reader.problem(
            first,
            "does not apply to mode replicas: remove it, or set mode to backlog",
        );
    }
    if reader.has_key(OF_OURS) {
        reader.problem(
            first,
            "cannot be used together with backlogThreshold: remove one of them",
        );
    }
    if reader.has_key(UNPROCESSED) {
        if first != UNPROCESSED {
            reader.problem(
                first,
                "is for Redis streams, but unprocessedEventThreshold is for event hubs: remove one of them",
            );
        }
        return keys
            .keda
            .unprocessed_event_threshold
            .map(unprocessed_events);
    }
    counted(reader, &keys.keda)
}

/// What KEDA's redis-streams trigger counts.
fn counted(reader: &MetadataReader<'_>, keys: &KedaKeys) -> Option<Mode> {
    let found = [
        keys.lag_count,
        keys.pending_entries_count,
        keys.stream_length,
    ];
    let is_faulty = |(key, value): (&str, Option<u64>)| reader.has_key(key) && value.is_none();
    if KEYS.into_iter().zip(found).any(is_faulty) {
        return None;
    }
    let [lag, pending, length] = found;
    // For KEDA, 0 is as good as no lagCount.
    let lag = lag.filter(|lag| *lag > 0);
    let has_group = reader.has_key("consumerGroup");
    let (measure, threshold) = match (lag, pending, length) {
        // A group of the config has its consumer group, yet streamLength asks for the stream's length alone.
        (_, _, Some(length)) if !has_group => (Measure::StreamLength, length),
        (Some(lag), ..) => (Measure::Lag, lag),
        (_, Some(pending), _) => (Measure::Pending, pending),
        _ if has_group || reader.has_key("group") => (Measure::Pending, DEFAULT_COUNT),
        _ => (Measure::StreamLength, DEFAULT_COUNT),
    };
    Some(Mode::Backlog { threshold, measure })
}

/// What KEDA does without any threshold, for triggers that show by another key that they are KEDA's: whoever writes a setting of ours
/// does not rely on KEDA's defaults.
fn default(reader: &MetadataReader<'_>, word: Option<ModeWord>) -> Option<Mode> {
    let mut settings = PolicyKeys::NAMES.iter().chain(ConsumerKeys::NAMES);
    let is_ours = matches!(word, Some(ModeWord::Replicas | ModeWord::Jobs))
        || reader.has_key("group")
        || settings.any(|name| *name != "mode" && reader.has(name));
    if is_ours {
        return None;
    }
    const OF_HUBS: [&str; 3] = [OF_HUBS_ACTIVATION, "blobContainer", "checkpointStrategy"];
    if OF_HUBS.iter().any(|key| reader.has_key(key)) {
        return Some(unprocessed_events(DEFAULT_UNPROCESSED));
    }
    let is_kedas = reader.has_key("activationLagCount") || names_server(reader);
    is_kedas.then(|| Mode::Backlog {
        threshold: DEFAULT_COUNT,
        measure: match reader.has_key("consumerGroup") {
            true => Measure::Pending,
            false => Measure::StreamLength,
        },
    })
}

const fn unprocessed_events(threshold: u64) -> Mode {
    Mode::Backlog {
        threshold,
        measure: Measure::UnprocessedEvents,
    }
}

/// The backlog up to which a target stays inactive, by KEDA's name for it, in the mode that KEDA's keys ask for.
pub(super) fn activation(
    reader: &mut MetadataReader<'_>,
    keys: &KedaKeys,
    mode: Option<Mode>,
) -> Option<u64> {
    let said = [
        keys.activation_lag_count,
        keys.activation_unprocessed_event_threshold,
    ];
    let mut found = None;
    for ((key, alone), backlog) in ACTIVATIONS.into_iter().zip(said) {
        let Some(backlog) = backlog else {
            continue;
        };
        let thresholds: &[&str] = match key {
            OF_HUBS_ACTIVATION => &[UNPROCESSED],
            _ => &KEYS,
        };
        let of_hubs = |measure| measure == Measure::UnprocessedEvents;
        let belongs = thresholds.iter().any(|key| reader.has_key(key))
            || matches!(mode, Some(Mode::Backlog { measure, .. })
                if measure != Measure::Backlog && of_hubs(measure) == (key == OF_HUBS_ACTIVATION));
        if reader.has_key("activationBacklog") {
            reader.problem(
                key,
                "cannot be used together with activationBacklog: remove one of them",
            );
        } else if !belongs {
            reader.problem(key, alone);
        }
        found = Some(backlog);
    }
    found
}

/// Whether it names its server as KEDA's redis-streams trigger does, by an address, and no source of the config.
pub(super) fn names_server(reader: &MetadataReader<'_>) -> bool {
    let is_ours = reader.has_key("source") || reader.has_key("group");
    !is_ours && (text(reader, ADDRESS).is_some() || text(reader, HOST).is_some())
}

/// Servers as KEDA's three triggers for Redis streams name them: one, nodes of a cluster, or sentinels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KedaServers {
    /// Of the server, of nodes, or of sentinels.
    pub addresses: Vec<RedisAddress>,
    /// The name under which sentinels know the primary.
    pub master: Option<String>,
    /// Database number.
    pub database: i64,
}

/// Those servers. The database is told apart, as KEDA does.
pub(super) fn servers(reader: &mut MetadataReader<'_>) -> Option<KedaServers> {
    let (key, addresses) = match text(reader, ADDRESS) {
        Some(addresses) => (ADDRESS[0], listed(addresses)),
        None => (HOST[0], joined(text(reader, HOST)?, text(reader, PORT))),
    };
    let database: u16 = match reader.has_key(DATABASE) {
        true => reader.value("database_index", &Whole::from(0).to(u16::MAX.into()))?,
        false => 0,
    };
    let master = reader
        .text(SENTINEL_MASTER)
        .map(|name| name.trim().to_owned());
    let usual = match master {
        Some(_) => SENTINEL_PORT,
        None => SERVER_PORT,
    };
    // Its own texts speak of a URL.
    let address = |at: &String| {
        parse_url(&format!("redis://{at}"))
            .ok()
            .map(|url| url.address(usual))
    };
    let Some(addresses) = addresses.iter().map(address).collect() else {
        reader.problem(
            key,
            "must be the host and port of a server, such as redis:6379, or a list of them",
        );
        return None;
    };
    Some(KedaServers {
        addresses,
        master,
        database: i64::from(database),
    })
}

fn listed(text: &str) -> Vec<String> {
    text.split(',').map(|item| item.trim().to_owned()).collect()
}

fn joined(hosts: &str, ports: Option<&str>) -> Vec<String> {
    let ports = ports.map(listed).unwrap_or_default();
    let hosts = listed(hosts).into_iter().enumerate();
    let address = |(n, host): (usize, String)| {
        let is_bare = host.contains(':') && !host.starts_with('[');
        let host = if is_bare { format!("[{host}]") } else { host };
        match ports.get(n) {
            Some(port) => format!("{host}:{port}"),
            None => host,
        }
    };
    hosts.map(address).collect()
}

/// The text of the first of the keys that is there, each also with `FromEnv`: KEDA passes on what the variable holds.
fn text<'m>(reader: &MetadataReader<'m>, keys: [&str; 2]) -> Option<&'m str> {
    let with_env = keys.iter().map(|key| format!("{key}FromEnv"));
    let mut names = keys.iter().map(|key| (*key).to_owned()).chain(with_env);
    names.find_map(|name| reader.text(&name)).map(str::trim)
}
