//! The journal: a real service on a real Redis, killed at any moment, and `replay` on what it left.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::Rng;
use crate::support::keda::Keda;
use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::service::Service;

/// A trigger whose answer follows from the backlog alone, and holds what it once was.
const TRIGGER: [(&str, &str); 4] = [
    ("group", "billing"),
    ("capacityPerReplica", "10"),
    ("targetDelay", "10"),
    ("maxReplicas", "900"),
];

fn start(redis: &RedisServer, state: &Path) -> Service {
    Service::start(&format!(
        "server: {{ grpc: 127.0.0.1:0, http: 127.0.0.1:0 }}\n\
         poll_interval: 100ms\n\
         state: {{ dir: \"{}\" }}\n\
         sources: [ {{ name: main, redis: {{ url: \"redis://{}\" }} }} ]\n\
         groups: [ {{ name: billing, source: main, stream: \"orders:*\", consumer_group: billing }} ]\n",
        state.display(),
        redis.address(),
    ))
}

fn replay(state: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    command.arg("replay").arg(state).args(arguments);
    command.output().expect("replay runs")
}

fn printed(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

/// How often the process is killed: a few times in every run of the tests, `STREAMGAUGE_KILLS=200` on demand.
fn kills() -> usize {
    let asked = std::env::var("STREAMGAUGE_KILLS").ok();
    asked.map_or(6, |kills| kills.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_no_answer_falls_and_all_can_be_computed_again() {
    let redis = RedisServer::start(Flavour::Redis82);
    let mut connection = redis.connect();
    for n in 0..4 {
        let () = run(
            &mut connection,
            &format!("XGROUP CREATE orders:{n} billing $ MKSTREAM"),
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut random = Rng(7);
    let (mut told, mut slowest) = (0.0_f64, Duration::ZERO);
    for _ in 0..kills() {
        let service = start(&redis, &state);
        let mut keda = Keda::new(&service, "worker", &TRIGGER).await;
        let started = Instant::now();
        keda.until("an answer", Duration::from_secs(5), |value, _| {
            value >= told
        })
        .await;
        slowest = slowest.max(started.elapsed());
        let lives = Duration::from_millis(200 + random.below(900));
        while started.elapsed() < lives {
            for n in 0..4 {
                let _: String = run(&mut connection, &format!("XADD orders:{n} * a b"));
            }
            if let Ok((value, active)) = keda.ask().await {
                assert!(value >= told, "{value} after {told}");
                assert!(active || told == 0.0, "inactive after {told}");
                told = value;
            }
        }
        // Dropped, it is killed.
        drop(service);
    }
    let verified = replay(&state, &["--verify"]);
    let text = printed(&verified);
    assert!(verified.status.success(), "{text}");
    assert!(
        text.contains("equal: ") && !text.contains("does not follow"),
        "{text}"
    );
    println!("slowest first answer {slowest:?}; {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_explained_and_tried_with_other_settings() {
    let redis = RedisServer::start(Flavour::Redis70);
    let mut connection = redis.connect();
    let () = run(&mut connection, "XGROUP CREATE orders:1 billing $ MKSTREAM");
    for _ in 0..600 {
        let _: String = run(&mut connection, "XADD orders:1 * a b");
    }
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut service = start(&redis, &state);
    let mut keda = Keda::new(&service, "worker", &TRIGGER).await;
    keda.until("an answer", Duration::from_secs(5), |value, _| value >= 6.0)
        .await;
    let body = service.get("/api/v1/groups/billing").await;
    let group: Value = serde_json::from_str(&body).unwrap();
    let desired = group["targets"][0]["desired"].as_u64().unwrap();
    service.terminate();
    assert_eq!(service.ended().await, Some(0));

    let list = printed(&replay(&state, &[]));
    assert!(list.contains("billing (main/orders:*/billing)"), "{list}");
    assert!(
        list.contains(&format!("shop/worker: {desired}, active")),
        "{list}"
    );
    assert!(list.contains("messages"), "with the reason: {list}");
    // Tomorrow's time of day is yesterday's: nothing was written then.
    let early = replay(&state, &["--at", "2020-01-01T00:00:00Z"]);
    assert!(printed(&early).contains("the journal begins at"));
    let late = printed(&replay(&state, &["--at", "2100-01-01T00:00:00Z"]));
    assert!(
        late.contains(&format!("shop/worker: {desired}, active")),
        "{late}"
    );
    let other = printed(&replay(&state, &["--policy", "maxReplicas=2"]));
    let last = other.lines().rfind(|line| line.contains("shop/worker  "));
    let fields: Vec<&str> = last.expect("a row").split_whitespace().collect();
    assert_eq!(fields[3..], [desired.to_string().as_str(), "2"], "{other}");
    let closed = Command::new("sh")
        .args(["-c", "\"$0\" replay \"$1\" | true"])
        .args([
            env!("CARGO_BIN_EXE_streamgauge").as_ref(),
            state.as_os_str(),
        ])
        .output()
        .expect("sh runs");
    assert_eq!(printed(&closed), "", "who reads no more is no fault");
    let none = replay(&state, &["--group", "shipping"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(printed(&none).contains("no journal of a group named shipping"));
    let nowhere = replay(&folder.path().join("nowhere"), &[]);
    assert!(
        printed(&nowhere).contains("no journal here") || printed(&nowhere).contains("No such file")
    );
}
