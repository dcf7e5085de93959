//! The servers behind the Event Hubs tests are right: Microsoft's own clients get from them exactly what was set.

mod asker;
mod faults;
mod tokens;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, SystemTime};

use azure_messaging_eventhubs::ConsumerClient;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::azurite::Azurite;
use crate::support::certificates::Certificates;
use crate::support::event_hub::EventHubServer;
use crate::support::event_hub::faults::Fault;
use crate::support::event_hub::state::Hub;

#[tokio::test]
async fn microsofts_python_client_reads_over_tls_exactly_what_was_set() {
    let server = EventHubServer::start_tls(hub()).await;
    let ca = server.authority().to_str().expect("a path");
    let (text, address) = (server.connection_string(), server.endpoint());
    let read = python("properties.py", &[&text, "orders", &address, ca]).await;
    assert_eq!(parsed(&read), expected(&server.hub()));
    let counts = server.counts();
    assert_eq!((counts.hub_reads, counts.partition_reads), (1, 4));
    let kinds: Vec<String> = server.tokens().into_iter().map(|it| it.kind).collect();
    assert!(
        kinds
            .iter()
            .all(|it| it == "servicebus.windows.net:sastoken")
            && !kinds.is_empty()
    );
    ended(&server).await;
}

#[tokio::test]
async fn microsofts_javascript_client_reads_over_tls_exactly_what_was_set() {
    let server = EventHubServer::start_tls(hub()).await;
    let read = javascript(&server.connection_string(), Some(server.authority())).await;
    assert_eq!(parsed(&read), expected(&server.hub()));
    assert_eq!(server.mechanisms(), ["ANONYMOUS"]);
    ended(&server).await;
}

#[tokio::test]
async fn microsofts_javascript_client_reads_from_an_emulators_connection_string() {
    let server = EventHubServer::start(hub()).await;
    let read = javascript(&server.emulator_connection_string(), None).await;
    assert_eq!(parsed(&read), expected(&server.hub()));
    ended(&server).await;
}

#[tokio::test]
async fn microsofts_rust_client_reads_from_a_custom_endpoint_exactly_what_was_set() {
    let server = EventHubServer::start(hub()).await;
    let client = ConsumerClient::builder()
        .with_custom_endpoint(server.endpoint())
        .open_with_connection_string(&server.connection_string(), Some("orders"))
        .await
        .expect("an open client");
    let found = client.get_eventhub_properties().await;
    let found = found.expect("the hub's properties");
    let mut partitions = Vec::new();
    for id in &found.partition_ids {
        let it = client.get_partition_properties(id).await;
        let it = it.expect("a partition's properties");
        partitions.push(json!({
            "id": it.id,
            "begin": it.beginning_sequence_number,
            "last": it.last_enqueued_sequence_number,
            "offset": it.last_enqueued_offset,
            "time": millis(it.last_enqueued_time_utc),
            "empty": it.is_empty,
        }));
    }
    let created = millis(found.created_on);
    let read = json!({
        "name": found.name, "created": created, "ids": found.partition_ids, "partitions": partitions,
    });
    let mut expected = expected(&server.hub());
    // A time before 1970, as of a partition that never held an event, is unknown to this client.
    expected["partitions"][0]["time"] = Value::Null;
    assert_eq!(read, expected);
    client.close().await.expect("a closed client");
    ended(&server).await;
}

#[tokio::test]
async fn microsofts_javascript_client_knows_a_throttled_hub_by_its_condition() {
    let server = EventHubServer::start(hub()).await;
    server.fail(Fault::ServerBusy);
    let output = javascript_command(&server.emulator_connection_string(), None);
    let output = output_of(output).await;
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(complained.contains("ServerBusyError"), "{complained}");
    assert!(complained.contains("50002"), "{complained}");
}

#[tokio::test]
async fn microsofts_checkpoint_store_writes_to_azurite_and_reads_it_back_after_a_restart() {
    let mut azurite = Azurite::start();
    let written = python("checkpoint.py", &["write", &azurite.connection_string()]).await;
    assert_eq!(written.trim(), "written");
    azurite.restart();
    let read = python("checkpoint.py", &["read", &azurite.connection_string()]).await;
    assert_eq!(read.trim(), "offset 4200 sequence 42");
}

#[tokio::test]
async fn azurite_over_https_takes_a_bearer_token_until_it_has_run_out() {
    let certificates = Certificates::make();
    let azurite = Azurite::start_with_oauth(&certificates.certificate, &certificates.key);
    let ca = certificates.authority.to_str().expect("a path");
    let statuses = python("bearer.py", &[&azurite.account_url(), ca]).await;
    assert_eq!(statuses.trim(), "403 403 200");
}

/// Four partitions: untouched, with events, trimmed, trimmed to the last event.
fn hub() -> Hub {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    let mut hub = Hub::new("orders", 4);
    hub.created_at_ms = 1_600_000_000_456;
    for (id, events, begin) in [("1", 10, 0), ("2", 5_000, 4_000), ("3", 7, 7)] {
        let partition = hub.partition_mut(id);
        partition.append(events, 100, crate::support::event_hub::state::to_ms(at));
        partition.trim(begin);
    }
    hub.partition_mut("2").last_enqueued_sequence_number = 5_000_000_000;
    hub.partition_mut("2").last_enqueued_offset = "9007199254740993".to_owned();
    hub
}

fn expected(hub: &Hub) -> Value {
    let partitions: Vec<Value> = hub
        .partitions
        .iter()
        .map(|it| {
            json!({
                "id": it.id,
                "begin": it.begin_sequence_number,
                "last": it.last_enqueued_sequence_number,
                "offset": it.last_enqueued_offset,
                "time": it.last_enqueued_time_ms,
                "empty": it.is_empty,
            })
        })
        .collect();
    let ids: Vec<&str> = hub.partitions.iter().map(|it| it.id.as_str()).collect();
    json!({"name": hub.name, "created": hub.created_at_ms, "ids": ids, "partitions": partitions})
}

fn millis(time: Option<SystemTime>) -> Option<i64> {
    time.map(crate::support::event_hub::state::to_ms)
}

fn parsed(said: &str) -> Value {
    serde_json::from_str(said).expect("JSON")
}

/// The client's connections end when it does.
async fn ended(server: &EventHubServer) {
    crate::support::eventually("no connection left", Duration::from_secs(5), async || {
        (server.open_connections() == 0).then_some(())
    })
    .await;
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

async fn python(script: &str, args: &[&str]) -> String {
    let program = installed(root().join(".tools/venv/bin/python"));
    let mut command = Command::new(program);
    command.arg(client(script)).args(args);
    said(command).await
}

async fn javascript(connection_string: &str, authority: Option<&Path>) -> String {
    said(javascript_command(connection_string, authority)).await
}

fn javascript_command(connection_string: &str, authority: Option<&Path>) -> Command {
    let modules = installed(root().join(".tools/node/node_modules"));
    let mut command = Command::new("node");
    command
        .env("NODE_PATH", modules)
        .arg(client("properties.js"))
        .args([connection_string, "orders"]);
    if let Some(authority) = authority {
        command.env("NODE_EXTRA_CA_CERTS", authority);
    }
    command
}

fn client(script: &str) -> PathBuf {
    root().join("tests/event_hubs").join(script)
}

fn installed(path: PathBuf) -> PathBuf {
    let missing = format!(
        "{} is missing: run `make test` once, it installs it",
        path.display()
    );
    assert!(path.exists(), "{missing}");
    path
}

async fn said(command: Command) -> String {
    let output = output_of(command).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    said
}

async fn output_of(mut command: Command) -> Output {
    let running = command.kill_on_drop(true).output();
    tokio::time::timeout(Duration::from_secs(60), running)
        .await
        .expect("the client ends within a minute")
        .expect("the client starts")
}
