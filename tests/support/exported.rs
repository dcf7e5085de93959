//! A small registry with a known past, and the router that shows it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::Response;
use futures_util::{Stream, StreamExt};
use streamgauge::adapters::calls_view::CallsView;
use streamgauge::adapters::grpc::stats::{Method, RpcStats};
use streamgauge::adapters::health::Readiness;
use streamgauge::adapters::http::Routes;
use streamgauge::adapters::sources_view::{RequestCount, SourceView};
use streamgauge::adapters::views::{HttpState, JournalView, NotificationsView, StateView, Views};
use streamgauge::config::types::{Config, ServerConfig};
use streamgauge::group::event::{Event, What};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::memory::{EvictionPolicy, ServerMemory};
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{
    Failure, FailureKind, PartitionObservation, PartitionSample, Position, Sample,
};
use streamgauge::model::time::Timestamp;
use streamgauge::publish::Group;
use streamgauge::registry::Registry;
use streamgauge::trace::Durations;
use tower::Service;

/// The past ends here: 2023-11-14T22:13:20Z plus a minute.
pub const LAST_POLL: Timestamp = Timestamp::from_millis(1_700_000_060_000);

const CONFIG: &str = r#"
sources:
  - name: main
    redis: { url: "redis://127.0.0.1:6379/0" }
    allow: [ { namespaces: ["shop"], streams: ["mails"], consumer_groups: ["*"] } ]
  - name: clicks
    event_hubs:
      namespace: ns.servicebus.windows.net
      event_hub: clicks
      retention: 24h
      connection_string: { env: HUB }
      checkpoints: { container: c, connection_string: { env: STORE } }
groups:
  - name: billing
    source: main
    stream: "orders:*"
    consumer_group: billing
    policy: { capacity_per_replica: 20, max_replicas: 10 }
  - name: odd
    source: main
    stream: odd
    consumer_group: odd
"#;

/// Groups, and the time that the router believes it is.
pub struct Exported {
    pub registry: Arc<Registry>,
    pub readiness: Readiness,
    now: Arc<AtomicU64>,
}

/// An answer of the router.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Exported {
    /// The config's groups; nothing is known of them.
    pub fn unobserved() -> Self {
        Self::with("")
    }

    /// Another config; nothing is known of its groups.
    pub fn of(config: &str) -> Self {
        Self::of_config(Config::parse(config, "config.yaml").expect("a right config"))
    }

    /// The same with more in the config.
    pub fn with(more: &str) -> Self {
        let text = format!("{CONFIG}{more}");
        let mut config = Config::parse(&text, "config.yaml").expect("a right config");
        // The config lets none of these in; labels and JSON are to hold them all the same.
        let odd = &mut config.groups[1];
        odd.name = "odd \"name\"".to_owned();
        odd.key.stream = "back\\slash".to_owned();
        odd.key.consumer_group = "line\nbreak".to_owned();
        Self::of_config(config)
    }

    fn of_config(config: Config) -> Self {
        let at = LAST_POLL.minus(Duration::from_secs(60));
        let (registry, _started) = Registry::new(config, CapacityRules::default(), at);
        Self {
            registry: Arc::new(registry),
            readiness: Readiness::default(),
            now: Arc::new(AtomicU64::new(LAST_POLL.as_millis())),
        }
    }

    /// `billing` watched for a minute with a trigger of `shop/worker`; an inline group that `shop/mailer` asks for and
    /// nobody could read.
    pub fn observed() -> Self {
        let exported = Self::unobserved();
        exported.register("worker", &[("group", "billing")]);
        exported.register(
            "mailer",
            &[
                ("source", "main"),
                ("stream", "mails"),
                ("consumerGroup", "g"),
            ],
        );
        for poll in 0..=12_u64 {
            let at = LAST_POLL.minus(Duration::from_secs(60 - 5 * poll));
            exported.observe("billing", at, billing(poll));
        }
        let unread = Err(Failure::new(FailureKind::Unreachable, "no connection"));
        exported.apply("main/mails/g", LAST_POLL, What::Observed(unread));
        exported
    }

    /// From now on it is so long after the last poll.
    pub fn wait(&self, since_last_poll: Duration) {
        let now = LAST_POLL.plus(since_last_poll);
        self.now.store(now.as_millis(), Ordering::Relaxed);
    }

    pub fn observe(&self, group: &str, at: Timestamp, sample: Sample) {
        self.apply(group, at, What::Observed(Ok(sample)));
    }

    pub fn group(&self, name: &str) -> Arc<Group> {
        let mut groups = self.registry.groups().into_iter();
        groups
            .find(|group| group.definition().name == name)
            .expect("a group of that name")
    }

    pub fn router(&self) -> axum::Router {
        let now = self.now.clone();
        let state = HttpState {
            shutdown: streamgauge::shutdown::Shutdown::default(),
            registry: self.registry.clone(),
            views: Views {
                members: Some(Arc::new(streamgauge::replication::Members::new(
                    "streamgauge-0",
                ))),
                certificate: Arc::new(|| Some(1_800_000_000)),
                sources: Arc::new(|| vec![main_source()]),
                cluster: Arc::new(|| Some(calls(30, &[("auth", 0), ("timeout", 1)]))),
                prometheus: Arc::new(|| Some(calls(7, &[("timeout", 1)]))),
                recording: Arc::new(|| Some(3)),
                rpcs: rpcs(),
                state: Arc::new(|| {
                    Some(StateView {
                        failures: 2,
                        saved_at: Some(LAST_POLL),
                        journal: Some(JournalView {
                            failures: 1,
                            lost: 2,
                            bytes: 3_000_000,
                        }),
                    })
                }),
                archive: None,
                notifications: Arc::new(|| {
                    Some(NotificationsView {
                        outcomes: vec![("delivered", 4), ("refused", 0)],
                        waiting: 1,
                    })
                }),
            },
            now: Arc::new(move || Timestamp::from_millis(now.load(Ordering::Relaxed))),
            readiness: self.readiness.clone(),
        };
        Routes::new(state, &ServerConfig::default()).http
    }

    /// GET, without a network.
    pub async fn get(&self, path: &str, accept: &str) -> Answer {
        let (status, headers, body) = self.get_bytes(path, accept, "identity").await;
        Answer {
            status,
            headers,
            body: String::from_utf8(body).expect("text"),
        }
    }

    /// GET, with these headers.
    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let (parts, body) = self.ask(path, headers).await.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body");
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).expect("text"),
        }
    }

    /// How a GET is answered, without waiting for a body that may have no end.
    pub async fn status(&self, path: &str) -> StatusCode {
        self.ask(path, &[]).await.status()
    }

    /// The chunks of a body that may have no end.
    pub async fn stream(&self, path: &str) -> impl Stream<Item = String> + Unpin {
        let chunks = self.ask(path, &[]).await.into_body().into_data_stream();
        chunks.map(|chunk| String::from_utf8_lossy(&chunk.expect("a chunk")).into_owned())
    }

    async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let answered = self.router().call(request).await;
        answered.expect("the router answers")
    }

    /// GET, with what the client can decode.
    pub async fn get_bytes(
        &self,
        path: &str,
        accept: &str,
        encoding: &str,
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        let headers = [
            (header::ACCEPT.as_str(), accept),
            (header::ACCEPT_ENCODING.as_str(), encoding),
        ];
        let (parts, body) = self.ask(path, &headers).await.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body");
        (parts.status, parts.headers, body.to_vec())
    }

    pub fn register(&self, name: &str, metadata: &[(&str, &str)]) {
        let metadata: HashMap<String, String> = metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let at = LAST_POLL.minus(Duration::from_secs(60));
        self.registry
            .resolve("shop", name, &metadata, at)
            .expect("a right trigger");
    }

    pub fn apply(&self, group: &str, at: Timestamp, what: What) {
        self.group(group).apply(&Event { at, what });
    }
}

/// Four partitions: a slow hot one, a calm one, one with stuck entries and a lower bound, one that cannot be read.
fn billing(poll: u64) -> Sample {
    let present = PartitionObservation::Present;
    let hot = PartitionSample {
        oldest_age_millis: Some(12_500),
        ..sample(300 * poll, 200 * poll, 40)
    };
    let calm = PartitionSample {
        oldest_age_millis: Some(0),
        ..sample(100 * poll, 100 * poll, 0)
    };
    let stuck = PartitionSample {
        lag: Some(Quantity::AtLeast(7)),
        stuck_pending: 3,
        stored_bytes: Some(4_096),
        oldest_delivery_count: Some(9),
        oldest_age_millis: None,
        log_end: None,
        ..sample(50, 40, 5)
    };
    let failed = Failure::new(FailureKind::WrongType, "orders:x holds a string, no stream");
    Sample {
        partitions: BTreeMap::from([
            (PartitionId::new("10"), present(calm)),
            (PartitionId::new("2"), present(hot)),
            (PartitionId::new("3"), present(stuck)),
            (PartitionId::new("x"), PartitionObservation::Failed(failed)),
        ]),
        consumers: Some(4),
        ..Sample::default()
    }
}

/// `added` messages, `delivered` of them handed out, `pending` of these unacknowledged.
pub fn sample(added: u64, delivered: u64, pending: u64) -> PartitionSample {
    PartitionSample {
        log_end: Some(added),
        length: added,
        lag: Some(Quantity::Exact(added - delivered)),
        pending,
        delivered: Some(Position {
            major: delivered,
            minor: 0,
        }),
        delivered_count: Some(delivered),
        ..PartitionSample::default()
    }
}

fn rpcs() -> Arc<RpcStats> {
    let stats = RpcStats::default();
    stats.rests_on(Duration::from_secs(3));
    let took = Duration::from_millis(1);
    stats.count(Method::IsActive, tonic::Code::Unavailable, took);
    Arc::new(stats)
}

fn calls(calls: u64, errors: &[(&'static str, u64)]) -> CallsView {
    CallsView {
        up: Some(true),
        calls,
        errors: errors.to_vec(),
    }
}

/// 13 polls, whose seconds add up without rounding.
fn poll_durations() -> Durations {
    let durations = Durations::new(&[0.001, 0.01, 1.0]);
    for (polls, nanos) in [(3, 0), (9, 7_812_500), (1, 1_500_000_000)] {
        (0..polls).for_each(|_| durations.observe(Duration::from_nanos(nanos)));
    }
    durations
}

fn main_source() -> SourceView {
    SourceView {
        name: "main".to_owned(),
        up: Some(true),
        last_success: Some(LAST_POLL),
        circuit: "half_open",
        polls: 13,
        poll_durations: poll_durations(),
        errors: BTreeMap::from([(FailureKind::Timeout, 2)]),
        requests: BTreeMap::from([(
            "blob",
            RequestCount {
                total: 40,
                per_hour: Some(240.0),
            },
        )]),
        memory: vec![ServerMemory {
            server: "redis:6379".to_owned(),
            used_bytes: 3_000,
            limit_bytes: Some(4_000),
            policy: EvictionPolicy::AllKeys,
            full_in_seconds: Some(90.0),
        }],
    }
}
