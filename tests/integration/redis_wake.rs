//! A message on a stream of an inactive group is noticed when it comes, not when the stream is polled next.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use streamgauge::adapters::grpc::proto::ScaledObjectRef;
use streamgauge::adapters::grpc::proto::external_scaler_client::ExternalScalerClient;
use streamgauge::config::types::{RedisConfig, Secret};
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use crate::redis_access::PERMISSIONS;
use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::service::Service;
use crate::support::{eventually, patience};

const TIMEOUT: Duration = Duration::from_secs(2);
/// Longer than one blocking read.
const QUIET: Duration = Duration::from_millis(1_200);
const SOON: Duration = Duration::from_secs(5);
/// So rare that no test sees a second poll.
const HARDLY_EVER: Duration = Duration::from_secs(600);

fn reader_of(source: &RedisStreams, stream: &str) -> Box<dyn GroupReader> {
    let selector = StreamSelector::parse(stream).expect("a stream");
    source.reader(&selector, "g", HARDLY_EVER)
}

async fn news(reader: &mut Box<dyn GroupReader>) {
    let told = tokio::time::timeout(patience(SOON), reader.until_news());
    told.await.expect("news in time");
}

#[tokio::test]
async fn each_server_tells_of_what_is_added_and_of_nothing_else() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        run::<()>(&mut redis, "XGROUP CREATE a g $ MKSTREAM");
        run::<()>(&mut redis, "XGROUP CREATE b g $ MKSTREAM");
        run::<String>(&mut redis, "XADD b * d seen");
        // Nothing more is needed than what the documents say.
        let rule = PERMISSIONS.join(" ");
        run::<()>(
            &mut redis,
            &format!("ACL SETUSER gauge reset on nopass ~* {rule}"),
        );
        let config = RedisConfig {
            username: Some("gauge".into()),
            password: Some(Secret::Env("CARGO_MANIFEST_DIR".into())),
            ..server.config()
        };
        let source = RedisStreams::new(config, TIMEOUT);
        let (mut a, mut b) = (reader_of(&source, "a"), reader_of(&source, "b"));
        let mut missing = reader_of(&source, "missing");
        for reader in [&mut a, &mut b, &mut missing] {
            reader.poll().await.expect("a sample");
        }
        let before: redis::Value = run(&mut redis, "XINFO GROUPS a");
        let mut of_a = a.until_news();
        let early = tokio::time::timeout(QUIET, of_a.as_mut()).await;
        assert!(early.is_err(), "{flavour:?}: nothing is new");
        run::<String>(&mut redis, "XADD missing * d new");
        news(&mut missing).await;
        run::<String>(&mut redis, "XADD b * d new");
        news(&mut b).await;
        assert_eq!(
            of_a.as_mut().now_or_never(),
            None,
            "{flavour:?}: a is quiet"
        );
        let watching: String = run(&mut redis, "CLIENT LIST");
        run::<String>(&mut redis, "XADD a * d new");
        tokio::time::timeout(patience(SOON), of_a)
            .await
            .expect("news of a, which waited all the time");
        // What came between poll and watch is news, too.
        news(&mut a).await;
        a.poll().await.expect("a sample");
        let early = tokio::time::timeout(QUIET, a.until_news()).await;
        assert!(early.is_err(), "{flavour:?}: it is seen now");
        let connections = watching.matches("name=streamgauge ").count();
        assert_eq!(connections, 2, "one to poll, one to watch: {watching}");
        let after: redis::Value = run(&mut redis, "XINFO GROUPS a");
        assert_eq!(group_state(&before), group_state(&after), "{flavour:?}");
    }
}

/// Everything that a reader of the group could change: consumers, what they hold, where the group stands.
fn group_state(groups: &redis::Value) -> String {
    let redis::Value::Array(groups) = groups else {
        panic!("{groups:?}");
    };
    let redis::Value::Array(fields) = &groups[0] else {
        panic!("{groups:?}");
    };
    // name, consumers, pending, last-delivered-id; what follows counts what was added.
    format!("{:?}", &fields[..8])
}

#[tokio::test]
async fn keda_is_told_at_once_however_rarely_the_stream_is_polled() {
    let server = RedisServer::start(Flavour::Redis82);
    let mut redis = server.connect();
    run::<()>(&mut redis, "XGROUP CREATE orders:1 g $ MKSTREAM");
    let service = Service::start(&format!(
        "server: {{ grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\" }}\n\
         poll_interval: 60s\n\
         sources: [ {{ name: main, redis: {{ url: \"redis://{}\" }} }} ]\n\
         groups: [ {{ name: orders, source: main, stream: \"orders:*\", consumer_group: g }} ]\n",
        server.address()
    ));
    let address = format!("http://{}", service.grpc);
    let mut keda = ExternalScalerClient::connect(address)
        .await
        .expect("served");
    let object = ScaledObjectRef {
        name: "worker".into(),
        namespace: "shop".into(),
        scaler_metadata: [("group".to_owned(), "orders".to_owned())].into(),
    };
    let stream = keda.stream_is_active(object.clone()).await;
    let mut pushed = stream.expect("a stream").into_inner();
    let inactive = pushed.message().await.expect("no error").expect("a word");
    assert!(!inactive.result);
    run::<String>(&mut redis, "XADD orders:1 * d new");
    let added = Instant::now();
    let active = pushed.message().await.expect("no error").expect("a word");
    assert!(active.result);
    let took = added.elapsed();
    println!("active {took:?} after the message");
    assert!(took < patience(SOON), "{took:?}");
    // What arrives next is known soon, too.
    for _ in 0..200 {
        run::<String>(&mut redis, "XADD orders:1 * d more");
    }
    eventually("the next messages are counted", SOON, async || {
        let group = service.get("/api/v1/groups/orders").await;
        group.contains("\"backlog\":201").then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_the_permission_to_read_the_polls_go_on_and_the_log_says_so() {
    let server = RedisServer::start(Flavour::Redis70);
    let mut redis = server.connect();
    run::<()>(&mut redis, "XGROUP CREATE x g $ MKSTREAM");
    let rules = "+@all -xread";
    run::<()>(
        &mut redis,
        &format!("ACL SETUSER gauge reset on >s3cret ~* {rules}"),
    );
    let service = Service::start_with(
        &format!(
            "server: {{ grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\" }}\n\
             poll_interval: 200ms\n\
             sources: [ {{ name: main, redis: {{ url: \"redis://{}\", username: gauge, password: {{ env: WAKE_PASSWORD }} }} }} ]\n\
             groups: [ {{ name: x, source: main, stream: x, consumer_group: g }} ]\n",
            server.address()
        ),
        &[("WAKE_PASSWORD", "s3cret")],
    );
    service.until_logged("cannot watch quiet streams").await;
    run::<String>(&mut redis, "XADD x * d new");
    eventually("the poll finds it", SOON, async || {
        let group = service.get("/api/v1/groups/x").await;
        group.contains("\"backlog\":1").then_some(())
    })
    .await;
    let warned = service.log();
    let warned = warned
        .iter()
        .filter(|line| line.contains("cannot watch quiet"));
    assert_eq!(warned.count(), 1, "told once");
}
