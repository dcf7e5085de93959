//! Several groups on a hub that grows and is worked on while it is read, in virtual time.

#[path = "tests/world.rs"]
mod world;

use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use super::*;
use crate::model::quantity::Quantity;
use crate::model::sample::{Failure, PartitionObservation, Sample};
use world::{Lives, World};

const INTERVAL: Duration = Duration::from_secs(15);
const NO_LIMIT: u32 = 10_000;

fn open(world: &Arc<World>, calls_per_second: u32) -> EventHubs {
    let (management, store) = (Box::new(world.broker()), Box::new(world.store()));
    EventHubs::new(management, store, calls_per_second, None, INTERVAL)
}

fn readers(hub: &EventHubs, groups: usize) -> Vec<Box<dyn GroupReader>> {
    let reader = |group: usize| {
        let name = format!("group-{group}");
        hub.reader(&StreamSelector::Whole, &name, INTERVAL)
    };
    (0..groups).map(reader).collect()
}

async fn poll_all(readers: &mut [Box<dyn GroupReader>]) -> Vec<Result<Sample, Failure>> {
    join_all(readers.iter_mut().map(|reader| reader.poll())).await
}

/// The lag of every partition, which has to be known exactly.
fn lags(sample: &Sample) -> Vec<u64> {
    let exact = |seen: &PartitionObservation| match seen {
        PartitionObservation::Present(sample) => match (sample.lag, &sample.remark) {
            (Some(Quantity::Exact(lag)), None) => lag,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    sample.partitions.values().map(exact).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Consumers commit up to the end while it is read: a checkpoint is newer than the log end that was read before it.
    #[test]
    fn what_is_told_was_so_while_it_was_read_and_no_zero_is_false(
        seed in any::<u64>(), groups in 1_usize..4, lives in prop::collection::vec(Lives::any(), 1..5),
        pauses in prop::collection::vec(0_u64..20_000, 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let world = World::new(seed, lives);
            let hub = open(&world, NO_LIMIT);
            let mut readers = readers(&hub, groups);
            for pause in pauses {
                let started = Instant::now();
                for sample in poll_all(&mut readers).await {
                    let told = lags(&sample.expect("a sample"));
                    let since = hub::earlier(started, INTERVAL.mul_f64(SHARED_FOR));
                    for (partition, lag) in told.into_iter().enumerate() {
                        world.must_have_been(partition, lag, since);
                    }
                }
                sleep(Duration::from_millis(pause)).await;
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn however_many_groups_there_are_the_hub_is_asked_as_for_one() {
    for groups in [1, 2, 10] {
        let world = World::new(1, vec![Lives::Quiet; 32]);
        let hub = open(&world, NO_LIMIT);
        let mut readers = readers(&hub, groups);
        for poll in 1..=4 {
            for sample in poll_all(&mut readers).await {
                assert_eq!(lags(&sample.expect("a sample")), vec![5; 32]);
            }
            assert_eq!(world.calls(), 1 + poll * 32, "{groups} groups");
            sleep(INTERVAL - Duration::from_secs(2)).await;
        }
        sleep(INTERVAL).await;
        // One after the other, too.
        let before = world.calls();
        for reader in &mut readers {
            reader.poll().await.expect("a sample");
        }
        assert!(world.calls() - before <= 33, "{groups} groups");
    }
}

#[tokio::test(start_paused = true)]
async fn caught_up_groups_cost_no_second_call_once_their_checkpoints_are_some_seconds_old() {
    let world = World::new(1, vec![Lives::Done; 32]);
    let hub = open(&world, NO_LIMIT);
    let mut readers = readers(&hub, 3);
    sleep(Duration::from_secs(10)).await;
    for sample in poll_all(&mut readers).await {
        assert_eq!(lags(&sample.expect("a sample")), vec![0; 32]);
    }
    assert_eq!(world.calls(), 33);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_goes_away_or_waits_in_vain_takes_nothing_from_another() {
    let world = World::new(1, vec![Lives::Quiet; 8]);
    let hub = open(&world, NO_LIMIT);
    let mut readers = readers(&hub, 2);
    poll_all(&mut readers).await;
    sleep(INTERVAL).await;
    // The first asks, hears nothing, and is gone; the other shares its calls, which fail, and makes its own.
    world.hang(8);
    let (first, second) = readers.split_at_mut(1);
    let gone = tokio::time::timeout(Duration::from_millis(100), first[0].poll()).await;
    assert!(gone.is_err());
    let started = Instant::now();
    let sample = second[0].poll().await.expect("a sample");
    assert_eq!(lags(&sample), vec![5; 8]);
    assert!(started.elapsed() < Duration::from_secs(5));
    // One partition alone.
    sleep(INTERVAL).await;
    world.hang(1);
    for sample in poll_all(&mut readers).await {
        assert_eq!(lags(&sample.expect("a sample")), vec![5; 8]);
    }
}

#[tokio::test(start_paused = true)]
async fn groups_that_take_turns_within_a_budget_share_what_each_was_given() {
    let world = World::new(1, vec![Lives::Quiet; 1_000]);
    let hub = open(&world, 45);
    let mut readers = readers(&hub, 3);
    let mut seen = 0;
    for _ in 0..2 {
        let started = Instant::now();
        for sample in poll_all(&mut readers).await {
            let sample = sample.expect("a sample");
            let known = |seen: &&PartitionObservation| **seen != PartitionObservation::NotAsked;
            seen += sample.partitions.values().filter(known).count();
        }
        tokio::time::sleep_until(started + INTERVAL).await;
    }
    // 30 s at 45 a second, less what the ends of the polls leave: twice what one of three would be given.
    assert!(seen >= 3 * 900, "{seen} of 3000 in two polls");
    assert!(world.calls() <= 45 * 31, "{} calls", world.calls());
}
