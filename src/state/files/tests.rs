//! What is kept is read again to the bit; what cannot be read costs itself alone.

use std::collections::BTreeMap;

use super::*;
use crate::group::GroupState;
use crate::group::event::{Event, What};
use crate::model::capacity::CapacityRules;
use crate::model::identity::PartitionId;
use crate::model::quantity::Quantity;
use crate::model::sample::{PartitionObservation, PartitionSample, Position, Sample};

fn key() -> GroupKey {
    GroupKey {
        source: "main".into(),
        stream: "orders:*".into(),
        consumer_group: "billing".into(),
    }
}

const START: u64 = 1_700_000_000_000;

fn at(poll: u64) -> Timestamp {
    Timestamp::from_millis(START + poll * 5_000)
}

fn sample(poll: u64) -> Sample {
    let partition = |n: u64| {
        let done = poll * (40 + poll * n % 7);
        PartitionSample {
            log_end: Some(done + 10),
            length: done + 10,
            lag: Some(Quantity::Exact(10 + poll % 5)),
            delivered: Some(Position {
                major: 1,
                minor: done,
            }),
            delivered_count: Some(done),
            oldest_age_millis: Some(300 + poll % 11),
            ..PartitionSample::default()
        }
    };
    let observed = |n: u64| {
        let id = PartitionId::new(n.to_string());
        (id, PartitionObservation::Present(partition(n)))
    };
    Sample {
        partitions: (0..3).map(observed).collect::<BTreeMap<_, _>>(),
        consumers: Some(2),
        ..Sample::default()
    }
}

/// A group after an hour of polls and a stop of its producers.
fn experienced() -> GroupState {
    let mut state = GroupState::new(CapacityRules::default());
    for poll in 0..720 {
        let what = What::Observed(Ok(sample(poll.min(700))));
        state.apply(&Event { at: at(poll), what });
    }
    assert_eq!(state.incidents().iter().count(), 1);
    state
}

fn files() -> (tempfile::TempDir, StateFiles) {
    let folder = tempfile::tempdir().expect("a folder");
    let files = StateFiles::new(&folder.path().join("deeper"));
    (folder, files)
}

/// Changes the JSON of the kept file.
fn edit(files: &StateFiles, change: impl FnOnce(String) -> String) {
    let mut text = String::new();
    let path = files.path(&key());
    let mut decoder = GzDecoder::new(File::open(&path).expect("there"));
    decoder.read_to_string(&mut text).expect("read");
    let mut encoder = GzEncoder::new(File::create(&path).expect("open"), Compression::fast());
    io::Write::write_all(&mut encoder, change(text).as_bytes()).expect("written");
    encoder.finish().expect("written");
}

fn names(files: &StateFiles) -> Vec<String> {
    let entries = fs::read_dir(&files.folder).expect("a folder");
    let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    let plain = |name: std::ffi::OsString| name.to_string_lossy()[32..].to_owned();
    let kept = names.into_iter().filter(|name| name != "lock");
    kept.map(plain).collect()
}

#[test]
fn of_two_that_use_one_folder_the_first_writes_and_the_other_is_told() {
    let (_folder, first) = files();
    let (path, at) = (first.folder.clone(), Moment::from(at(1)));
    let remembered = experienced().remembered();
    first.save(&key(), at, &remembered).expect("written");
    let second = StateFiles::new(&path);
    let refused = second.save(&key(), at, &remembered).expect_err("in use");
    assert!(refused.to_string().contains("another process"), "{refused}");
    drop(first);
    second.save(&key(), at, &remembered).expect("its turn");
}

#[test]
fn a_restarted_group_goes_on_as_if_it_had_only_lost_its_source_for_a_while() {
    let (_folder, files) = files();
    let before = experienced();
    let remembered = before.remembered();
    assert!(
        files
            .load(&key(), at(800).into())
            .expect("nothing wrong")
            .is_none()
    );
    files
        .save(&key(), at(720).into(), &remembered)
        .expect("saved");
    files
        .save(&key(), at(721).into(), &remembered)
        .expect("saved again");
    assert_eq!(names(&files), [".json.gz"]);
    let loaded = files
        .load(&key(), at(800).into())
        .expect("read")
        .expect("there");
    assert_eq!(loaded.saved_at, at(721));
    assert_eq!(loaded.problems, Vec::<String>::new());
    assert_eq!(loaded.remembered, remembered, "to the bit");

    let mut after = GroupState::new(CapacityRules::default());
    let restored = What::Restored(Box::new(loaded.remembered));
    after.apply(&Event {
        at: at(722),
        what: restored.clone(),
    });
    assert_eq!(after.incidents(), before.incidents());
    let what = What::Observed(Ok(sample(722)));
    after.apply(&Event { at: at(722), what });
    let (then, now) = (&before.facts().normal, &after.facts().normal);
    for (signal, normal) in now {
        let expected = then[signal].reading.expected;
        assert!(normal.reading.expected.is_some() && expected.is_some());
        assert_eq!(normal.anomalies_total, then[signal].anomalies_total);
    }
    // What comes too late changes nothing.
    let known = after.clone();
    after.apply(&Event {
        at: at(723),
        what: restored,
    });
    assert_eq!(after, known);
}

#[test]
fn a_part_of_another_version_is_learned_anew_and_the_rest_is_not() {
    let (_folder, files) = files();
    let remembered = experienced().remembered();
    files
        .save(&key(), at(720).into(), &remembered)
        .expect("saved");
    edit(&files, |text| {
        let text = text.replace("\"capacity\":{\"version\":1", "\"capacity\":{\"version\":9");
        text.replace("\"numbered\":1", "\"numbered\":\"one\"")
    });
    let loaded = files
        .load(&key(), at(800).into())
        .expect("read")
        .expect("there");
    assert_eq!(loaded.problems.len(), 2, "{:?}", loaded.problems);
    let said = "capacity has format 9, this version reads 1";
    assert_eq!(loaded.problems[0], said);
    assert!(loaded.problems[1].starts_with("incidents cannot be read: "));
    let mut expect = remembered;
    expect.learned.capacity = None;
    expect.incidents = None;
    assert_eq!(loaded.remembered, expect);
    assert_eq!(
        names(&files),
        [".json.gz", ".json.gz.unread"],
        "nothing is lost"
    );
}

#[test]
fn a_file_that_cannot_be_used_is_said_kept_aside_and_written_anew() {
    let (_folder, files) = files();
    let remembered = experienced().remembered();
    let check = |expect: &str| {
        let said = files
            .load(&key(), at(800).into())
            .expect_err("unreadable")
            .to_string();
        assert!(said.contains(expect), "{said}");
        assert_eq!(names(&files), [".json.gz", ".json.gz.unread"]);
        files
            .save(&key(), at(720).into(), &remembered)
            .expect("saved");
        let loaded = files
            .load(&key(), at(800).into())
            .expect("read")
            .expect("there");
        assert_eq!(loaded.remembered, remembered);
    };
    files
        .save(&key(), at(720).into(), &remembered)
        .expect("saved");
    let whole = fs::read(files.path(&key())).expect("there");
    fs::write(files.path(&key()), &whole[..whole.len() / 2]).expect("cut");
    check("it is damaged");
    fs::write(files.path(&key()), "no gzip").expect("written");
    check("it is damaged");
    edit(&files, |text| text.replace("\"format\":1", "\"format\":7"));
    check("it has format 7, written by version ");
}

#[test]
fn a_write_that_fails_leaves_what_was_kept_and_unfinished_files_go_at_the_next_start() {
    let (folder, files) = files();
    let remembered = experienced().remembered();
    files
        .save(&key(), at(720).into(), &remembered)
        .expect("saved");
    let left = files.path(&key()).with_extension("1-0.tmp");
    fs::write(&left, "half").expect("written");
    let strange = files.folder.join("notes.tmp");
    fs::write(&strange, "not ours").expect("written");
    let kept_in = files.folder.clone();
    drop(files);
    let again = StateFiles::new(&kept_in);
    assert!(!left.exists() && strange.exists());
    assert!(again.load(&key(), at(800).into()).expect("read").is_some());
    let blocked = folder.path().join("blocked");
    fs::write(&blocked, "a file").expect("written");
    let nowhere = StateFiles::new(&blocked);
    let said = nowhere
        .save(&key(), at(1).into(), &remembered)
        .expect_err("no folder");
    assert!(matches!(said, StateError::Io(..)), "{said}");
}

#[test]
fn a_number_that_cannot_be_costs_its_section_and_nothing_else() {
    let (_folder, files) = files();
    let remembered = experienced().remembered();
    for number in ["1e300", "-1e300", "18446744073709551615", "null"] {
        files
            .save(&key(), at(720).into(), &remembered)
            .expect("saved");
        edit(&files, |text| {
            assert!(text.contains("\"longest\":0.0"));
            text.replace("\"longest\":0.0", &format!("\"longest\":{number}"))
        });
        let loaded = files
            .load(&key(), at(800).into())
            .expect("read")
            .expect("there");
        assert_eq!(loaded.problems.len(), 1, "{:?}", loaded.problems);
        assert!(loaded.problems[0].starts_with("incidents cannot be read: "));
        assert_eq!(loaded.remembered.learned, remembered.learned);
    }
}

#[test]
fn a_file_that_was_being_read_when_the_process_died_is_set_aside() {
    let (_folder, files) = files();
    let remembered = experienced().remembered();
    files
        .save(&key(), at(720).into(), &remembered)
        .expect("saved");
    File::create(with_ending(&files.path(&key()), READING)).expect("marked");
    let said = files
        .load(&key(), at(800).into())
        .expect_err("set aside")
        .to_string();
    assert!(said.contains("crashed while reading it"), "{said}");
    assert_eq!(names(&files), [".json.gz.unread"]);
    assert!(
        files
            .load(&key(), at(800).into())
            .expect("nothing wrong")
            .is_none()
    );
    files
        .save(&key(), at(721).into(), &remembered)
        .expect("saved");
    assert!(files.load(&key(), at(800).into()).expect("read").is_some());
}

#[test]
fn pipes_devices_and_text_without_end_are_refused() {
    let (_folder, files) = files();
    files
        .save(&key(), at(720).into(), &experienced().remembered())
        .expect("saved");
    let path = files.path(&key());
    let whole = File::open(&path).expect("there");
    let said = read(whole, 1_000, at(0).into()).expect_err("too much");
    assert_eq!(said, "it has more than 1000 bytes of text");
    let pipe = |path: &Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.expect("run").success());
    };
    let device = |path: &Path| std::os::unix::fs::symlink("/dev/zero", path).expect("linked");
    let makes: [&dyn Fn(&Path); 2] = [&pipe, &device];
    for make in makes {
        fs::remove_file(&path).expect("removed");
        make(&path);
        let said = files
            .load(&key(), at(800).into())
            .expect_err("refused")
            .to_string();
        assert!(said.ends_with("it is not a regular file"), "{said}");
    }
}

#[test]
fn times_that_another_clock_wrote_are_read_as_those_of_this_one() {
    let hours = |hours: i64| WallOffset::from_millis(hours * 3_600_000);
    // By how much the wall clock was ahead of who wrote, and is ahead of who reads at poll 722; at which poll it seems saved.
    for (then, now, expect) in [
        (0, 0, 721),
        // Two hours behind at its start, and set meanwhile.
        (2, 0, 722),
        (2, 2, 721),
        (-2, 0, 721 - 1_440),
        // Who reads starts behind.
        (0, 2, 721 - 1_440),
        (0, -2, 722),
    ] {
        let (_folder, files) = files();
        let moment = |poll, wall| Moment {
            at: at(poll),
            wall: hours(wall),
        };
        let remembered = experienced().remembered();
        let saved = files.save(&key(), moment(721, then), &remembered);
        saved.expect("saved");
        let loaded = files.load(&key(), moment(722, now));
        let loaded = loaded.expect("read").expect("there");
        let case = format!("{then} h, {now} h");
        let expected = START.saturating_add_signed(expect * 5_000);
        assert_eq!(loaded.saved_at.as_millis(), expected, "{case}");
        let started = |remembered: &Remembered| {
            let incidents = remembered.incidents.as_ref().expect("kept");
            incidents.iter().next().expect("one").started_at
        };
        let before = at(721).since(started(&remembered));
        let after = loaded.saved_at.since(started(&loaded.remembered));
        assert_eq!(after, before, "{case}: everything moved alike");
    }
}

#[test]
fn a_file_saved_at_an_impossible_time_is_read_all_the_same() {
    for saved_at in [0, 1 << 63, u64::MAX] {
        for wall in [i64::MIN, 0, i64::MAX] {
            let group = r#""source":"","stream":"","consumer_group":"""#;
            let header = format!(
                r#"{{"format":1,"version":"",{group},"saved_at":{saved_at},"wall":{wall}}}"#
            );
            let text = format!(r#"{{"header":{header},"sections":{{}}}}"#);
            let loaded = parse(&text, at(1).into()).expect("read");
            assert!(loaded.saved_at <= at(1), "{saved_at} {wall}");
        }
    }
}
