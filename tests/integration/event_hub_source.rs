//! Event Hubs as a source: a real management client against the AMQP test server, with checkpoints kept in memory.

mod bench;
mod faults;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use streamgauge::group::event::{Event, TargetKey, What};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::identity::{GroupKey, PartitionId};
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{AgeMethod, Failure, FailureKind, PartitionObservation};
use streamgauge::model::stream::StreamSelector;
use streamgauge::model::time::Timestamp;
use streamgauge::policy::spec::PolicySettings;
use streamgauge::publish::{Group, GroupDefinition};
use streamgauge::sources::event_hubs::checkpoints::CheckpointState;
use streamgauge::sources::{GroupReader, Source};

use bench::{Bench, present};

#[tokio::test]
async fn a_poll_tells_log_end_lag_age_and_owner_of_every_partition() {
    let bench = Bench::start(3, 45, Duration::from_secs(15)).await;
    let (server, store) = (&bench.server, &bench.store);
    let ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
    server.append_at("0", 10, 100, ago(60));
    server.append_at("1", 5, 100, ago(60));
    store.commit("0", 9);
    store.commit("1", 1);
    store.own(&[("0", "a"), ("1", "a"), ("2", "b")]);
    let mut reader = bench.reader();
    let sample = reader.poll().await.expect("a sample");
    assert_eq!(sample.consumers, Some(2));
    assert_eq!(sample.read_limit_per_second, Some(4096.0));
    let done = present(&sample, "0");
    assert_eq!(
        (done.lag, done.log_end, done.length),
        (Some(Quantity::Exact(0)), Some(10), 10)
    );
    assert_eq!(
        (done.oldest_age_millis, done.owner.as_deref()),
        (Some(0), Some("a"))
    );
    let behind = present(&sample, "1");
    assert_eq!(behind.lag, Some(Quantity::Exact(3)));
    assert_eq!(
        behind.age_method,
        AgeMethod::Bounded,
        "nothing is known of older events"
    );
    let age = behind.oldest_age_millis.unwrap();
    assert!(
        (60_000..70_000).contains(&age),
        "at least as old as the newest: {age} ms"
    );
    let empty = present(&sample, "2");
    assert_eq!((empty.lag, empty.length), (Some(Quantity::Exact(0)), 0));

    // Between two polls' newest events the time is interpolated: 4 to 13 came 60 s to 20 s ago, and 8 is next.
    server.append_at("1", 9, 100, ago(20));
    store.commit("1", 7);
    let sample = reader.poll().await.expect("a sample");
    let between = present(&sample, "1");
    assert_eq!(
        (between.lag, between.age_method),
        (Some(Quantity::Exact(6)), AgeMethod::Interpolated)
    );
    let age = between.oldest_age_millis.unwrap();
    assert!((40_000..50_000).contains(&age), "{age} ms");
    store.commit("1", 12);
    let sample = reader.poll().await.expect("a sample");
    assert_eq!(present(&sample, "1").age_method, AgeMethod::Exact);
}

#[tokio::test]
async fn history_without_any_checkpoint_is_no_backlog_and_one_missing_among_others_is_counted_and_flagged()
 {
    let bench = Bench::start(2, 45, Duration::from_secs(15)).await;
    bench.server.append("0", 10, 100);
    bench.server.append("1", 7, 100);
    let mut reader = bench.reader();
    let sample = reader.poll().await.expect("a sample");
    let history = PartitionObservation::GroupMissing {
        length: 10,
        log_end: Some(10),
    };
    assert_eq!(sample.partitions[&PartitionId::new("0")], history);
    bench.store.commit("0", 9);
    let sample = reader.poll().await.expect("a sample");
    let missing = present(&sample, "1");
    assert_eq!(missing.lag, Some(Quantity::Exact(7)));
    assert_eq!(
        missing.remark.as_deref(),
        Some("no checkpoint yet: counting from the oldest retained event")
    );
    // A field that is missing is neither 0 nor no checkpoint.
    let broken = CheckpointState::Unreadable(Failure::new(FailureKind::Protocol, "no number"));
    bench
        .store
        .committed
        .lock()
        .unwrap()
        .partitions
        .insert("1".to_owned(), broken);
    let sample = reader.poll().await.expect("a sample");
    let seen = &sample.partitions[&PartitionId::new("1")];
    assert!(matches!(seen, PartitionObservation::Failed(_)), "{seen:?}");
}

#[tokio::test]
async fn an_event_hub_that_is_created_anew_is_counted_from_its_start() {
    let bench = Bench::start(2, 45, Duration::from_secs(15)).await;
    bench.server.append("0", 500, 100);
    bench.store.commit("0", 499);
    bench.store.commit("1", 0);
    let mut reader = bench.reader();
    let sample = reader.poll().await.expect("a sample");
    assert_eq!(present(&sample, "0").lag, Some(Quantity::Exact(0)));
    bench.server.recreate(2);
    bench.server.change(|hub| hub.created_at_ms += 60_000);
    bench.server.append("0", 3, 100);
    // The log end went back, which has the event hub asked anew before anything is told.
    let sample = reader.poll().await.expect("a sample");
    let anew = present(&sample, "0");
    assert_eq!(anew.lag, Some(Quantity::Exact(3)));
    assert!(anew.remark.as_deref().unwrap().contains("recreated"));
    let asked = bench.server.counts().hub_reads;
    reader.poll().await.expect("a sample");
    assert_eq!(bench.server.counts().hub_reads, asked, "asked anew once");
    // With fewer partitions, those that are gone are told no more.
    bench.server.append("0", 5, 100);
    reader.poll().await.expect("a sample");
    bench.server.recreate(1);
    let sample = reader.poll().await.expect("a sample");
    assert_eq!(sample.partitions.len(), 1);
}

/// A namespace failed over, or an event hub of that name elsewhere: its numbers went back, its creation is of long ago.
#[tokio::test]
async fn a_checkpoint_of_another_log_is_never_a_zero_before_and_after_the_log_has_grown_past_it() {
    let bench = Bench::start(1, 45, Duration::from_secs(15)).await;
    bench.server.change(|hub| hub.created_at_ms -= 3_600_000);
    let ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
    bench.server.append_at("0", 500, 100, ago(100));
    bench.store.commit_at("0", 499, "49900", 60);
    let mut reader = bench.reader();
    let lag = async |reader: &mut dyn GroupReader| {
        let sample = reader.poll().await.expect("a sample");
        present(&sample, "0").clone()
    };
    assert_eq!(lag(&mut *reader).await.lag, Some(Quantity::Exact(0)));
    bench.server.recreate(1);
    bench.server.change(|hub| hub.created_at_ms -= 3_600_000);
    bench.server.append_at("0", 40, 100, ago(30));
    let other = lag(&mut *reader).await;
    assert_eq!(other.lag, Some(Quantity::Exact(40)));
    assert!(other.remark.unwrap().contains("another log"));
    for (events, total) in [(459, 499), (1, 500), (100, 600)] {
        bench.server.append_at("0", events, 100, ago(20));
        let grown = lag(&mut *reader).await;
        assert_eq!(grown.lag, Some(Quantity::Exact(total)));
    }
    bench.store.commit("0", 589);
    assert_eq!(
        lag(&mut *reader).await.lag,
        Some(Quantity::Exact(10)),
        "once it moves it counts"
    );
}

#[tokio::test]
async fn after_a_failover_what_came_since_waits_at_least_until_consumers_checkpoint_again() {
    let bench = Bench::start(1, 45, Duration::from_secs(15)).await;
    let ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
    bench.server.change(|hub| hub.created_at_ms -= 3_600_000);
    let epoch = |epoch| {
        bench
            .server
            .change(|hub| hub.partition_mut("0").epoch = epoch)
    };
    bench.server.append_at("0", 500, 100, ago(100));
    epoch(0);
    bench.store.commit_at("0", 499, "0:49900:1", 60);
    let mut reader = bench.reader();
    let lag = async |reader: &mut dyn GroupReader| {
        let sample = reader.poll().await.expect("a sample");
        present(&sample, "0").lag
    };
    assert_eq!(lag(&mut *reader).await, Some(Quantity::Exact(0)));
    // 60 events were lost with the primary, and new ones take their numbers.
    bench.server.change(|hub| {
        let partition = hub.partition_mut("0");
        partition.last_enqueued_sequence_number = 439;
        partition.epoch = 1;
    });
    bench.server.append_at("0", 1, 100, ago(30));
    assert_eq!(lag(&mut *reader).await, Some(Quantity::AtLeast(1)));
    bench.server.append_at("0", 59, 100, ago(20));
    assert_eq!(
        lag(&mut *reader).await,
        Some(Quantity::AtLeast(60)),
        "499 again, and no zero"
    );
    bench.store.commit_at("0", 499, "1:49900:1", 0);
    assert_eq!(lag(&mut *reader).await, Some(Quantity::Exact(0)));
}

#[tokio::test]
async fn a_checkpoint_with_an_offset_alone_tells_done_from_waiting() {
    let bench = Bench::start(2, 45, Duration::from_secs(15)).await;
    for partition in ["0", "1"] {
        bench.server.append(partition, 10, 100);
        let newest = bench.server.partition(partition).last_enqueued_offset;
        let state = CheckpointState::AtOffset {
            offset: newest,
            written_at: None,
        };
        bench.store.set(partition, state);
    }
    let mut reader = bench.reader();
    let sample = reader.poll().await.expect("a sample");
    for partition in ["0", "1"] {
        assert_eq!(present(&sample, partition).lag, Some(Quantity::Exact(0)));
    }
    bench.server.append("1", 5, 100);
    let sample = reader.poll().await.expect("a sample");
    assert_eq!(present(&sample, "0").lag, Some(Quantity::Exact(0)));
    let waiting = present(&sample, "1");
    assert_eq!(waiting.lag, Some(Quantity::AtLeast(1)));
    assert_eq!(waiting.age_method, AgeMethod::Bounded);
    assert!(
        waiting
            .remark
            .as_deref()
            .unwrap()
            .contains("no sequence number")
    );
}

fn definition() -> GroupDefinition {
    GroupDefinition {
        name: "clicks".to_owned(),
        key: GroupKey {
            source: "hub".to_owned(),
            stream: "clicks".to_owned(),
            consumer_group: "$Default".to_owned(),
        },
        selector: StreamSelector::Whole,
        poll_interval: Duration::from_secs(15),
        settings: PolicySettings::default(),
        signals: Default::default(),
        granularity: Default::default(),
        configured: true,
    }
}

#[tokio::test]
async fn what_a_group_has_to_do_that_holds_partitions_without_any_checkpoint_is_unknown() {
    let bench = Bench::start(3, 45, Duration::from_secs(15)).await;
    bench.server.append("0", 10, 100);
    bench.server.append("1", 7, 100);
    let mut reader = bench.reader();
    bench.store.own(&[("0", "a")]);
    let sample = reader.poll().await.expect("a sample");
    for partition in ["0", "1"] {
        let seen = present(&sample, partition);
        assert_eq!((seen.lag, seen.oldest_age_millis), (None, None));
        let remark = seen.remark.as_deref().unwrap();
        assert!(remark.contains("no checkpoint on any"), "{remark}");
        assert!(remark.contains("checkpoints.container"), "{remark}");
    }
    let empty = present(&sample, "2");
    assert_eq!(
        empty.lag,
        Some(Quantity::Exact(0)),
        "nothing is there to do"
    );

    // What an operator hears of it.
    let group = Group::new(definition(), CapacityRules::default());
    let at = Timestamp::from_millis(1_000);
    let nobody = TargetKey {
        namespace: String::new(),
        name: String::new(),
        metadata_hash: 0,
    };
    let what = What::Observed(Ok(sample));
    group.apply(&Event { at, what });
    let answer = group.answer(&nobody, at);
    let text = format!("{:?}", answer.expect_err("no number is certain"));
    assert!(text.contains("no checkpoint on any"), "{text}");

    // The last consumer has left: nobody is known to have begun.
    bench.store.own(&[]);
    let sample = reader.poll().await.expect("a sample");
    let seen = &sample.partitions[&PartitionId::new("0")];
    assert!(
        matches!(seen, PartitionObservation::GroupMissing { .. }),
        "{seen:?}"
    );
}

#[tokio::test]
async fn more_partitions_than_the_budget_allows_take_turns_and_no_second_holds_more_calls() {
    let bench = Bench::start(100, 40, Duration::from_secs(1)).await;
    for partition in 0..100 {
        bench.server.append(&partition.to_string(), 5, 10);
        bench.store.commit(&partition.to_string(), 4);
    }
    let started = Instant::now();
    let mut reader = bench.reader();
    let mut seen: BTreeMap<PartitionId, u32> = BTreeMap::new();
    let mut polls = 0;
    while seen.len() < 100 {
        polls += 1;
        assert!(polls < 10, "every partition gets its turn");
        let sample = reader.poll().await.expect("a sample");
        assert_eq!(sample.partitions.len(), 100, "none ever drops out");
        for (id, observed) in sample.partitions {
            match observed {
                PartitionObservation::Present(_) => *seen.entry(id).or_default() += 1,
                PartitionObservation::NotAsked => {}
                other => panic!("{id}: {other:?}"),
            }
        }
    }
    let calls = bench.server.counts().partition_reads + bench.server.counts().hub_reads;
    let most = 40.0 * (started.elapsed().as_secs_f64() + 1.0);
    assert!(calls as f64 <= most, "{calls} calls, at most {most}");
    assert!(
        seen.values().all(|times| *times <= 2),
        "those first that waited longest"
    );
}

#[tokio::test]
async fn a_group_that_is_polled_more_often_than_its_source_ends_its_polls_in_its_own_time() {
    let bench = Bench::start(100, 10, Duration::from_secs(15)).await;
    bench.store.commit("0", 0);
    let interval = Duration::from_secs(1);
    let deadline = bench.source.poll_deadline(interval);
    let mut reader = bench.reader_polled_every(interval);
    for _ in 0..2 {
        let poll = tokio::time::timeout(deadline, reader.poll()).await;
        let sample = poll.expect("in time").expect("a sample");
        let waits = |seen: &&PartitionObservation| **seen == PartitionObservation::NotAsked;
        let waiting = sample.partitions.values().filter(waits).count();
        assert!((1..100).contains(&waiting), "{waiting} of 100 wait");
    }
}

#[tokio::test]
async fn ten_groups_on_one_hub_ask_it_no_more_than_one_does() {
    for groups in [1, 2, 10] {
        let bench = Bench::start(32, 1_000, Duration::from_secs(15)).await;
        for partition in 0..32 {
            bench.server.append(&partition.to_string(), 10, 10);
            bench.store.commit(&partition.to_string(), 3);
        }
        let group = |_| async {
            let mut reader = bench.reader();
            let sample = reader.poll().await.expect("a sample");
            for partition in 0..32 {
                let seen = present(&sample, &partition.to_string());
                assert_eq!(seen.lag, Some(Quantity::Exact(6)));
            }
        };
        futures_util::future::join_all((0..groups).map(group)).await;
        let counts = bench.server.counts();
        let reads = (counts.partition_reads, counts.hub_reads);
        assert_eq!(reads, (32, 1), "{groups} groups");
    }
}
