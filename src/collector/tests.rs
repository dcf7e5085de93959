//! How often a failing source is asked.

mod tenants;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::task::JoinSet;

use super::*;
use crate::group::event::TargetKey;
use crate::group::remembered::Remembered;
use crate::model::capacity::CapacityRules;
use crate::model::identity::{GroupKey, PartitionId};
use crate::model::quantity::Quantity;
use crate::model::sample::{PartitionObservation, PartitionSample};
use crate::model::stream::StreamSelector;
use crate::model::time::{Moment, Timestamp};
use crate::policy::spec::{PolicySettings, TargetSpec};
use crate::publish::GroupDefinition;
use crate::publish::contained::contained;
use crate::resilience::breaker::BreakerSettings;
use crate::sources::{BoxFuture, GroupReader, Source};
use crate::state::{Keeper, Loaded, StateError, StateStore};

mod hung_disk;

const POLL: Duration = Duration::from_secs(15);

/// Fails in one way, and counts.
struct Failing(FailureKind, Arc<AtomicU32>);

impl Source for Failing {
    fn reader(&self, _: &StreamSelector, _: &str, _: Duration) -> Box<dyn GroupReader> {
        Box::new(Self(self.0, Arc::clone(&self.1)))
    }
}

impl GroupReader for Failing {
    fn poll(&mut self) -> BoxFuture<'_, Result<Sample, Failure>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let failure = Failure::new(self.0, "no");
        Box::pin(async move { Err(failure) })
    }
}

fn group() -> Arc<Group> {
    named("$Default")
}

fn named(consumer_group: &str) -> Arc<Group> {
    let definition = GroupDefinition {
        name: "clicks".into(),
        key: GroupKey {
            source: "hub".into(),
            stream: "clicks".into(),
            consumer_group: consumer_group.into(),
        },
        selector: StreamSelector::Whole,
        poll_interval: POLL,
        settings: PolicySettings::default(),
        signals: Default::default(),
        granularity: Default::default(),
        configured: true,
    };
    Arc::new(Group::new(definition, CapacityRules::default()))
}

fn guarded(source: Box<dyn Source>) -> Arc<GuardedSource> {
    let settings = BreakerSettings::for_poll_interval(POLL);
    Arc::new(GuardedSource::new("hub", source, settings))
}

async fn polls_within_a_minute(kind: FailureKind) -> u32 {
    let polls = Arc::default();
    let source = Failing(kind, Arc::clone(&polls));
    let source = guarded(Box::new(source));
    let minute = Duration::from_secs(59);
    let collecting = collect(group(), source, Outlets::default(), Clock::start());
    assert!(tokio::time::timeout(minute, collecting).await.is_err());
    polls.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn only_an_outage_is_retried_faster_than_the_source_is_polled() {
    for kind in FailureKind::ALL {
        let polls = polls_within_a_minute(kind).await;
        if kind.is_outage() {
            assert!((50..=60).contains(&polls), "{kind:?}: {polls}");
        } else if kind != FailureKind::CircuitOpen {
            assert_eq!(polls, 4, "{kind:?}");
        }
    }
}

/// Has a fault that shows at some polls.
struct Faulty(fn(u32) -> bool, Arc<AtomicU32>);

impl Source for Faulty {
    fn reader(&self, _: &StreamSelector, _: &str, _: Duration) -> Box<dyn GroupReader> {
        Box::new(Self(self.0, Arc::clone(&self.1)))
    }
}

impl GroupReader for Faulty {
    fn poll(&mut self) -> BoxFuture<'_, Result<Sample, Failure>> {
        let poll = self.1.fetch_add(1, Ordering::Relaxed);
        assert!(!(self.0)(poll), "a fault of the program");
        Box::pin(async { Ok(Sample::default()) })
    }
}

/// Restarts, and polls within ten minutes.
async fn after_ten_minutes(has_fault: fn(u32) -> bool) -> (u64, u32) {
    let (group, polls) = (group(), Arc::default());
    let source = guarded(Box::new(Faulty(has_fault, Arc::clone(&polls))));
    let collecting = keep_collecting(group.clone(), source, Outlets::default(), Clock::start());
    let ten_minutes = Duration::from_secs(599);
    assert!(tokio::time::timeout(ten_minutes, collecting).await.is_err());
    (group.restarts(), polls.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_fails_is_started_anew_and_counted() {
    let (restarts, polls) = after_ten_minutes(|poll| poll < 2).await;
    assert_eq!(restarts, 2);
    assert!(polls >= 40, "{polls}");
    // Every time: no endless loop.
    let (restarts, polls) = after_ten_minutes(|_| true).await;
    assert_eq!(u64::from(polls), restarts);
    assert!((10..20).contains(&restarts), "{restarts}");
}

#[test]
fn what_fails_for_one_group_is_counted_there_and_ends_there() {
    let (failing, other, now) = (group(), group(), Timestamp::default());
    let fails = contained([failing.as_ref()], now, || panic!("a fault of the program"));
    assert_eq!(fails, None);
    assert_eq!(contained([other.as_ref()], now, || 7), Some(7));
    assert_eq!((failing.restarts(), other.restarts()), (1, 0));
}

/// Notes when it is polled.
struct Stepping(Instant, Arc<Mutex<Vec<Instant>>>);

impl Source for Stepping {
    fn reader(&self, _: &StreamSelector, _: &str, _: Duration) -> Box<dyn GroupReader> {
        Box::new(Self(self.0, Arc::clone(&self.1)))
    }

    fn in_step_with(&self) -> Option<Instant> {
        Some(self.0)
    }
}

impl GroupReader for Stepping {
    fn poll(&mut self) -> BoxFuture<'_, Result<Sample, Failure>> {
        self.1.lock().expect("no panic").push(Instant::now());
        Box::pin(async { Ok(Sample::default()) })
    }
}

#[tokio::test(start_paused = true)]
async fn groups_that_share_readings_are_polled_in_step_whenever_they_came() {
    let polls = Arc::<Mutex<Vec<Instant>>>::default();
    let source = guarded(Box::new(Stepping(Instant::now(), Arc::clone(&polls))));
    let mut running = JoinSet::new();
    for _ in 0..3 {
        let collecting = collect(group(), source.clone(), Outlets::default(), Clock::start());
        running.spawn(collecting);
        tokio::time::sleep(Duration::from_millis(3_700)).await;
    }
    tokio::time::sleep(3 * POLL).await;
    polls.lock().expect("no panic").clear();
    tokio::time::sleep(2 * POLL).await;
    let polls = polls.lock().expect("no panic").clone();
    assert_eq!(polls.len(), 6, "three groups, two intervals");
    for together in polls.chunks(3) {
        let apart = *together.last().expect("three") - together[0];
        assert!(apart < Duration::from_millis(10), "{apart:?} apart");
    }
    assert_eq!((polls[3] - polls[0]).as_secs(), POLL.as_secs());
}

/// A stream that is empty until a message comes, of which its reader tells.
struct Telling(Arc<AtomicU32>, Arc<Mutex<Vec<Instant>>>, Instant);

const COMES_AFTER: Duration = Duration::from_secs(40);

impl Source for Telling {
    fn reader(&self, _: &StreamSelector, _: &str, _: Duration) -> Box<dyn GroupReader> {
        Box::new(Self(Arc::clone(&self.0), Arc::clone(&self.1), self.2))
    }
}

impl GroupReader for Telling {
    fn poll(&mut self) -> BoxFuture<'_, Result<Sample, Failure>> {
        let now = Instant::now();
        self.1.lock().expect("no panic").push(now);
        let waits =
            u64::from(now >= self.2 + COMES_AFTER) * u64::from(self.0.load(Ordering::Relaxed));
        let partition = PartitionSample {
            log_end: Some(waits),
            lag: Some(Quantity::Exact(waits)),
            ..PartitionSample::default()
        };
        let partition = PartitionObservation::Present(partition);
        let sample = Sample {
            partitions: [(PartitionId::new("0"), partition)].into(),
            consumers: Some(0),
            ..Sample::default()
        };
        Box::pin(async { Ok(sample) })
    }

    fn until_news(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep_until(self.2 + COMES_AFTER))
    }
}

/// When polls began after a message came, in seconds: so many wait from then on.
async fn polls_after(messages: u32, spec: TargetSpec) -> Vec<f64> {
    let (started, polls) = (Instant::now(), Arc::<Mutex<Vec<Instant>>>::default());
    let source = Telling(Arc::new(messages.into()), Arc::clone(&polls), started);
    let group = group();
    group.apply(&Event {
        at: Clock::start().now(),
        what: What::TargetRegistered(TargetKey::default(), Box::new(spec)),
    });
    let source = guarded(Box::new(source));
    let collecting = collect(group, source, Outlets::default(), Clock::start());
    let time = COMES_AFTER + Duration::from_secs(60);
    assert!(tokio::time::timeout(time, collecting).await.is_err());
    let comes = started + COMES_AFTER;
    let polls = polls.lock().expect("no panic").clone();
    let after = polls.into_iter().filter(|at| *at >= comes);
    after.map(|at| (at - comes).as_secs_f64()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_message_brings_the_poll_of_an_inactive_group_about_and_more_soon_after() {
    let polls = polls_after(1, TargetSpec::default()).await;
    assert!(polls[0] < 0.01, "{polls:?}");
    // Each group at distances of its own, up to a quarter shorter.
    for (gap, most) in polls.windows(2).zip([1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0]) {
        let gap = gap[1] - gap[0];
        assert!((0.75 * most..most + 0.01).contains(&gap), "{polls:?}");
    }
    assert!((12..20).contains(&polls.len()), "{polls:?}");
}

#[tokio::test(start_paused = true)]
async fn messages_below_the_threshold_of_activity_do_not_busy_the_source() {
    let spec = TargetSpec {
        activation_backlog: 100,
        ..TargetSpec::default()
    };
    let polls = polls_after(1, spec).await;
    let least = polls.windows(2).map(|gap| gap[1] - gap[0]);
    assert!(
        least.clone().all(|gap| gap > 1.4),
        "a tenth of the interval at least: {polls:?}"
    );
    assert!(polls.len() > 20, "{polls:?}");
}

#[test]
fn the_next_beat_is_between_half_an_interval_and_one_and_a_half_away() {
    let beat = Instant::now() + Duration::from_secs(100);
    for passed in 0..200_000 {
        let polled = beat - Duration::from_secs(100) + Duration::from_millis(passed);
        let next = in_step(polled, POLL, beat);
        let wait = next - polled;
        assert!(wait >= POLL / 2 && wait < POLL * 3 / 2, "{wait:?}");
        let from_beat = (next.max(beat) - next.min(beat)).as_nanos();
        assert_eq!(from_beat % POLL.as_nanos(), 0);
    }
}
