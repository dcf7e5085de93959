//! The fold of readings: what counts, for how long, and when pods hang.

use super::*;

fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + second * 1000)
}

fn pods(asked: u32, ready: u32) -> ReplicasObserved {
    ReplicasObserved {
        current: Some(asked),
        asked: Some(asked),
        ready: Some(ready),
        updated: Some(asked),
        ..ReplicasObserved::default()
    }
}

fn unread(kind: UnreadKind) -> Result<ReplicasObserved, Unread> {
    let text = "no".to_owned();
    Err(Unread { kind, text })
}

/// Reads every 10 s the (asked, ready) of `pods(second)`; the seconds at which pods were said to hang.
fn hanging(seconds: u64, mut observed: impl FnMut(u64) -> ReplicasObserved) -> Vec<u64> {
    let mut state = ReplicaState::default();
    (0..=seconds)
        .step_by(10)
        .filter(|second| {
            state.observed(at(*second), &Ok(observed(*second)));
            state.running(at(*second), None).not_ready_since.is_some()
        })
        .collect()
}

#[test]
fn the_kubernetes_api_is_believed_before_consumers_and_consumers_before_nobody() {
    let mut state = ReplicaState::default();
    let check = |state: &ReplicaState, consumers, current, ready, source| {
        let running = state.running(at(10), consumers);
        assert_eq!(
            (running.current, running.ready, running.source),
            (current, ready, source)
        );
    };
    check(&state, None, None, None, ReplicaSource::Unknown);
    check(&state, Some(3), Some(3), None, ReplicaSource::Consumers);
    state.observed(at(0), &Ok(pods(8, 5)));
    let kubernetes = ReplicaSource::Kubernetes;
    check(&state, Some(3), Some(8), Some(5), kubernetes);
    check(&state, None, Some(8), Some(5), kubernetes);
    // The ScaledObject can be read, what it scales cannot.
    let blind = ReplicasObserved::default();
    state.observed(at(10), &Ok(blind));
    check(&state, Some(3), Some(3), None, ReplicaSource::Consumers);
}

#[test]
fn a_failed_reading_takes_nothing_away_until_the_last_one_is_too_old() {
    let mut state = ReplicaState::default();
    state.observed(at(0), &Ok(pods(8, 8)));
    for second in (10..300).step_by(10) {
        state.observed(at(second), &unread(UnreadKind::Timeout));
        let running = state.running(at(second), Some(3));
        let expect = if second < 120 { 8 } else { 3 };
        assert_eq!(running.current, Some(expect), "at {second} s");
        let failure = state.failure_at(at(second)).map(|f| f.kind);
        assert_eq!(failure, Some(UnreadKind::Timeout));
    }
    state.observed(at(300), &Ok(pods(9, 9)));
    assert_eq!(state.running(at(300), Some(3)).current, Some(9));
    assert_eq!(state.failure_at(at(300)), None);
}

#[test]
fn an_object_that_is_gone_is_forgotten_at_once() {
    let mut state = ReplicaState::default();
    state.observed(at(0), &Ok(pods(8, 8)));
    state.observed(at(10), &unread(UnreadKind::NotFound));
    assert_eq!(state.running(at(10), Some(3)).current, Some(3));
}

#[test]
fn pods_hang_after_two_minutes_without_one_more_becoming_ready() {
    let seen = hanging(300, |second| pods(8, if second < 50 { 8 } else { 5 }));
    assert_eq!(seen.first(), Some(&170), "50 s and two minutes");
    assert_eq!(seen.last(), Some(&300));
}

#[test]
fn a_fleet_that_grows_step_by_step_does_not_hang() {
    let grows = |second: u64| pods(40, (second / 60) as u32);
    assert_eq!(hanging(2_000, grows), Vec::<u64>::new());
}

#[test]
fn pods_that_crash_and_start_again_are_no_progress() {
    let crashes = |second: u64| pods(8, 3 + (second / 10 % 3) as u32);
    let seen = hanging(400, crashes);
    assert_eq!(
        seen.first(),
        Some(&140),
        "from the best of the first round on"
    );
    assert_eq!(seen.len(), 27, "and without a break: {seen:?}");
}

#[test]
fn asking_for_more_and_more_pods_that_hang_is_no_progress_either() {
    let grows = |second: u64| pods(8 + (second / 60) as u32, 3);
    assert_eq!(hanging(1_200, grows).first(), Some(&120));
}

#[test]
fn a_rollout_that_moves_on_does_not_hang_and_one_that_stands_still_does() {
    let rollout = |stops_at: u64| {
        move |second: u64| ReplicasObserved {
            updated: Some((second.min(stops_at) / 60) as u32),
            ..pods(20, 16)
        }
    };
    assert_eq!(hanging(1_200, rollout(u64::MAX)), Vec::<u64>::new());
    assert_eq!(hanging(1_200, rollout(300)).first(), Some(&420));
}

#[test]
fn pods_on_their_way_out_and_pods_that_were_never_made_are_told_apart() {
    // Scaled in from 8 to 3: the others terminate, ready or not.
    let fewer = ReplicasObserved {
        asked: Some(3),
        ..pods(8, 4)
    };
    assert_eq!(hanging(600, |_| fewer.clone()), Vec::<u64>::new());
    // A quota lets five of eight be made.
    let quota = ReplicasObserved {
        current: Some(5),
        ..pods(8, 5)
    };
    assert_eq!(hanging(600, |_| quota.clone()).first(), Some(&120));
}

#[test]
fn what_happened_while_nothing_could_be_read_is_not_held_against_the_pods() {
    let mut state = ReplicaState::default();
    state.observed(at(0), &Ok(pods(8, 5)));
    state.observed(at(600), &Ok(pods(8, 5)));
    assert_eq!(state.running(at(600), None).not_ready_since, None);
    state.observed(at(660), &Ok(pods(8, 5)));
    state.observed(at(720), &Ok(pods(8, 5)));
    let since = state.running(at(720), None).not_ready_since;
    assert_eq!(since, Some(at(600)));
}
