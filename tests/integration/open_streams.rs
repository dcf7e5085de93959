//! What KEDA gets on the streams that it holds open.

use std::collections::BTreeSet;
use std::time::Duration;

use streamgauge::adapters::grpc::proto::ScaledObjectRef;
use streamgauge::adapters::grpc::proto::external_scaler_server::ExternalScaler;
use streamgauge::group::event::{Event, What};
use streamgauge::model::identity::PartitionId;
use streamgauge::model::sample::{PartitionObservation, Sample};
use streamgauge::shutdown::Phase;
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::StreamExt;
use tonic::Request;

use crate::support::bare_scaler::{BareScaler, CONFIG, config, object};
use crate::support::exported::sample;

/// Lets the group of mails see a poll with so many messages, of which so many are delivered and acknowledged.
fn observe(bare: &BareScaler, added: u64, done: u64) {
    let groups = bare.registry.groups();
    let mails = groups
        .iter()
        .find(|group| group.definition().name == "mails");
    let seen = PartitionObservation::Present(sample(added, done, 0));
    let sample = Sample {
        partitions: [(PartitionId::new("mails"), seen)].into(),
        ..Sample::default()
    };
    mails.expect("it is configured").apply(&Event {
        at: bare.clock.now(),
        what: What::Observed(Ok(sample)),
    });
}

#[tokio::test(start_paused = true)]
async fn changes_are_told_at_once_what_stays_active_every_half_minute_and_to_late_readers_the_latest()
 {
    let bare = BareScaler::new();
    let mails = object("shop", &[("group", "mails")]);
    observe(&bare, 5, 5);
    let opened = bare.scaler.stream_is_active(Request::new(mails)).await;
    let mut stream = opened.expect("no error").into_inner();
    let started = Instant::now();
    // Within so many seconds in which polls go on seeing the same: what is told, and after how many seconds in all.
    let mut told = async |seconds: u64, added: u64, done: u64| {
        for _ in 0..seconds {
            observe(&bare, added, done);
            if let Ok(told) = timeout(Duration::from_secs(1), stream.next()).await {
                let told = told.expect("still open").expect("no error");
                return Some((told.result, started.elapsed().as_secs()));
            }
        }
        None
    };
    let (active, _) = told(120, 5, 5).await.expect("inactive once that is sure");
    assert!(!active);
    let silent = told(120, 5, 5).await;
    assert_eq!(silent, None, "nothing while it stays inactive");
    let (active, then) = told(1, 6, 5).await.expect("at once");
    assert!(active);
    let (active, first) = told(60, 6, 5).await.expect("again");
    assert!(active && first <= then + 30, "{then} {first}");
    assert_eq!(told(60, 6, 5).await, Some((true, first + 30)));
    for _ in 0..120 {
        observe(&bare, 6, 6);
        sleep(Duration::from_secs(1)).await;
    }
    let latest = told(1, 6, 6).await.expect("at once");
    assert_eq!(latest, (false, first + 150), "nobody read meanwhile");
    bare.shutdown.enter(Phase::Stopping);
    assert!(stream.next().await.is_none(), "OK and nothing more");
}

#[tokio::test(start_paused = true)]
async fn streams_of_a_refused_trigger_wait_without_an_error_and_end_cleanly_once_it_is_served() {
    let bare = BareScaler::new();
    let refused = object("shop", &[("group", "new")]);
    let open = async || {
        let specs = bare
            .scaler
            .stream_metric_spec(Request::new(refused.clone()));
        let active = bare.scaler.stream_is_active(Request::new(refused.clone()));
        let (specs, active) = (
            specs.await.expect("no error"),
            active.await.expect("no error"),
        );
        (specs.into_inner(), active.into_inner())
    };
    let (mut specs, mut active) = open().await;
    let first = specs
        .next()
        .await
        .expect("specs at once")
        .expect("no error");
    assert_eq!(first.metric_specs[0].metric_name, "replicas");
    let silent = tokio::time::timeout(Duration::from_secs(60), active.next()).await;
    assert!(silent.is_err(), "{silent:?}");
    let more =
        format!("{CONFIG}  - {{ name: new, source: main, stream: new, consumer_group: g }}\n");
    let now = bare.clock.now();
    bare.registry
        .reconfigure(config(&more), &BTreeSet::new(), now);
    let ends = async {
        assert!(specs.next().await.is_none(), "OK and nothing more");
        assert!(active.next().await.is_none(), "OK and nothing more");
    };
    tokio::time::timeout(Duration::from_secs(10), ends)
        .await
        .expect("within seconds");
    // At shutdown they end cleanly, too.
    let refused = object("shop", &[("group", "nobody")]);
    let active = bare.scaler.stream_is_active(Request::new(refused));
    let mut active = active.await.expect("no error").into_inner();
    bare.shutdown.enter(Phase::Stopping);
    assert!(active.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_threshold_changed_in_the_config_ends_the_stream_of_specs_and_the_next_one_has_it() {
    let bare = BareScaler::new();
    let mails = object("shop", &[("group", "mails")]);
    let bills = object("shop", &[("group", "billing")]);
    let open = async |object: &ScaledObjectRef| {
        let opened = Request::new(object.clone());
        let stream = bare.scaler.stream_metric_spec(opened).await;
        let mut stream = stream.expect("no error").into_inner();
        let first = stream.next().await.expect("at once").expect("no error");
        (first.metric_specs[0].target_size, stream)
    };
    let (target, mut changed) = open(&mails).await;
    assert_eq!(target, 100);
    let (_, mut other) = open(&bills).await;
    let more = CONFIG.replace("backlog_threshold: 100", "backlog_threshold: 250");
    let now = bare.clock.now();
    bare.registry
        .reconfigure(config(&more), &BTreeSet::new(), now);
    let end = tokio::time::timeout(Duration::from_secs(10), changed.next());
    assert!(end.await.expect("soon").is_none(), "OK and nothing more");
    assert_eq!(open(&mails).await.0, 250);
    assert_eq!(bare.spec(&mails).await.target_size, 250);
    let goes_on = tokio::time::timeout(Duration::from_secs(10), other.next()).await;
    assert!(goes_on.is_err(), "another trigger's stream stays");
}
