//! The real binary on an event hub: our AMQP server, Azurite, checkpoints and ownership as Microsoft's Python store writes them.

use std::process::Command;
use std::time::Duration;

use crate::support::azurite::{ACCOUNT_KEY, Azurite};
use crate::support::event_hub::EventHubServer;
use crate::support::event_hub::faults::Fault;
use crate::support::event_hub::line::Mode as Line;
use crate::support::event_hub::state::Hub;
use crate::support::eventually;
use crate::support::keda::{HEALS_WITHIN, Keda, unavailable};
use crate::support::proxy::{FaultProxy, Mode};
use crate::support::service::Service;
use serde_json::{Value, json};

const PARTITIONS: usize = 4;
const CONTAINER: &str = "marks";
const OUTAGE: Duration = Duration::from_secs(3);

/// An event hub of four partitions with 100 events each, and three consumer groups: `busy` has processed 25 of each partition,
/// `idle` all of them, and `$Default` has never written a checkpoint.
struct World {
    server: EventHubServer,
    azurite: Azurite,
    secrets: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let server = EventHubServer::start(Hub::new("clicks", PARTITIONS)).await;
        let azurite = Azurite::start();
        let secrets = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: String| std::fs::write(secrets.path().join(name), text);
        write("hub", server.emulator_connection_string()).expect("written");
        write("store", azurite.connection_string()).expect("written");
        let mut steps = vec![json!(["create", CONTAINER])];
        for partition in 0..PARTITIONS {
            server.append(&partition.to_string(), 100, 10);
            steps.push(checkpoint("busy", partition, 24));
            steps.push(checkpoint("idle", partition, 99));
        }
        let owners = json!({"0": "alice", "1": "alice", "2": "bob", "3": "bob"});
        steps.push(json!([
            "own",
            CONTAINER,
            "localhost",
            "clicks",
            "busy",
            owners
        ]));
        // Consumers that came and went: nobody is at work now.
        for group in ["idle", "$Default"] {
            for owner in ["alice", ""] {
                steps.push(json!(["own", CONTAINER, "localhost", "clicks", group, {"0": owner}]));
            }
        }
        azurite.prepare(&Value::from(steps));
        Self {
            server,
            azurite,
            secrets,
        }
    }

    /// Polled every 300 ms; the hub at `hub_port`, the store at `store_port`.
    fn config(&self, hub_port: u16, store_port: u16) -> String {
        let secret = |name: &str| self.secrets.path().join(name).display().to_string();
        let (hub, store) = (secret("hub"), secret("store"));
        format!(
            r#"
server: {{ grpc: "127.0.0.1:0", http: "127.0.0.1:0" }}
poll_interval: 300ms
sources:
  - name: telemetry
    event_hubs:
      namespace: localhost
      event_hub: clicks
      endpoint: "amqp://127.0.0.1:{hub_port}"
      connection_string: {{ file: "{hub}" }}
      management_calls_per_second: 1000
      checkpoints:
        account_url: "http://127.0.0.1:{store_port}/devstoreaccount1"
        container: {CONTAINER}
        connection_string: {{ file: "{store}" }}
    allow: [ {{ namespaces: ["shop"], streams: ["clicks"], consumer_groups: ["*"] }} ]
groups:
  - {{ name: clicks, source: telemetry, consumer_group: busy, policy: {{ capacity_per_replica: 20 }} }}
"#
        )
    }

    fn serve(&self) -> Service {
        Service::start(&self.config(self.server.port, self.azurite.port))
    }
}

fn checkpoint(group: &str, partition: usize, number: i64) -> Value {
    let partition = partition.to_string();
    let offset = (number * 10).to_string();
    json!([
        "checkpoint",
        CONTAINER,
        "localhost",
        "clicks",
        group,
        partition,
        number,
        offset
    ])
}

async fn keda(service: &Service, group: &str) -> Keda {
    let trigger = [
        ("source", "telemetry"),
        ("consumerGroup", group),
        ("capacityPerReplica", "1"),
    ];
    Keda::new(service, group.trim_start_matches('$'), &trigger).await
}

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
    let group: Value =
        serde_json::from_str(&service.get("/api/v1/groups/clicks").await).expect("JSON");
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

/// While a fault lasts the busy group keeps its answer and the idle one is zero only as long as that is fresh; afterwards both
/// are right within five seconds.
async fn survives(what: &str, busy: &mut Keda, idle: &mut Keda, heal: impl AsyncFnOnce()) {
    let zero_at_most = |a: &Result<(f64, bool), _>| unavailable(a) || matches!(a, Ok((0.0, false)));
    let ((), ()) = tokio::join!(
        busy.during(
            what,
            OUTAGE,
            |a| matches!(a, Ok((value, true)) if *value == PARTITIONS as f64)
        ),
        idle.during(what, OUTAGE, zero_at_most),
    );
    let late = idle.ask().await;
    assert!(
        unavailable(&late),
        "{what}: {late:?} after {OUTAGE:?} is no fresh zero"
    );
    heal().await;
    idle.until(
        &format!("idle is right after {what}"),
        HEALS_WITHIN,
        |value, active| value == 0.0 && !active,
    )
    .await;
    busy.until(
        &format!("busy is right after {what}"),
        HEALS_WITHIN,
        |value, active| value == PARTITIONS as f64 && active,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_broker_leaves_the_last_answer_and_never_a_false_zero() {
    let world = World::start().await;
    let service = world.serve();
    let (mut busy, mut idle) = both(&service).await;
    let broker = world.server.broker();
    let close = Fault::Close {
        condition: "amqp:connection:forced".to_owned(),
        text: "moving".to_owned(),
    };
    for fault in [
        Fault::NeverReply,
        Fault::DropBeforeDisposition,
        Fault::DropAfterDisposition,
        close,
        Fault::ServerBusy,
        Fault::Slow(Duration::from_secs(20)),
        Fault::AnotherPartition,
        Fault::WrongCorrelation,
    ] {
        let what = format!("{fault:?}");
        broker.fail(fault);
        survives(&what, &mut busy, &mut idle, async || broker.heal()).await;
    }
    for mode in [Line::Frozen, Line::RefusingNew] {
        broker.set_mode(mode);
        if mode == Line::RefusingNew {
            broker.kill_connections();
        }
        survives(&format!("{mode:?}"), &mut busy, &mut idle, async || {
            broker.heal()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_store_that_fails_leaves_the_last_answer_and_never_a_false_zero() {
    let world = World::start().await;
    let proxy = FaultProxy::start(world.azurite.port).await;
    let service = Service::start(&world.config(world.server.port, proxy.port));
    let (mut busy, mut idle) = both(&service).await;
    for fault in [
        Mode::Reset,
        Mode::BlackholeAll,
        Mode::Garbage(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n".to_vec()),
        Mode::Garbage(b"HTTP/1.1 429 Too Many\r\ncontent-length: 0\r\n\r\n".to_vec()),
        Mode::Garbage(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec()),
        Mode::Truncate(70),
        Mode::Latency(HEALS_WITHIN),
    ] {
        let what = match &fault {
            Mode::Garbage(bytes) => String::from_utf8_lossy(&bytes[..12]).into_owned(),
            other => format!("{other:?}"),
        };
        proxy.set(fault);
        survives(&what, &mut busy, &mut idle, async || proxy.set(Mode::Pass)).await;
    }
}

async fn both(service: &Service) -> (Keda, Keda) {
    let (mut busy, mut idle) = (keda(service, "busy").await, keda(service, "idle").await);
    busy.until(
        "one consumer per partition",
        HEALS_WITHIN,
        |value, active| value == PARTITIONS as f64 && active,
    )
    .await;
    idle.until("nothing to do", HEALS_WITHIN, |value, active| {
        value == 0.0 && !active
    })
    .await;
    (busy, idle)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_repair_is_told_and_a_rotated_key_is_picked_up() {
    let world = World::start().await;
    let store = world.secrets.path().join("store");
    let right = std::fs::read_to_string(&store).expect("read");
    std::fs::write(&store, right.replace(ACCOUNT_KEY, "d3Jvbmc=")).expect("written");
    let service = world.serve();
    let mut busy = keda(&service, "busy").await;
    eventually("the refusal is told", HEALS_WITHIN, async || {
        let status = busy.ask().await.err()?;
        (status.code() == tonic::Code::FailedPrecondition).then_some(status)
    })
    .await;
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
    let status = eventually("the layout is told", HEALS_WITHIN, async || {
        let status = busy.ask().await.err()?;
        (status.code() == tonic::Code::FailedPrecondition).then_some(status)
    })
    .await;
    for part in [
        "azure_function finds no checkpoint",
        "blob_metadata",
        "to auto",
    ] {
        assert!(status.message().contains(part), "{status}");
    }
    let group: Value =
        serde_json::from_str(&service.get("/api/v1/groups/clicks").await).expect("JSON");
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
