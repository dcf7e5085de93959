//! KEDA's own redis-streams keys. The choice among them is KEDA's: with a consumer group, `lagCount` goes before
//! `pendingEntriesCount` (default 5) and `streamLength` does not count; without one, `streamLength` alone does.

use crate::config::groups::ModeWord;
use crate::policy::spec::{Measure, Mode};

use super::reader::Reader;

const KEYS: [&str; 3] = ["lagCount", "pendingEntriesCount", "streamLength"];

/// Messages per replica where KEDA's user named none.
const DEFAULT_PENDING: u64 = 5;

/// The mode that KEDA's keys ask for; `None` if there are none, or with a fault noted.
pub(super) fn read(
    reader: &mut Reader<'_>,
    word: Option<ModeWord>,
    threshold: Option<u64>,
) -> Option<Mode> {
    let first = KEYS.into_iter().find(|key| reader.has(key))?;
    let [lag, pending, length] = KEYS.map(|key| reader.threshold(key));
    if word == Some(ModeWord::Replicas) {
        reader.problem(
            first,
            "has no meaning in mode replicas: remove it, or set mode to backlog",
        );
    }
    if threshold.is_some() {
        reader.problem(first, "stands beside backlogThreshold: keep one of them");
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

/// KEDA's name for the backlog up to which a target stays inactive.
pub(super) fn activation(reader: &mut Reader<'_>) -> Option<u64> {
    const KEY: &str = "activationLagCount";
    let found = reader.whole(KEY)?;
    if reader.has("activationBacklog") {
        reader.problem(KEY, "stands beside activationBacklog: keep one of them");
    } else if !KEYS.iter().any(|key| reader.has(key)) {
        reader.problem(
            KEY,
            "belongs to lagCount, pendingEntriesCount or streamLength: write activationBacklog",
        );
    }
    Some(found)
}
