//! What one tenant costs another on the same Redis: how old the last poll of a group of one stream gets, and how long its polls take,
//! beside a tenant with as many partitions as a namespace may have, and beside patterns over a million keys.
//!
//! `cargo bench --bench neighbours`; the first letters of scenes as arguments run those only. `STREAMGAUGE=path` measures another build.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot start has to say so loudly"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use redis::Connection;
use streamgauge::adapters::grpc::proto::ScaledObjectRef;
use streamgauge::adapters::grpc::proto::external_scaler_client::ExternalScalerClient;
use tokio::net::TcpListener;

use support::eventually;
use support::redis::{Flavour, RedisServer, run};
use support::service::Service;

/// The small group is polled this often, the big tenant's at the default.
const POLL: Duration = Duration::from_millis(200);
const WARM_UP: Duration = Duration::from_secs(15);
const MEASURED: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(60);
/// What a namespace may have.
const PARTITIONS: usize = 10_000;

/// A tenant beside the small group.
struct Scene {
    name: &'static str,
    triggers: usize,
    streams: usize,
    /// Messages per stream, of so many bytes; one of them is deleted, so that Redis does not tell the lag and they have to be counted.
    messages: usize,
    bytes: usize,
}

const fn scene(name: &'static str, triggers: usize, streams: usize) -> Scene {
    Scene {
        name,
        triggers,
        streams,
        messages: 0,
        bytes: 0,
    }
}

const SCENES: [Scene; 7] = [
    scene("alone", 0, 0),
    scene("big: one group of 10,000 streams", 1, PARTITIONS),
    scene("twenty groups of 500 streams", 20, PARTITIONS / 20),
    scene("many: 500 groups of 20 streams", 500, PARTITIONS / 500),
    Scene {
        messages: 20,
        bytes: 1_000,
        ..scene(
            "fat: 500 groups of 20 streams, 20 messages of 1 KB each to count",
            500,
            PARTITIONS / 500,
        )
    },
    Scene {
        messages: 10_000,
        bytes: 100,
        ..scene(
            "deep: 100 groups of one stream, 10,000 messages each to count",
            100,
            1,
        )
    },
    Scene {
        messages: 2_000,
        bytes: 20_000,
        ..scene(
            "wide: 50 groups of one stream, 2,000 messages of 20 KB each to count",
            50,
            1,
        )
    },
];

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that it builds.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let names: Vec<_> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| name.starts_with(*n));
    println!(
        "A group of one stream, polled every {POLL:?} for {MEASURED:?}. In ms: age of its last poll, duration of a poll."
    );
    println!(
        "| beside it | polls | failed | age p50 | age p99 | most | poll p50 | poll p99 | most | memory MB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for scene in SCENES.iter().filter(|scene| wanted(scene.name)) {
        beside(scene).await;
    }
    if wanted("patterns") {
        patterns().await;
    }
}

async fn beside(scene: &Scene) {
    let redis = RedisServer::start(Flavour::Redis82);
    let mut connection = redis.connect();
    run::<()>(&mut connection, "XGROUP CREATE small workers $ MKSTREAM");
    fill(&mut connection, scene);
    let spans = Spans::default();
    let endpoint = format!("http://{}", spans.listen().await);
    let service = serve(&redis, &endpoint);
    let streams = scene.streams;
    let triggers: Vec<_> = (0..scene.triggers)
        .map(|n| trigger(n, &format!("big:{n}:{{0..{}}}", streams - 1)))
        .collect();
    register(&service, &triggers).await;
    tokio::time::sleep(WARM_UP).await;
    spans.clear();
    tokio::time::sleep(MEASURED).await;
    let memory = service.resident_megabytes();
    // What was not sent yet is missing at the end only.
    let polls = spans.taken();
    let ages = polls.windows(2).map(|pair| pair[1].1 - pair[0].0);
    let took = polls.iter().map(|(began, ended)| ended - began);
    println!(
        "| {} | {} | {} | {} | {} | {memory:.0} |",
        scene.name,
        polls.len(),
        spans.failed(),
        spread(ages),
        spread(took),
    );
}

fn spread(values: impl Iterator<Item = f64>) -> String {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else {
        return "– | – | –".to_owned();
    };
    let at = |share: f64| values[(last as f64 * share) as usize];
    format!("{:.0} | {:.0} | {:.0}", at(0.5), at(0.99), at(1.0))
}

fn serve(redis: &RedisServer, endpoint: &str) -> Service {
    let config = format!(
        "server: {{ grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\" }}\nkubernetes: {{ enabled: false }}\nsources:\n  - name: main\n    \
         redis: {{ url: \"redis://{}\" }}\n    allow: [ {{ namespaces: [\"*\"], streams: [\"*\"], consumer_groups: [\"*\"] }} ]\n\
         groups:\n  - {{ name: small, source: main, stream: small, consumer_group: workers, poll_interval: {}ms }}\n",
        redis.address(),
        POLL.as_millis(),
    );
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100000"),
    ];
    Service::start_with(&config, &variables)
}

fn trigger(n: usize, stream: &str) -> ScaledObjectRef {
    let metadata = [
        ("source", "main"),
        ("stream", stream),
        ("consumerGroup", "workers"),
        ("capacityPerReplica", "50"),
    ];
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    ScaledObjectRef {
        name: format!("worker-{n}"),
        namespace: "big".to_owned(),
        scaler_metadata: metadata.into_iter().map(owned).collect::<HashMap<_, _>>(),
    }
}

async fn register(service: &Service, triggers: &[ScaledObjectRef]) {
    let to = format!("http://{}", service.grpc);
    let mut keda = ExternalScalerClient::connect(to).await.unwrap();
    for trigger in triggers {
        let spec = keda.get_metric_spec(trigger.clone()).await;
        spec.expect("a spec");
    }
}

fn fill(redis: &mut Connection, scene: &Scene) {
    let body = "x".repeat(scene.bytes);
    for trigger in 0..scene.triggers {
        let mut commands = redis::pipe();
        for stream in 0..scene.streams {
            let key = format!("big:{trigger}:{stream}");
            let create = commands.cmd("XGROUP").arg("CREATE").arg(&key);
            create.arg("workers").arg("0").arg("MKSTREAM");
            for id in 1..=scene.messages {
                let add = commands.cmd("XADD").arg(&key).arg(format!("1-{id}"));
                add.arg("d").arg(&body);
                if id % 1_000 == 0 {
                    std::mem::replace(&mut commands, redis::pipe())
                        .exec(redis)
                        .unwrap();
                }
            }
            if scene.messages > 0 {
                let half = scene.messages / 2;
                commands.cmd("XDEL").arg(&key).arg(format!("1-{half}"));
            }
        }
        commands.exec(redis).unwrap();
    }
}

/// How long it takes until a new stream of one tenant is found beside twenty patterns of another, over so many keys.
async fn patterns() {
    println!(
        "\nA new stream of a pattern is found after, in s (documented: within about 30 s of the end of the last look-up)"
    );
    println!(
        "| keys | patterns of another tenant | found after | look-ups' share of the server's time |"
    );
    println!("|---|---|---|---|");
    let redis = RedisServer::start(Flavour::Redis82);
    let mut connection = redis.connect();
    run::<()>(&mut connection, "XGROUP CREATE mine:0 workers $ MKSTREAM");
    for keys in [0, 1_000_000] {
        if keys > 0 {
            run::<()>(&mut connection, &format!("DEBUG POPULATE {keys} other 10"));
        }
        for patterns in [0, 20] {
            let service = serve(&redis, "http://127.0.0.1:1");
            let others = (0..patterns).map(|n| trigger(n, &format!("other:{n}*")));
            let mine = ScaledObjectRef {
                namespace: "mine".to_owned(),
                ..trigger(1_000, "mine:*")
            };
            register(&service, &others.chain([mine]).collect::<Vec<_>>()).await;
            found(&service, &mut connection, (keys, patterns)).await;
        }
    }
}

async fn found(service: &Service, connection: &mut Connection, (keys, patterns): (usize, usize)) {
    let streams = async || {
        let page = service.get("/metrics").await;
        let of_mine = page.lines().filter(|line| line.contains("mine:*"));
        let partitions =
            of_mine.filter_map(|line| line.split("partition=\"").nth(1)?.split('"').next());
        partitions.collect::<BTreeSet<_>>().len()
    };
    eventually("the first stream", SOON, async || {
        (streams().await > 0).then_some(())
    })
    .await;
    for n in 1..4 {
        let before = streams().await;
        let (busy, started) = (scan_seconds(connection), Instant::now());
        run::<()>(
            connection,
            &format!("XGROUP CREATE mine:{keys}:{patterns}:{n} workers $ MKSTREAM"),
        );
        eventually("a new stream", SOON, async || {
            (streams().await > before).then_some(())
        })
        .await;
        let took = started.elapsed().as_secs_f64();
        let share = (scan_seconds(connection) - busy) / took;
        println!(
            "| {keys} | {patterns} | {took:.1} | {:.1} % |",
            100.0 * share
        );
    }
}

fn scan_seconds(connection: &mut Connection) -> f64 {
    let stats: String = run(connection, "INFO commandstats");
    let scan = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_scan:"));
    let micros = scan.and_then(|line| line.split("usec=").nth(1)?.split(',').next()?.parse().ok());
    micros.unwrap_or(0.0) / 1e6
}

/// When a poll began and ended, in ms.
type Poll = (f64, f64);

/// Polls of the small group, and how many polls of any failed.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<(Vec<Poll>, u32)>>);

impl Spans {
    async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let this = self.clone();
        let take = post(async move |body: Bytes| {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let resources = request.resource_spans.into_iter();
            let scopes = resources.flat_map(|resource| resource.scope_spans);
            scopes
                .flat_map(|scope| scope.spans)
                .for_each(|span| this.take(&span));
            ExportTraceServiceResponse::default().encode_to_vec()
        });
        let router = Router::new().route("/v1/traces", take);
        tokio::spawn(async move { axum::serve(listener, router).await });
        at
    }

    fn take(&self, span: &Span) {
        let is = |key: &str, text: &str| {
            let mut all = span.attributes.iter();
            all.any(|a| a.key == key && format!("{:?}", a.value).contains(text))
        };
        let millis = |nanos: u64| nanos as f64 / 1e6;
        let mut polls = self.0.lock().unwrap();
        if span.name == "poll" && is("group", "\"small\"") {
            let ended = millis(span.end_time_unix_nano);
            polls.0.push((millis(span.start_time_unix_nano), ended));
        }
        polls.1 +=
            u32::from(span.name == "read" && span.attributes.iter().any(|a| a.key == "failure"));
    }

    fn clear(&self) {
        *self.0.lock().unwrap() = Default::default();
    }

    fn taken(&self) -> Vec<Poll> {
        let mut polls = self.0.lock().unwrap().0.clone();
        polls.sort_by(|a, b| a.0.total_cmp(&b.0));
        polls
    }

    fn failed(&self) -> u32 {
        self.0.lock().unwrap().1
    }
}
