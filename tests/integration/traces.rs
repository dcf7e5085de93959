//! Spans of the real binary, as a collector gets them over OTLP, and what of the metrics points to them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::eventually;
use crate::support::keda::Keda;
use crate::support::redis::{Flavour, RedisServer};
use crate::support::service::Service;
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    services: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    async fn listen(&self, protocol: &str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let this = self.clone();
        if protocol == "grpc" {
            let server =
                tonic::transport::Server::builder().add_service(TraceServiceServer::new(this));
            tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        } else {
            let take = post(async move |body: Bytes| {
                this.take(ExportTraceServiceRequest::decode(body).expect("protobuf"));
                ExportTraceServiceResponse::default().encode_to_vec()
            });
            let router = Router::new().route("/v1/traces", take);
            tokio::spawn(async move { axum::serve(listener, router).await });
        }
        at
    }

    fn take(&self, request: ExportTraceServiceRequest) {
        for resource in request.resource_spans {
            let attributes = resource.resource.map(|r| r.attributes).unwrap_or_default();
            let name = attributes.into_iter().find(|a| a.key == "service.name");
            let name = name.and_then(|a| a.value).and_then(|v| v.value);
            if let Some(Value::StringValue(name)) = name {
                self.services.lock().expect("services").push(name);
            }
            let spans = resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans);
            self.spans.lock().expect("spans").extend(spans);
        }
    }

    fn spans(&self) -> Vec<Span> {
        self.spans.lock().expect("spans").clone()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.take(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        other => format!("{other:?}"),
    };
    let all = span.attributes.iter();
    all.filter_map(|a| Some((a.key.as_str(), text(a.value.as_ref()?.value.as_ref()?))))
        .collect()
}

fn config(redis: &RedisServer) -> String {
    format!(
        "server: {{ grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\" }}\npoll_interval: 200ms\nsources:\n  - name: main\n    \
         redis: {{ url: \"redis://{}\" }}\ngroups:\n  - name: billing\n    source: main\n    stream: orders\n    \
         consumer_group: g\n    policy: {{ capacity_per_replica: 10 }}\n",
        redis.address()
    )
}

async fn traced(protocol: &str) {
    let redis = RedisServer::start(Flavour::Redis70);
    let mut connection = redis.connect();
    let () = redis::cmd("XGROUP")
        .arg(&["CREATE", "orders", "g", "0", "MKSTREAM"])
        .query(&mut connection)
        .expect("a group");
    let collector = Collector::default();
    let endpoint = format!("http://{}", collector.listen(protocol).await);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let mut service = Service::start_with(&config(&redis), &variables);
    let mut keda = Keda::new(&service, "worker", &[("group", "billing")]).await;
    // An answer that rests on a poll, which was sent itself.
    let (answer, poll) = eventually(
        "an answer linked to its poll",
        Duration::from_secs(30),
        async || {
            let _ = keda.ask().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            let spans = collector.spans();
            let answers = spans
                .iter()
                .filter(|span| span.name == "answer" && !span.links.is_empty());
            answers.into_iter().find_map(|answer| {
                let link = &answer.links[0];
                let poll = spans.iter().find(|span| span.span_id == link.span_id)?;
                let all = spans.iter().filter(|span| span.trace_id == poll.trace_id);
                let is_decided = all.clone().any(|s| {
                    s.name == "decide"
                        && attributes(s)
                            .get("scaled_object")
                            .is_some_and(|o| o == "worker")
                });
                is_decided.then(|| (answer.clone(), poll.clone()))
            })
        },
    )
    .await;
    let spans = collector.spans();
    let of_poll = |name: &str| {
        let mut all = spans.iter().filter(|span| span.trace_id == poll.trace_id);
        all.find(|span| span.name == name && span.parent_span_id == poll.span_id)
    };
    assert_eq!(poll.name, "poll");
    assert_eq!(attributes(&poll)["group"], "billing");
    assert!(
        of_poll("read").is_some() && of_poll("observe").is_some(),
        "{protocol}"
    );
    let decide = of_poll("decide").expect("a decision");
    let decided = attributes(decide);
    assert_eq!(
        (decided["desired"].as_str(), decided["active"].as_str()),
        ("0", "false")
    );
    assert_eq!(
        (
            decided["backlog"].as_str(),
            decided["capacity_per_second"].as_str()
        ),
        ("0", "10")
    );
    assert!(decided["text"].contains("0 replicas"), "{decided:?}");
    let answered = attributes(&answer);
    assert_eq!(
        (
            answered["group"].as_str(),
            answered["scaled_object"].as_str()
        ),
        ("billing", "worker")
    );
    assert_eq!(
        collector.services.lock().expect("services")[0],
        "streamgauge"
    );

    let metrics = reqwest::Client::new()
        .get(format!("http://{}/metrics", service.http))
        .header("accept", "application/openmetrics-text;version=1.0.0")
        .send();
    let metrics = metrics.await.expect("metrics").text().await.expect("text");
    for name in ["poll_duration_seconds", "rpc_duration_seconds"] {
        let mut lines = metrics.lines().filter(|line| line.contains(name));
        let exemplar = lines.find_map(|line| line.split_once("# {trace_id=\""));
        let (id, _) = exemplar.expect(name).1.split_once('"').expect("an id");
        let is_sent = async || {
            let spans = collector.spans();
            let hex = |span: &Span| {
                span.trace_id
                    .iter()
                    .map(|b| format!("{b:02x}"))
                    .collect::<String>()
            };
            spans.iter().any(|span| hex(span) == id).then_some(())
        };
        eventually(
            &format!("{name}: the trace {id}"),
            Duration::from_secs(10),
            is_sent,
        )
        .await;
    }
    let text = service.get("/metrics").await;
    assert!(
        !text.contains("trace_id"),
        "the old text form has no exemplars"
    );
    // What is left is sent at the end.
    service.terminate();
    assert_eq!(service.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_and_answers_are_sent_as_linked_spans_over_grpc() {
    traced("grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_and_answers_are_sent_as_linked_spans_over_http() {
    traced("http/protobuf").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_holds_nothing_up_and_a_wrong_setting_is_told() {
    let redis = RedisServer::start(Flavour::Redis70);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let mut service = Service::start_with(&config(&redis), &variables);
    let mut keda = Keda::new(&service, "worker", &[("group", "billing")]).await;
    eventually("an answer", Duration::from_secs(20), async || {
        keda.ask().await.ok()
    })
    .await;
    service.terminate();
    assert_eq!(service.ended().await, Some(0));

    let wrong = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    ];
    let service = Service::start_with(&config(&redis), &wrong);
    let said = "http/json is not supported: use http/protobuf or grpc";
    service.until_logged(said).await;
}
