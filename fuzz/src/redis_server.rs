//! What a Redis server sends, from its bytes to the decision on a target.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use redis::{Parser, Value};
use streamgauge::group::GroupState;
use streamgauge::group::event::{Event, TargetKey, What};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{
    Counting, PartitionObservation, PartitionSample, Position, Sample,
};
use streamgauge::model::time::Timestamp;
use streamgauge::policy::spec::TargetSpec;
use streamgauge::sources::redis_streams::error_lines::AsciiErrors;
use streamgauge::sources::redis_streams::failure::Subject;
use streamgauge::sources::redis_streams::partition::{PartitionMemory, ReadFrom, RedisPartition};
use streamgauge::sources::redis_streams::server::ServerTraits;
use streamgauge::sources::redis_streams::slots::SlotMap;
use streamgauge::sources::redis_streams::{read, reply};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

const NOW: u64 = 1_700_000_000_000;
const LONG: Duration = Duration::from_secs(600);

/// More replies than a partition gets at a poll.
const MOST_REPLIES: usize = 24;

/// Reads the bytes as every kind of reply, then as the replies about one stream at several polls.
pub fn redis_replies(bytes: &[u8]) {
    let replies = replies(&in_ascii(bytes));
    for value in &replies {
        every_kind(value);
    }
    let frames: Vec<&[Value]> = match replies.first() {
        // A transaction: OK, QUEUED, …, and what it returned. One for each poll.
        Some(Value::Okay | Value::SimpleString(_)) => {
            let is_end = |value: &Value| matches!(value, Value::Array(_));
            replies.split_inclusive(is_end).collect()
        }
        // What a script returned.
        _ => replies.chunks(1).collect(),
    };
    let mut memory = Box::<PartitionMemory>::default();
    let mut observed = Vec::new();
    for frame in frames {
        let (observation, next) = observe(frame, memory);
        memory = next;
        observed.push(observation);
    }
    let samples = observed.into_iter().map(|observation| Sample {
        partitions: BTreeMap::from([(PartitionId::new("k"), observation)]),
        ..Sample::default()
    });
    let state = GroupState::new(CapacityRules::default());
    polled(state, Timestamp::from_millis(NOW), samples);
}

/// As they come through the connection: errors in ASCII, all other bytes as sent.
fn in_ascii(bytes: &[u8]) -> Vec<u8> {
    let mut read = vec![0; bytes.len()];
    let mut buffer = ReadBuf::new(&mut read);
    let mut line = AsciiErrors::new(bytes);
    let mut context = Context::from_waker(Waker::noop());
    let polled = Pin::new(&mut line).poll_read(&mut context, &mut buffer);
    assert!(matches!(polled, Poll::Ready(Ok(()))));
    assert_eq!(buffer.filled().len(), bytes.len());
    let same = |(read, sent): (&u8, &u8)| read == sent || (*read == b'?' && !sent.is_ascii());
    assert!(buffer.filled().iter().zip(bytes).all(same));
    read
}

fn replies(mut bytes: &[u8]) -> Vec<Value> {
    let mut parser = Parser::new();
    let mut found = Vec::new();
    while !bytes.is_empty() && found.len() < MOST_REPLIES {
        match parser.parse_value(&mut bytes) {
            Ok(value) => found.push(value),
            Err(_) => break,
        }
    }
    found
}

fn every_kind(value: &Value) {
    const MOST: u64 = 1 << 48;
    if let Some(info) = reply::stream_info(value) {
        assert!(info.length.is_none_or(|n| n <= MOST));
    }
    for (_, group) in reply::all_groups(value).into_iter().flatten() {
        assert!(group.pending.is_none_or(|n| n <= MOST));
    }
    let _ = (reply::group_info(value, "g"), reply::address(value));
    let _ = (reply::pending_entries(value), reply::consumers(value));
    let _ = (reply::range_page(value), reply::time_millis(value));
    let _ = (reply::scan_page(value), reply::added(value));
    let _ = (reply::is_replica(value), ServerTraits::of(Some(value)));
    if let Some(ranges) = reply::slot_ranges(value) {
        let owned = ranges
            .into_iter()
            .map(|(first, last, ..)| (first, last, ()));
        let map = SlotMap::new(owned.collect());
        let _ = (map.is_whole(), map.owner(0), map.owner(16_383));
    }
}

fn observe(
    frame: &[Value],
    memory: Box<PartitionMemory>,
) -> (PartitionObservation, Box<PartitionMemory>) {
    let subject = Subject::server("h:1", frame.len().is_multiple_of(2)).key("k");
    let at = Instant::now();
    // Where the length of a stream counts, there is no group.
    let _ = read::understood(frame, "", Some(NOW), &subject);
    let (reading, _) = read::understood(frame, "g", Some(NOW), &subject);
    let from = ReadFrom {
        counting: Counting::Reads,
        ..ReadFrom::default()
    };
    let mut partition = RedisPartition::begin("k".to_owned(), reading, &from, memory);
    let _ = (partition.recount_due(at), partition.rest_of_recount());
    let _ = (partition.arrivals_between(), partition.questions(LONG, at));
    let (_, observation, memory) = partition.finish(at, LONG, |_| true);
    (observation, memory)
}

/// A sound sample: polls go on after odd ones.
pub fn sample(poll: u64) -> Sample {
    let done = poll * 40;
    let partition = PartitionSample {
        log_end: Some(done + 10),
        length: done + 10,
        lag: Some(Quantity::Exact(10)),
        delivered: Some(Position {
            major: 1,
            minor: done,
        }),
        delivered_count: Some(done),
        oldest_age_millis: Some(300),
        ..PartitionSample::default()
    };
    let observed = PartitionObservation::Present(partition);
    Sample {
        partitions: BTreeMap::from([(PartitionId::new("k"), observed)]),
        consumers: Some(2),
        ..Sample::default()
    }
}

/// Whatever was observed, decisions stay within what the ScaledObject allows.
pub fn polled(mut state: GroupState, from: Timestamp, samples: impl IntoIterator<Item = Sample>) {
    let spec = TargetSpec {
        max_replicas: 30,
        ..TargetSpec::default()
    };
    let what = What::TargetRegistered(TargetKey::default(), Box::new(spec));
    state.apply(&Event { at: from, what });
    for (n, sample) in samples.into_iter().enumerate() {
        let at = from.plus(Duration::from_secs(5) * (n as u32 + 1));
        let what = What::Observed(Ok(sample));
        for (_, decision) in state.apply(&Event { at, what }) {
            let replicas = decision.desired;
            assert!(replicas.is_none_or(|n| n <= 30), "{decision:?}");
        }
    }
}
