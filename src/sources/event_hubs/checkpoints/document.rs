//! What checkpoints say, strictly: a whole number where one belongs, or no position at all.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What one checkpoint blob says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Sequence number and offset; `None`: held by a consumer that has committed nothing yet.
    pub position: Option<(i64, String)>,
    /// Who wrote it, where the layout says so.
    pub owner: Option<String>,
}

/// Offsets that stand for "nothing committed yet", written together with sequence number 0 when a lease is created.
const NO_OFFSET: [&str; 3] = ["", "-1", "@latest"];

/// A checkpoint kept in metadata, whose keys are in lower case.
///
/// # Errors
/// Says which field is missing or is no number.
pub fn of_metadata(metadata: &BTreeMap<String, String>) -> Result<Document, String> {
    let text = metadata
        .get("sequencenumber")
        .ok_or("its metadata has no sequencenumber")?;
    let number = whole_number(text).ok_or("its metadata's sequencenumber is not a whole number")?;
    let offset = metadata.get("offset").cloned().unwrap_or_default();
    Ok(Document {
        position: Some((number, offset)),
        owner: None,
    })
}

/// A checkpoint kept as JSON: `SequenceNumber` or `sequence_number` at the top, or, if `is_nested`, in `checkpoint`.
///
/// # Errors
/// Says what is missing, is no number, or belongs to another partition.
pub fn of_json(body: &[u8], is_nested: bool, partition: &str) -> Result<Document, String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let value: Value = serde_json::from_slice(body).map_err(|_| "it is not JSON")?;
    let top = value.as_object().ok_or("it is not a JSON object")?;
    if let Some(other) = field(top, "partitionid").and_then(as_text)
        && other != partition
    {
        return Err("it says that it belongs to another partition".to_owned());
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

fn nested_position(top: &Map<String, Value>) -> Result<Option<(i64, String)>, String> {
    match field(top, "checkpoint") {
        None => Err("it has no checkpoint".to_owned()),
        Some(Value::Null) => Ok(None),
        Some(Value::Object(checkpoint)) => position(checkpoint),
        Some(_) => Err("its checkpoint is not a JSON object".to_owned()),
    }
}

fn position(object: &Map<String, Value>) -> Result<Option<(i64, String)>, String> {
    let offset = field(object, "offset");
    let nothing_yet = match offset {
        None => false,
        Some(Value::Null) => true,
        Some(value) => as_text(value).is_some_and(|text| NO_OFFSET.contains(&text.as_str())),
    };
    let number = match field(object, "sequencenumber") {
        None => return Err("it has no sequence number".to_owned()),
        Some(Value::Null) if nothing_yet => return Ok(None),
        Some(value) => as_whole_number(value).ok_or("its sequence number is not a whole number")?,
    };
    if nothing_yet && number == 0 {
        return Ok(None);
    }
    Ok(Some((number, offset.and_then(as_text).unwrap_or_default())))
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn metadata(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn metadata_gives_a_number_or_a_reason() {
        let at = |number, offset: &str| {
            Ok(Document {
                position: Some((number, offset.to_owned())),
                owner: None,
            })
        };
        assert_eq!(
            of_metadata(&metadata(&[("sequencenumber", "42"), ("offset", "7")])),
            at(42, "7")
        );
        assert_eq!(
            of_metadata(&metadata(&[("sequencenumber", "-1")])),
            at(-1, "")
        );
        assert_eq!(
            of_metadata(&metadata(&[("sequencenumber", "0"), ("offset", "")])),
            at(0, "")
        );
        for (text, reason) in [
            ("", "not a whole"),
            ("x", "not a whole"),
            ("4 2", "not a whole"),
            ("+4", "not a whole"),
            ("1e3", "not a whole"),
            ("9223372036854775808", "not a whole"),
            ("0x10", "not a whole"),
        ] {
            let told = of_metadata(&metadata(&[("sequencenumber", text)])).expect_err(text);
            assert!(told.contains(reason), "{told}");
        }
        let told = of_metadata(&metadata(&[("offset", "7")])).expect_err("no field");
        assert_eq!(told, "its metadata has no sequencenumber");
    }

    #[test]
    fn json_of_every_writer_is_understood() {
        let check = |body: &str, is_nested, position: Option<(i64, &str)>, owner: Option<&str>| {
            let document = of_json(body.as_bytes(), is_nested, "3").expect(body);
            let expected = position.map(|(number, offset)| (number, offset.to_owned()));
            assert_eq!(
                (document.position, document.owner.as_deref()),
                (expected, owner),
                "{body}"
            );
        };
        // Azure Functions, the .NET event processor host.
        check(
            r#"{"Offset":"512","SequenceNumber":8,"PartitionId":"3","Owner":"h","Token":"t","Epoch":2}"#,
            false,
            Some((8, "512")),
            Some("h"),
        );
        // A lease that was created, nothing committed.
        check(
            r#"{"Offset":"","SequenceNumber":0,"PartitionId":"3","Owner":"","Token":"","Epoch":0}"#,
            false,
            None,
            None,
        );
        check(
            r#"{"Offset":null,"SequenceNumber":0,"PartitionId":"3","Owner":"h"}"#,
            false,
            None,
            Some("h"),
        );
        // The first event of all.
        check(
            r#"{"Offset":"0","SequenceNumber":0,"PartitionId":"3"}"#,
            false,
            Some((0, "0")),
            None,
        );
        // Python's event processor host.
        check(
            r#"{"partition_id":"3","owner":"h","offset":"1","sequence_number":9,"epoch":1}"#,
            false,
            Some((9, "1")),
            Some("h"),
        );
        check(
            r#"{"partition_id":"3","offset":null,"sequence_number":null}"#,
            false,
            None,
            None,
        );
        // The Go SDK and Dapr.
        check(
            r#"{"partitionID":"3","epoch":0,"owner":"","checkpoint":{"offset":"4","sequenceNumber":5,"enqueueTime":""}}"#,
            true,
            Some((5, "4")),
            None,
        );
        check(
            r#"{"partitionID":"3","checkpoint":{"offset":"-1","sequenceNumber":0}}"#,
            true,
            None,
            None,
        );
        check(
            r#"{"partitionID":"3","checkpoint":{"sequenceNumber":5}}"#,
            true,
            Some((5, "")),
            None,
        );
        check(r#"{"partitionID":"3","checkpoint":null}"#, true, None, None);
        check(
            "\u{feff}{\"SequenceNumber\":\"12\"}",
            false,
            Some((12, "")),
            None,
        );
    }

    #[test]
    fn json_that_says_no_position_is_refused_with_the_reason() {
        let check = |body: &str, is_nested, reason: &str| {
            let told = of_json(body.as_bytes(), is_nested, "3").expect_err(body);
            assert!(told.contains(reason), "{body}: {told}");
        };
        check("", false, "not JSON");
        check(r#"{"SequenceNumber":8"#, false, "not JSON");
        check("[8]", false, "not a JSON object");
        check("{}", false, "no sequence number");
        check(r#"{"SequenceNumber":null}"#, false, "not a whole number");
        check(r#"{"SequenceNumber":1.5}"#, false, "not a whole number");
        check(r#"{"SequenceNumber":1e3}"#, false, "not a whole number");
        check(
            r#"{"SequenceNumber":18446744073709551615}"#,
            false,
            "not a whole number",
        );
        check(r#"{"SequenceNumber":true}"#, false, "not a whole number");
        check(r#"{"SequenceNumber":[1]}"#, false, "not a whole number");
        check(
            r#"{"SequenceNumber":8,"PartitionId":"4"}"#,
            false,
            "another partition",
        );
        check(r#"{"SequenceNumber":8}"#, true, "no checkpoint");
        check(r#"{"checkpoint":8}"#, true, "not a JSON object");
        check(r#"{"checkpoint":{}}"#, true, "no sequence number");
    }

    proptest! {
        #[test]
        fn garbage_never_becomes_a_number(text in ".{0,40}") {
            let digits = text.strip_prefix('-').unwrap_or(&text);
            let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
            let read = of_metadata(&metadata(&[("sequencenumber", &text)]));
            prop_assert!(is_number || read.is_err());
            if let Ok(Document { position: Some((number, _)), .. }) = read {
                prop_assert_eq!(number, text.parse::<i64>().expect("a number"));
            }
        }

        #[test]
        fn no_bytes_make_json_panic_or_give_a_number(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for is_nested in [false, true] {
                if let Ok(document) = of_json(&bytes, is_nested, "0") {
                    prop_assert!(document.position.is_none());
                }
            }
        }

        #[test]
        fn a_cut_document_is_refused(number in any::<i64>(), cut in 0_usize..40) {
            let body = format!(r#"{{"PartitionId":"0","SequenceNumber":{number}}}"#);
            let cut = cut.min(body.len() - 1);
            prop_assert!(of_json(&body.as_bytes()[..cut], false, "0").is_err());
            let whole = of_json(body.as_bytes(), false, "0").expect("whole");
            prop_assert_eq!(whole.position, Some((number, String::new())));
        }
    }
}
