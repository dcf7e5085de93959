//! Tests of what no count of replicas helps.

use std::time::Duration;

use super::*;
use crate::model::identity::PartitionId;
use crate::model::quantity::Quantity;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn ago(seconds: u64) -> Option<Timestamp> {
    Some(NOW.minus(Duration::from_secs(seconds)))
}

/// A partition of `owner` with 10 messages to do: stalled for so many seconds, if at all; else it moved 5 s ago.
fn held(owner: &str, stalled: Option<u64>) -> PartitionFacts {
    PartitionFacts {
        backlog: Some(Quantity::Exact(10)),
        commit_interval_seconds: Some(10.0),
        owner: Some(owner.to_owned()).filter(|owner| !owner.is_empty()),
        stalled_since: stalled.and_then(ago),
        moved_at: ago(stalled.unwrap_or(5)),
        oldest_age_seconds: Some(stalled.unwrap_or(5) as f64),
        ..PartitionFacts::default()
    }
}

fn getting(per_second: f64) -> PartitionFacts {
    PartitionFacts {
        arrival_per_second: Some(per_second),
        ..held("a", None)
    }
}

fn group(partitions: Vec<PartitionFacts>) -> GroupFacts {
    let named = partitions.into_iter().enumerate();
    GroupFacts {
        partitions: named
            .map(|(n, facts)| (PartitionId::new(n.to_string()), facts))
            .collect(),
        ..GroupFacts::default()
    }
}

fn diagnosis(partitions: Vec<PartitionFacts>, known: Option<Known>) -> Vec<Option<Incurable>> {
    let facts = group(partitions);
    Diagnosis::of(NOW, &facts, Assignment::Exclusive, known).0
}

#[test]
fn stuck_is_what_stands_still_while_its_holder_gets_on_with_others() {
    let check = |first: PartitionFacts, others: Vec<PartitionFacts>, expect: bool| {
        let all = [vec![first.clone()], others].concat();
        let found = diagnosis(all, None)[0] == Some(Incurable::Stuck);
        assert_eq!(found, expect, "{first:?}");
    };
    check(held("a", Some(75)), vec![held("a", None)], true);
    check(held("a", Some(74)), vec![held("a", None)], false);
    // Its holder gets on with nothing: that is a dead or slow consumer, which others can relieve.
    let dead = vec![held("a", Some(80)), held("b", None)];
    check(held("a", Some(80)), dead, false);
    // With one partition alone, others of the group count.
    check(held("a", Some(80)), vec![held("b", None)], true);
    check(held("a", Some(80)), vec![held("b", Some(80))], false);
    check(held("", Some(80)), vec![held("b", None)], false);
    let of_batches = |backlog| PartitionFacts {
        backlog: Some(Quantity::Exact(backlog)),
        commit_interval_seconds: None,
        ..held("a", Some(80))
    };
    check(of_batches(1_000), vec![held("a", None)], false);
    check(of_batches(1_001), vec![held("a", None)], true);
    let done = PartitionFacts {
        uncommitted: Some(10),
        ..held("a", Some(80))
    };
    check(done, vec![held("a", None)], false);
    let rare_commits = PartitionFacts {
        commit_interval_seconds: Some(60.0),
        ..held("a", Some(179))
    };
    check(rare_commits, vec![held("a", None)], false);
}

#[test]
fn hot_is_what_gets_more_than_one_consumer_can_do() {
    let hot = |rates: &[f64], known| {
        let parts = rates.iter().map(|rate| getting(*rate)).collect();
        diagnosis(parts, known)[0] == Some(Incurable::Hot)
    };
    let capacity = Some(Known::Capacity(100.0));
    assert!(hot(&[101.0, 1.0], capacity));
    assert!(!hot(&[100.0, 1.0], capacity));
    assert!(!hot(&[900.0, 1.0], None), "nothing to compare it with");
    // Only known to be at least so much: all that rise together are no sign of one that is hot.
    let seen = Some(Known::AtLeast(100.0));
    assert!(hot(&[160.0, 10.0, 10.0, 10.0], seen));
    assert!(!hot(&[160.0, 120.0, 120.0, 120.0], seen));
}

#[test]
fn the_oldest_message_counts_that_replicas_can_help() {
    let facts = group(vec![
        held("a", Some(600)),
        held("a", None),
        PartitionFacts {
            oldest_age_seconds: Some(900.0),
            ..getting(200.0)
        },
    ]);
    let known = Some(Known::Capacity(100.0));
    let diagnosis = Diagnosis::of(NOW, &facts, Assignment::Exclusive, known);
    assert_eq!(diagnosis.count(Incurable::Stuck), 1);
    assert_eq!(diagnosis.count(Incurable::Hot), 1);
    assert_eq!(diagnosis.waiting_seconds(&facts), Some(5.0));
}
