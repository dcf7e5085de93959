//! How often a failing source is asked.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::model::capacity::CapacityRules;
use crate::model::identity::GroupKey;
use crate::model::stream::StreamSelector;
use crate::policy::spec::PolicySettings;
use crate::publish::GroupDefinition;
use crate::resilience::breaker::BreakerSettings;
use crate::sources::{BoxFuture, GroupReader, Source};

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

async fn polls_within_a_minute(kind: FailureKind) -> u32 {
    let polls = Arc::default();
    let source = Failing(kind, Arc::clone(&polls));
    let settings = BreakerSettings::for_poll_interval(POLL);
    let source = Arc::new(GuardedSource::new("hub", Box::new(source), settings));
    let definition = GroupDefinition {
        name: "clicks".into(),
        key: GroupKey {
            source: "hub".into(),
            stream: "clicks".into(),
            consumer_group: "$Default".into(),
        },
        selector: StreamSelector::Whole,
        poll_interval: POLL,
        settings: PolicySettings::default(),
        signals: Default::default(),
        granularity: Default::default(),
        configured: true,
    };
    let group = Arc::new(Group::new(definition, CapacityRules::default()));
    let minute = Duration::from_secs(59);
    let collecting = collect(group, source, Outlets::default(), Clock::start());
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
