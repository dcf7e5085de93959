//! What a hostile client costs everybody else: attack by attack the latency of KEDA's calls beside it, memory, and the answer.
//!
//! `make hostile`. `STREAMGAUGE=path` attacks another build, for a before and after. The service runs in a memory cgroup with the limit of
//! the manifests, where this user may make one; beyond it the kernel kills it, and the calls fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot start has to say so loudly"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use streamgauge::adapters::grpc::proto::ScaledObjectRef;
use streamgauge::adapters::grpc::proto::external_scaler_client::ExternalScalerClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use support::eventually;
use support::redis::{Flavour, RedisServer, run};
use support::service::Service;

/// The limit of memory in the manifests.
fn manifest_limit() -> String {
    let manifest = include_str!("../manifests/deployment.yaml");
    let limits = manifest.split_once("limits:").expect("limits").1;
    let memory = limits.split_once("memory:").expect("of memory").1;
    let (mebibytes, _) = memory.split_once("Mi").expect("in mebibytes");
    format!("{}M", mebibytes.trim())
}

/// Enters a group of its own and becomes the program in its arguments.
const IN_GROUP: &str = r#"
group=/sys/fs/cgroup/memory/streamgauge-hostile; limit=memory.limit_in_bytes
[ -d /sys/fs/cgroup/memory ] || { group=/sys/fs/cgroup/streamgauge-hostile; limit=memory.max; }
mkdir -p "$group" && echo "$1" > "$group/$limit" && echo $$ > "$group/cgroup.procs" || exit 1
shift; exec "$@"
"#;

/// What starts a program under that limit; nothing where it cannot be set.
fn limited(limit: &str) -> Vec<String> {
    let command = ["sh", "-c", IN_GROUP, "sh", limit].map(str::to_owned);
    let tried = Command::new(&command[0])
        .args(&command[1..])
        .arg("true")
        .output();
    match tried {
        Ok(done) if done.status.success() => command.to_vec(),
        _ => Vec::new(),
    }
}

const PARTITIONS: usize = 5_000;
const ATTACK: Duration = Duration::from_secs(15);
/// KEDA's calls are this far apart.
const EVERY: Duration = Duration::from_millis(10);
const SOON: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let redis = RedisServer::start(Flavour::Redis82);
    fill(&redis);
    let limit = manifest_limit();
    let limited = limited(&limit);
    match limited.is_empty() {
        true => println!("without a limit of memory: no cgroup can be made"),
        false => println!("in a cgroup of {limit}iB"),
    }
    println!(
        "{PARTITIONS} partitions; memory is resident, in MB; KEDA asks IsActive every {EVERY:?} for {ATTACK:?}"
    );
    println!(
        "| attack | memory before | most | KEDA's p50 ms | p99 ms | most | failed | answers |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (name, attack) in ATTACKS {
        under(&redis, &limited, name, attack).await;
    }
    for groups in ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"] {
        // Empty by now, or never made.
        let _ = std::fs::remove_dir(format!("{groups}/streamgauge-hostile"));
    }
}

type Attack = fn(&Service, &Arc<Tally>) -> JoinSet<()>;

const ATTACKS: [(&str, Attack); 8] = [
    ("nobody", |_, _| JoinSet::new()),
    ("10 clients loop on /metrics", |service, tally| {
        looping(service, tally, 10, "/metrics")
    }),
    ("10 clients loop on /api/v1/groups", |service, tally| {
        looping(service, tally, 10, "/api/v1/groups")
    }),
    ("200 scrapes that nobody reads", |service, tally| {
        unread(service, tally, 200, "/metrics")
    }),
    (
        "200 answers of the API that nobody reads",
        |service, tally| unread(service, tally, 200, "/api/v1/groups"),
    ),
    ("1,000 half requests", half_requests),
    (
        "two triggers of 10,000 keys each, never seen",
        |service, tally| {
            triggers(service, tally, |n| {
                (n < 2).then(|| format!("never:{{{}..{}}}", n * 10_000, n * 10_000 + 9_999))
            })
        },
    ),
    ("50 patterns", |service, tally| {
        triggers(service, tally, |n| (n < 50).then(|| format!("orders:{n}*")))
    }),
];

/// What an attack was told.
#[derive(Default)]
struct Tally {
    ends: AtomicBool,
    served: AtomicU64,
    refused: AtomicU64,
}

impl Tally {
    fn count(&self, served: bool) {
        let counter = if served { &self.served } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn goes_on(&self) -> bool {
        !self.ends.load(Ordering::Relaxed)
    }
}

async fn under(redis: &RedisServer, limited: &[String], name: &str, attack: Attack) {
    let config = format!(
        "server: {{ grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\" }}\nsources:\n  - name: main\n    redis: {{ url: \"redis://{}\" }}\n    \
         allow: [ {{ namespaces: [\"*\"], streams: [\"*\"], consumer_groups: [\"*\"] }} ]\ngroups:\n  - {{ name: billing, source: main, \
         stream: \"orders:{{0..{}}}\", consumer_group: workers, policy: {{ capacity_per_replica: 50 }} }}\n",
        redis.address(),
        PARTITIONS - 1
    );
    let limited: Vec<&str> = limited.iter().map(String::as_str).collect();
    let service = Service::start_under(&limited, &config);
    let channel = Channel::from_shared(format!("http://{}", service.grpc)).unwrap();
    let mut keda = ExternalScalerClient::new(channel.connect().await.unwrap());
    let billing = object("worker", &[("group", "billing")]);
    eventually("an answer", SOON, async || {
        keda.is_active(billing.clone()).await.ok()
    })
    .await;
    drop(service.get("/metrics").await);
    let before = service.resident_megabytes();
    let tally = Arc::new(Tally::default());
    let attackers = attack(&service, &tally);
    let (mut most, mut failed, mut each) = (before, 0, Vec::new());
    let (started, mut due) = (Instant::now(), Instant::now());
    while started.elapsed() < ATTACK {
        due += EVERY;
        tokio::time::sleep_until(due.into()).await;
        // GetMetrics has no value yet so soon after a start; both are answered from the same snapshot.
        failed += u32::from(keda.is_active(billing.clone()).await.is_err());
        each.push(due.elapsed().as_secs_f64() * 1e3);
        most = f64::max(most, service.resident_megabytes());
    }
    tally.ends.store(true, Ordering::Relaxed);
    drop(attackers);
    each.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| each[((each.len() - 1) as f64 * share) as usize];
    let (served, refused) = (&tally.served, &tally.refused);
    println!(
        "| {name} | {before:.0} | {most:.0} | {:.1} | {:.1} | {:.1} | {failed} | {} served, {} refused |",
        at(0.5),
        at(0.99),
        at(1.0),
        served.load(Ordering::Relaxed),
        refused.load(Ordering::Relaxed)
    );
}

fn object(name: &str, metadata: &[(&str, &str)]) -> ScaledObjectRef {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    ScaledObjectRef {
        name: name.to_owned(),
        namespace: "team".to_owned(),
        scaler_metadata: metadata.iter().map(owned).collect::<HashMap<_, _>>(),
    }
}

fn fill(redis: &RedisServer) {
    let mut connection = redis.connect();
    for n in 0..PARTITIONS {
        run::<()>(
            &mut connection,
            &format!("XGROUP CREATE orders:{n} workers $ MKSTREAM"),
        );
        for _ in 0..n % 20 {
            run::<()>(&mut connection, &format!("XADD orders:{n} * n 1"));
        }
    }
}

fn looping(service: &Service, tally: &Arc<Tally>, clients: usize, path: &str) -> JoinSet<()> {
    let mut attackers = JoinSet::new();
    for _ in 0..clients {
        let (url, tally) = (format!("http://{}{path}", service.http), tally.clone());
        attackers.spawn(async move {
            let client = reqwest::Client::new();
            while tally.goes_on() {
                let asked = client
                    .get(&url)
                    .header("accept-encoding", "gzip")
                    .send()
                    .await;
                let read = match asked.and_then(reqwest::Response::error_for_status) {
                    Ok(answer) => answer.bytes().await.is_ok(),
                    Err(_) => false,
                };
                tally.count(read);
            }
        });
    }
    attackers
}

fn unread(service: &Service, tally: &Arc<Tally>, clients: usize, path: &str) -> JoinSet<()> {
    let mut attackers = JoinSet::new();
    for _ in 0..clients {
        let (to, tally) = (service.http, tally.clone());
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        attackers.spawn(async move {
            let Ok(mut stream) = TcpStream::connect(to).await else {
                return tally.count(false);
            };
            tally.count(stream.write_all(request.as_bytes()).await.is_ok());
            std::future::pending::<()>().await;
        });
    }
    attackers
}

fn half_requests(service: &Service, tally: &Arc<Tally>) -> JoinSet<()> {
    let mut attackers = JoinSet::new();
    for n in 0..1_000 {
        let to = if n % 2 == 0 {
            service.http
        } else {
            service.grpc
        };
        let tally = tally.clone();
        attackers.spawn(async move {
            let Ok(mut stream) = TcpStream::connect(to).await else {
                return tally.count(false);
            };
            let sent = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await;
            let mut byte = [0];
            // Counted when it is closed.
            let _ = stream.read(&mut byte).await;
            tally.count(sent.is_err());
        });
    }
    attackers
}

/// Registers triggers of one tenant, and goes on asking for them.
fn triggers(
    service: &Service,
    tally: &Arc<Tally>,
    stream: fn(usize) -> Option<String>,
) -> JoinSet<()> {
    let mut attackers = JoinSet::new();
    let (to, tally) = (format!("http://{}", service.grpc), tally.clone());
    attackers.spawn(async move {
        let mut client = ExternalScalerClient::connect(to).await.unwrap();
        let objects = (0..)
            .map_while(|n| Some((n, stream(n)?)))
            .map(|(n, stream)| {
                let metadata = [
                    ("source", "main"),
                    ("stream", stream.as_str()),
                    ("consumerGroup", "workers"),
                ];
                object(&format!("attacker-{n}"), &metadata)
            });
        let objects: Vec<ScaledObjectRef> = objects.collect();
        while tally.goes_on() {
            for object in &objects {
                tally.count(client.is_active(object.clone()).await.is_ok());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    attackers
}
