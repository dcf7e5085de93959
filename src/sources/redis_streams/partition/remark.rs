//! What is odd about a partition although it could be read, in words.

use super::super::answer::Snapshot;
use super::super::id;

/// What is odd although it could be read.
pub(super) fn remark(
    now: &Snapshot,
    stuck: u64,
    unsearched: bool,
    is_ahead: bool,
) -> Option<String> {
    let (stream, group) = (&now.stream, &now.group);
    let mut garbled = Vec::new();
    let mut note = |is_missing: bool, what: &'static str| {
        if is_missing {
            garbled.push(what);
        }
    };
    note(stream.length.is_none(), "length");
    note(stream.last_generated.is_none(), "last-generated-id");
    note(
        stream.counts_added && stream.entries_added.is_none(),
        "entries-added",
    );
    note(group.pending.is_none(), "pending");
    note(group.last_delivered.is_none(), "last-delivered-id");
    note(group.is_read_count_garbled, "entries-read");
    if !garbled.is_empty() {
        Some(format!(
            "the server's reply has unreadable fields ({}): streamgauge treats them as unknown and uses the rest",
            garbled.join(", ")
        ))
    } else if is_ahead {
        Some(format!(
            "the group's position {} is after the newest entry {}: the group receives nothing until new ids pass its position; move it with XGROUP SETID",
            group.last_delivered.map_or_else(String::new, id::text),
            stream.last_generated.map_or_else(String::new, id::text),
        ))
    } else if unsearched {
        Some(format!(
            "at least {stuck} pending entries are stuck; not all {} have been checked yet",
            group.pending.unwrap_or(0)
        ))
    } else {
        None
    }
}
