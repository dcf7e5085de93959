//! Who counts as never idle, and what is proven by it.

use super::*;

const POLL: u64 = 5;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// A partition of `owner` that is behind since the start, with 50/s by its newest commit.
fn behind(owner: &str, now: Timestamp) -> Held<'_> {
    Held {
        owner,
        changed: false,
        behind_since: Some(at(0)),
        moved_at: Some(now),
        processed_per_second: 50.0,
        steady_processed_per_second: 40.0,
        commit_interval: Some(Duration::ZERO),
    }
}

/// What polls up to `seconds` see of what `held` gives: the last list of busy holders, and the samples of all polls.
fn watch<'a>(
    seconds: u64,
    held: impl Fn(Timestamp) -> Vec<Held<'a>>,
) -> (Vec<Busy>, usize, Owners) {
    let mut owners = Owners::default();
    let (mut busy, mut samples) = (Vec::new(), 0);
    for second in (0..=seconds).step_by(POLL as usize) {
        let now = at(second);
        busy = owners.observe(now, held(now).into_iter(), &[]);
        samples += busy.iter().filter(|b| b.sample.is_some()).count();
    }
    (busy, samples, owners)
}

#[test]
fn who_is_settled_and_behind_gives_a_sample_of_all_its_partitions_every_ten_seconds() {
    let two = |now| vec![behind("a", now), behind("a", now)];
    let (busy, samples, owners) = watch(55, two);
    assert_eq!(
        (busy, samples, owners.best()),
        (vec![], 0, 0.0),
        "not settled yet"
    );
    let (busy, samples, owners) = watch(90, two);
    assert_eq!(samples, 4, "at 60, 70, 80, 90 s");
    let sample = Some(Duration::from_secs(10));
    assert_eq!(
        busy,
        [Busy {
            per_second: 100.0,
            sample
        }]
    );
    assert_eq!((owners.best(), owners.count()), (80.0, 1));
}

#[test]
fn who_keeps_up_or_was_behind_for_a_moment_only_proves_nothing_but_what_it_does() {
    for behind_for in [None, Some(15)] {
        let held = |now: Timestamp| {
            let since = behind_for.map(|s| now.minus(Duration::from_secs(s)));
            vec![Held {
                behind_since: since,
                ..behind("a", now)
            }]
        };
        let (busy, samples, owners) = watch(120, held);
        assert_eq!((busy, samples), (vec![], 0), "{behind_for:?}");
        assert_eq!(owners.best(), 40.0);
    }
}

#[test]
fn a_stuck_partition_proves_nothing() {
    let stuck = |now| Held {
        moved_at: Some(at(0)),
        processed_per_second: 0.0,
        ..behind("a", now)
    };
    let kept_up = |now| Held {
        behind_since: None,
        ..behind("a", now)
    };
    assert_eq!(watch(120, |now| vec![stuck(now)]).0, []);
    assert_eq!(watch(120, |now| vec![stuck(now), kept_up(now)]).0, []);
    assert_eq!(
        watch(120, |now| vec![stuck(now), behind("a", now)]).0.len(),
        1
    );
}

#[test]
fn a_partition_that_comes_or_goes_unsettles_both_holders_and_nobody_else() {
    let mut owners = Owners::default();
    for second in (0..=120).step_by(POLL as usize) {
        let now = at(second);
        let moved = second == 90;
        let from = if moved {
            vec!["a".to_owned()]
        } else {
            Vec::new()
        };
        let held = [
            behind("a", now),
            Held {
                changed: moved,
                ..behind("b", now)
            },
            behind("c", now),
        ];
        let busy = owners.observe(now, held.into_iter(), &from).len();
        let expect = match second {
            0..60 => 0,
            60..90 => 3,
            _ => 1,
        };
        assert_eq!(busy, expect, "at {second} s");
    }
}

#[test]
fn where_commits_are_rare_a_sample_covers_one_of_their_intervals() {
    let minute = Duration::from_secs(60);
    let rare = |now| {
        vec![Held {
            commit_interval: Some(minute),
            ..behind("a", now)
        }]
    };
    assert_eq!(watch(115, rare).1, 0, "two intervals are not over");
    let (busy, samples, _) = watch(240, rare);
    assert_eq!(samples, 3, "at 120, 180, 240 s");
    assert_eq!(busy[0].sample, Some(minute));
}
