//! The seeds of the fuzz targets keep what the targets check: docs/testing.md, "Fuzzing". So do seeds that are cut off or damaged.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use streamgauge::files::FolderLock;
use streamgauge::group::GroupState;
use streamgauge::group::event::{Event, TargetKey, What};
use streamgauge::journal::{
    JournalRecord, JournalRules, Journals, Recovered, group_folders, segments,
};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::identity::GroupKey;
use streamgauge::model::time::{Moment, Timestamp};
use streamgauge::policy::spec::PolicySettings;
use streamgauge::state::{StateFiles, StateStore, files};

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target)
}

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder(target)).expect("a folder of seeds");
    let read = entries.map(|entry| {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("readable");
        (path, bytes)
    });
    read.collect()
}

#[test]
fn every_target_has_seeds_and_they_pass() {
    for (target, check) in fuzz::CHECKS {
        let seeds = seeds(target);
        assert!(seeds.len() >= 3, "{target}: {}", seeds.len());
        for (path, bytes) in seeds {
            println!("{}", path.display());
            check(&bytes);
        }
    }
}

#[test]
fn damaged_seeds_pass() {
    // Where overflow is checked, as here, serde_amqp panics for maps and lists of impossible sizes: the fuzz package builds it as a release does.
    let targets = fuzz::CHECKS.into_iter();
    for (target, check) in targets.filter(|(target, _)| *target != "amqp_reply") {
        for (path, bytes) in seeds(target) {
            println!("{}", path.display());
            let step = (bytes.len() / 40).max(1);
            for at in (0..bytes.len()).step_by(step) {
                check(&bytes[..at]);
                for odd in [0, b'0', b'-', b'\n', 0xff] {
                    let mut damaged = bytes.clone();
                    damaged[at] = odd;
                    check(&damaged);
                }
            }
        }
    }
}

#[test]
fn every_target_is_a_program_of_the_fuzz_package() {
    let manifest =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml"));
    let manifest = manifest.expect("readable");
    for (target, _) in fuzz::CHECKS {
        assert!(
            manifest.contains(&format!("name = \"{target}\"")),
            "{target}"
        );
    }
}

const SAVED_AT: u64 = 1_700_000_000_000;

#[test]
fn the_seed_of_state_is_of_the_present_format() {
    let text = std::fs::read_to_string(folder("state_file").join("learned.json"));
    let now = Moment::from(Timestamp::from_millis(SAVED_AT));
    let loaded = files::parse(&text.expect("readable"), now).expect("read");
    assert_eq!(
        loaded.problems,
        Vec::<String>::new(),
        "write it again: see below"
    );
}

/// `cargo test --test integration -- --ignored fuzz_seeds::` after the format has changed.
#[test]
#[ignore = "writes the seeds of state files"]
fn state_is_written_as_seeds() {
    let mut state = GroupState::new(CapacityRules::default());
    let poll = |n: u64| Timestamp::from_millis(SAVED_AT - 5_000 * (40 - n));
    for n in 1..=40 {
        let what = What::Observed(Ok(fuzz::sample(n)));
        state.apply(&Event { at: poll(n), what });
    }
    let group = GroupKey {
        source: "main".into(),
        stream: "orders".into(),
        consumer_group: "billing".into(),
    };
    let kept = tempfile::tempdir().expect("a folder");
    let now = Moment::from(poll(40));
    let store = StateFiles::new(kept.path());
    store.save(&group, now, &state.remembered()).expect("saved");
    let mut written = std::fs::read_dir(kept.path()).expect("a folder");
    let is_state = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "gz");
    let path = written.find_map(|entry| Some(entry.ok()?.path()).filter(is_state));
    let bytes = std::fs::read(path.expect("a file")).expect("readable");
    std::fs::write(folder("state_file").join("learned.json.gz"), &bytes).expect("written");
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&bytes[..]);
    std::io::Read::read_to_string(&mut decoder, &mut text).expect("gzip");
    std::fs::write(folder("state_file").join("learned.json"), text).expect("written");
}

/// What a group's journal has after some polls, packed, and two of its records.
fn records() -> Vec<(&'static str, Vec<u8>)> {
    let folder = tempfile::tempdir().expect("a folder");
    let lock = Arc::new(FolderLock::new(folder.path()));
    let rules = JournalRules {
        keep: Duration::from_secs(3_600),
        max_bytes: 1 << 20,
    };
    let (journals, _ended) = Journals::start(lock, rules).expect("a thread");
    let key = GroupKey {
        source: "main".into(),
        stream: "orders".into(),
        consumer_group: "billing".into(),
    };
    let mut state = GroupState::new(CapacityRules::default());
    let now = Moment::from(Timestamp::from_millis(SAVED_AT));
    let mut journal = journals.begin(&key, "billing", &Recovered::default(), &state, now);
    let spec = Box::new(PolicySettings::default().resolve());
    let polls = (1..=5).map(|n| What::Observed(Ok(fuzz::sample(n))));
    let asked = What::TargetRegistered(TargetKey::default(), spec);
    let mut each = Vec::new();
    for (n, what) in std::iter::once(asked).chain(polls).enumerate() {
        let at = now.at.plus(Duration::from_secs(5 * n as u64));
        let event = Event { at, what };
        let decided = state.apply(&event);
        journal.append(&event, &decided, &state);
        let position = n as u64 + 1;
        let record = JournalRecord {
            position,
            event,
            decided,
        };
        each.push(record.encode().expect("bytes"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(journals.flush());
    let of_group = group_folders(folder.path()).expect("a journal").remove(0);
    let events = segments(&of_group).expect("segments")[0].events();
    let mut packed = std::fs::read(events).expect("events");
    let header = packed
        .iter()
        .position(|byte| *byte == b'\n')
        .expect("a line");
    packed.drain(..=header);
    let poll = each.remove(1);
    vec![
        ("packed", packed),
        ("asked", each.remove(0)),
        ("poll", poll),
    ]
}

#[test]
fn damaged_records_of_this_build_pass() {
    for (name, bytes) in records() {
        println!("{name}");
        fuzz::journal_records(&bytes);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            fuzz::journal_records(&damaged);
        }
    }
}

/// As above, for journals.
#[test]
#[ignore = "writes the seeds of journal records"]
fn records_are_written_as_seeds() {
    for (name, bytes) in records() {
        std::fs::write(folder("journal_records").join(name), bytes).expect("written");
    }
}
