//! What disks, builds and clocks do to a journal.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::files::{group_folder, segments};
use super::super::retention::prune;
use super::super::{Fold, Folded, JournalRules, PastSpan, ReplayedGroup, recover};
use super::{Act, Process, RULES, World, asked, at, bytes, group, moment};
use crate::group::GroupState;
use crate::group::event::{Event, TargetKey, What};
use crate::policy::decision::Decision;

/// What a process left that polled once.
fn polled_once(folder: &Path) -> PathBuf {
    let mut process = Process::start(folder, moment(0));
    process.apply(&World::default().event(Act::Poll(10, 5)));
    process.flush();
    group_folder(&super::super::files::folder(folder), &group())
}

#[test]
fn a_disk_that_refuses_costs_the_journal_a_gap_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::default();
    let mut process = Process::start(folder.path(), moment(0));
    let poll = Act::Poll(10, 5);
    process.apply(&world.event(poll));
    process.flush();
    let journals = super::super::files::folder(folder.path());
    fs::rename(&journals, folder.path().join("away")).expect("renamed");
    File::create(&journals).expect("a file where the folder was");
    for _ in 0..3 {
        process.apply(&world.event(poll));
    }
    process.flush();
    let stats = process.journals.stats();
    assert!(stats.failures > 0 && stats.lost > 0, "{stats:?}");
    fs::remove_file(&journals).expect("removed");
    fs::rename(folder.path().join("away"), &journals).expect("back");
    for _ in 0..5 {
        process.apply(&world.event(poll));
        process.flush();
    }
    let state = bytes(&process.state);
    drop(process);
    let recovered = recover(
        &group_folder(&journals, &group()),
        "billing",
        moment(world.second),
    );
    assert_eq!(
        recovered.state.as_ref().map(bytes),
        Some(state),
        "whole again"
    );
}

#[test]
fn what_another_build_wrote_is_set_aside_and_what_is_old_is_not_gone_on_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let of_group = polled_once(folder.path());
    let late = recover(&of_group, "billing", moment(3_700));
    assert_eq!((late.state, late.position), (None, 2), "an hour later");
    for segment in segments(&of_group).expect("segments") {
        for path in [segment.snapshot(), segment.events()] {
            let mut content = fs::read(&path).expect("a file");
            let code = content.windows(6).position(|w| w == b"\"code\"");
            content[code.expect("a header") + 8] = b'x';
            fs::write(&path, content).expect("written");
        }
    }
    let other = recover(&of_group, "billing", moment(5));
    assert_eq!((other.state, other.position), (None, 0));
    assert!(!of_group.exists() && of_group.with_extension("unread").exists());
}

#[test]
fn times_of_a_process_whose_clock_was_wrong_are_moved() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::default();
    let mut process = Process::start(folder.path(), moment(0));
    for _ in 0..3 {
        process.apply(&world.event(Act::Poll(10, 5)));
    }
    // It started two hours behind; then somebody set the clock.
    process.apply(&world.event(Act::ClockSet(7_200_000)));
    process.flush();
    drop(process);
    let now = moment(7_200 + 30);
    let process = Process::start(folder.path(), now);
    let decided_at = process.state.decided_at().expect("observed");
    assert_eq!(now.at.since(decided_at), Duration::from_secs(15));
}

#[test]
fn one_process_that_reads_and_is_killed_is_chance_and_four_in_a_row_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let of_group = polled_once(folder.path());
    for (marks, goes_on) in [("...", true), ("....", false)] {
        let mark = of_group.join(super::super::files::READING);
        fs::write(&mark, &marks[1..]).expect("a mark");
        let recovered = recover(&of_group, "billing", moment(5));
        assert_eq!(recovered.state.is_some(), goes_on, "{marks}");
    }
}

#[test]
fn the_oldest_segments_go_first_and_the_newest_of_a_group_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::default();
    for _ in 0..6 {
        let mut process = Process::start(folder.path(), moment(world.second));
        for _ in 0..20 {
            process.apply(&world.event(Act::Poll(10, 5)));
        }
        process.flush();
    }
    let journals = super::super::files::folder(folder.path());
    let of_group = group_folder(&journals, &group());
    let all = segments(&of_group).expect("segments");
    assert_eq!(all.len(), 6);
    let size = |path: PathBuf| fs::metadata(path).expect("a file").len();
    let newest = &all[5];
    let rules = JournalRules {
        max_bytes: size(newest.snapshot()) + size(newest.events()) + 1,
        ..RULES
    };
    prune(&journals, rules).expect("pruned");
    assert_eq!(
        segments(&of_group).expect("segments"),
        std::slice::from_ref(newest)
    );
    let rules = JournalRules {
        keep: Duration::ZERO,
        ..RULES
    };
    prune(&journals, rules).expect("pruned");
    assert!(
        !of_group.exists(),
        "nobody asked for it for longer than anything is kept"
    );
}

fn fails_on_failures(state: &mut GroupState, event: &Event) -> Vec<(TargetKey, Decision)> {
    assert!(!matches!(event.what, What::Observed(Err(_))), "a bug");
    state.apply(event)
}

#[test]
fn where_computing_again_fails_it_is_said_when_and_the_next_part_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::default();
    for acts in [
        [Act::Poll(10, 5), Act::Fail, Act::Poll(10, 5)],
        [Act::Poll(10, 5); 3],
    ] {
        let mut process = Process::start(folder.path(), moment(world.second));
        for act in acts {
            process.apply(&world.event(act));
        }
        process.flush();
    }
    let of_group = group_folder(&super::super::files::folder(folder.path()), &group());
    let fold = Fold::by(&of_group, fails_on_failures).expect("a folder");
    let told = fold.map(|next| match next {
        Folded::Began { .. } => "began".to_owned(),
        Folded::Happened { .. } => "happened".to_owned(),
        Folded::Unreadable(_, why) => why,
    });
    let mut told: Vec<String> = told.collect();
    let why = told.remove(2);
    let words = "computing event 2 at 2023-11-14 22:13:30Z again fails";
    assert!(why.starts_with(words), "{why}");
    let expect = [
        ["began", "happened"].as_slice(),
        &["began"],
        &["happened"; 4],
    ]
    .concat();
    assert_eq!(told, expect);
}

#[test]
fn a_look_at_a_moment_sees_what_happened_until_then_and_nothing_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::default();
    let mut process = Process::start(folder.path(), moment(0));
    let mut states = Vec::new();
    for _ in 0..4 {
        process.apply(&world.event(Act::Poll(10, 5)));
        states.push(bytes(&process.state));
    }
    // While the next poll is under way, somebody asks.
    let poll = world.event(Act::Poll(10, 5));
    let what = asked(30);
    process.apply(&Event {
        at: poll.at.plus(Duration::from_millis(90)),
        what,
    });
    process.apply(&poll);
    states.push(bytes(&process.state));
    process.flush();
    let of_group = group_folder(&super::super::files::folder(folder.path()), &group());
    for (second, expect) in [(5, 0), (9, 0), (10, 1), (24, 3), (25, 4), (60, 4)] {
        let (from, to) = (at(second), at(second));
        let span = PastSpan { from, to };
        let past = ReplayedGroup::of(&of_group, None, span).expect("readable");
        let mut past = past.expect("of any group");
        while past.next_step().is_some() {}
        let state = past.state().map(bytes);
        assert_eq!(state.as_ref(), Some(&states[expect]), "at second {second}");
    }
}
