//! KEDA's own keys: those of `azure-eventhub` (default 64), and those of `redis-streams`, where the choice among them is KEDA's:
//! with a consumer group, `lagCount` goes before `pendingEntriesCount` (default 5) and `streamLength` does not count; without one,
//! `streamLength` (default 5) alone does.

use crate::config::groups::ModeWord;
use crate::config::types::{CheckpointStrategy, RedisConfig};
use crate::policy::spec::{Measure, Mode};

use super::keys::{ADDRESS, DATABASE, HOST, KNOWN, Kind, PORT};
use super::reader::Reader;

const KEYS: [&str; 3] = ["lagCount", "pendingEntriesCount", "streamLength"];

/// KEDA's threshold for event hubs.
const UNPROCESSED: &str = "unprocessedEventThreshold";

const OF_HUBS_ACTIVATION: &str = "activationUnprocessedEventThreshold";

/// KEDA's names for a backlog up to which a target stays inactive, each with what is said of it in another mode.
const ACTIVATIONS: [(&str, &str); 2] = [
    (
        "activationLagCount",
        "belongs to lagCount, pendingEntriesCount or streamLength: write activationBacklog",
    ),
    (
        OF_HUBS_ACTIVATION,
        "belongs to unprocessedEventThreshold: write activationBacklog",
    ),
];

/// Messages per replica where KEDA's user named none: pending entries, or the length of the stream.
pub(in crate::config) const DEFAULT_COUNT: u64 = 5;

/// Events per replica where KEDA's user named none.
const DEFAULT_UNPROCESSED: u64 = 64;

/// The mode that KEDA's keys ask for, its defaults included; `None` if there are none, or with a fault noted.
pub(super) fn read(
    reader: &mut Reader<'_>,
    word: Option<ModeWord>,
    threshold: Option<u64>,
) -> Option<Mode> {
    let all = KEYS.into_iter().chain([UNPROCESSED]);
    let named: Vec<&str> = all.filter(|key| reader.has(key)).collect();
    let Some(first) = named.first().copied() else {
        return default(reader, word, threshold);
    };
    let [lag, pending, length] = KEYS.map(|key| match key {
        // For KEDA, 0 is as good as no lagCount.
        "lagCount" if reader.is_0(key) => None,
        key => reader.threshold(key),
    });
    let unprocessed = reader.threshold(UNPROCESSED);
    if word == Some(ModeWord::Replicas) {
        reader.problem(
            first,
            "has no meaning in mode replicas: remove it, or set mode to backlog",
        );
    }
    if threshold.is_some() {
        reader.problem(first, "stands beside backlogThreshold: keep one of them");
    }
    if reader.has(UNPROCESSED) {
        if first != UNPROCESSED {
            reader.problem(
                first,
                "counts Redis streams, unprocessedEventThreshold event hubs: keep one of them",
            );
        }
        return unprocessed.map(unprocessed_events);
    }
    let is_faulty = |(key, value): (&str, Option<u64>)| {
        reader.has(key) && value.is_none() && !(key == "lagCount" && reader.is_0(key))
    };
    if KEYS.into_iter().zip([lag, pending, length]).any(is_faulty) {
        return None;
    }
    let has_group = reader.has("consumerGroup");
    let (measure, threshold) = match (lag, pending, length) {
        // A group of the config has its consumer group, yet streamLength asks for the stream's length alone.
        (_, _, Some(length)) if !has_group => (Measure::StreamLength, length),
        (Some(lag), ..) => (Measure::Lag, lag),
        (_, Some(pending), _) => (Measure::Pending, pending),
        _ if has_group || reader.has("group") => (Measure::Pending, DEFAULT_COUNT),
        _ => (Measure::StreamLength, DEFAULT_COUNT),
    };
    Some(Mode::Backlog { threshold, measure })
}

/// What KEDA does without any threshold, for triggers that show by another key that they are KEDA's.
fn default(reader: &Reader<'_>, word: Option<ModeWord>, threshold: Option<u64>) -> Option<Mode> {
    let is_ours = matches!(word, Some(ModeWord::Replicas | ModeWord::Jobs))
        || threshold.is_some()
        || reader.has("group")
        || KNOWN
            .iter()
            .any(|(key, kind)| *kind == Kind::Ours && reader.has(key));
    if is_ours {
        return None;
    }
    const OF_HUBS: [&str; 3] = [OF_HUBS_ACTIVATION, "blobContainer", "checkpointStrategy"];
    if OF_HUBS.iter().any(|key| reader.has(key)) {
        return Some(unprocessed_events(DEFAULT_UNPROCESSED));
    }
    let is_kedas = reader.has("activationLagCount") || names_server(reader);
    is_kedas.then(|| Mode::Backlog {
        threshold: DEFAULT_COUNT,
        measure: match reader.has("consumerGroup") {
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
pub(super) fn activation(reader: &mut Reader<'_>, mode: Option<Mode>) -> Option<u64> {
    let mut found = None;
    for (key, alone) in ACTIVATIONS {
        let Some(backlog) = reader.whole(key) else {
            continue;
        };
        let thresholds: &[&str] = match key {
            OF_HUBS_ACTIVATION => &[UNPROCESSED],
            _ => &KEYS,
        };
        let of_hubs = |measure| measure == Measure::UnprocessedEvents;
        let belongs = thresholds.iter().any(|key| reader.has(key))
            || matches!(mode, Some(Mode::Backlog { measure, .. })
                if measure != Measure::Backlog && of_hubs(measure) == (key == OF_HUBS_ACTIVATION));
        if reader.has("activationBacklog") {
            reader.problem(key, "stands beside activationBacklog: keep one of them");
        } else if !belongs {
            reader.problem(key, alone);
        }
        found = Some(backlog);
    }
    found
}

/// Whether it names its server as KEDA's redis-streams trigger does, by an address, and no source of the config.
pub(super) fn names_server(reader: &Reader<'_>) -> bool {
    let is_ours = reader.has("source") || reader.has("group");
    !is_ours && (text(reader, ADDRESS).is_some() || text(reader, HOST).is_some())
}

/// That server. Its database is told apart, as KEDA does.
pub(super) fn server(reader: &mut Reader<'_>) -> Option<RedisConfig> {
    let (key, address) = match text(reader, ADDRESS) {
        Some(address) => (ADDRESS[0], address.to_owned()),
        None => (HOST[0], joined(text(reader, HOST)?, text(reader, PORT))),
    };
    if address.contains(',') {
        let fault = "names several servers: cluster and sentinel are not supported yet";
        reader.problem(key, fault);
        return None;
    }
    let database: u16 = match reader.has(DATABASE) {
        true => reader.whole(DATABASE)?,
        false => 0,
    };
    // Its own texts speak of a URL.
    let server = RedisConfig::from_url(&format!("redis://{address}/{database}"));
    if server.is_err() {
        reader.problem(
            key,
            "must be the host and port of a server, such as redis:6379",
        );
    }
    server.ok()
}

fn joined(host: &str, port: Option<&str>) -> String {
    let is_bare = host.contains(':') && !host.starts_with('[');
    let host = if is_bare {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
}

/// The text of the first of the keys that is there, each also with `FromEnv`: KEDA passes on what the variable holds.
fn text<'m>(reader: &Reader<'m>, keys: [&str; 2]) -> Option<&'m str> {
    let with_env = keys.iter().map(|key| format!("{key}FromEnv"));
    let mut names = keys.iter().map(|key| (*key).to_owned()).chain(with_env);
    names.find_map(|name| reader.text(&name)).map(str::trim)
}

/// The layout of checkpoints, by KEDA's word or by ours. KEDA takes any other word for its oldest layout; a typing error is no
/// layout here.
pub(super) fn strategy(reader: &mut Reader<'_>) -> Option<CheckpointStrategy> {
    const KEDAS: [(&str, CheckpointStrategy); 3] = [
        ("blobMetadata", CheckpointStrategy::BlobMetadata),
        ("azureFunction", CheckpointStrategy::AzureFunction),
        ("goSdk", CheckpointStrategy::GoSdk),
    ];
    let words = [&KEDAS[..], &CheckpointStrategy::WORDS[..]].concat();
    reader.word("checkpointStrategy", &words)
}
