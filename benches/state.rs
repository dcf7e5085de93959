//! What keeping what is learned costs: time that a group's lock is held for the copy, time to write and to read, and the file, by
//! number of partitions. `cargo bench --bench state`.

#![allow(
    clippy::expect_used,
    reason = "a measurement that cannot be made has to fail loudly"
)]

use std::collections::BTreeMap;
use std::time::Instant;

use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::identity::{GroupKey, PartitionId};
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{PartitionObservation, PartitionSample, Position, Sample};
use streamgauge::model::time::Timestamp;
use streamgauge::policy::event::{Event, What};
use streamgauge::policy::state::GroupState;
use streamgauge::state::{Files, StateStore};

const POLLS: u64 = 400;

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!(
        "{:>10} {:>9} {:>9} {:>9} {:>9}",
        "partitions", "copy, ms", "write, ms", "read, ms", "file, MB"
    );
    for partitions in [100, 1_000, 10_000] {
        measure(partitions);
    }
}

fn measure(partitions: u64) {
    let state = experienced(partitions);
    let folder = tempfile::tempdir().expect("a folder");
    let files = Files::new(folder.path());
    let key = GroupKey {
        source: "s".into(),
        stream: "s".into(),
        consumer_group: "c".into(),
    };
    let now = Timestamp::from_millis(1);
    let (copy, remembered) = timed(|| state.remembered());
    let (write, ()) = timed(|| files.save(&key, now.into(), &remembered).expect("saved"));
    let (read, loaded) = timed(|| files.load(&key, now.into()).expect("read").expect("there"));
    assert!(loaded.remembered == remembered && loaded.problems.is_empty());
    let file = std::fs::read_dir(folder.path()).expect("a folder").next();
    let bytes = file.expect("a file").and_then(|file| file.metadata());
    let megabytes = bytes.expect("its size").len() as f64 / 1e6;
    println!("{partitions:>10} {copy:>9.1} {write:>9.0} {read:>9.0} {megabytes:>9.2}");
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let started = Instant::now();
    let done = work();
    (started.elapsed().as_secs_f64() * 1e3, done)
}

fn experienced(partitions: u64) -> GroupState {
    let mut state = GroupState::new(CapacityRules::default());
    let (mut random, mut done) = (1_u64, vec![0_u64; partitions as usize]);
    let mut draw = |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % below
    };
    for poll in 0..POLLS {
        let mut seen = BTreeMap::new();
        for (n, done) in done.iter_mut().enumerate() {
            *done += draw(500);
            let lag = draw(90);
            let sample = PartitionSample {
                log_end: Some(*done + lag),
                length: 1_000,
                lag: Some(Quantity::Exact(lag)),
                delivered: Some(Position {
                    major: 1,
                    minor: *done,
                }),
                delivered_count: Some(*done),
                oldest_age_millis: Some(draw(5_000)),
                ..PartitionSample::default()
            };
            let id = PartitionId::new(n.to_string());
            seen.insert(id, PartitionObservation::Present(sample));
        }
        let sample = Sample {
            partitions: seen,
            consumers: Some(4),
            ..Sample::default()
        };
        let at = Timestamp::from_millis(1_700_000_000_000 + poll * 5_000);
        let what = What::Observed(Ok(sample));
        state.apply(&Event { at, what });
    }
    state
}
