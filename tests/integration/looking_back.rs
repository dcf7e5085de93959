//! The API at a moment of the past: a real service on a real Redis, with a journal.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use crate::support::eventually;
use crate::support::keda::Keda;
use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::service::Service;

const TRIGGER: [(&str, &str); 4] = [
    ("group", "billing"),
    ("capacityPerReplica", "10"),
    ("targetDelay", "10"),
    ("maxReplicas", "900"),
];

const PATIENCE: Duration = Duration::from_secs(10);

fn start(redis: &RedisServer, state: Option<&Path>) -> Service {
    let state = state.map(|dir| format!("state: {{ dir: \"{}\" }}\n", dir.display()));
    Service::start(&format!(
        "server: {{ grpc: 127.0.0.1:0, http: 127.0.0.1:0 }}\n\
         poll_interval: 100ms\n{}\
         sources: [ {{ name: main, redis: {{ url: \"redis://{}\" }} }} ]\n\
         groups: [ {{ name: billing, source: main, stream: \"orders:*\", consumer_group: billing }} ]\n",
        state.unwrap_or_default(),
        redis.address(),
    ))
}

fn redis_with(messages: usize) -> RedisServer {
    let redis = RedisServer::start(Flavour::Redis82);
    let mut connection = redis.connect();
    let () = run(&mut connection, "XGROUP CREATE orders:1 billing $ MKSTREAM");
    add(&redis, messages);
    redis
}

fn add(redis: &RedisServer, messages: usize) {
    let mut connection = redis.connect();
    for _ in 0..messages {
        let _: String = run(&mut connection, "XADD orders:1 * a b");
    }
}

/// What is the same at that moment, however it is asked for.
fn lasting(mut group: Value) -> Value {
    for target in group["targets"].as_array_mut().expect("targets") {
        target["last_asked_at"] = Value::Null;
    }
    group
}

/// After a poll that is yet to come.
async fn observed_anew(service: &Service) -> Value {
    let group = async || service.get_json("/api/v1/groups/billing").await;
    let before = group().await["observed_at"].clone();
    eventually("another poll", PATIENCE, async || {
        let now = group().await;
        (now["observed_at"] != before).then_some(now)
    })
    .await
}

/// Once what happened until then has reached the disk.
async fn group_at(service: &Service, at: &str) -> Value {
    let path = format!("/api/v1/groups/billing?at={at}");
    eventually("the journal has it", PATIENCE, async || {
        let group = service.get_json(&path).await;
        (group["observed_at"] == at).then_some(group)
    })
    .await
}

async fn refused(service: &Service, path: &str) -> (StatusCode, String) {
    let answer = reqwest::get(format!("http://{}{path}", service.http)).await;
    let answer = answer.expect("an answer");
    let status = answer.status();
    let body = answer.text().await.expect("a body");
    let body: Value = serde_json::from_str(&body).expect(&body);
    (status, body["error"].as_str().expect("a text").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_shown_as_it_was_also_after_a_restart() {
    let redis = redis_with(600);
    let folder = tempfile::tempdir().unwrap();
    let mut service = start(&redis, Some(folder.path()));
    let mut keda = Keda::new(&service, "worker", &TRIGGER).await;
    keda.until("an answer", PATIENCE, |value, _| value >= 6.0)
        .await;
    let live = observed_anew(&service).await;
    let at = live["observed_at"].as_str().expect("observed").to_owned();
    let history = service
        .get_json("/api/v1/groups/billing/history?seconds=30&measure=backlog")
        .await;
    add(&redis, 3_000);
    keda.until("more", PATIENCE, |value, _| value >= 36.0).await;

    let live = lasting(live);
    let then = lasting(group_at(&service, &at).await);
    assert_eq!(then, live);
    let path = format!("/api/v1/groups/billing/history?seconds=30&measure=backlog&at={at}");
    let past = service.get_json(&path).await;
    let times = past["times"].as_array().expect("times");
    assert_eq!(times.last(), Some(&Value::from(at.as_str())));
    let count = times.len();
    assert_eq!(
        past["backlog"],
        Value::from(&history["backlog"].as_array().unwrap()[..count])
    );
    let values = |of: &Value| of["partitions"][0]["values"].as_array().unwrap()[..count].to_vec();
    assert_eq!(values(&past), values(&history));
    let path = format!("/api/v1/decisions?group=billing&at={at}");
    let decisions = service.get_json(&path).await;
    let newest = &decisions["decisions"][0];
    assert_eq!(newest["desired"], live["targets"][0]["desired"]);
    assert!(newest["at"].as_str().unwrap() <= at.as_str());
    let path = format!("/api/v1/groups?partitions=false&at={at}");
    let all = service.get_json(&path).await;
    assert_eq!(all["groups"][0]["backlog"], live["backlog"]);
    assert!(all["groups"][0].get("partitions").is_none() && all.get("problems").is_none());
    let path = format!("/api/v1/incidents?at={at}");
    assert!(service.get_json(&path).await["incidents"].is_array());

    service.terminate();
    assert_eq!(service.ended().await, Some(0));
    let service = start(&redis, Some(folder.path()));
    assert_eq!(lasting(group_at(&service, &at).await), live);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_that_is_not_kept_is_refused_with_what_is() {
    let redis = redis_with(1);
    let folder = tempfile::tempdir().unwrap();
    let service = start(&redis, Some(folder.path()));
    let begun = observed_anew(&service).await;
    group_at(&service, begun["observed_at"].as_str().expect("a time")).await;
    for (path, status, words) in [
        (
            "/api/v1/groups/billing?at=2100-01-01T00:00:00Z",
            400,
            "2100-01-01 00:00:00Z is in the future; the journal of billing goes from 20",
        ),
        (
            "/api/v1/groups/billing/history?at=2001-01-01T00:00:00Z",
            404,
            "nothing is kept of 2001-01-01 00:00:00Z; the journal of billing goes from 20",
        ),
        (
            "/api/v1/groups?at=2001-01-01T00:00:00Z",
            404,
            "the journals go from 20",
        ),
        (
            "/api/v1/decisions?group=shipping&at=2026-01-01T00:00:00Z",
            404,
            "no journal is kept of a group named \"shipping\"",
        ),
        (
            "/api/v1/incidents?at=yesterday",
            400,
            "must be a time in UTC such as 2026-11-30T03:14:00Z",
        ),
    ] {
        let (found, text) = refused(&service, path).await;
        assert!(
            found.as_u16() == status && text.contains(words),
            "{path}: {found} {text}"
        );
    }
    let without = start(&redis, None);
    let (status, text) = refused(&without, "/api/v1/groups/billing?at=2026-01-01T00:00:00Z").await;
    assert!(
        status == 404 && text.contains("set state.dir"),
        "{status} {text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kedas_calls_are_answered_at_once_while_many_look_into_the_past() {
    let redis = redis_with(600);
    let folder = tempfile::tempdir().unwrap();
    let service = start(&redis, Some(folder.path()));
    let mut keda = Keda::new(&service, "worker", &TRIGGER).await;
    keda.until("an answer", PATIENCE, |value, _| value >= 6.0)
        .await;
    let at = observed_anew(&service).await;
    let at = at["observed_at"].as_str().expect("observed").to_owned();
    group_at(&service, &at).await;
    let look = async |n: usize| {
        // Another reach each time, so that none is known already.
        let path = format!(
            "/api/v1/groups/billing/history?at={at}&seconds={}",
            2_000 + n
        );
        let answer = reqwest::get(format!("http://{}{path}", service.http)).await;
        let status = answer.expect("an answer").status();
        assert!(
            [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&status),
            "{status}"
        );
    };
    let looks = futures_util::future::join_all((0..24).map(look));
    let asking = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..200 {
            let started = Instant::now();
            keda.ask().await.expect("an answer");
            slowest = slowest.max(started.elapsed());
        }
        slowest
    };
    let (_, slowest) = tokio::join!(looks, asking);
    println!("slowest of 200 calls: {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}
