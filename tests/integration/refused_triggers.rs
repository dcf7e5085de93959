//! A trigger that cannot be served: KEDA gets the metric that it will have, and the user the text.

use std::collections::HashMap;

use streamgauge::adapters::grpc::proto::external_scaler_server::ExternalScaler;
use streamgauge::adapters::grpc::proto::{GetMetricsRequest, ScaledObjectRef};
use tonic::{Code, Request, Status};

use crate::support::bare_scaler::{BareScaler, object};

/// What GetMetrics and IsActive say, which is the same.
async fn said(scaler: &BareScaler, object: &ScaledObjectRef) -> Status {
    let request = GetMetricsRequest {
        scaled_object_ref: Some(object.clone()),
        metric_name: scaler.spec(object).await.metric_name,
    };
    let metrics = scaler.scaler.get_metrics(Request::new(request)).await;
    let metrics = metrics.expect_err("refused");
    let active = scaler.scaler.is_active(Request::new(object.clone())).await;
    let active = active.expect_err("refused");
    assert_eq!(
        (metrics.code(), metrics.message()),
        (active.code(), active.message())
    );
    metrics
}

/// The metric's name and target, then the code and a part of the text.
async fn check(
    scaler: &BareScaler,
    object: &ScaledObjectRef,
    spec: (&str, i64),
    (code, words): (Code, &str),
) {
    let found = scaler.spec(object).await;
    assert_eq!((&*found.metric_name, found.target_size), spec, "{object:?}");
    assert_eq!(found.target_size_float, found.target_size as f64);
    let said = said(scaler, object).await;
    assert_eq!(said.code(), code, "{said}");
    assert!(said.message().contains(words), "{said}");
    assert!(!said.message().contains("s3cret"), "{said}");
    assert!(said.message().len() < 900, "an event holds 1,024: {said}");
}

#[tokio::test]
async fn every_refusal_has_a_metric_and_its_text_where_the_user_sees_it() {
    let bare = BareScaler::new();
    let replicas = ("replicas", 1);
    let invalid = |words| (Code::InvalidArgument, words);
    let shop = |pairs: &[(&str, &str)]| object("shop", pairs);
    let check = async |object, spec, said| check(&bare, &object, spec, said).await;
    let typo = shop(&[("group", "billing"), ("maxReplica", "s3cret")]);
    check(typo, replicas, invalid("did you mean maxReplicas?")).await;
    let typo = shop(&[("group", "mails"), ("maxReplica", "5")]);
    check(typo, ("backlog", 100), invalid("maxReplicas")).await;
    let typo = shop(&[("group", "mails"), ("backlogThreshold", "7"), ("x", "y")]);
    check(typo, ("backlog", 7), invalid("x: unknown key")).await;
    let inline = [
        ("source", "main"),
        ("stream", "mails"),
        ("consumerGroup", "g"),
    ];
    let typo = shop(&[&inline[..], &[("x", "y")]].concat());
    check(typo, ("backlog", 100), invalid("x: unknown key")).await;
    let unknown = shop(&[("group", "nobody")]);
    check(
        unknown,
        replicas,
        invalid("group: streamgauge's config has no group of that name"),
    )
    .await;
    let unknown = [
        ("source", "s3cret"),
        ("stream", "orders:1"),
        ("consumerGroup", "g"),
    ];
    check(
        shop(&unknown),
        replicas,
        invalid("source: streamgauge's config has no source"),
    )
    .await;
    let lag = shop(&[&unknown[..], &[("lagCount", "25")]].concat());
    check(
        lag,
        ("backlog", 25),
        invalid("source: streamgauge's config has no source"),
    )
    .await;
    let turned = [
        ("group", "billing"),
        ("minReplicas", "9"),
        ("maxReplicas", "3"),
    ];
    check(
        shop(&turned),
        replicas,
        invalid("which is less than minReplicas"),
    )
    .await;
    let half = [("group", "billing"), ("mode", "backlog")];
    check(shop(&half), replicas, invalid("requires backlogThreshold")).await;
    check(shop(&[]), replicas, invalid("group: is missing")).await;
    let secret = [("group", "billing"), ("passwordFromEnv", "s3cret")];
    check(
        shop(&secret),
        replicas,
        invalid("belongs in streamgauge's config: set sources[].redis.password there"),
    )
    .await;
    let nameless = ScaledObjectRef {
        name: String::new(),
        ..shop(&[("group", "billing")])
    };
    check(nameless, replicas, invalid("name must have")).await;
    let foreign = [
        ("source", "main"),
        ("stream", "orders:1"),
        ("consumerGroup", "g"),
    ];
    let denied = (Code::PermissionDenied, "ask for a rule");
    check(object("evil", &foreign), replicas, denied).await;
    let metadata = HashMap::from([("group".to_owned(), "billing".to_owned())]);
    for n in 0..50 {
        let name = format!("worker-{n}");
        let now = bare.clock.now();
        let registered = bare.registry.resolve("full", &name, &metadata, now);
        registered.expect("there is room");
    }
    let full = (
        Code::ResourceExhausted,
        "namespace full has 50 ScaledObjects",
    );
    check(object("full", &[("group", "billing")]), replicas, full).await;
    let backlog = ("backlog", 100);
    check(object("full", &[("group", "mails")]), backlog, full).await;
    let own = [("group", "billing"), ("backlogThreshold", "7")];
    check(object("full", &own), ("backlog", 7), full).await;
}

#[tokio::test]
async fn the_metric_stays_when_the_fault_is_mended() {
    let bare = BareScaler::new();
    for (wrong, right) in [
        (("maxReplica", "5"), ("maxReplicas", "5")),
        (("backlogThreshold", "x"), ("targetDelay", "5")),
    ] {
        for group in ["billing", "mails"] {
            let before = bare.spec(&object("shop", &[("group", group), wrong])).await;
            let after = bare.spec(&object("shop", &[("group", group), right])).await;
            assert_eq!(before, after, "{group}: {wrong:?}");
        }
    }
}
