//! Turns raw replies into numbers. Typed replies of the library lack half of the fields, so the maps are read here. A field that
//! cannot be read is unknown; the others of the same reply still count.

use std::collections::{BTreeMap, HashMap};

use redis::Value;

use super::{id, key};
use crate::model::sample::Position;

/// No count of messages, deliveries or milliseconds is larger: sums of counts from all partitions cannot overflow.
const LARGEST: u64 = 1 << 48;

/// What `XINFO STREAM` told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamInfo {
    /// Entries kept.
    pub length: Option<u64>,
    /// The highest id ever given out.
    pub last_generated: Option<Position>,
    /// The oldest entry; none in an empty stream.
    pub first: Option<Position>,
    /// The newest entry; none in an empty stream.
    pub last: Option<Position>,
    /// Whether the server counts the entries ever added: since Redis 7.
    pub counts_added: bool,
    /// Entries ever added.
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
    pub pending: Option<u64>,
    /// The last id handed out.
    pub last_delivered: Option<Position>,
    /// Entries read; nil when the server lost count, absent before Redis 7.
    pub entries_read: Option<u64>,
    /// Whether that count stands there and cannot be read.
    pub is_read_count_garbled: bool,
    /// The server's own lag, which is not to be trusted as it is.
    pub native_lag: Option<u64>,
}

/// One line of `XPENDING key group - + n`.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingEntry {
    /// Its id.
    pub id: Option<Position>,
    /// Who holds it; nobody where it was given back.
    pub consumer: String,
    /// Milliseconds since it was last delivered; `None` where it was given back.
    pub idle_millis: Option<u64>,
    /// How often it was delivered.
    pub deliveries: Option<u64>,
}

/// More deliveries of one message are a mark that somebody set, no count.
const MOST_DELIVERIES: u64 = 1_000_000;

/// One consumer of `XINFO CONSUMERS`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerInfo {
    /// Its name; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// Entries it holds.
    pub pending: u64,
    /// Milliseconds since it last asked.
    pub idle_millis: u64,
}

/// A range of a cluster's slots, and the address of the primary that has them; no host where it is the one that was asked.
pub type SlotRange = (u16, u16, Option<String>, u16);

/// Reads the reply of `CLUSTER SLOTS`. Ranges whose primary is not known are left out.
pub fn slot_ranges(reply: &Value) -> Option<Vec<SlotRange>> {
    let ranges = items(reply)?.iter().map(|range| {
        let range = items(range)?;
        let slot = |n: usize| u16::try_from(number(range.get(n)?)?).ok();
        let (first, last) = (slot(0)?, slot(1)?);
        let primary = items(range.get(2)?)?;
        let port = u16::try_from(number(primary.get(1)?)?).ok()?;
        let host = match primary.first()? {
            Value::Nil => None,
            host => Some(std::str::from_utf8(bytes(host)?).ok()?).filter(|host| !host.is_empty()),
        };
        Some((first, last, host.map(str::to_owned), port))
    });
    let ranges: Option<Vec<SlotRange>> = ranges.collect();
    let is_known = |(_, _, host, port): &SlotRange| *port != 0 && host.as_deref() != Some("?");
    Some(ranges?.into_iter().filter(is_known).collect())
}

/// Reads a host and a port.
pub fn address(reply: &Value) -> Option<(String, u16)> {
    let [host, port] = items(reply)? else {
        return None;
    };
    let text = |value| std::str::from_utf8(bytes(value)?).ok();
    Some((text(host)?.to_owned(), text(port)?.parse().ok()?))
}

/// Whether the reply of `ROLE` says that it is a replica.
pub fn is_replica(reply: &Value) -> bool {
    let role = items(reply).and_then(|items| bytes(items.first()?));
    matches!(role, Some(b"slave" | b"replica"))
}

/// Reads the reply of `XINFO STREAM`.
pub fn stream_info(reply: &Value) -> Option<StreamInfo> {
    field(reply, "length")?;
    let first = field(reply, "first-entry");
    let last = field(reply, "last-entry");
    let (first_id, last_id) = (first.and_then(entry_id), last.and_then(entry_id));
    let length = field(reply, "length").and_then(number);
    Some(StreamInfo {
        // What contradicts itself is not known.
        length: length.filter(|n| *n > 0 || first_id.or(last_id).is_none()),
        last_generated: field(reply, "last-generated-id").and_then(position),
        first: first_id,
        last: last_id,
        counts_added: field(reply, "entries-added").is_some(),
        entries_added: field(reply, "entries-added").and_then(number),
        max_deleted: field(reply, "max-deleted-entry-id").and_then(position),
        entry_bytes: first.map_or(0, entry_size).max(last.map_or(0, entry_size)),
    })
}

impl StreamInfo {
    /// Whether it certainly holds no entry.
    pub fn is_empty(&self) -> bool {
        self.length == Some(0)
    }
}

/// Finds the group in the reply of `XINFO GROUPS`; the inner `None` means that there is no such group.
pub fn group_info(reply: &Value, group: &str) -> Option<Option<GroupInfo>> {
    let mut is_garbled = false;
    for candidate in items(reply)? {
        match field(candidate, "name").and_then(bytes) {
            Some(name) if name == group.as_bytes() => return Some(Some(one_group(candidate))),
            Some(_) => {}
            // It may be this one that cannot be read.
            None => is_garbled = true,
        }
    }
    (!is_garbled).then_some(None)
}

/// All groups in the reply of `XINFO GROUPS`, by name; `None` if one of them has none.
pub fn all_groups(reply: &Value) -> Option<HashMap<String, GroupInfo>> {
    let mut all = HashMap::new();
    for group in items(reply)? {
        let name = field(group, "name").and_then(bytes)?;
        if let Ok(name) = std::str::from_utf8(name) {
            all.insert(name.to_owned(), one_group(group));
        }
    }
    Some(all)
}

fn one_group(reply: &Value) -> GroupInfo {
    let read = field(reply, "entries-read");
    let entries_read = read.and_then(number);
    GroupInfo {
        pending: field(reply, "pending").and_then(number),
        last_delivered: field(reply, "last-delivered-id").and_then(position),
        entries_read,
        is_read_count_garbled: entries_read.is_none()
            && read.is_some_and(|value| *value != Value::Nil),
        native_lag: field(reply, "lag").and_then(number),
    }
}

/// Reads the reply of the extended `XPENDING`.
pub fn pending_entries(reply: &Value) -> Option<Vec<PendingEntry>> {
    Some(items(reply)?.iter().map(pending_entry).collect())
}

fn pending_entry(reply: &Value) -> PendingEntry {
    let parts = items(reply).unwrap_or_default();
    let name = parts.get(1).and_then(bytes).unwrap_or_default();
    let deliveries = parts.get(3).and_then(number);
    PendingEntry {
        id: parts.first().and_then(position),
        consumer: String::from_utf8_lossy(name).into_owned(),
        idle_millis: parts.get(2).and_then(number),
        deliveries: deliveries.filter(|n| *n <= MOST_DELIVERIES),
    }
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
    let entries = items(reply)?;
    let ids = entries.iter().map(entry_id).collect::<Option<_>>()?;
    Some((ids, entries.iter().map(entry_size).sum()))
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

/// Reads the reply of `SCAN`: the next cursor and the keys; a key that is not UTF-8 is an `Err` of its lossy text.
pub fn scan_page(reply: &Value) -> Option<(u64, Vec<String>)> {
    let [cursor, keys] = items(reply)? else {
        return None;
    };
    let keys = items(keys)?
        .iter()
        .map(|key| bytes(key).map(key::held))
        .collect::<Option<_>>()?;
    let cursor = std::str::from_utf8(bytes(cursor)?).ok()?.parse().ok()?;
    Some((cursor, keys))
}

/// Reads the reply of `XREAD`: the first entry of each stream that has any. One that was removed at once leaves none.
pub fn added(reply: &Value) -> Option<BTreeMap<String, Position>> {
    let of_stream = |stream: &Value| {
        let [key, entries] = items(stream)? else {
            return None;
        };
        let key = key::held(bytes(key)?);
        Some(match items(entries)?.first() {
            Some(first) => Some((key, entry_id(first)?)),
            None => None,
        })
    };
    let read: Option<Vec<_>> = items(reply)?.iter().map(of_stream).collect();
    Some(read?.into_iter().flatten().collect())
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
    let number = match value {
        Value::Int(n) => u64::try_from(*n).ok(),
        other => std::str::from_utf8(bytes(other)?).ok()?.parse().ok(),
    };
    number.filter(|n| *n <= LARGEST)
}

fn position(value: &Value) -> Option<Position> {
    id::parse(bytes(value)?)
}

fn entry_id(entry: &Value) -> Option<Position> {
    position(items(entry)?.first()?)
}

/// Bytes of an entry, or what a script says in their place.
fn entry_size(entry: &Value) -> usize {
    match items(entry) {
        Some([_, size @ Value::BulkString(_)]) => number(size).unwrap_or_default() as usize,
        _ => size(entry),
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::BulkString(bytes) => bytes.len() + 16,
        Value::Array(items) => 16 + items.iter().map(size).sum::<usize>(),
        _ => 16,
    }
}
