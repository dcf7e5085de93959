//! What a journal costs and gives: bytes per poll, time that a poll waits for it, time to write, to go on after a restart, and the speed of
//! `replay`. `cargo bench --bench journal`; `… -- 10000` for other numbers of partitions.

#![allow(
    clippy::expect_used,
    reason = "a measurement that cannot be made has to fail loudly"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use streamgauge::files::FolderLock;
use streamgauge::group::GroupState;
use streamgauge::group::event::{Event, TargetKey, What};
use streamgauge::journal::{Fold, Folded, JournalRules, Journals, group_folders};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::identity::{GroupKey, PartitionId};
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{PartitionObservation, PartitionSample, Position, Sample};
use streamgauge::model::time::{Moment, Timestamp};
use streamgauge::policy::spec::PolicySettings;

const START: u64 = 1_700_000_000_000;
const POLL: u64 = 5_000;
/// Polls in a row: almost an hour.
const POLLS: u64 = 700;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that it builds.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let asked: Vec<u64> = arguments
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    let partitions = if asked.is_empty() {
        vec![10, 1_000, 10_000]
    } else {
        asked
    };
    println!(
        "| partitions | that move | bytes a poll | MB a day | a poll waits | restart after {} s | replay, samples/s |",
        POLLS * POLL / 1_000
    );
    println!("|---|---|---|---|---|---|---|");
    for partitions in partitions {
        for share in [100, 10] {
            measure(partitions, share);
        }
    }
}

fn measure(partitions: u64, share: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let rules = JournalRules {
        keep: Duration::from_secs(86_400),
        max_bytes: 1 << 30,
    };
    let group = GroupKey {
        source: "main".into(),
        stream: "orders:*".into(),
        consumer_group: "billing".into(),
    };
    let (journals, _alive) =
        Journals::start(Arc::new(FolderLock::new(folder.path())), rules).expect("a thread");
    let now = Moment::from(Timestamp::from_millis(START));
    let recovered = journals.recover(&group, "billing", now);
    let mut state = GroupState::new(CapacityRules::default());
    let mut journal = journals.begin(&group, "billing", &recovered, &state, now);
    let spec = PolicySettings::default().resolve();
    let asked = What::TargetRegistered(TargetKey::default(), Box::new(spec));
    let mut waited = Vec::new();
    let mut stream = Stream::of(partitions, share);
    for n in 0..POLLS {
        let at = Timestamp::from_millis(START + n * POLL);
        let what = match n {
            0 => asked.clone(),
            _ => What::Observed(Ok(stream.poll(at))),
        };
        let event = Event { at, what };
        let decided = state.apply(&event);
        let started = Instant::now();
        journal.append(&event, &decided, &state);
        waited.push(started.elapsed());
        runtime.block_on(journals.flush());
    }
    assert_eq!(journals.stats().lost, 0, "all is written");
    drop(journal);
    waited.sort();
    let events = bytes(folder.path(), "events");
    let per_poll = events / POLLS;
    let end = Moment::from(Timestamp::from_millis(START + POLLS * POLL));
    let started = Instant::now();
    let recovered = journals.recover(&group, "billing", end);
    let restart = started.elapsed();
    assert!(
        recovered.state.is_some_and(|again| again == state),
        "the same"
    );
    let started = Instant::now();
    let samples = replay(folder.path());
    let speed = samples as f64 / started.elapsed().as_secs_f64();
    println!(
        "| {partitions} | {share} % | {per_poll} | {} | {:.2} ms | {:.2} s | {speed:.0} |",
        per_poll * 86_400 / 5 / 1_000_000,
        waited[waited.len() / 2].as_secs_f64() * 1e3,
        restart.as_secs_f64(),
    );
}

fn replay(folder: &Path) -> u64 {
    let mut samples = 0;
    for of_group in group_folders(folder).expect("journals") {
        for next in Fold::of(&of_group).expect("a journal") {
            match next {
                Folded::Began { differs, .. } => assert_eq!(differs, None),
                Folded::Happened {
                    record, decided, ..
                } => {
                    assert_eq!(record.decided, decided);
                    if let What::Observed(Ok(sample)) = &record.event.what {
                        samples += sample.partitions.len() as u64;
                    }
                }
                Folded::Unreadable(path, why) => panic!("{}: {why}", path.display()),
            }
        }
    }
    samples
}

fn bytes(folder: &Path, ending: &str) -> u64 {
    let mut sum = 0;
    for of_group in group_folders(folder).expect("journals") {
        for entry in fs::read_dir(of_group).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|found| found == ending) {
                sum += fs::metadata(path).expect("a file").len();
            }
        }
    }
    sum
}

/// Partitions of which some get messages all the time, and consumers that keep up.
struct Stream {
    random: u64,
    added: Vec<u64>,
    done: Vec<u64>,
    moving: u64,
}

impl Stream {
    fn of(partitions: u64, share: u64) -> Self {
        let zeros = vec![0; partitions as usize];
        Self {
            random: 1,
            added: zeros.clone(),
            done: zeros,
            moving: (partitions * share / 100).max(1),
        }
    }

    fn below(&mut self, most: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % most
    }

    fn poll(&mut self, now: Timestamp) -> Sample {
        for n in 0..self.moving as usize {
            self.added[n] += self.below(500);
            let waiting = self.added[n] - self.done[n];
            self.done[n] += waiting - self.below(20).min(waiting);
        }
        let of = |n: usize| {
            let waiting = self.added[n] - self.done[n];
            let place = |count: u64| Position {
                major: START + count * 10,
                minor: 0,
            };
            let sample = PartitionSample {
                log_end: Some(self.added[n]),
                length: self.added[n].min(10_000),
                lag: Some(Quantity::Exact(waiting)),
                oldest_age_millis: Some(waiting * 10),
                delivered: Some(place(self.done[n])),
                delivered_count: Some(self.done[n]),
                oldest_kept: Some(place(self.added[n].saturating_sub(10_000))),
                ..PartitionSample::default()
            };
            (
                PartitionId::new(n.to_string()),
                PartitionObservation::Present(sample),
            )
        };
        Sample {
            partitions: (0..self.added.len()).map(of).collect(),
            consumers: Some(3),
            source_time: Some(now),
            ..Sample::default()
        }
    }
}
