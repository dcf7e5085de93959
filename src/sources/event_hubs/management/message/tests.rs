//! Checks of how replies are read.

use fe2o3_amqp::types::primitives::{Array, Symbol};

use super::*;
use crate::model::sample::FailureKind;

fn string(text: &str) -> Value {
    Value::String(text.into())
}

fn reply(status: SimpleValue, fields: &[(&str, Value)]) -> Message<Body<Value>> {
    let map = fields
        .iter()
        .map(|(name, value)| (string(name), value.clone()));
    let named = [
        ("status-code".to_owned(), status),
        (
            "status-description".to_owned(),
            SimpleValue::String("said".into()),
        ),
        (
            "error-condition".to_owned(),
            SimpleValue::Symbol(Symbol::from("amqp:not-found")),
        ),
    ];
    Message::builder()
        .properties(
            Properties::builder()
                .correlation_id(MessageId::Ulong(7))
                .build(),
        )
        .application_properties(ApplicationProperties(named.into_iter().collect()))
        .body(Body::Value(AmqpValue(Value::Map(map.collect()))))
        .build()
}

fn partition_fields() -> Vec<(&'static str, Value)> {
    vec![
        ("name", string("Orders")),
        ("partition", string("5")),
        ("begin_sequence_number", Value::Long(-1)),
        ("last_enqueued_sequence_number", Value::Int(41)),
        ("last_enqueued_offset", string("4096")),
        (
            "last_enqueued_time_utc",
            Value::Timestamp(AmqpTimestamp::from_milliseconds(1_700_000_000_123)),
        ),
        ("is_partition_empty", Value::Bool(false)),
    ]
}

fn read(message: Message<Body<Value>>) -> Reply {
    let (id, reply) = Reply::read(message).expect("a reply");
    assert_eq!(id, 7);
    reply
}

fn partition(fields: &[(&str, Value)]) -> Result<PartitionProperties, Failure> {
    read(reply(SimpleValue::Int(200), fields)).partition("hub", "orders", "5")
}

#[test]
fn a_partition_is_read_whatever_the_width_of_its_numbers() {
    let expect = PartitionProperties {
        partition_id: "5".into(),
        beginning_sequence_number: -1,
        last_enqueued_sequence_number: 41,
        last_enqueued_offset: "4096".into(),
        last_enqueued_at: Some(Timestamp::from_millis(1_700_000_000_123)),
        is_empty: false,
        epoch: None,
    };
    assert_eq!(partition(&partition_fields()), Ok(expect));
}

#[test]
fn an_epoch_is_told_where_there_is_one_and_is_never_a_fault() {
    let check = |value: Option<Value>, expect| {
        let told = value.map(|value| ("last_enqueued_sequence_number_epoch", value));
        let fields = partition_fields().into_iter().chain(told);
        let read = partition(&fields.collect::<Vec<_>>()).expect("read");
        assert_eq!(read.epoch, expect);
    };
    check(Some(Value::Int(3)), Some(3));
    check(Some(Value::Long(0)), Some(0));
    check(Some(Value::Long(-1)), None);
    check(Some(Value::Null), None);
    check(Some(string("x")), None);
    check(None, None);
}

#[test]
fn times_before_1970_stand_for_never() {
    let mut fields = partition_fields();
    fields[5].1 = Value::Timestamp(AmqpTimestamp::from_milliseconds(-62_135_596_800_000));
    assert_eq!(partition(&fields).expect("read").last_enqueued_at, None);
}

#[test]
fn another_partitions_answer_is_never_taken() {
    let mut fields = partition_fields();
    fields[1].1 = string("2");
    let failure = partition(&fields).expect_err("another partition's");
    assert_eq!(failure.kind, FailureKind::Protocol);
    assert_eq!(
        failure.text,
        "hub: the reply could not be parsed: partition is 2, requested was 5"
    );
}

#[test]
fn what_is_missing_or_of_another_type_is_named() {
    for index in 0..partition_fields().len() {
        let mut without = partition_fields();
        let (name, _) = without.remove(index);
        let failure = partition(&without).expect_err("incomplete");
        assert_eq!(failure.kind, FailureKind::Protocol);
        assert!(failure.text.contains(name), "{failure}");
        let mut wrong = partition_fields();
        wrong[index].1 = Value::Binary(vec![1].into());
        assert!(
            partition(&wrong)
                .expect_err("of another type")
                .text
                .contains(name)
        );
    }
}

#[test]
fn a_hub_lists_its_partitions_as_an_array_or_a_list() {
    let ids = || ["0", "1"].map(string).to_vec();
    for ids in [Value::Array(Array(ids())), Value::List(ids())] {
        let fields = [
            ("name", string("orders")),
            (
                "created_at",
                Value::Timestamp(AmqpTimestamp::from_milliseconds(5)),
            ),
            ("partition_ids", ids),
        ];
        let hub = read(reply(SimpleValue::Int(200), &fields))
            .hub("hub", "orders")
            .expect("read");
        assert_eq!(hub.partition_ids, ["0", "1"]);
        assert_eq!(hub.created_at, Some(Timestamp::from_millis(5)));
    }
}

#[test]
fn a_refusal_carries_status_condition_and_words() {
    let refused = read(reply(SimpleValue::Int(404), &[])).partition("hub", "orders", "5");
    let failure = refused.expect_err("refused");
    assert_eq!(failure.kind, FailureKind::Misconfigured);
    assert!(
        failure
            .text
            .starts_with("hub: status 404, amqp:not-found (said): "),
        "{failure}"
    );
    let no_status = read(reply(SimpleValue::Null, &partition_fields()));
    let failure = no_status
        .partition("hub", "orders", "5")
        .expect_err("no status");
    assert_eq!(failure.kind, FailureKind::Protocol);
}

#[test]
fn a_reply_to_nobody_is_told_apart() {
    let mut message = reply(SimpleValue::Int(200), &[]);
    message.properties = None;
    assert!(Reply::read(message).is_none());
}
