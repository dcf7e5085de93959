//! Turns raw replies into numbers. Typed replies of the library lack half of the fields, so the maps are read here.

use redis::Value;

use super::id;
use crate::model::sample::Position;

/// What `XINFO STREAM` told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamInfo {
    /// Entries kept.
    pub length: u64,
    /// The highest id ever given out.
    pub last_generated: Position,
    /// The oldest entry; none in an empty stream.
    pub first: Option<Position>,
    /// The newest entry; none in an empty stream.
    pub last: Option<Position>,
    /// Entries ever added; not told before Redis 7.
    pub entries_added: Option<u64>,
    /// The highest id that was deleted; not told before Redis 7.
    pub max_deleted: Option<Position>,
    /// Bytes of the larger of the first and last entry: what a read of this stream costs per entry.
    pub entry_bytes: usize,
}

/// What `XINFO GROUPS` told of one group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupInfo {
    /// Delivered, not acknowledged.
    pub pending: u64,
    /// The last id handed out.
    pub last_delivered: Position,
    /// Entries read; nil when the server lost count, absent before Redis 7.
    pub entries_read: Option<u64>,
    /// The server's own lag, which is not to be trusted as it is.
    pub native_lag: Option<u64>,
}

/// One line of `XPENDING key group - + n`.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingEntry {
    /// Its id.
    pub id: Position,
    /// Milliseconds since it was last delivered.
    pub idle_millis: u64,
    /// How often it was delivered.
    pub deliveries: u64,
}

/// One consumer of `XINFO CONSUMERS`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerInfo {
    /// Its name; bytes that are no UTF-8 are replaced.
    pub name: String,
    /// Entries it holds.
    pub pending: u64,
    /// Milliseconds since it last asked.
    pub idle_millis: u64,
}

/// Reads the reply of `XINFO STREAM`.
pub fn stream_info(reply: &Value) -> Option<StreamInfo> {
    let first = field(reply, "first-entry")?;
    let last = field(reply, "last-entry")?;
    Some(StreamInfo {
        length: number(field(reply, "length")?)?,
        last_generated: position(field(reply, "last-generated-id")?)?,
        first: entry_id(first),
        last: entry_id(last),
        entries_added: field(reply, "entries-added").and_then(number),
        max_deleted: field(reply, "max-deleted-entry-id").and_then(position),
        entry_bytes: size(first).max(size(last)),
    })
}

/// Finds the group in the reply of `XINFO GROUPS`; the inner `None` means that there is no such group.
pub fn group_info(reply: &Value, group: &str) -> Option<Option<GroupInfo>> {
    for candidate in items(reply)? {
        if bytes(field(candidate, "name")?)? == group.as_bytes() {
            return one_group(candidate).map(Some);
        }
    }
    Some(None)
}

fn one_group(reply: &Value) -> Option<GroupInfo> {
    Some(GroupInfo {
        pending: number(field(reply, "pending")?)?,
        last_delivered: position(field(reply, "last-delivered-id")?)?,
        entries_read: field(reply, "entries-read").and_then(number),
        native_lag: field(reply, "lag").and_then(number),
    })
}

/// Reads the reply of the extended `XPENDING`.
pub fn pending_entries(reply: &Value) -> Option<Vec<PendingEntry>> {
    items(reply)?.iter().map(pending_entry).collect()
}

fn pending_entry(reply: &Value) -> Option<PendingEntry> {
    let [id, _consumer, idle, deliveries] = items(reply)? else {
        return None;
    };
    Some(PendingEntry {
        id: position(id)?,
        idle_millis: number(idle)?,
        deliveries: number(deliveries)?,
    })
}

/// Reads the reply of `XINFO CONSUMERS`.
pub fn consumers(reply: &Value) -> Option<Vec<ConsumerInfo>> {
    items(reply)?
        .iter()
        .map(|reply| {
            Some(ConsumerInfo {
                name: String::from_utf8_lossy(bytes(field(reply, "name")?)?).into_owned(),
                pending: number(field(reply, "pending")?)?,
                idle_millis: number(field(reply, "idle")?)?,
            })
        })
        .collect()
}

/// Reads a page of `XRANGE`: the ids, and the bytes that the page holds.
pub fn range_page(reply: &Value) -> Option<(Vec<Position>, usize)> {
    let ids = items(reply)?.iter().map(entry_id).collect::<Option<_>>()?;
    Some((ids, size(reply)))
}

/// Reads the reply of `TIME`, in milliseconds.
pub fn time_millis(reply: &Value) -> Option<u64> {
    let [seconds, micros] = items(reply)? else {
        return None;
    };
    number(seconds)?
        .checked_mul(1000)?
        .checked_add(number(micros)? / 1000)
}

/// Reads the reply of `SCAN`: the next cursor and the keys; a key that is no UTF-8 is an `Err` of its lossy text.
pub fn scan_page(reply: &Value) -> Option<(u64, Vec<Result<String, String>>)> {
    let [cursor, keys] = items(reply)? else {
        return None;
    };
    let keys = items(keys)?
        .iter()
        .map(|key| {
            let key = bytes(key)?;
            Some(match std::str::from_utf8(key) {
                Ok(key) => Ok(key.to_owned()),
                Err(_) => Err(String::from_utf8_lossy(key).into_owned()),
            })
        })
        .collect::<Option<_>>()?;
    Some((number(cursor)?, keys))
}

/// The elements of an array.
pub fn items(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) | Value::Set(items) => Some(items),
        _ => None,
    }
}

/// The value of a key, in a map or in a flat list of pairs.
pub fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let named = |key: &Value| bytes(key) == Some(name.as_bytes());
    match value {
        Value::Map(pairs) => pairs.iter().find(|(key, _)| named(key)).map(|(_, v)| v),
        Value::Array(flat) => flat
            .chunks_exact(2)
            .find(|pair| named(&pair[0]))
            .map(|pair| &pair[1]),
        _ => None,
    }
}

/// The bytes of a text.
pub fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(n) => u64::try_from(*n).ok(),
        other => std::str::from_utf8(bytes(other)?).ok()?.parse().ok(),
    }
}

fn position(value: &Value) -> Option<Position> {
    id::parse(bytes(value)?)
}

fn entry_id(entry: &Value) -> Option<Position> {
    position(items(entry)?.first()?)
}

fn size(value: &Value) -> usize {
    match value {
        Value::BulkString(bytes) => bytes.len() + 16,
        Value::Array(items) => 16 + items.iter().map(size).sum::<usize>(),
        _ => 16,
    }
}
