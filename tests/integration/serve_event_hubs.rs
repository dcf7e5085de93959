//! The real binary on an event hub: our AMQP server, Azurite, checkpoints and ownership as Microsoft's Python store writes them.

mod faults;
mod world;

use std::process::Command;

use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::support::azurite::ACCOUNT_KEY;
use crate::support::eventually;
use crate::support::keda::{HEALS_WITHIN, Keda};
use crate::support::service::Service;
use world::{CONTAINER, PARTITIONS, World, keda};

#[tokio::test(flavor = "multi_thread")]
async fn consumers_of_an_event_hub_scale_from_zero_and_back_on_what_checkpoints_say() {
    let world = World::start().await;
    let service = world.serve();
    let mut busy = keda(&service, "busy").await;
    // 300 events behind at 1/s each: as many as there are partitions, and not one more.
    busy.until(
        "one consumer per partition",
        HEALS_WITHIN,
        |value, active| value == PARTITIONS as f64 && active,
    )
    .await;
    let group = service.get_json("/api/v1/groups/clicks").await;
    assert_eq!(group["stream"], "clicks");
    assert_eq!(group["assignment"], "exclusive");
    assert_eq!(
        group["backlog"],
        json!({"value": 300, "certainty": "exact"})
    );
    assert_eq!(group["consumers"], 2);
    let first = &group["partitions"][0];
    assert_eq!(
        (&first["partition"], &first["owner"]),
        (&json!("0"), &json!("alice"))
    );
    assert_eq!(
        (&first["backlog"], &first["oldest_age_method"]),
        (&json!(75), &json!("bounded"))
    );

    let mut idle = keda(&service, "idle").await;
    idle.until("nothing to do", HEALS_WITHIN, |value, active| {
        value == 0.0 && !active
    })
    .await;
    world.server.append("2", 1, 10);
    idle.until("a single event wakes it", HEALS_WITHIN, |value, active| {
        value == 1.0 && active
    })
    .await;
    // Nobody ever checkpointed: one consumer is started, which says where it begins.
    let mut new = keda(&service, "$Default").await;
    new.until("one to begin with", HEALS_WITHIN, |value, active| {
        value == 1.0 && active
    })
    .await;

    let keys = [
        ("source", "telemetry"),
        ("consumerGroup", "busy"),
        ("unprocessedEventThreshold", "64"),
        ("blobContainer", CONTAINER),
        ("checkpointStrategy", "blobMetadata"),
    ];
    let mut drop_in = Keda::new(&service, "drop-in", &keys).await;
    drop_in
        .until(
            "KEDA's value: capped at one threshold per partition",
            HEALS_WITHIN,
            |value, active| value == 256.0 && active,
        )
        .await;

    let metrics = service.get("/metrics").await;
    for line in [
        "streamgauge_partition_backlog_messages{group=\"clicks\",source=\"telemetry\",stream=\"clicks\",consumer_group=\"busy\",partition=\"0\"} 75",
        "streamgauge_source_requests_total{source=\"telemetry\",api=\"management\"}",
        "streamgauge_source_requests_total{source=\"telemetry\",api=\"blob\"}",
        "streamgauge_partition_oldest_age_method{group=\"clicks\",source=\"telemetry\",stream=\"clicks\",consumer_group=\"busy\",partition=\"0\",method=\"bounded\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let everything = [
        metrics,
        service.log().join("\n"),
        service.get("/api/v1/groups").await,
        service.get("/api/v1/sources").await,
        service.get("/api/v1/decisions").await,
    ]
    .join("\n");
    for secret in [ACCOUNT_KEY, "c2VjcmV0", "SharedAccessKey", "sig="] {
        assert!(!everything.contains(secret), "{secret} got out");
    }
}

/// What KEDA gets where somebody has to repair something.
async fn refusal(keda: &mut Keda) -> Status {
    eventually("a refusal", HEALS_WITHIN, async || {
        let status = keda.ask().await.err()?;
        (status.code() == Code::FailedPrecondition).then_some(status)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_repair_is_told_and_a_rotated_key_is_picked_up() {
    let world = World::start().await;
    let store = world.secrets.path().join("store");
    let right = std::fs::read_to_string(&store).expect("read");
    std::fs::write(&store, right.replace(ACCOUNT_KEY, "d3Jvbmc=")).expect("written");
    let service = world.serve();
    let mut busy = keda(&service, "busy").await;
    refusal(&mut busy).await;
    std::fs::write(&store, right).expect("written");
    busy.until("the right key is read", HEALS_WITHIN, |value, active| {
        value == PARTITIONS as f64 && active
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_that_reads_another_layout_than_is_there_is_told_to_keda_and_never_an_empty_backlog()
 {
    let world = World::start().await;
    let right = world.config(world.server.port, world.azurite.port);
    let container = format!("container: {CONTAINER}");
    let wrong = format!("{container}\n        strategy: azure_function");
    let service = Service::start(&right.replace(&container, &wrong));
    let mut busy = keda(&service, "busy").await;
    let status = refusal(&mut busy).await;
    for part in [
        "azure_function finds no checkpoint",
        "blob_metadata",
        "to auto",
    ] {
        assert!(status.message().contains(part), "{status}");
    }
    let group = service.get_json("/api/v1/groups/clicks").await;
    assert_eq!(group["backlog"], Value::Null, "{group}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_connect_prints_the_groups_of_an_event_hub() {
    let world = World::start().await;
    let path = world.secrets.path().join("config.yaml");
    let check = |config: String| {
        std::fs::write(&path, config).expect("written");
        let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
            .args(["check", "--connect", "--config"])
            .arg(&path)
            .output()
            .expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    };
    let (code, said) = check(world.config(world.server.port, world.azurite.port));
    assert_eq!(code, Some(0), "{said}");
    let row = said
        .lines()
        .find(|line| line.starts_with("clicks "))
        .expect("a row");
    let columns: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(
        columns[..6],
        ["clicks", "telemetry", "clicks", "busy", "4", "300"],
        "{said}"
    );
    assert!(
        said.contains("source telemetry: event hub localhost/clicks, checkpoints auto"),
        "{said}"
    );
    assert!(
        said.contains("clicks: checkpoints: blob_metadata on 4 of 4 partitions"),
        "{said}"
    );
    for strategy in ["azure_function", "dapr", "go_sdk", "legacy"] {
        let container = format!("container: {CONTAINER}");
        let wrong = world.config(world.server.port, world.azurite.port).replace(
            &container,
            &format!("{container}\n        strategy: {strategy}"),
        );
        let (code, said) = check(wrong);
        assert_eq!(code, Some(1), "{said}");
        for part in [
            &format!("strategy {strategy} finds no checkpoint"),
            "blob_metadata",
            "set checkpoints.strategy to auto",
        ] {
            assert!(said.contains(part), "{part}\n{said}");
        }
    }
    let wrong = world
        .config(world.server.port, world.azurite.port)
        .replace("container: marks", "container: nowhere");
    let (code, said) = check(wrong);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("nowhere"), "{said}");
}
