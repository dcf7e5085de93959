//! An event hub with work to do, its checkpoint store, and services that read them.

use crate::support::azurite::Azurite;
use crate::support::event_hub::EventHubServer;
use crate::support::event_hub::state::Hub;
use crate::support::keda::Keda;
use crate::support::service::Service;
use serde_json::{Value, json};

pub const PARTITIONS: usize = 4;
pub const CONTAINER: &str = "marks";

/// An event hub of four partitions with 100 events each, and three consumer groups: `busy` has processed 25 of each partition,
/// `idle` all of them, and `$Default` has never written a checkpoint.
pub struct World {
    pub server: EventHubServer,
    pub azurite: Azurite,
    pub secrets: tempfile::TempDir,
}

impl World {
    pub async fn start() -> Self {
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
    pub fn config(&self, hub_port: u16, store_port: u16) -> String {
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

    pub fn serve(&self) -> Service {
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

pub async fn keda(service: &Service, group: &str) -> Keda {
    let trigger = [
        ("source", "telemetry"),
        ("consumerGroup", group),
        ("capacityPerReplica", "1"),
    ];
    Keda::new(service, group.trim_start_matches('$'), &trigger).await
}
