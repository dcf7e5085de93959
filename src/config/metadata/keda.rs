//! KEDA's own keys: those of `azure-eventhub`, and those of `redis-streams`, where the choice among them is KEDA's: with a
//! consumer group, `lagCount` goes before `pendingEntriesCount` (default 5) and `streamLength` does not count; without one,
//! `streamLength` alone does.

use crate::config::groups::ModeWord;
use crate::config::types::CheckpointStrategy;
use crate::policy::spec::{Measure, Mode};

use super::reader::Reader;

const KEYS: [&str; 3] = ["lagCount", "pendingEntriesCount", "streamLength"];

/// KEDA's threshold for event hubs.
const UNPROCESSED: &str = "unprocessedEventThreshold";

/// KEDA's names for a backlog up to which a target stays inactive, each with the keys it belongs to and the words for their
/// absence.
const ACTIVATIONS: [(&str, &[&str], &str); 2] = [
    (
        "activationLagCount",
        &KEYS,
        "belongs to lagCount, pendingEntriesCount or streamLength: write activationBacklog",
    ),
    (
        "activationUnprocessedEventThreshold",
        &[UNPROCESSED],
        "belongs to unprocessedEventThreshold: write activationBacklog",
    ),
];

/// Messages per replica where KEDA's user named none.
const DEFAULT_PENDING: u64 = 5;

/// The mode that KEDA's keys ask for; `None` if there are none, or with a fault noted.
pub(super) fn read(
    reader: &mut Reader<'_>,
    word: Option<ModeWord>,
    threshold: Option<u64>,
) -> Option<Mode> {
    let all = KEYS.into_iter().chain([UNPROCESSED]);
    let named: Vec<&str> = all.filter(|key| reader.has(key)).collect();
    let first = *named.first()?;
    let [lag, pending, length] = KEYS.map(|key| reader.threshold(key));
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
        return unprocessed.map(|threshold| Mode::Backlog {
            threshold,
            measure: Measure::UnprocessedEvents,
        });
    }
    let (measure, threshold) = if reader.has("consumerGroup") {
        of_group(lag, pending.or(length.map(|_| DEFAULT_PENDING)))?
    } else {
        // A group of the config has its consumer group, yet streamLength asks for the stream's length alone.
        match length {
            Some(length) => (Measure::StreamLength, length),
            None => of_group(lag, pending)?,
        }
    };
    Some(Mode::Backlog { threshold, measure })
}

fn of_group(lag: Option<u64>, pending: Option<u64>) -> Option<(Measure, u64)> {
    let lag = lag.map(|threshold| (Measure::Lag, threshold));
    lag.or_else(|| pending.map(|threshold| (Measure::Pending, threshold)))
}

/// The backlog up to which a target stays inactive, by KEDA's name for it.
pub(super) fn activation(reader: &mut Reader<'_>) -> Option<u64> {
    let mut found = None;
    for (key, belongs_to, alone) in ACTIVATIONS {
        let Some(backlog) = reader.whole(key) else {
            continue;
        };
        if reader.has("activationBacklog") {
            reader.problem(key, "stands beside activationBacklog: keep one of them");
        } else if !belongs_to.iter().any(|key| reader.has(key)) {
            reader.problem(key, alone);
        }
        found = Some(backlog);
    }
    found
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
