//! What keeps the service running.

use super::*;
use crate::model::identity::GroupKey;
use crate::model::stream::StreamSelector;
use crate::model::time::Timestamp;
use crate::policy::spec::PolicySettings;
use crate::publish::GroupDefinition;
use crate::resilience::breaker::BreakerSettings;
use crate::sources::guarded::GuardedSource;
use crate::sources::simulated::{SimulatedSource, SimulatedStream};

const POLL: Duration = Duration::from_secs(1);

fn group(source: &str) -> Arc<Group> {
    let definition = GroupDefinition {
        name: source.to_owned(),
        key: GroupKey {
            source: source.to_owned(),
            stream: "orders".to_owned(),
            consumer_group: "billing".to_owned(),
        },
        selector: StreamSelector::Whole,
        poll_interval: POLL,
        settings: PolicySettings::default(),
        signals: Default::default(),
        granularity: Default::default(),
        configured: false,
    };
    Arc::new(Group::new(definition, CapacityRules::default()))
}

#[tokio::test(start_paused = true)]
async fn a_group_whose_source_a_reload_took_away_ends_nothing() {
    let stream = SimulatedStream::new(1, 1.0, POLL, Timestamp::default());
    let source = GuardedSource::new(
        "there",
        Box::new(SimulatedSource(Arc::new(stream))),
        BreakerSettings::for_poll_interval(POLL),
    );
    let (starts, started) = mpsc::unbounded_channel();
    let collecting = tokio::spawn(collect_all(
        started,
        OpenSources::of(source),
        crate::collector::Outlets::default(),
        Clock::start(),
    ));
    let next = group("there");
    starts.send(group("gone")).expect("open");
    starts.send(next.clone()).expect("open");
    let polled = async { next.subscribe().changed().await };
    let polled = tokio::time::timeout(10 * POLL, polled).await;
    polled.expect("the next group is polled").expect("open");
    assert!(!collecting.is_finished());
}
