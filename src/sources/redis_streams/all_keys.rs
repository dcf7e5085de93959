//! Reads all keys of a group on one server, request by request.

use tokio::time::Instant;

use super::answer::KeyAnswer;
use super::failure;
use super::poll::PollConnection;
use super::read::{KeyWanted, read_frames};
use super::turns::{self, Turns};
use crate::model::sample::{Failure, FailureKind};

/// The readings of all keys, and the server's clock at the first.
pub struct KeyAnswers {
    /// Milliseconds since the epoch by the server's clock.
    pub now_millis: Option<u64>,
    /// One per key.
    pub readings: Vec<(String, KeyAnswer)>,
}

/// Requests in a row that may stay unanswered before the rest waits for the next poll: the last of them goes over a new connection.
const SILENT_REQUESTS: u32 = 3;

/// Reads every key, those first whose turn it is. An empty group asks for the streams only. What does not answer before
/// `until` is left out, as long as anything answers at all.
///
/// # Errors
/// If nothing could be read, or the server answers every key with the same trouble of its own.
pub async fn read_all(
    line: &PollConnection<'_>,
    keys: &[String],
    group: &str,
    turns: &mut Turns,
    until: Instant,
) -> Result<KeyAnswers, Failure> {
    if turns.any_large(keys) {
        line.look_for_scripting().await;
    }
    let mut requests = turns.requests(keys, line.scripting(usize::MAX).is_some());
    if requests.is_empty() {
        // With no keys at all the server's clock is still asked for: it tells whether the server is there.
        requests.push(Vec::new());
    }
    let mut all = KeyAnswers {
        now_millis: None,
        readings: Vec::with_capacity(keys.len()),
    };
    let (mut left_out, mut why, mut silent) = (Vec::new(), None, 0);
    for (n, keys) in requests.iter().enumerate() {
        let started = Instant::now();
        if silent == SILENT_REQUESTS || (!all.readings.is_empty() && started >= until) {
            why.get_or_insert_with(|| failure::late(line.address()));
            turns.not_reached(keys);
            left_out.extend_from_slice(keys);
            continue;
        }
        // A poll that has read nothing yet has nothing to lose.
        let last = if all.readings.is_empty() {
            line.until()
        } else {
            until
        };
        let until = turns::share(started, last, requests.len() - n - 1);
        match read_request(&line.at_most(until), keys, group, turns).await {
            Ok((now_millis, readings)) => {
                silent = 0;
                all.now_millis = all.now_millis.or(now_millis);
                let took = part(started, until);
                note(turns, keys, &readings, took);
                all.readings.extend(keys.iter().cloned().zip(readings));
            }
            Err(failure) => {
                silent += 1;
                why.get_or_insert(failure);
                turns.in_vain(keys);
                left_out.extend_from_slice(keys);
            }
        }
    }
    common_outage(&all.readings)?;
    if let Some(why) = why {
        if all.readings.is_empty() {
            return Err(why);
        }
        let text = &why.text;
        let text =
            format!("{text}: other partitions were read; this one is read first at the next poll");
        let why = Failure::new(why.kind, text);
        let left_out = left_out.into_iter();
        let unread = left_out.map(|key| (key, KeyAnswer::LeftOut(why.clone())));
        all.readings.extend(unread);
    }
    Ok(all)
}

/// The part of its time that a request took.
fn part(started: Instant, until: Instant) -> f64 {
    let had = until.saturating_duration_since(started).as_secs_f64();
    started.elapsed().as_secs_f64() / had.max(f64::MIN_POSITIVE)
}

fn note(turns: &mut Turns, keys: &[String], readings: &[KeyAnswer], took: f64) {
    let at = Instant::now();
    for (key, reading) in keys.iter().zip(readings) {
        let entry_bytes = reading.stream().map_or(0, |stream| stream.entry_bytes);
        turns.read(key, at, entry_bytes, took);
    }
}

async fn read_request(
    line: &PollConnection<'_>,
    keys: &[String],
    group: &str,
    turns: &Turns,
) -> Result<(Option<u64>, Vec<KeyAnswer>), Failure> {
    let wanted: Vec<_> = keys
        .iter()
        .map(|key| KeyWanted {
            key,
            entry_bytes: turns.entry_bytes(key),
            page: None,
        })
        .collect();
    let (now_millis, frames) = read_frames(line, group, &wanted).await?;
    let readings = frames.into_iter().map(|(reading, _)| reading).collect();
    Ok((now_millis, readings))
}

/// If every partition fails with the same trouble of the server, the poll fails, not its partitions.
fn common_outage(readings: &[(String, KeyAnswer)]) -> Result<(), Failure> {
    let kind_of = |reading: &KeyAnswer| match reading {
        KeyAnswer::Failed(failure) => Some(failure.kind),
        _ => None,
    };
    let Some((_, KeyAnswer::Failed(first))) = readings.first() else {
        return Ok(());
    };
    // A refusal for want of a permission or for the wrong kind of server concerns the source, too, if it meets all keys.
    let concerns_source = first.kind.is_outage()
        || matches!(first.kind, FailureKind::Auth | FailureKind::Misconfigured);
    if concerns_source
        && readings
            .iter()
            .all(|(_, reading)| kind_of(reading) == Some(first.kind))
    {
        return Err(first.clone());
    }
    Ok(())
}
