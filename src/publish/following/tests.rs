//! A group that is followed, taken over and led again.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::group::event::{Event, TargetKey};
use crate::model::capacity::CapacityRules;
use crate::model::identity::{GroupKey, PartitionId};
use crate::model::quantity::Quantity;
use crate::model::sample::{PartitionObservation, PartitionSample, Sample};
use crate::model::stream::StreamSelector;
use crate::policy::spec::PolicySettings;
use crate::publish::GroupDefinition;

const START: u64 = 1_700_000_000_000;

fn moment(second: u64) -> Moment {
    Moment {
        at: Timestamp::from_millis(START + second * 1_000),
        wall: WallOffset::default(),
    }
}

fn group() -> Group {
    let definition = GroupDefinition {
        name: "billing".into(),
        key: GroupKey {
            source: "main".into(),
            stream: "orders".into(),
            consumer_group: "billing".into(),
        },
        selector: StreamSelector::Whole,
        poll_interval: Duration::from_secs(5),
        settings: PolicySettings::default(),
        signals: Default::default(),
        granularity: Default::default(),
        configured: false,
    };
    Group::new(definition, CapacityRules::default())
}

fn key() -> TargetKey {
    TargetKey {
        namespace: "shop".into(),
        name: "worker".into(),
        metadata_hash: 1,
    }
}

fn asked(second: u64) -> Event {
    let spec = PolicySettings::default().resolve();
    Event {
        at: moment(second).at,
        what: What::TargetRegistered(key(), Box::new(spec)),
    }
}

fn poll(second: u64, backlog: u64) -> Event {
    let sample = PartitionSample {
        log_end: Some(second * 100 + backlog),
        length: backlog,
        lag: Some(Quantity::Exact(backlog)),
        ..PartitionSample::default()
    };
    let partition = (PartitionId::new("0"), PartitionObservation::Present(sample));
    let sample = Sample {
        partitions: [partition].into(),
        consumers: Some(1),
        ..Sample::default()
    };
    Event {
        at: moment(second).at,
        what: What::Observed(Ok(sample)),
    }
}

/// Everything that the leader has sent so far is folded.
fn catch_up(follower: &Group, events: &mut mpsc::Receiver<Vec<u8>>) {
    while let Ok(bytes) = events.try_recv() {
        let record = JournalRecord::decode(&bytes).expect("a record");
        assert!(follower.folded(&record), "another answer at the follower");
    }
}

fn answer(group: &Group, second: u64) -> Option<(f64, bool)> {
    let answer = group.answer(&key(), moment(second).at).ok()?;
    Some((answer.metric.as_f64(), answer.active))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn who_follows_knows_the_same_to_the_bit_and_its_first_answer_as_the_owner_is_the_last_one_told(
        backlogs in prop::collection::vec(0_u64..5_000, 2..40),
        from in 0_usize..40,
        ahead in -100_000_i64..100_000,
    ) {
        let ahead = WallOffset::from_millis(ahead);
        let (leader, follower) = (group(), group().led_elsewhere());
        leader.apply(&asked(0));
        // Its own registry was asked, too, and what it sees itself does not count.
        follower.apply(&asked(0));
        follower.apply(&poll(1, 77_777));
        let mut line = None;
        for (n, backlog) in backlogs.iter().enumerate() {
            if n == from % backlogs.len() {
                let (state, events) = leader.followed().expect("it leads");
                follower.adopt(state, ahead);
                line = Some(events);
            }
            leader.apply(&poll(5 + 5 * n as u64, *backlog));
            if let Some(events) = &mut line {
                catch_up(&follower, events);
            }
        }
        prop_assert_eq!(&*leader.snapshot(), &*follower.snapshot());
        let last = 5 * backlogs.len() as u64;
        let told = answer(&leader, last);
        let here = Moment {
            at: ahead.on_the_wall(moment(last).at),
            ..moment(last)
        };
        let followed = follower.answer(&key(), here.at).ok();
        prop_assert_eq!(followed.map(|a| (a.metric.as_f64(), a.active)), told);
        prop_assert!(follower.lead(None, here));
        let led = follower.answer(&key(), here.at).ok();
        prop_assert_eq!(led.map(|a| (a.metric.as_f64(), a.active)), told);
    }
}

#[test]
fn who_steps_back_sends_all_that_it_did_and_then_ends_the_line() {
    let (leader, follower) = (group(), group().led_elsewhere());
    leader.apply(&asked(0));
    let (state, mut events) = leader.followed().expect("it leads");
    follower.adopt(state, WallOffset::default());
    leader.apply(&poll(5, 900));
    leader.step_back(moment(6));
    assert!(leader.followed().is_none());
    catch_up(&follower, &mut events);
    assert!(events.is_closed());
    leader.apply(&poll(10, 1));
    assert_eq!(*leader.snapshot(), *follower.snapshot());
}
