//! What every writer writes is understood; garbage never becomes a position.

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
            position: Some(Mark::Number(number, offset.to_owned())),
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
    let told = of_metadata(&metadata(&[("offset", "")])).expect_err("no field");
    assert_eq!(told, "its metadata has no sequencenumber");
}

#[test]
fn an_offset_without_a_number_is_a_checkpoint() {
    let at = |offset: &str| Some(Mark::Offset(offset.to_owned()));
    for offset in ["0", "4096", "0:512:3", "7:512:3"] {
        for number in [vec![("sequencenumber", "")], vec![]] {
            let pairs = [number, vec![("offset", offset)]].concat();
            let found = of_metadata(&metadata(&pairs)).expect("a checkpoint");
            assert_eq!(found.position, at(offset));
        }
        for number in ["", r#""SequenceNumber":null,"#, r#""SequenceNumber":"","#] {
            let body = format!("{{{number}\"Offset\":\"{offset}\",\"PartitionId\":\"3\"}}");
            let found = of_json(body.as_bytes(), false, "3").expect("a checkpoint");
            assert_eq!(found.position, at(offset), "{body}");
        }
    }
    for offset in ["", "-1", "@latest", "x", "1:", ":1:2", "1:2:x", "1:2:3:4"] {
        let pairs = [("sequencenumber", ""), ("offset", offset)];
        assert!(of_metadata(&metadata(&pairs)).is_err(), "{offset}");
    }
}

#[test]
fn json_of_every_writer_is_understood() {
    let check = |body: &str, is_nested, position: Option<(i64, &str)>, owner: Option<&str>| {
        let document = of_json(body.as_bytes(), is_nested, "3").expect(body);
        let expected = position.map(|(number, offset)| Mark::Number(number, offset.to_owned()));
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
        if let Ok(Document { position: Some(Mark::Number(number, _)), .. }) = read {
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
        prop_assert_eq!(whole.position, Some(Mark::Number(number, String::new())));
    }
}
