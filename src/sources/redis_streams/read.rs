//! One atomic reading per partition, all partitions pipelined.

use redis::{Pipeline, ServerError, Value};
use tokio::time::Instant;

use super::failure::{self, Subject};
use super::id;
use super::key;
use super::lean;
use super::poll::PollConnection;
use super::reply::{self, GroupInfo, PendingEntry, StreamInfo};
use super::turns::{self, Turns};
use crate::model::sample::{Failure, FailureKind, Position};

/// Commands per partition: MULTI, two or three questions, EXEC.
const FRAME: usize = 2;

/// A key to read.
#[derive(Clone, Copy, Debug)]
pub struct KeyWanted<'k> {
    /// The key.
    pub key: &'k str,
    /// What an entry takes, as far as seen.
    pub entry_bytes: usize,
    /// A page of entries in the same reading.
    pub page: Option<PageWanted>,
}

/// A page of entry ids wanted in the same atomic reading: those after an id.
#[derive(Clone, Copy, Debug)]
pub struct PageWanted {
    /// The id before the first wanted one.
    pub after: Position,
    /// At most so many.
    pub limit: usize,
}

/// What one partition answered.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyAnswer {
    /// Stream and group at one moment.
    Present(Snapshot),
    /// The stream exists, the group does not.
    GroupMissing(StreamInfo),
    /// There is no such key.
    StreamMissing,
    /// This partition could not be read.
    Failed(Failure),
    /// It is on another node of the cluster, or on its way there.
    Elsewhere(Failure),
    /// It was not read at this poll, while others were; with what kept the poll from it.
    LeftOut(Failure),
}

impl KeyAnswer {
    /// As what it counts where it is not asked for again: a key on its way to another node was left out.
    pub fn settled(self) -> Self {
        match self {
            Self::Elsewhere(failure) => Self::LeftOut(failure),
            settled => settled,
        }
    }
}

/// Stream and group at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The stream.
    pub stream: StreamInfo,
    /// The group on it.
    pub group: GroupInfo,
    /// The pending entry with the lowest id.
    pub oldest_pending: Option<PendingEntry>,
    /// The server's clock just before, in milliseconds.
    pub now_millis: Option<u64>,
}

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
        let entry_bytes = match reading {
            KeyAnswer::Present(now) => now.stream.entry_bytes,
            KeyAnswer::GroupMissing(stream) => stream.entry_bytes,
            KeyAnswer::StreamMissing
            | KeyAnswer::Failed(_)
            | KeyAnswer::Elsewhere(_)
            | KeyAnswer::LeftOut(_) => 0,
        };
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

/// Reads some keys in one request, each atomically, with a page of its entries where one is wanted.
///
/// # Errors
/// If the connection failed or the reply makes no sense.
pub async fn read_frames(
    line: &PollConnection<'_>,
    group: &str,
    wanted: &[KeyWanted<'_>],
) -> Result<(Option<u64>, Vec<(KeyAnswer, EntriesPage)>), Failure> {
    let mut commands = redis::pipe();
    commands.cmd("TIME");
    let scripting = line.scripting(usize::MAX);
    let way = |wanted: &KeyWanted<'_>| scripting.filter(|_| lean::is_large(wanted.entry_bytes));
    for wanted in wanted {
        match way(wanted) {
            Some(way) => way.frame(&mut commands, wanted.key, group, wanted.page),
            None => ask(&mut commands, wanted.key, group, wanted.page),
        }
    }
    let replies = line.request(commands).await?;
    let garbled = |what: &str| {
        line.distrust();
        failure::garbled(line.address(), what)
    };
    let (time, mut rest) = replies.split_first().ok_or_else(|| garbled("no reply"))?;
    if let Value::ServerError(error) = time {
        return Err(failure::of_reply(&line.subject(), error));
    }
    let now_millis = reply::time_millis(time);
    let mut frames = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let length = match way(wanted) {
            Some(_) => 1,
            None => FRAME + questions(group) + usize::from(wanted.page.is_some()),
        };
        let (frame, others) = rest
            .split_at_checked(length)
            .ok_or_else(|| garbled("too few replies"))?;
        rest = others;
        let subject = line.subject().key(wanted.key);
        frames.push(understood(frame, group, now_millis, &subject));
    }
    Ok((now_millis, frames))
}

/// The ids of a page and the bytes it took; none where none was wanted or could be read.
pub type EntriesPage = Option<(Vec<Position>, usize)>;

const fn questions(group: &str) -> usize {
    if group.is_empty() { 1 } else { 3 }
}

fn ask(commands: &mut Pipeline, key: &str, group: &str, page: Option<PageWanted>) {
    let key = key::sent(key);
    commands.cmd("MULTI");
    commands.cmd("XINFO").arg("STREAM").arg(&key);
    if !group.is_empty() {
        commands.cmd("XINFO").arg("GROUPS").arg(&key);
        commands
            .cmd("XPENDING")
            .arg(&key)
            .arg(group)
            .arg("-")
            .arg("+")
            .arg(1);
    }
    if let Some(page) = page {
        commands
            .cmd("XRANGE")
            .arg(&key)
            .arg(format!("({}", id::text(page.after)))
            .arg("+");
        commands.arg("COUNT").arg(page.limit);
    }
    commands.cmd("EXEC");
}

/// Reads the replies to one key's frame. Where they make no sense the others still count: whether the replies are in step was proven
/// by the PING behind them.
pub fn understood(
    frame: &[Value],
    group: &str,
    now_millis: Option<u64>,
    subject: &Subject,
) -> (KeyAnswer, EntriesPage) {
    understand(frame, group, now_millis, subject).unwrap_or_else(|| {
        let failure = failure::garbled_frame(subject);
        (KeyAnswer::Failed(failure), None)
    })
}

/// Reads the replies to one key's frame; `None` if they make no sense.
fn understand(
    frame: &[Value],
    group: &str,
    now_millis: Option<u64>,
    subject: &Subject,
) -> Option<(KeyAnswer, EntriesPage)> {
    let moved = frame.iter().find_map(server_error);
    if let Some(error) = moved.filter(|error| subject.follows(error)) {
        let failure = failure::of_reply(subject, error);
        return Some((KeyAnswer::Elsewhere(failure), None));
    }
    // A command that is refused while it is queued names the reason; EXEC then only says that it was aborted.
    let is_script = frame.len() == 1;
    if let Some(error) = frame.first().and_then(server_error).filter(|_| !is_script) {
        return Some((
            KeyAnswer::Failed(failure::of_transaction(subject, error)),
            None,
        ));
    }
    if let Some(error) = frame.iter().find_map(server_error) {
        return Some((KeyAnswer::Failed(failure::of_reply(subject, error)), None));
    }
    let answers = reply::items(frame.last()?)?;
    if !is_script && answers.len() + FRAME != frame.len() {
        return None;
    }
    let (asked, page) = answers.split_at_checked(questions(group))?;
    if let Some(error) = server_error(&asked[0]) {
        return Some((of_stream_error(subject, error), None));
    }
    let stream = reply::stream_info(&asked[0])?;
    if group.is_empty() {
        return Some((KeyAnswer::GroupMissing(stream), None));
    }
    if let Some(error) = server_error(&asked[1]) {
        return Some((KeyAnswer::Failed(failure::of_reply(subject, error)), None));
    }
    let Some(info) = reply::group_info(&asked[1], group)? else {
        return Some((KeyAnswer::GroupMissing(stream), None));
    };
    if let Some(error) = asked[2..].iter().chain(page).find_map(server_error) {
        return Some((KeyAnswer::Failed(failure::of_reply(subject, error)), None));
    }
    let snapshot = Snapshot {
        stream,
        group: info,
        oldest_pending: reply::pending_entries(&asked[2])
            .and_then(|found| found.into_iter().next()),
        now_millis,
    };
    let page = match page.first() {
        Some(page) => reply::range_page(page),
        None => None,
    };
    Some((KeyAnswer::Present(snapshot), page))
}

fn of_stream_error(subject: &Subject, error: &ServerError) -> KeyAnswer {
    if is_no_such_key(error) {
        KeyAnswer::StreamMissing
    } else {
        KeyAnswer::Failed(failure::of_reply(subject, error))
    }
}

/// Whether the server says that there is no such stream.
pub fn is_no_such_key(error: &ServerError) -> bool {
    let detail = error.details().unwrap_or_default();
    error.code() == "ERR" && detail.contains("no such key")
}

fn server_error(value: &Value) -> Option<&ServerError> {
    match value {
        Value::ServerError(error) => Some(error),
        _ => None,
    }
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
