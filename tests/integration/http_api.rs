//! The JSON API and the probes, as clients read them.

use std::time::Duration;

use crate::support::exported::{Exported, LAST_POLL, sample};
use serde_json::Value;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::sample::{Failure, FailureKind, PartitionObservation, Sample};

async fn json(exported: &Exported, path: &str) -> (u16, Value) {
    let answer = exported.get(path, "application/json").await;
    assert_eq!(answer.headers["content-type"], "application/json", "{path}");
    let body = serde_json::from_str(&answer.body).expect("JSON");
    (answer.status.as_u16(), body)
}

#[tokio::test]
async fn a_group_shows_all_that_is_known_and_null_for_the_rest() {
    let exported = Exported::observed();
    let (status, body) = json(&exported, "/api/v1/groups").await;
    assert_eq!(status, 200);
    insta::assert_yaml_snapshot!(body);
}

#[tokio::test]
async fn names_with_slashes_are_asked_for_percent_encoded() {
    let exported = Exported::observed();
    let (status, body) = json(&exported, "/api/v1/groups/main%2Fmails%2Fg").await;
    assert_eq!((status, &body["name"]), (200, &"main/mails/g".into()));
    assert_eq!(body["failure"]["kind"], "unreachable");
    let (status, body) = json(&exported, "/api/v1/groups/odd%20%22name%22").await;
    assert_eq!(
        (status, &body["consumer_group"]),
        (200, &"line\nbreak".into())
    );
}

#[tokio::test]
async fn wrong_requests_are_told_what_to_do() {
    let exported = Exported::observed();
    let check = async |path: &str, status: u16, error: &str| {
        let (found, body) = json(&exported, path).await;
        assert_eq!(found, status, "{path}");
        let text = body["error"].as_str().expect("a text");
        assert!(text.contains(error), "{path}: {text}");
    };
    check(
        "/api/v1/groups/nope",
        404,
        "group \"nope\" does not exist; GET /api/v1/groups lists all groups",
    )
    .await;
    check("/api/v1/groups/%ff", 400, "").await;
    check("/api/v1/decisions?group=nope", 404, "GET /api/v1/groups").await;
    check(
        "/api/v1/decisions?limit=0",
        400,
        "limit must be 1 to 1000, not 0",
    )
    .await;
    check(
        "/api/v1/decisions?limit=1001",
        400,
        "limit must be 1 to 1000, not 1001",
    )
    .await;
    check("/api/v1/decisions?limit=many", 400, "limit").await;
    check("/api/v1/decisions?size=3", 400, "size").await;
}

#[tokio::test]
async fn decisions_come_newest_first_with_their_inputs() {
    let exported = Exported::observed();
    let (status, all) = json(&exported, "/api/v1/decisions").await;
    assert_eq!(status, 200);
    let times: Vec<&str> = all["decisions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|decision| decision["at"].as_str())
        .collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    assert!(times.len() > 1, "{times:?}");
    let (_, newest) = json(&exported, "/api/v1/decisions?group=billing&limit=1").await;
    insta::assert_yaml_snapshot!(newest);
}

#[tokio::test]
async fn sources_show_how_they_do() {
    let (status, body) = json(&Exported::observed(), "/api/v1/sources").await;
    assert_eq!(status, 200);
    insta::assert_yaml_snapshot!(body);
}

#[tokio::test]
async fn what_is_too_old_is_null_and_says_why() {
    let exported = Exported::observed();
    exported.wait(Duration::from_secs(11));
    let (_, stale) = json(&exported, "/api/v1/groups/billing").await;
    assert_eq!(stale["freshness"], "stale");
    assert_eq!(stale["partitions"][0]["backlog"], 1240);
    exported.wait(Duration::from_secs(31));
    let (_, expired) = json(&exported, "/api/v1/groups/billing").await;
    assert_eq!(expired["freshness"], "unknown");
    assert_eq!(expired["observed_at"], "2023-11-14T22:14:20.000Z");
    for field in [
        "backlog",
        "arrival_per_second",
        "consumers",
        "drain_seconds",
    ] {
        assert_eq!(expired[field], Value::Null, "{field}");
    }
    for field in [
        "backlog",
        "certainty",
        "lag",
        "pending",
        "arrival_per_second",
    ] {
        assert_eq!(expired["partitions"][0][field], Value::Null, "{field}");
    }
    let target = &expired["targets"][0];
    assert_eq!(
        (&target["emitted"], &target["desired"]),
        (&Value::Null, &Value::Null)
    );
    let text = target["text"].as_str().expect("a text");
    assert!(text.contains("too old to scale on"), "{text}");
}

#[tokio::test]
async fn drain_time_and_utilization_follow_from_what_the_running_replicas_can_do() {
    let exported = Exported::unobserved();
    for (added, at) in [
        (900, LAST_POLL.minus(Duration::from_secs(5))),
        (950, LAST_POLL),
    ] {
        let seen = PartitionObservation::Present(sample(added, added - 60, 0));
        let sample = Sample {
            partitions: [(PartitionId::new("0"), seen)].into(),
            consumers: Some(2),
            ..Sample::default()
        };
        exported.observe("billing", at, sample);
    }
    let (_, group) = json(&exported, "/api/v1/groups/billing").await;
    assert_eq!(group["arrival_per_second"], 10.0);
    assert_eq!(group["utilization_ratio"], 10.0 / (2.0 * 20.0));
    assert_eq!(group["drain_seconds"], 60.0 / (2.0 * 20.0 - 10.0));
}

#[tokio::test]
async fn known_keys_are_unknown_partitions_before_they_were_ever_read() {
    let exported = Exported::observed();
    let (_, group) = json(&exported, "/api/v1/groups/main%2Fmails%2Fg").await;
    let partition = &group["partitions"][0];
    assert_eq!(partition["partition"], "mails");
    assert_eq!(
        (&partition["status"], &partition["backlog"]),
        (&"unknown".into(), &Value::Null)
    );
}

#[tokio::test]
async fn a_partition_that_can_no_longer_be_read_has_no_rate_left_over() {
    let exported = Exported::unobserved();
    for (added, at) in [
        (900, LAST_POLL.minus(Duration::from_secs(10))),
        (950, LAST_POLL.minus(Duration::from_secs(5))),
    ] {
        let seen = |added| PartitionObservation::Present(sample(added, added, 0));
        let partitions = [
            (PartitionId::new("0"), seen(added)),
            (PartitionId::new("1"), seen(added)),
        ];
        exported.observe(
            "billing",
            at,
            Sample {
                partitions: partitions.into(),
                consumers: None,
                ..Sample::default()
            },
        );
    }
    let (_, before) = json(&exported, "/api/v1/groups/billing").await;
    assert_eq!(before["partitions"][1]["arrival_per_second"], 10.0);
    let gone = PartitionObservation::Failed(Failure::new(FailureKind::WrongType, "no stream"));
    let seen = PartitionObservation::Present(sample(1_000, 999, 0));
    let partitions = [(PartitionId::new("0"), seen), (PartitionId::new("1"), gone)];
    exported.observe(
        "billing",
        LAST_POLL,
        Sample {
            partitions: partitions.into(),
            consumers: None,
            ..Sample::default()
        },
    );
    let (_, after) = json(&exported, "/api/v1/groups/billing").await;
    assert_eq!(after["freshness"], "fresh");
    assert_eq!(after["partitions"][0]["arrival_per_second"], 10.0);
    assert_eq!(after["partitions"][1]["arrival_per_second"], Value::Null);
    assert_eq!(after["partitions"][1]["problem"], "no stream");
}

#[tokio::test]
async fn probes_follow_readiness_and_nothing_else() {
    let exported = Exported::unobserved();
    let check = async |path: &str, status: u16| {
        let answer = exported.get(path, "*/*").await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
    };
    check("/livez", 200).await;
    check("/readyz", 503).await;
    exported.readiness.set_ready(true);
    check("/readyz", 200).await;
    exported.readiness.set_ready(false);
    check("/readyz", 503).await;
    check("/livez", 200).await;
}

/// Of the table in docs/api.md.
fn documented() -> Vec<String> {
    let text = include_str!("../../docs/api.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let paths = rows
        .filter_map(|row| row.split_once('`'))
        .map(|(path, _)| path)
        .filter(|path| path.starts_with('/'));
    paths.map(str::to_owned).collect()
}

#[tokio::test]
async fn every_documented_route_is_there() {
    let exported = Exported::observed();
    exported.readiness.set_ready(true);
    let paths = documented();
    assert!(paths.len() >= 12, "{paths:?}");
    for path in paths {
        let path = path.split('?').next().unwrap_or_default();
        let path = path.replace("{name}", "billing");
        let status = exported.status(&path).await;
        assert_eq!(status, 200, "{path}");
    }
}

#[tokio::test]
async fn the_past_of_a_group_comes_in_columns_of_which_only_the_new_ones_may_be_asked_for() {
    let exported = Exported::observed();
    let path = "/api/v1/groups/billing/history?seconds=20";
    let (status, past) = json(&exported, path).await;
    assert_eq!((status, &past["partitions"]), (200, &Value::Null));
    let (_, past) = json(&exported, &format!("{path}&measure=arrival_per_second")).await;
    insta::assert_yaml_snapshot!(past);
    let last = LAST_POLL.minus(Duration::from_secs(5)).as_millis();
    let (_, newest) = json(&exported, &format!("{path}&measure=backlog&after={last}")).await;
    assert_eq!(
        newest["times"],
        serde_json::json!(["2023-11-14T22:14:20.000Z"])
    );
    assert_eq!(newest["partitions"][1]["values"], serde_json::json!([9.0]));
    let (status, error) = json(&exported, &format!("{path}&measure=size")).await;
    assert_eq!(status, 400, "{error}");
    let (status, error) = json(&exported, "/api/v1/groups/nope/history").await;
    assert_eq!(status, 404, "{error}");
}

#[tokio::test]
async fn the_config_is_shown_as_a_config_without_its_secrets() {
    let config = r#"
server: { grpc: 127.0.0.1:9090, http: 127.0.0.1:8080 }
prometheus: { url: "http://prometheus:9090/tenant/abc", username: reader, password: { env: PROMETHEUS } }
incidents: { webhook: { url: "https://hooks.example/T0KEN", secret: { file: /keys/hook } } }
sources:
  - name: main
    redis: { url: "redis://redis:6379/2", username: reader, password: { file: /keys/redis } }
    allow: [ { namespaces: ["shop"], streams: ["mails:*"], consumer_groups: ["*"] } ]
  - name: telemetry
    event_hubs:
      namespace: ns.servicebus.windows.net
      event_hub: clicks
      identity: workload
      client_id: c
      federated_token_file: /var/run/token
      retention: 24h
      checkpoints: { account_url: "https://a.blob.core.windows.net", container: c, strategy: legacy, sas: { env: SAS } }
groups:
  - name: billing
    source: main
    stream: [orders, returns]
    consumer_group: billing
    policy: { target_delay: 1500ms, mode: backlog, backlog_threshold: 50 }
    signals: { error_rate: { promql: "sum(rate(errors_total[5m]))" } }
  - name: clicks
    source: telemetry
    policy: { forecast: on }
"#;
    let shown = Exported::of(config).get("/api/v1/config", "*/*").await;
    let shown: Value = serde_json::from_str(&shown.body).expect("JSON");
    let text = shown["yaml"].as_str().expect("a text");
    insta::assert_snapshot!(text);
    for hidden in ["T0KEN", "tenant"] {
        assert!(!text.contains(hidden), "{hidden}");
    }
    // It could be started with, and would be the same.
    let again = Exported::of(text).get("/api/v1/config", "*/*").await;
    let again: Value = serde_json::from_str(&again.body).expect("JSON");
    assert_eq!(again["yaml"], shown["yaml"]);
    insta::assert_snapshot!(shown["scaled_objects"][0]["yaml"].as_str().expect("a text"));
}

/// The next event of a stream.
async fn event(stream: &mut (impl futures_util::Stream<Item = String> + Unpin)) -> Value {
    use futures_util::StreamExt;
    let next = tokio::time::timeout(Duration::from_secs(30), stream.next());
    let text = next.await.expect("in time").expect("an event");
    let data = text.lines().find_map(|line| line.strip_prefix("data: "));
    serde_json::from_str(data.expect("data")).expect("JSON")
}

#[tokio::test(start_paused = true)]
async fn events_tell_of_every_group_at_first_and_then_of_those_that_changed() {
    let exported = Exported::observed();
    let mut events = exported.stream("/api/v1/events").await;
    let first = event(&mut events).await;
    assert_eq!(first["groups"].as_array().map(Vec::len), Some(3));
    assert_eq!(first["groups"][0]["partitions"], Value::Null);
    assert_eq!(
        first["groups"][0]["partition_statuses"],
        serde_json::json!({ "ok": 3, "unknown": 1 })
    );
    let later = LAST_POLL.plus(Duration::from_secs(1));
    exported.wait(Duration::from_secs(1));
    let seen = PartitionObservation::Present(sample(5, 0, 0));
    let sample = Sample {
        partitions: [(PartitionId::new("0"), seen)].into(),
        ..Sample::default()
    };
    exported.observe("billing", later, sample);
    let next = event(&mut events).await;
    let names: Vec<_> = next["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .map(|g| &g["name"])
        .collect();
    assert_eq!(names, [&Value::from("billing")]);
}

#[tokio::test]
async fn the_page_may_only_use_what_is_served_beside_it_and_is_sent_once() {
    let exported = Exported::observed();
    let page = exported.get("/", "text/html").await;
    let policy = page.headers["content-security-policy"]
        .to_str()
        .expect("text");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(
        !page.body.contains("<style") && !page.body.contains("style="),
        "{}",
        page.body
    );
    // Whatever it names is there.
    for named in page
        .body
        .split(['"'])
        .filter(|text| text.starts_with("page/"))
    {
        assert_eq!(exported.status(&format!("/{named}")).await, 200, "{named}");
    }
    let tag = page.headers["etag"].to_str().expect("text");
    let again = exported.get_with("/", &[("if-none-match", tag)]).await;
    assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""));
}
