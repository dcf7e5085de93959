//! One atomic reading per partition, all partitions pipelined.

use redis::{Pipeline, ServerError, Value};

use super::connection::Connection;
use super::failure;
use super::id;
use super::reply::{self, GroupInfo, PendingEntry, StreamInfo};
use crate::model::sample::{Failure, FailureKind, Position};

/// Partitions per pipeline: bounds the memory that the replies take, which hold two message bodies each.
const PARTITIONS_PER_REQUEST: usize = 500;

/// Commands per partition: MULTI, two or three questions, EXEC.
const FRAME: usize = 2;

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
pub enum Reading {
    /// Stream and group at one moment.
    Present(Snapshot),
    /// The stream exists, the group does not.
    GroupMissing(StreamInfo),
    /// There is no such key.
    StreamMissing,
    /// This partition could not be read.
    Failed(Failure),
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

/// The readings of all keys, in their order, and the server's clock at the first.
pub struct Readings {
    /// Milliseconds since the epoch by the server's clock.
    pub now_millis: Option<u64>,
    /// One per key.
    pub readings: Vec<Reading>,
}

/// Reads every key. An empty group asks for the streams only.
///
/// # Errors
/// If the connection failed, or the server answers every key with the same trouble of its own.
pub async fn read_all(
    connection: &Connection,
    keys: &[String],
    group: &str,
) -> Result<Readings, Failure> {
    let mut readings = Vec::with_capacity(keys.len());
    let mut started = None;
    let mut chunks = keys.chunks(PARTITIONS_PER_REQUEST);
    // With no keys at all the server's clock is still asked for: it tells whether the server is there.
    let mut chunk = chunks.next().unwrap_or_default();
    loop {
        let now_millis = read_chunk(connection, chunk, group, &mut readings).await?;
        started.get_or_insert(now_millis);
        match chunks.next() {
            Some(next) => chunk = next,
            None => break,
        }
    }
    common_outage(&readings)?;
    Ok(Readings {
        now_millis: started.flatten(),
        readings,
    })
}

async fn read_chunk(
    connection: &Connection,
    keys: &[String],
    group: &str,
    readings: &mut Vec<Reading>,
) -> Result<Option<u64>, Failure> {
    let wanted: Vec<_> = keys.iter().map(|key| (key.as_str(), None)).collect();
    let (now_millis, frames) = read_frames(connection, group, &wanted).await?;
    readings.extend(frames.into_iter().map(|(reading, _)| reading));
    Ok(now_millis)
}

/// Reads some keys in one request, each atomically, with a page of its entries where one is wanted.
///
/// # Errors
/// If the connection failed or the reply makes no sense.
pub async fn read_frames(
    connection: &Connection,
    group: &str,
    wanted: &[(&str, Option<PageWanted>)],
) -> Result<(Option<u64>, Vec<(Reading, Page)>), Failure> {
    let mut commands = redis::pipe();
    commands.cmd("TIME");
    for (key, page) in wanted {
        ask(&mut commands, key, group, *page);
    }
    let replies = connection.request(commands).await?;
    let garbled = |what: &str| {
        connection.distrust();
        failure::garbled(connection.address(), what)
    };
    let (time, mut rest) = replies.split_first().ok_or_else(|| garbled("no reply"))?;
    if let Value::ServerError(error) = time {
        return Err(failure::of_reply(connection.address(), error));
    }
    let now_millis = reply::time_millis(time);
    let mut frames = Vec::with_capacity(wanted.len());
    for (key, page) in wanted {
        let length = FRAME + questions(group) + usize::from(page.is_some());
        let (frame, others) = rest
            .split_at_checked(length)
            .ok_or_else(|| garbled("too few replies"))?;
        rest = others;
        let subject = format!("{}, key {key:?}", connection.address());
        frames.push(understood(frame, group, now_millis, &subject, key));
    }
    Ok((now_millis, frames))
}

/// The ids of a page and the bytes it took; none where none was wanted or could be read.
pub type Page = Option<(Vec<Position>, usize)>;

const fn questions(group: &str) -> usize {
    if group.is_empty() { 1 } else { 3 }
}

fn ask(commands: &mut Pipeline, key: &str, group: &str, page: Option<PageWanted>) {
    commands.cmd("MULTI");
    commands.cmd("XINFO").arg("STREAM").arg(key);
    if !group.is_empty() {
        commands.cmd("XINFO").arg("GROUPS").arg(key);
        commands
            .cmd("XPENDING")
            .arg(key)
            .arg(group)
            .arg("-")
            .arg("+")
            .arg(1);
    }
    if let Some(page) = page {
        commands
            .cmd("XRANGE")
            .arg(key)
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
    subject: &str,
    key: &str,
) -> (Reading, Page) {
    understand(frame, group, now_millis, subject).unwrap_or_else(|| {
        let failure = failure::garbled(subject, &format!("XINFO of key {key:?}"));
        (Reading::Failed(failure), None)
    })
}

/// Reads the replies to one key's frame; `None` if they make no sense.
fn understand(
    frame: &[Value],
    group: &str,
    now_millis: Option<u64>,
    subject: &str,
) -> Option<(Reading, Page)> {
    // A command that is refused while it is queued names the reason; EXEC then only says that it was aborted.
    if let Some(error) = frame.first().and_then(server_error) {
        return Some((
            Reading::Failed(failure::of_transaction(subject, error)),
            None,
        ));
    }
    if let Some(error) = frame.iter().find_map(server_error) {
        return Some((Reading::Failed(failure::of_reply(subject, error)), None));
    }
    let answers = reply::items(frame.last()?)?;
    if answers.len() + FRAME != frame.len() {
        return None;
    }
    let (asked, page) = answers.split_at_checked(questions(group))?;
    if let Some(error) = server_error(&asked[0]) {
        return Some((of_stream_error(subject, error), None));
    }
    let stream = reply::stream_info(&asked[0])?;
    if group.is_empty() {
        return Some((Reading::GroupMissing(stream), None));
    }
    if let Some(error) = server_error(&asked[1]) {
        return Some((Reading::Failed(failure::of_reply(subject, error)), None));
    }
    let Some(info) = reply::group_info(&asked[1], group)? else {
        return Some((Reading::GroupMissing(stream), None));
    };
    if let Some(error) = asked[2..].iter().chain(page).find_map(server_error) {
        return Some((Reading::Failed(failure::of_reply(subject, error)), None));
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
    Some((Reading::Present(snapshot), page))
}

fn of_stream_error(subject: &str, error: &ServerError) -> Reading {
    if is_no_such_key(error) {
        Reading::StreamMissing
    } else {
        Reading::Failed(failure::of_reply(subject, error))
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
fn common_outage(readings: &[Reading]) -> Result<(), Failure> {
    let kind_of = |reading: &Reading| match reading {
        Reading::Failed(failure) => Some(failure.kind),
        _ => None,
    };
    let Some(Reading::Failed(first)) = readings.first() else {
        return Ok(());
    };
    // A refusal for want of a permission or for the wrong kind of server concerns the source, too, if it meets all keys.
    let concerns_source = first.kind.is_outage()
        || matches!(first.kind, FailureKind::Auth | FailureKind::Misconfigured);
    if concerns_source
        && readings
            .iter()
            .all(|reading| kind_of(reading) == Some(first.kind))
    {
        return Err(first.clone());
    }
    Ok(())
}
