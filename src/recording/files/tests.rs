//! Files on a disk: what stands in them, when another begins, what happens when nothing can be written.

use std::collections::BTreeMap;

use super::*;
use crate::model::identity::PartitionId;

/// 2026-01-01T00:00:00Z.
const NEW_YEAR: u64 = 1_767_225_600;

fn config(dir: &Path) -> RecordingConfig {
    RecordingConfig {
        dir: dir.to_owned(),
        keep_files: 3,
    }
}

fn seen(second: u64, ends: &[u64]) -> Observation {
    let ends = ends.iter().enumerate();
    let log_ends: BTreeMap<_, _> = ends
        .map(|(n, end)| (PartitionId::new(format!("p{n}")), Some(*end)))
        .collect();
    Observation {
        at: Timestamp::from_millis((NEW_YEAR + second) * 1_000),
        wall: WallOffset::default(),
        log_ends,
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn rows_tell_what_came_and_the_day_begins_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = RecordingFiles::new(config(folder.path()));
    let start = 86_400 - 20;
    for n in 0..8 {
        files
            .note("main/orders:*/g", &seen(start + n * 5, &[n * n, 100 + n]))
            .unwrap();
    }
    let names = names(folder.path());
    assert_eq!(
        names,
        [
            "main%2Forders%3A%2A%2Fg.20260101T235945Z.csv",
            "main%2Forders%3A%2A%2Fg.20260102T000000Z.csv"
        ]
    );
    let read = |name: &String| fs::read_to_string(folder.path().join(name)).unwrap();
    let first = "time_seconds,p0,p1\n1767311985.000,1,1\n1767311990.000,3,1\n1767311995.000,5,1\n";
    assert_eq!(read(&names[0]), first);
    let second = "time_seconds,p0,p1\n1767312000.000,7,1\n1767312005.000,9,1\n";
    assert!(read(&names[1]).starts_with(second));
}

#[test]
fn times_are_the_wall_clocks_and_one_that_is_set_begins_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = RecordingFiles::new(config(folder.path()));
    let note = |files: &mut RecordingFiles, n: u64, hours: i64| {
        let seen = Observation {
            wall: WallOffset::from_millis(hours * 3_600_000),
            ..seen(n * 5, &[n])
        };
        files.note("g", &seen).unwrap();
    };
    // Two hours behind until NTP answers; set back later.
    for n in 0..4 {
        note(&mut files, n, 0);
    }
    for n in 4..8 {
        note(&mut files, n, 2);
    }
    for n in 8..12 {
        note(&mut files, n, -1);
    }
    let names = names(folder.path());
    let expected = ["20251231T230040Z", "20260101T000005Z", "20260101T020020Z"];
    assert_eq!(names, expected.map(|time| format!("g.{time}.csv")));
    let read = |name: &String| fs::read_to_string(folder.path().join(name)).unwrap();
    let first = NEW_YEAR + 2 * 3_600 + 20;
    let rows: String = (0..4)
        .map(|n| format!("{}.000,1\n", first + n * 5))
        .collect();
    assert_eq!(read(&names[2]), format!("time_seconds,p0\n{rows}"));
}

#[test]
fn other_partitions_begin_another_file_and_only_the_newest_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = RecordingFiles::new(config(folder.path()));
    let other = folder.path().join("other.20250101T000000Z.csv");
    fs::write(&other, "").unwrap();
    for n in 0..20_u64 {
        let partitions = vec![n; 1 + (n as usize / 4)];
        files.note("g", &seen(n * 5, &partitions)).unwrap();
    }
    let names = names(folder.path());
    let of_group: Vec<&String> = names.iter().filter(|n| n.starts_with("g.")).collect();
    assert_eq!(of_group.len(), 3, "{names:?}");
    assert_eq!(of_group[2], "g.20260101T000125Z.csv");
    assert!(other.exists(), "another group's files are not touched");
}

#[test]
fn what_cannot_be_written_is_told_and_the_next_file_begins_when_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("traces");
    fs::write(&dir, "a file in the way").unwrap();
    let mut files = RecordingFiles::new(config(&dir));
    let mut failed = 0;
    for n in 0..7 {
        failed += u32::from(files.note("g", &seen(n * 5, &[n])).is_err());
    }
    // The first observation has nothing to count from, and a file begins with two rows.
    assert_eq!(failed, 5);
    fs::remove_file(&dir).unwrap();
    for n in 7..12 {
        files.note("g", &seen(n * 5, &[n])).unwrap();
    }
    assert_eq!(names(&dir).len(), 1);
}

/// The open file of the only group.
fn open(files: &mut RecordingFiles) -> &mut OpenRecording {
    match &mut files.groups.values_mut().next().unwrap().output {
        Output::Open(open) => open,
        other => panic!("{other:?}"),
    }
}

/// The group's file takes nothing any more; gives what it was.
fn fill_up(files: &mut RecordingFiles) -> File {
    let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
    std::mem::replace(&mut open(files).file, full)
}

#[test]
fn what_could_not_be_written_is_part_of_the_next_row_in_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = RecordingFiles::new(config(folder.path()));
    let end = |n: u64| 100 + n * n;
    for n in 0..4 {
        files.note("g", &seen(n * 5, &[end(n)])).unwrap();
    }
    let file = fill_up(&mut files);
    for n in 4..7 {
        files.note("g", &seen(n * 5, &[end(n)])).unwrap_err();
    }
    open(&mut files).file = file;
    for n in 7..9 {
        assert!(files.note("g", &seen(n * 5, &[end(n)])).unwrap());
    }
    let names = names(folder.path());
    assert_eq!(names.len(), 1, "{names:?}");
    let text = fs::read_to_string(folder.path().join(&names[0])).unwrap();
    let row = |n: u64, arrived: u64| format!("{}.000,{arrived}\n", NEW_YEAR + n * 5);
    let expect = [row(1, 1), row(2, 3), row(3, 5), row(7, 40), row(8, 15)].concat();
    assert_eq!(text, format!("time_seconds,p0\n{expect}"));
}

#[test]
fn files_that_a_full_disk_cut_short_displace_each_other_and_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let good = ["g.20250101T000000Z.csv", "g.20250102T000000Z.csv"];
    for name in good {
        fs::write(folder.path().join(name), "time_seconds,p0\n").unwrap();
    }
    let mut files = RecordingFiles::new(config(folder.path()));
    // The disk has room for a few rows after every six minutes in which it has none.
    let mut second = 0;
    let mut note = |files: &mut RecordingFiles| {
        second += 5;
        files.note("g", &seen(second, &[second])).is_ok()
    };
    for _ in 0..5 {
        for _ in 0..6 {
            assert!(note(&mut files));
        }
        let before = names(folder.path());
        assert_eq!(before.len(), 3, "{before:?}");
        assert_eq!(before[..2], good, "{before:?}");
        fill_up(&mut files);
        let mut failed = 0;
        while matches!(
            files.groups.values().next().unwrap().output,
            Output::Open(_)
        ) {
            assert!(!note(&mut files));
            failed += 1;
        }
        assert_eq!(failed, 61, "five minutes");
        assert_eq!(names(folder.path()), before);
    }
}

#[test]
fn a_file_that_cannot_begin_displaces_nothing_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let good = [1, 2, 3].map(|day| format!("g.2025010{day}T000000Z.csv"));
    for name in &good {
        fs::write(folder.path().join(name), "time_seconds,p0\n").unwrap();
    }
    let mut files = RecordingFiles::new(config(folder.path()));
    for n in 0..2 {
        files.note("g", &seen(n * 5, &[n])).unwrap();
    }
    for n in 2..5 {
        // In the way of the file that would be the next.
        let time = ["05", "10", "15"][n as usize - 2];
        let part = format!("g.20260101T0000{time}Z.csv.part");
        fs::create_dir(folder.path().join(&part)).unwrap();
        files.note("g", &seen(n * 5, &[n])).unwrap_err();
        fs::remove_dir(folder.path().join(&part)).unwrap();
        assert_eq!(names(folder.path()), good);
    }
    let left = "g.20251231T000000Z.csv.part";
    fs::write(folder.path().join(left), "by one that was killed").unwrap();
    files.note("g", &seen(25, &[9])).unwrap();
    let newest = "g.20260101T000020Z.csv".to_owned();
    let [_, second, third] = good;
    assert_eq!(names(folder.path()), [second, third, newest]);
}

#[test]
fn a_full_disk_leaves_whole_rows_only() {
    // /dev/full takes nothing; opening it is what a disk that fills up looks like.
    let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut whole = 0;
    assert!(append(&mut full, &mut whole, "1,2\n").is_err());
    assert_eq!(whole, 0);
}

#[test]
fn long_and_odd_names_become_file_names_that_differ() {
    assert_eq!(file_stem("../a b"), "%2E%2E%2Fa%20b");
    let (a, b) = (
        format!("{}a", "x".repeat(300)),
        format!("{}b", "x".repeat(300)),
    );
    assert_eq!(file_stem(&a).len(), LONGEST_NAME);
    assert_ne!(file_stem(&a), file_stem(&b));
}
