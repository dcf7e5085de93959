//! Tests of what belongs together.

use super::*;
use crate::model::facts::PartitionFacts;
use crate::model::identity::PartitionId;
use crate::model::quantity::Quantity;

const POLL: u64 = 5;

fn second(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000 + seconds * 1_000)
}

/// A partition of `owner` with work; it has not moved since then, if at all.
fn held(owner: &str, still_since: Option<u64>, now: u64) -> PartitionFacts {
    PartitionFacts {
        owner: Some(owner.to_owned()),
        backlog: Some(Quantity::Exact(500)),
        uncommitted: Some(0),
        commit_interval_seconds: Some(10.0),
        arrival_per_second: Some(20.0),
        steady_arrival_per_second: Some(20.0),
        recent_processing_per_second: Some(20.0),
        stalled_since: Some(second(still_since.unwrap_or(now))),
        moved_at: Some(second(still_since.unwrap_or(now))),
        ..PartitionFacts::default()
    }
}

fn group(partitions: Vec<PartitionFacts>) -> GroupFacts {
    let named = partitions.into_iter().enumerate();
    let name = |(n, facts)| (PartitionId::new(usize::to_string(&n)), facts);
    GroupFacts {
        partitions: named.map(name).collect(),
        ..GroupFacts::default()
    }
}

fn told(incidents: &Incidents) -> Vec<(IncidentKind, Vec<&str>, bool)> {
    incidents
        .iter()
        .map(|i| {
            let partitions = i.partitions.iter().map(PartitionId::as_str).collect();
            (i.kind, partitions, i.ended_at.is_some())
        })
        .collect()
}

/// Plays polls from second 0 to `until`.
fn play(until: u64, facts: impl Fn(u64) -> Vec<PartitionFacts>) -> Incidents {
    let mut incidents = Incidents::default();
    for now in (0..=until).step_by(POLL as usize) {
        incidents.observe(second(now), &group(facts(now)), Some(100.0));
    }
    incidents
}

#[test]
fn one_partition_is_stuck_all_of_a_consumer_are_a_crash_and_all_of_several_an_outage() {
    let check = |still: &[usize], expect: (IncidentKind, &[&str])| {
        let incidents = play(40, |now| {
            let one = |n: usize| {
                let owner = ["a", "b", "c"][n / 2];
                held(owner, still.contains(&n).then_some(0), now)
            };
            (0..6).map(one).collect()
        });
        let expect = (expect.0, expect.1.to_vec(), false);
        assert_eq!(told(&incidents), [expect], "{still:?}");
    };
    check(&[1], (IncidentKind::StuckPartition, &["1"]));
    check(&[2, 3], (IncidentKind::ConsumerCrash, &["2", "3"]));
    check(&[0, 1, 2, 3], (IncidentKind::DownstreamOutage, &[]));
}

#[test]
fn whose_holder_is_gone_was_no_stuck_partition_and_what_is_over_is_counted_once() {
    let facts = |now: u64| {
        let owner = if now < 45 { "alone" } else { "heir" };
        let still = (now < 45).then_some(0);
        vec![held(owner, still, now), held("b", None, now)]
    };
    let going_on = play(40, facts);
    assert_eq!(
        told(&going_on),
        [(IncidentKind::StuckPartition, vec!["0"], false)]
    );
    assert!(going_on.totals().is_empty());
    let over = play(150, facts);
    assert_eq!(
        told(&over),
        [(IncidentKind::ConsumerCrash, vec!["0"], true)]
    );
    assert_eq!(
        over.totals(),
        BTreeMap::from([(IncidentKind::ConsumerCrash, 1)])
    );
}

#[test]
fn a_stop_is_noticed_after_the_same_time_and_with_the_same_rate_however_fast_the_polls_are() {
    let noticed = |poll_millis: u64| {
        let mut incidents = Incidents::default();
        let at = |millis: u64| Timestamp::from_millis(1_000_000_000 + millis);
        // 100 messages a second for ten minutes, then none.
        for millis in (0..=640_000).step_by(poll_millis as usize) {
            let facts = PartitionFacts {
                arrived_total: millis.min(600_000) / 10,
                ..PartitionFacts::default()
            };
            incidents.observe(at(millis), &group(vec![facts]), None);
        }
        let stop = incidents.iter().next().expect("noticed").clone();
        assert_eq!(stop.kind, IncidentKind::ProducerStop);
        let after = stop.noticed_at.since(at(600_000));
        (after.as_secs(), stop.text)
    };
    let (after, text) = noticed(200);
    assert_eq!(after, 10);
    // An average over ten minutes that began with nothing.
    assert!(text.contains("before, 63.2 messages/s arrived"), "{text}");
    let (after, text) = noticed(5_000);
    assert_eq!(after, 15);
    assert!(text.contains("before, 63.4 messages/s arrived"), "{text}");
}
