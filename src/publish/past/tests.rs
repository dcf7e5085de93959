//! Tests of the columns of the past.

use super::*;
use crate::model::quantity::Quantity;

fn second(n: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + n * 1_000)
}

fn facts(backlogs: &[Option<u64>]) -> GroupFacts {
    let partition = |(n, backlog): (usize, &Option<u64>)| {
        let facts = PartitionFacts {
            backlog: backlog.map(Quantity::Exact),
            ..PartitionFacts::default()
        };
        (PartitionId::new(n.to_string()), facts)
    };
    GroupFacts {
        partitions: backlogs.iter().enumerate().map(partition).collect(),
        ..GroupFacts::default()
    }
}

fn backlogs(column: &Column) -> Vec<Option<f64>> {
    let cells = column.cells.iter();
    cells.map(|cell| cell.value(PastMeasure::Backlog)).collect()
}

#[test]
fn every_poll_is_a_column_and_ten_of_them_a_coarse_one_that_holds_the_largest() {
    let mut past = Past::new(Duration::from_secs(1));
    for n in 0..400 {
        let first = (n % 2 == 0).then_some(n);
        past.note(second(n), &facts(&[first, None]), GroupCell::UNKNOWN);
    }
    let (step, fine) = past.columns(360, second(399));
    assert_eq!((step, fine.len()), (Duration::from_secs(1), 360));
    assert_eq!(backlogs(&fine[359]), [None, None]);
    assert_eq!(backlogs(&fine[358]), [Some(398.0), None]);
    let (step, coarse) = past.columns(3_600, second(399));
    assert_eq!((step, coarse.len()), (Duration::from_secs(10), 40));
    assert_eq!(coarse[0].at, second(0));
    assert_eq!(backlogs(&coarse[0]), [Some(8.0), None]);
    assert!(Arc::ptr_eq(&fine[0].names, &fine[359].names));
}

#[test]
fn polls_that_failed_are_columns_of_nothing_known_at_the_usual_pace() {
    let mut past = Past::new(Duration::from_secs(5));
    past.note_failure(second(0));
    past.note(second(5), &facts(&[Some(3)]), GroupCell::UNKNOWN);
    // Asked again every second while the source is out.
    (6..=20).for_each(|n| past.note_failure(second(n)));
    let (_, columns) = past.columns(60, second(20));
    let seen: Vec<_> = columns.iter().map(|c| (c.at, backlogs(c))).collect();
    let unknown = vec![None];
    let expected = [
        (second(5), vec![Some(3.0)]),
        (second(10), unknown.clone()),
        (second(15), unknown.clone()),
        (second(20), unknown),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn large_groups_reach_back_less_far_so_that_memory_is_bounded() {
    let mut past = Past::new(Duration::from_secs(1));
    for n in 0..300 {
        past.note(second(n), &facts(&[None; 5_000]), GroupCell::UNKNOWN);
    }
    let (step, columns) = past.columns(200, second(299));
    assert_eq!((step, columns.len()), (Duration::from_secs(1), 200));
    let (step, _) = past.columns(201, second(299));
    assert_eq!(step, Duration::from_secs(10));
}

#[test]
fn partitions_that_come_begin_a_coarse_column_of_their_own() {
    let mut past = Past::new(Duration::from_secs(1));
    past.note(second(0), &facts(&[Some(1)]), GroupCell::UNKNOWN);
    for n in 1..=10 {
        past.note(second(n), &facts(&[Some(n), Some(1)]), GroupCell::UNKNOWN);
    }
    let (_, coarse) = past.columns(3_600, second(10));
    let seen: Vec<_> = coarse.iter().map(backlogs).collect();
    assert_eq!(seen, [vec![Some(1.0)], vec![Some(10.0), Some(1.0)]]);
}
