//! What checkpoints say, strictly: a whole number where one belongs, or no position at all.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What one checkpoint blob says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// The committed position; `None`: held by a consumer that has committed nothing yet.
    pub position: Option<Mark>,
    /// Who wrote it, where the layout says so.
    pub owner: Option<String>,
}

/// How a position is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Sequence number, and the offset as written; empty where it was left out.
    Number(i64, String),
    /// The offset alone, as .NET writes it where the event's sequence number is not at hand.
    Offset(String),
}

/// Offsets that stand for "nothing committed yet", written together with sequence number 0 when a lease is created.
const NO_OFFSET: [&str; 3] = ["", "-1", "@latest"];

/// A checkpoint kept in metadata, whose keys are in lower case.
///
/// # Errors
/// Says which field is missing or is not a number.
pub fn of_metadata(metadata: &BTreeMap<String, String>) -> Result<Document, String> {
    let text = metadata.get("sequencenumber");
    let offset = metadata.get("offset").cloned().unwrap_or_default();
    let number = text.map(String::as_str).unwrap_or_default();
    let mark = match number.is_empty() && is_offset(&offset) {
        true => Mark::Offset(offset),
        false => {
            text.ok_or("its metadata has no sequencenumber")?;
            let number = whole_number(number);
            let number = number.ok_or("its metadata's sequencenumber is not a whole number")?;
            Mark::Number(number, offset)
        }
    };
    Ok(Document {
        position: Some(mark),
        owner: None,
    })
}

/// A checkpoint kept as JSON: `SequenceNumber` or `sequence_number` at the top, or, if `is_nested`, in `checkpoint`.
///
/// # Errors
/// Says what is missing, is not a number, or belongs to another partition.
pub fn of_json(body: &[u8], is_nested: bool, partition: &str) -> Result<Document, String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let value: Value = serde_json::from_slice(body).map_err(|_| "it is not JSON")?;
    let top = value.as_object().ok_or("it is not a JSON object")?;
    if let Some(other) = field(top, "partitionid").and_then(as_text)
        && other != partition
    {
        return Err("it belongs to another partition".to_owned());
    }
    let owner = field(top, "owner").and_then(as_text);
    let owner = owner.filter(|owner| !owner.is_empty());
    let position = if is_nested {
        nested_position(top)?
    } else {
        position(top)?
    };
    Ok(Document { position, owner })
}

fn nested_position(top: &Map<String, Value>) -> Result<Option<Mark>, String> {
    match field(top, "checkpoint") {
        None => Err("it has no checkpoint".to_owned()),
        Some(Value::Null) => Ok(None),
        Some(Value::Object(checkpoint)) => position(checkpoint),
        Some(_) => Err("its checkpoint is not a JSON object".to_owned()),
    }
}

fn position(object: &Map<String, Value>) -> Result<Option<Mark>, String> {
    let offset = field(object, "offset");
    let nothing_yet = match offset {
        None => false,
        Some(Value::Null) => true,
        Some(value) => as_text(value).is_some_and(|text| NO_OFFSET.contains(&text.as_str())),
    };
    let text = offset.and_then(as_text).unwrap_or_default();
    let number = match field(object, "sequencenumber") {
        None | Some(Value::Null) if is_offset(&text) => return Ok(Some(Mark::Offset(text))),
        None => return Err("it has no sequence number".to_owned()),
        Some(Value::Null) if nothing_yet => return Ok(None),
        Some(Value::String(number)) if number.is_empty() && is_offset(&text) => {
            return Ok(Some(Mark::Offset(text)));
        }
        Some(value) => as_whole_number(value).ok_or("its sequence number is not a whole number")?,
    };
    if nothing_yet && number == 0 {
        return Ok(None);
    }
    Ok(Some(Mark::Number(number, text)))
}

/// Whether it is the offset of an event: `n`, or `epoch:n:m` of a geo-replicated namespace.
fn is_offset(text: &str) -> bool {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_epoch = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    match text.split(':').collect::<Vec<_>>()[..] {
        [offset] => is_digits(offset),
        [epoch, offset, event] => is_epoch(epoch) && is_digits(offset) && is_digits(event),
        _ => false,
    }
}

/// A field by its name in lower case without underscores: writers spell it in several ways.
fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let plain = |key: &str| key.replace('_', "").to_ascii_lowercase();
    object
        .iter()
        .find_map(|(key, value)| (plain(key) == name).then_some(value))
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn as_whole_number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => whole_number(text),
        _ => None,
    }
}

/// Digits, with a minus or without; nothing else, nothing that does not fit.
fn whole_number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
