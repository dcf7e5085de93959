//! Error rate and resource utilization: asked of a real Prometheus, or counted in a real Redis.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::prometheus::Prometheus;
use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::service::Service;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use streamgauge::clock::Clock;
use streamgauge::config::types::Config;
use streamgauge::model::sample::Sample;
use streamgauge::model::signal::{ErrorCount, ErrorSource, SignalReading};
use streamgauge::model::stream::StreamSelector;
use streamgauge::signals::Prometheus as Asked;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

const PATIENCE: Duration = Duration::from_secs(30);

async fn group_of(service: &Service) -> Value {
    service.get_json("/api/v1/groups/billing").await
}

/// The group, once a signal of it is as wanted.
async fn once(
    service: &Service,
    what: &str,
    signal: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    crate::support::eventually(what, PATIENCE, || async {
        let group = group_of(service).await;
        wanted(&group["signals"][signal]).then_some(group)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_prometheus_is_away_its_signals_are_unknown_and_scaling_goes_on() {
    let redis = RedisServer::start(Flavour::Redis70);
    let mut connection = redis.connect();
    let () = run(&mut connection, "XGROUP CREATE orders billing $ MKSTREAM");
    for _ in 0..40 {
        let _: String = run(&mut connection, "XADD orders * a b");
    }
    let mut prometheus = Prometheus::start_alone();
    prometheus.query("up == 1");
    let service = Service::start(&format!(
        "server: {{ grpc: 127.0.0.1:0, http: 127.0.0.1:0 }}\n\
         poll_interval: 200ms\n\
         prometheus: {{ url: \"http://{}/\", interval: 1s, timeout: 1s }}\n\
         sources: [ {{ name: main, redis: {{ url: \"redis://{}\" }} }} ]\n\
         groups:\n\
         - name: billing\n  source: main\n  stream: orders\n  consumer_group: billing\n\
         \x20 policy: {{ capacity_per_replica: 1, max_replicas: 4 }}\n\
         \x20 signals:\n    error_rate: {{ promql: \"0.25 * max(up)\" }}\n\
         \x20   resource_utilization: {{ promql: \"no_such_series\" }}\n",
        prometheus.address,
        redis.address(),
    ));
    let known = |signal: &Value| signal["value"] == 0.25;
    let group = once(&service, "the error rate", "error_rate", known).await;
    let desired = group["targets"][0]["desired"].clone();
    assert!(desired.as_u64().is_some_and(|n| n > 0), "{group:#}");
    let absent = |signal: &Value| {
        signal["problem"] == "the expression returned no value: no series matches now"
    };
    let group = once(&service, "an absent series", "resource_utilization", absent).await;
    assert_eq!(
        group["signals"]["resource_utilization"]["value"],
        Value::Null
    );

    prometheus.stop();
    let away = |signal: &Value| {
        let problem = signal["problem"].as_str().unwrap_or_default();
        signal["value"].is_null() && problem.contains("prometheus cannot be reached")
    };
    once(&service, "an outage of Prometheus", "error_rate", away).await;
    crate::support::eventually("the group is fresh all the same", PATIENCE, || async {
        let group = group_of(&service).await;
        assert_eq!(group["targets"][0]["desired"], desired);
        (group["freshness"] == "fresh").then_some(())
    })
    .await;
    let metrics = crate::support::eventually("that it is away", PATIENCE, || async {
        let metrics = service.get("/metrics").await;
        let is_away = |line: &str| line == "streamgauge_prometheus_up{} 0";
        metrics.lines().any(is_away).then_some(metrics)
    })
    .await;
    let values = metrics
        .lines()
        .filter(|line| line.starts_with("streamgauge_signal_value{"));
    assert!(values.clone().count() > 0, "of other signals");
    assert!(
        values.clone().all(|line| !line.contains("error_rate")),
        "{metrics}"
    );

    prometheus.restart();
    prometheus.query("up == 1");
    once(&service, "the error rate again", "error_rate", known).await;
    let said = "the signal is unknown: prometheus cannot be reached";
    service.until_logged(said).await;
    service.until_logged("the signal is known again").await;
}

async fn poll(reader: &mut dyn GroupReader) -> Sample {
    reader.poll().await.expect("a sample")
}

/// What one poll counts.
async fn counted(reader: &mut dyn GroupReader) -> ErrorCount {
    poll(reader).await.errors.expect("errors are counted")
}

fn reader_of(redis: &RedisServer, errors: &ErrorSource) -> Box<dyn GroupReader> {
    let source = RedisStreams::new(redis.config(), Duration::from_secs(5));
    let selector = StreamSelector::parse("orders:{0..1}").expect("a template");
    let mut reader = source.reader(&selector, "billing", Duration::from_secs(5));
    reader.count_errors(errors);
    reader
}

#[tokio::test]
async fn redeliveries_are_counted_from_the_deliveries_of_what_is_pending() {
    for flavour in Flavour::ALL {
        let redis = RedisServer::start(flavour);
        let mut c = redis.connect();
        let mut reader = reader_of(&redis, &ErrorSource::Redeliveries);
        let mut total = async || counted(reader.as_mut()).await.total;
        for key in ["orders:0", "orders:1"] {
            let () = run(&mut c, &format!("XGROUP CREATE {key} billing $ MKSTREAM"));
            for n in 1..=3 {
                let _: String = run(&mut c, &format!("XADD {key} 1-{n} a b"));
            }
        }
        assert_eq!(total().await, Some(0));
        let read = |c: &mut _, key: &str| {
            let _: redis::Value = run(
                c,
                &format!("XREADGROUP GROUP billing one COUNT 10 STREAMS {key} >"),
            );
        };
        let claim = |c: &mut _, key: &str, id: &str| {
            let _: redis::Value = run(c, &format!("XCLAIM {key} billing two 0 {id}"));
        };
        read(&mut c, "orders:0");
        assert_eq!(total().await, Some(0), "first deliveries are none");
        claim(&mut c, "orders:0", "1-1");
        claim(&mut c, "orders:0", "1-1");
        claim(&mut c, "orders:0", "1-2");
        assert_eq!(total().await, Some(3), "{flavour:?}");
        let _: i64 = run(&mut c, "XACK orders:0 billing 1-1");
        read(&mut c, "orders:1");
        claim(&mut c, "orders:1", "1-3");
        assert_eq!(
            total().await,
            Some(4),
            "delivered and redelivered between two polls"
        );
        assert_eq!(total().await, Some(4));
    }
}

#[tokio::test]
async fn a_dead_letter_stream_is_counted_by_what_came_to_it_and_never_fails_the_poll() {
    for flavour in Flavour::ALL {
        let redis = RedisServer::start(flavour);
        let mut c = redis.connect();
        let mut reader = reader_of(&redis, &ErrorSource::DeadLetter("orders:dead".into()));
        let mut counted = async || counted(reader.as_mut()).await;
        assert_eq!(counted().await.total, Some(0), "not there yet");
        for _ in 0..3 {
            let _: String = run(&mut c, "XADD orders:dead * a b");
        }
        assert_eq!(counted().await.total, Some(3), "{flavour:?}");
        let _: i64 = run(&mut c, "XTRIM orders:dead MAXLEN 1");
        assert_eq!(counted().await.total, Some(3), "what was trimmed had come");
        let _: i64 = run(&mut c, "DEL orders:dead");
        assert_eq!(counted().await.total, Some(0), "starts anew");
        let () = run(&mut c, "SET orders:dead x");
        let wrong = counted().await;
        assert_eq!(wrong.total, None);
        let problem = wrong.problem.expect("a reason");
        assert!(problem.contains("orders:dead"), "{problem}");
    }
}

#[tokio::test]
async fn a_token_is_read_anew_from_its_file_and_never_told() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let answer = move |headers: HeaderMap, body: String| {
        let said = headers.get("authorization").and_then(|v| v.to_str().ok());
        let said = said.unwrap_or_default().to_owned();
        let right = said == "Bearer second";
        kept.lock().unwrap().push(format!("{said} {body}"));
        async move {
            match right {
                true => (
                    StatusCode::OK,
                    r#"{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}"#,
                ),
                false => (StatusCode::UNAUTHORIZED, "no"),
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/prom/api/v1/query", post(answer));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "first\n").unwrap();
    let config = format!(
        "prometheus: {{ url: \"http://{address}/prom\", bearer_token: {{ file: {} }} }}\n\
         sources: [ {{ name: main, redis: {{ url: \"redis://127.0.0.1:1\" }} }} ]\n",
        token.display()
    );
    let config = Config::parse(&config, "c.yaml").expect("a right config");
    let asked = Asked::new(config.prometheus, Clock::start());
    let refused: SignalReading = asked.read("a + b & c").await;
    assert_eq!(refused.value, None);
    let problem = refused.problem.expect("a reason");
    assert_eq!(
        problem,
        "prometheus: status 401: check the credentials of the prometheus section"
    );
    std::fs::write(&token, "second\n").unwrap();
    assert_eq!(asked.read("a + b & c").await.value, Some(7.0));
    let seen = seen.lock().unwrap().join("\n");
    let expect = "Bearer first query=a+%2B+b+%26+c&timeout=5000ms\nBearer second query=a+%2B+b+%26+c&timeout=5000ms";
    assert_eq!(seen, expect);
    assert!(!format!("{asked:?}").contains("second"));
    server.abort();
}
