//! Every field of every reply replaced by something odd: that field is unknown, and nothing else.

use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use super::answer::KeyAnswer;
use super::failure::Subject;
use super::partition::{PartitionMemory, ReadFrom, RedisPartition};
use super::read;
use crate::model::quantity::Quantity;
use crate::model::sample::{Counting, PartitionObservation, PartitionSample};

const NOW: u64 = 1_700_000_000_000;
const LONG: Duration = Duration::from_secs(3_600);

fn text(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

fn pairs(pairs: &[(&str, Value)]) -> Value {
    let flat = pairs
        .iter()
        .flat_map(|(name, value)| [text(name), value.clone()]);
    Value::Array(flat.collect())
}

fn entry(id: u64) -> Value {
    Value::Array(vec![
        text(&format!("{id}-0")),
        Value::Array(vec![text("d"), text("a")]),
    ])
}

/// The replies about a stream of the entries 1 to 10 with a group at `delivered`, two of them pending.
fn frame(delivered: u64) -> Vec<Value> {
    let stream = pairs(&[
        ("length", Value::Int(10)),
        ("radix-tree-keys", Value::Int(1)),
        ("last-generated-id", text("10-0")),
        ("max-deleted-entry-id", text("0-0")),
        ("entries-added", Value::Int(10)),
        ("groups", Value::Int(2)),
        ("first-entry", entry(1)),
        ("last-entry", entry(10)),
    ]);
    let group = |name: &str, delivered: u64| {
        pairs(&[
            ("name", text(name)),
            ("consumers", Value::Int(1)),
            ("pending", Value::Int(2)),
            ("last-delivered-id", text(&format!("{delivered}-0"))),
            ("entries-read", Value::Int(delivered as i64)),
            ("lag", Value::Int(10 - delivered as i64)),
        ])
    };
    let pending = Value::Array(vec![text("1-0"), text("c"), Value::Int(500), Value::Int(1)]);
    let answers = vec![
        stream,
        Value::Array(vec![group("other", 10), group("g", delivered)]),
        Value::Array(vec![pending]),
    ];
    let queued = (0..answers.len()).map(|_| Value::SimpleString("QUEUED".into()));
    let mut frame = vec![Value::Okay];
    frame.extend(queued);
    frame.push(Value::Array(answers));
    frame
}

/// The places of all values within a value.
fn places(value: &Value, at: &mut Vec<usize>, found: &mut Vec<Vec<usize>>) {
    if let Value::Array(items) = value {
        for (n, item) in items.iter().enumerate() {
            at.push(n);
            found.push(at.clone());
            places(item, at, found);
            at.pop();
        }
    }
}

fn replaced(value: &Value, at: &[usize], by: &Value) -> Value {
    match (value, at.split_first()) {
        (Value::Array(items), Some((n, rest))) => {
            let mut items = items.clone();
            items[*n] = replaced(&items[*n], rest, by);
            Value::Array(items)
        }
        _ => by.clone(),
    }
}

fn observed(
    frame: &[Value],
    memory: Box<PartitionMemory>,
) -> (PartitionObservation, Box<PartitionMemory>) {
    let subject = Subject::server("h:1", false).key("k");
    let (reading, _) = read::understood(frame, "g", Some(NOW), &subject);
    let is_failed = matches!(reading, KeyAnswer::Failed(_));
    let at = Instant::now();
    let from = ReadFrom {
        counting: Counting::Reads,
        ..ReadFrom::default()
    };
    let mut partition = RedisPartition::begin("k".to_owned(), reading, &from, memory);
    assert!(!is_failed || !partition.must_count());
    let _ = partition.questions(LONG, at);
    let (_, observation, memory) = partition.finish(at, LONG, |_| true);
    (observation, memory)
}

fn present(observation: PartitionObservation) -> PartitionSample {
    match observation {
        PartitionObservation::Present(sample) => sample,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_odd_value_makes_its_field_unknown_and_nothing_else() {
    let odd = [
        Value::Nil,
        Value::Int(-1),
        Value::Int(i64::MAX),
        text("9223372036854775808"),
        text("word"),
        text(""),
        Value::Array(Vec::new()),
        Value::Array(vec![Value::Nil, Value::Int(-1)]),
    ];
    for delivered in [0, 1, 5, 10] {
        let sound = frame(delivered);
        let (expect, memory) = observed(&sound, Box::default());
        let expect = present(expect);
        let mut found = Vec::new();
        let answers = sound.last().expect("answers");
        places(answers, &mut Vec::new(), &mut found);
        assert!(found.len() > 50, "{}", found.len());
        for place in found {
            for by in &odd {
                // A stream without groups looks so, or one whose only group has another name.
                let is_sound = place == [1] && *by == Value::Array(Vec::new())
                    || place == [1, 1, 1] && matches!(by, Value::BulkString(_));
                if is_sound {
                    continue;
                }
                let mut spoilt = sound.clone();
                let last = spoilt.len() - 1;
                spoilt[last] = replaced(answers, &place, by);
                check(
                    &spoilt,
                    &memory,
                    &expect,
                    &format!("{delivered}: {place:?} by {by:?}"),
                );
            }
        }
    }
}

fn check(spoilt: &[Value], memory: &PartitionMemory, expect: &PartitionSample, what: &str) {
    let sample = match observed(spoilt, Box::new(memory.clone())).0 {
        PartitionObservation::Present(sample) => sample,
        // The group or the whole of an answer was hit: unknown, not missing.
        PartitionObservation::Failed(_) => return,
        other => panic!("{what}: {other:?}"),
    };
    // In the middle of the log a lag has to be counted: here it stays unknown.
    let truth = expect.delivered.map(|at| 10 - at.major);
    let lag = sample.lag.map(|lag| (lag.is_exact(), lag.value()));
    assert!(
        lag.is_none() || lag == truth.map(|lag| (true, lag)),
        "{what}: {lag:?}"
    );
    let backlog = sample.backlog().and_then(Quantity::exact);
    assert!(
        backlog.is_none() || backlog == truth.map(|lag| lag + 2),
        "{what}: {backlog:?}"
    );
    let same = [
        sample.length == 10 || sample.lacks_length,
        sample.pending == 2 || sample.lacks_pending,
        sample.stuck_pending == 0,
        sample.log_end.is_none() || sample.log_end == expect.log_end,
        sample.delivered.is_none() || sample.delivered == expect.delivered,
        sample.delivered_count.is_none() || sample.delivered_count == expect.delivered_count,
        sample.oldest_kept.is_none() || sample.oldest_kept == expect.oldest_kept,
        sample.oldest_delivery_count.is_none_or(|n| n == 1),
    ];
    assert_eq!(same, [true; 8], "{what}: {sample:?}");
    let unknown = [
        sample.lacks_length,
        sample.lacks_pending,
        sample.log_end.is_none(),
        sample.delivered.is_none(),
    ];
    let unknown = unknown.iter().filter(|unknown| **unknown).count();
    assert!(unknown <= 1, "{what}: {sample:?}");
}
