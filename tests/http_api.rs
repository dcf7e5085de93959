//! The JSON API and the probes, as clients read them.

#![allow(
    clippy::expect_used,
    reason = "this is test code; clippy knows only #[test] functions as such"
)]

mod support;

use std::time::Duration;

use serde_json::Value;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::sample::{Failure, FailureKind, PartitionObservation, Sample};
use support::exported::{Exported, LAST_POLL, sample};

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
        "there is no group \"nope\"; GET /api/v1/groups lists all",
    )
    .await;
    check("/api/v1/groups/%ff", 400, "").await;
    check("/api/v1/decisions?group=nope", 404, "GET /api/v1/groups").await;
    check(
        "/api/v1/decisions?limit=0",
        400,
        "limit must be 1 to 1000, is 0",
    )
    .await;
    check(
        "/api/v1/decisions?limit=1001",
        400,
        "limit must be 1 to 1000, is 1001",
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
    assert!(text.contains("too old to scale by"), "{text}");
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

#[tokio::test]
async fn the_index_names_every_route_there_is() {
    let exported = Exported::observed();
    let index = exported.get("/", "*/*").await;
    let routes = index
        .body
        .split([' ', '\n', ','])
        .filter(|word| word.starts_with('/'));
    for route in
        routes.filter(|route| !route.contains('{') && *route != "/readyz" && route.len() > 1)
    {
        let answer = exported.get(route, "*/*").await;
        assert_eq!(answer.status.as_u16(), 200, "{route}");
    }
}
