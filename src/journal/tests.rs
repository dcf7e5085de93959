//! A group whose process may end at any moment, on a disk that may do anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::files::{group_folder, segments};
use super::{Fold, Folded, GroupJournal, JournalRules, Journals, recover};
use crate::files::FolderLock;
use crate::group::GroupState;
use crate::group::event::{Event, TargetKey, What};
use crate::model::capacity::CapacityRules;
use crate::model::identity::{GroupKey, PartitionId};
use crate::model::quantity::Quantity;
use crate::model::sample::{
    Failure, FailureKind, PartitionObservation, PartitionSample, Position, Sample,
};
use crate::model::time::{Moment, Timestamp, WallOffset};
use crate::policy::spec::PolicySettings;
use crate::scaled_object::ReplicasObserved;

mod faults;

const START: u64 = 1_700_000_000_000;
const RULES: JournalRules = JournalRules {
    keep: Duration::from_secs(86_400),
    max_bytes: 128 << 20,
};

fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(START + second * 1_000)
}

fn key() -> TargetKey {
    TargetKey {
        namespace: "shop".into(),
        name: "worker".into(),
        metadata_hash: 1,
    }
}

fn group() -> GroupKey {
    GroupKey {
        source: "main".into(),
        stream: "orders:*".into(),
        consumer_group: "billing".into(),
    }
}

/// What may happen in a step of five seconds.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// So many arrive per partition, so many are done.
    Poll(u64, u64),
    Fail,
    Replicas(u32),
    Edit(u32),
    ClockSet(i64),
    Leave,
    Come,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        12 => (0_u64..400, 0_u64..400).prop_map(|(arrived, done)| Act::Poll(arrived, done)),
        1 => Just(Act::Fail),
        2 => (0_u32..12).prop_map(Act::Replicas),
        1 => (1_u32..40).prop_map(Act::Edit),
        1 => (-7_200_000_i64..7_200_000).prop_map(Act::ClockSet),
        1 => Just(Act::Leave),
        2 => Just(Act::Come),
    ];
    prop::collection::vec(act, 1..60)
}

/// The events of a history.
#[derive(Default)]
struct World {
    second: u64,
    added: u64,
    done: u64,
}

impl World {
    fn event(&mut self, act: Act) -> Event {
        self.second += 5;
        let what = match act {
            Act::Poll(arrived, done) => {
                self.added += arrived;
                self.done = (self.done + done).min(self.added);
                What::Observed(Ok(self.sample()))
            }
            Act::Fail => What::Observed(Err(Failure::new(FailureKind::Timeout, "no answer"))),
            Act::Replicas(ready) => {
                let seen = ReplicasObserved {
                    current: Some(ready),
                    ready: Some(ready),
                    asked: Some(ready),
                    ..ReplicasObserved::default()
                };
                What::ReplicasObserved(key(), Box::new(Ok(seen)))
            }
            Act::Edit(max) => asked(max),
            Act::ClockSet(millis) => What::WallClockSet(WallOffset::from_millis(millis)),
            Act::Leave => What::TargetExpired(key()),
            Act::Come => asked(30),
        };
        Event {
            at: at(self.second),
            what,
        }
    }

    fn sample(&self) -> Sample {
        let partition = |n: u64| {
            let waiting = self.added - self.done;
            let place = |count| {
                Some(Position {
                    major: count,
                    minor: n,
                })
            };
            let sample = PartitionSample {
                log_end: Some(self.added),
                length: waiting,
                lag: Some(Quantity::Exact(waiting)),
                oldest_age_millis: Some(waiting * 7),
                delivered: place(self.done),
                delivered_count: Some(self.done),
                oldest_kept: place(1),
                ..PartitionSample::default()
            };
            let id = PartitionId::new(n.to_string());
            (id, PartitionObservation::Present(sample))
        };
        Sample {
            partitions: (0..7).map(partition).collect(),
            consumers: Some(3),
            ..Sample::default()
        }
    }
}

fn asked(max_replicas: u32) -> What {
    let settings = PolicySettings {
        max_replicas: Some(max_replicas),
        ..PolicySettings::default()
    };
    What::TargetRegistered(key(), Box::new(settings.resolve()))
}

/// The folder once the thread of the process before is gone: it holds the folder for a moment longer than the process lives.
fn free_folder(folder: &Path) -> FolderLock {
    let started = Instant::now();
    loop {
        let lock = FolderLock::new(folder);
        match lock.hold() {
            Ok(()) => return lock,
            Err(held) => assert!(started.elapsed() < Duration::from_secs(30), "{held}"),
        }
        std::thread::yield_now();
    }
}

/// A process: a group with its journal.
struct Process {
    state: GroupState,
    journal: GroupJournal,
    journals: Journals,
}

impl Process {
    fn start(folder: &Path, now: Moment) -> Self {
        Self::with(folder, now, RULES)
    }

    fn with(folder: &Path, now: Moment, rules: JournalRules) -> Self {
        let lock = Arc::new(free_folder(folder));
        let (journals, _) = Journals::start(lock, rules).expect("a thread");
        let mut recovered = journals.recover(&group(), "billing", now);
        let known = recovered.state.take();
        let resumes = known.is_some();
        let state = known.unwrap_or_else(|| GroupState::new(CapacityRules::default()));
        let journal = journals.begin(&group(), "billing", &recovered, &state, now);
        let mut process = Self {
            state,
            journal,
            journals,
        };
        if resumes {
            let Moment { at, wall } = now;
            let moved = recovered.moved;
            process.apply(&Event {
                at,
                what: What::Resumed { moved, wall },
            });
        }
        process
    }

    fn apply(&mut self, event: &Event) {
        let decided = self.state.apply(event);
        self.journal.append(event, &decided, &self.state);
    }

    fn flush(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(self.journals.flush());
    }
}

fn moment(second: u64) -> Moment {
    Moment::from(at(second))
}

fn bytes(state: &GroupState) -> Vec<u8> {
    rmp_serde::to_vec(state).expect("can be written")
}

/// That all of it can be read, and leads to what was decided and saved.
fn verify(folder: &Path) -> Result<(), TestCaseError> {
    let fold = Fold::of(&group_folder(&super::files::folder(folder), &group()));
    for next in fold.expect("a folder") {
        match next {
            Folded::Began {
                missing, differs, ..
            } => {
                prop_assert_eq!(differs, None);
                prop_assert!(missing.is_none_or(|events| events == 0));
            }
            Folded::Happened {
                record, decided, ..
            } => prop_assert_eq!(record.decided, decided),
            Folded::Unreadable(path, why) => prop_assert!(false, "{}: {}", path.display(), why),
        }
    }
    Ok(())
}

/// The file that was written last.
fn events_file(folder: &Path) -> PathBuf {
    let all = segments(&group_folder(&super::files::folder(folder), &group()));
    all.expect("segments").last().expect("one").events()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_process_goes_on_exactly_where_the_one_before_it_was_killed(
        acts in acts(), kills in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let kills: Vec<usize> = kills.iter().map(|at| at.index(acts.len())).collect();
        let mut world = World::default();
        let mut process = Process::start(folder.path(), moment(0));
        process.apply(&Event { at: at(0), what: asked(30) });
        for (n, act) in acts.into_iter().enumerate() {
            process.apply(&world.event(act));
            if kills.contains(&n) {
                process.flush();
                let before = process.state.clone();
                let now = Moment { at: at(world.second), wall: process.state.facts().wall };
                drop(process);
                let recovered = recover(
                    &group_folder(&super::files::folder(folder.path()), &group()), "billing", now,
                );
                let state = recovered.state.expect("goes on");
                prop_assert_eq!(bytes(&state), bytes(&before));
                process = Process::start(folder.path(), now);
                for event in before.asking(now.at) {
                    process.apply(&event);
                }
                prop_assert_eq!(process.state.targets(), before.targets(), "answers on");
            }
        }
        process.flush();
        verify(folder.path())?;
    }

    #[test]
    fn whatever_becomes_of_the_last_file_what_is_before_it_stands(
        acts in acts(), place in any::<prop::sample::Index>(), flip in 0_u8..9,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut world = World::default();
        let mut process = Process::start(folder.path(), moment(0));
        let mut states = vec![bytes(&process.state)];
        for act in acts {
            process.apply(&world.event(act));
            states.push(bytes(&process.state));
        }
        process.flush();
        drop(process);
        let path = events_file(folder.path());
        let mut content = fs::read(&path).expect("events");
        let place = place.index(content.len());
        match flip {
            8 => content.truncate(place),
            bit => content[place] ^= 1 << bit,
        }
        fs::write(&path, content).expect("written");
        let of_group = group_folder(&super::files::folder(folder.path()), &group());
        let recovered = recover(&of_group, "billing", moment(world.second + 7_200));
        if let Some(state) = recovered.state {
            prop_assert!(states.contains(&bytes(&state)), "a state that never was");
        }
        // A new process can begin there.
        Process::start(folder.path(), moment(world.second)).flush();
    }
}
