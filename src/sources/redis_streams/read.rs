//! One atomic reading per partition, all partitions pipelined.

use redis::{Pipeline, ServerError, Value};
use tokio::time::{Instant, timeout_at};

use super::answer::{KeyAnswer, PageWanted, Snapshot};
use super::failure::{self, Subject};
use super::id;
use super::key;
use super::lean;
use super::places::Weight;
use super::poll::PollConnection;
use super::reply::{self, PendingEntry};
use crate::model::sample::{Failure, Position};

/// Entries whose bodies come with each: the first and the last.
const BODIES: usize = 2;

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
    let asked_at = Instant::now();
    let bytes = |wanted: &KeyWanted<'_>| match way(wanted) {
        Some(_) => 0,
        None => wanted.entry_bytes * (BODIES + wanted.page.map_or(0, |page| page.limit)),
    };
    let pages = wanted.iter().filter_map(|wanted| wanted.page);
    let entries: usize = pages.map(|page| page.limit).sum();
    let weight = Weight::new(
        commands.len() + entries,
        wanted.iter().map(bytes).sum::<usize>(),
    );
    let replies = line.request_of(weight, commands).await?;
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
        let understood = understood(frame, group, now_millis, &subject);
        if let (Some(stream), Some(groups)) = (understood.0.stream(), groups_of(frame, group)) {
            let shared = line.shared();
            shared.keep(wanted.key, asked_at, (stream, groups), now_millis);
        }
        frames.push(understood);
    }
    Ok((now_millis, frames))
}

/// Readings of keys that are shared, none of them from before `since`; `None` if that takes too long.
pub async fn read_since(
    line: &PollConnection<'_>,
    group: &str,
    keys: &[String],
    since: Instant,
) -> Option<Vec<(String, KeyAnswer)>> {
    let shared = line.shared();
    let found = shared.find(keys, group, since);
    if found.unread.is_empty() {
        return Some(found.fresh);
    }
    let _turn = timeout_at(line.until(), shared.take_turn()).await.ok()?;
    let mut found = shared.find(keys, group, since);
    if !found.unread.is_empty() {
        let wanted = found.unread.iter().map(|key| KeyWanted {
            key,
            entry_bytes: 0,
            page: None,
        });
        let wanted: Vec<_> = wanted.collect();
        let (_, frames) = read_frames(line, group, &wanted).await.ok()?;
        let read = found.unread.iter().cloned().zip(frames);
        found
            .fresh
            .extend(read.map(|(key, (reading, _))| (key, reading)));
    }
    Some(found.fresh)
}

/// Keys per request for their oldest pending entries.
const PENDING_PER_REQUEST: usize = 1_000;

/// Adds the oldest pending entry of each key whose group has some. A key of which that is not told was left out.
pub async fn add_pending(
    line: &PollConnection<'_>,
    group: &str,
    readings: &mut [(String, KeyAnswer)],
) {
    let has_pending = |(_, reading): &&mut (String, KeyAnswer)| matches!(reading, KeyAnswer::Present(now) if now.group.pending != Some(0));
    let mut asked: Vec<_> = readings.iter_mut().filter(has_pending).collect();
    for chunk in asked.chunks_mut(PENDING_PER_REQUEST) {
        let mut commands = redis::pipe();
        for (key, _) in chunk.iter() {
            ask_pending(&mut commands, key, group);
        }
        let replies = line.request(commands).await;
        for (n, (key, reading)) in chunk.iter_mut().enumerate() {
            let reply = replies.as_ref().map(|replies| replies.get(n));
            match (reply, &mut *reading) {
                (Ok(Some(Value::ServerError(error))), _) => {
                    *reading =
                        KeyAnswer::Failed(failure::of_reply(&line.subject().key(key), error));
                }
                (Ok(Some(reply)), KeyAnswer::Present(now)) => {
                    now.oldest_pending = first_pending(reply);
                }
                (Err(failure), _) => *reading = KeyAnswer::LeftOut(failure.clone()),
                _ => {}
            }
        }
    }
}

fn ask_pending(commands: &mut Pipeline, key: &str, group: &str) {
    let command = commands.cmd("XPENDING").arg(key::sent(key)).arg(group);
    command.arg("-").arg("+").arg(1);
}

fn first_pending(reply: &Value) -> Option<PendingEntry> {
    reply::pending_entries(reply)?.into_iter().next()
}

/// What a frame tells of the groups, if it was asked for them.
fn groups_of<'f>(frame: &'f [Value], group: &str) -> Option<&'f Value> {
    let answers = frame.last().filter(|_| !group.is_empty());
    reply::items(answers?)?.get(1)
}

/// The ids of a page and the bytes it took; none where none was wanted or could be read.
pub type EntriesPage = Option<(Vec<Position>, usize)>;

const fn questions(group: &str) -> usize {
    if group.is_empty() { 1 } else { 3 }
}

fn ask(commands: &mut Pipeline, name: &str, group: &str, page: Option<PageWanted>) {
    let key = key::sent(name);
    commands.cmd("MULTI");
    commands.cmd("XINFO").arg("STREAM").arg(&key);
    if !group.is_empty() {
        commands.cmd("XINFO").arg("GROUPS").arg(&key);
        ask_pending(commands, name, group);
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
        oldest_pending: first_pending(&asked[2]),
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
