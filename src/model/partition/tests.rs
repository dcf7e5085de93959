//! Partitions over a few polls.

use super::*;
use crate::model::sample::Position;

const POLL: Duration = Duration::from_secs(5);

fn sample(added: u64, delivered: u64, lag: u64, pending: u64) -> PartitionSample {
    PartitionSample {
        log_end: Some(added),
        length: added,
        lag: Some(Quantity::Exact(lag)),
        pending,
        delivered: Some(Position {
            major: delivered,
            minor: 0,
        }),
        delivered_count: Some(delivered),
        ..PartitionSample::default()
    }
}

fn watch(samples: &[PartitionSample]) -> (PartitionModel, PartitionStep) {
    let mut model = PartitionModel::default();
    let mut step = PartitionStep::default();
    let mut at = Timestamp::from_millis(1_000_000);
    for sample in samples {
        let seen = PartitionObservation::Present(sample.clone());
        step = model.observe(at, &seen, None).expect("read");
        at = at.plus(POLL);
    }
    (model, step)
}

#[test]
fn a_group_that_is_moved_by_hand_has_processed_nothing() {
    let (model, step) = watch(&[sample(10, 8, 2, 0), sample(10, 3, 7, 0)]);
    assert_eq!((model.processed_total, step.processed), (0, None));
    assert!(matches!(
        model.state,
        PartitionState::Present { rewound: true, .. }
    ));
    let mut forward = sample(10, 9, 1, 0);
    forward.delivered_count = None;
    let (model, step) = watch(&[sample(10, 3, 7, 0), forward]);
    assert_eq!((model.processed_total, step.processed), (0, None));
}

#[test]
fn a_group_that_reads_on_stands_not_still_where_what_it_processed_is_unknown() {
    let of = |n: u64| PartitionSample {
        lag: Some(Quantity::AtLeast(5)),
        ..sample(n + 5, n, 5, 0)
    };
    let (model, step) = watch(&[of(1), of(2), of(3), of(4)]);
    assert_eq!(step.processed, None);
    assert_eq!(model.progress.moved_at, model.last.map(|last| last.at));
    let (model, _) = watch(&[of(1), of(2), of(2), of(2)]);
    assert!(model.progress.moved_at < model.last.map(|last| last.at));
}

#[test]
fn a_counter_that_starts_anew_drops_one_interval_and_no_more() {
    let (model, step) = watch(&[sample(100, 100, 0, 0), sample(3, 0, 3, 0)]);
    assert_eq!(step, PartitionStep::default());
    assert_eq!(model.arrival.per_second(), None);
    let (model, _) = watch(&[
        sample(100, 100, 0, 0),
        sample(3, 0, 3, 0),
        sample(13, 5, 8, 0),
    ]);
    assert_eq!(model.arrived_total, 10);
    assert_eq!(model.arrival.per_second(), Some(2.0));
}

#[test]
fn arrivals_that_were_not_counted_leave_the_rate_as_it_was_for_a_minute() {
    let uncounted = || PartitionSample {
        log_end: None,
        ..sample(0, 0, 0, 0)
    };
    let mut samples = vec![sample(100, 100, 0, 0), sample(150, 150, 0, 0)];
    samples.extend((0..11).map(|_| uncounted()));
    assert_eq!(watch(&samples).0.arrival.per_second(), Some(10.0));
    samples.push(uncounted());
    assert_eq!(watch(&samples).0.arrival.per_second(), None);
}

#[test]
fn a_stream_that_was_never_seen_is_empty_and_one_that_vanished_is_unknown_for_a_minute() {
    let mut model = PartitionModel::default();
    let start = Timestamp::from_millis(0);
    let missing = PartitionObservation::StreamMissing;
    model.observe(start, &missing, None);
    assert_eq!(model.backlog(), Some(Quantity::Exact(0)));
    // Its first messages arrived while we watched.
    let step = model.observe(
        start.plus(POLL),
        &PartitionObservation::Present(sample(3, 0, 3, 0)),
        None,
    );
    assert_eq!(step.and_then(|step| step.arrived), Some(3));
    let gone = start.plus(POLL * 2);
    model.observe(gone, &missing, None);
    assert_eq!(model.backlog(), None);
    model.observe(gone.plus(VANISHED_GRACE - POLL), &missing, None);
    assert_eq!(model.backlog(), None);
    model.observe(gone.plus(VANISHED_GRACE), &missing, None);
    assert_eq!(model.backlog(), Some(Quantity::Exact(0)));
}

/// An event hub's partition: `committed` of `enqueued` events are checkpointed, held by `owner`.
fn checkpointed(enqueued: u64, committed: Option<u64>, owner: Option<&str>) -> PartitionSample {
    let mut sample = sample(enqueued, 0, enqueued - committed.unwrap_or(0), 0);
    sample.delivered = committed.map(|major| Position { major, minor: 0 });
    sample.delivered_count = committed;
    sample.committed_at = Some(Timestamp::from_millis(0));
    sample.owner = owner.map(str::to_owned);
    sample
}

#[test]
fn a_rest_is_no_rest_any_more_where_the_checkpoint_says_nothing_about_the_log() {
    let mut model = PartitionModel::default();
    let mut now = Timestamp::from_millis(1_000_000);
    let mut watch = |model: &mut PartitionModel, sample: PartitionSample| {
        now = now.plus(POLL);
        model.observe(now, &PartitionObservation::Present(sample), Some(1));
        model.is_settled()
    };
    for batch in 0..5 {
        watch(
            &mut model,
            checkpointed(batch * 100, Some(batch * 100), Some("a")),
        );
    }
    let rest = || checkpointed(450, Some(400), Some("a"));
    let settled: Vec<bool> = (0..20).map(|_| watch(&mut model, rest())).collect();
    assert_eq!((settled[0], settled[19]), (false, true));
    // The event hub is recreated: the checkpoint is of another log.
    assert!(!watch(&mut model, checkpointed(3, None, Some("a"))));
    assert_eq!(model.commits, CommitRhythm::default());
    // Nor does the rhythm of the old log come back with its checkpoint.
    let settled: Vec<bool> = (0..20).map(|_| watch(&mut model, rest())).collect();
    assert!(settled.iter().all(|settled| !settled));
}
