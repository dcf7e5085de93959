//! An incident on a real Redis reaches a webhook as a signed CloudEvent, however often that must be tried.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::redis::{Flavour, RedisServer};
use crate::support::service::Service;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

const KEY: &[u8] = b"a key of the receiver";

/// As a receiver checks it by Standard Webhooks: over id, time and body, not older than five minutes.
fn verify(headers: &HeaderMap, body: &str) {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let age = since.as_secs().abs_diff(timestamp.parse().unwrap());
    assert!(age < 300, "{timestamp}");
    let signature = header("webhook-signature");
    let signature = STANDARD.decode(signature.strip_prefix("v1,").unwrap());
    let mac = Hmac::<Sha256>::new_from_slice(KEY).unwrap();
    let mac = mac.chain_update(format!("{id}.{timestamp}.{body}"));
    mac.verify_slice(&signature.unwrap()).expect("signed");
    assert_eq!(header("content-type"), "application/cloudevents+json");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_reaches_the_webhook_signed_and_as_often_as_needed() {
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let answer = move |headers: HeaderMap, body: String| {
        verify(&headers, &body);
        let mut kept = kept.lock().unwrap();
        kept.push(serde_json::from_str(&body).unwrap());
        let status = match kept.len() {
            1 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::NO_CONTENT,
        };
        async move { status }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/hooks/token-hunter2", post(answer));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let redis = RedisServer::start(Flavour::Redis70);
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, format!("whsec_{}\n", STANDARD.encode(KEY))).unwrap();
    let service = Service::start(&format!(
        "server: {{ grpc: 127.0.0.1:0, http: 127.0.0.1:0 }}\n\
         poll_interval: 100ms\n\
         incidents: {{ webhook: {{ url: \"http://{address}/hooks/token-hunter2\", secret: {{ file: {} }}, source: /here }} }}\n\
         sources: [ {{ name: main, redis: {{ url: \"redis://{}\" }} }} ]\n\
         groups: [ {{ name: billing, source: main, stream: orders, consumer_group: billing }} ]\n",
        secret.display(),
        redis.address(),
    ));
    // Producers that go on for a while, and stop.
    let mut connection = redis.connect();
    for _ in 0..40 {
        let mut entries = redis::pipe();
        for _ in 0..100 {
            entries.cmd("XADD").arg("orders").arg("*").arg("a").arg("b");
        }
        let () = entries.ignore().query(&mut connection).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let events = crate::support::eventually("two attempts", Duration::from_secs(60), || async {
        let seen = seen.lock().unwrap();
        (seen.len() >= 2).then(|| seen.clone())
    })
    .await;
    assert_eq!(events[0], events[1], "the same news, tried again");
    let event = &events[0];
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "io.streamgauge.incident.noticed");
    assert_eq!(
        (&event["source"], &event["subject"]),
        (&"/here".into(), &"billing".into())
    );
    let data = &event["data"];
    assert_eq!(data["kind"], "producer_stop", "{event:#}");
    assert_eq!(data["ended_at"], Value::Null);
    let listed = service.get_json("/api/v1/incidents").await;
    assert_eq!(listed["incidents"][0]["number"], data["number"]);

    let delivered = "streamgauge_incident_notifications_total{outcome=\"delivered\"} 1";
    crate::support::eventually("it is counted", Duration::from_secs(10), || async {
        let metrics = service.get("/metrics").await;
        metrics.lines().any(|line| line == delivered).then_some(())
    })
    .await;
    let said = "incident notifications fail: the webhook returned status 503";
    service.until_logged(said).await;
    service
        .until_logged("incident notifications work again")
        .await;
    let log = service.log().join("\n");
    assert!(!log.contains("hunter2") && !log.contains("whsec_"), "{log}");
    server.abort();
}
