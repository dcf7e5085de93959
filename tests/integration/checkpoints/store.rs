//! A storage account filled by Microsoft's clients, and our reader of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use streamgauge::config::types::{BlobAuth, CheckpointStrategy, CheckpointsConfig, Secret};
use streamgauge::model::sample::Failure;
use streamgauge::sources::event_hubs::checkpoints::{
    BlobCheckpoints, CheckpointState, CheckpointStore, Committed, GroupMemory,
};
use tokio::sync::Mutex;

pub use crate::support::azurite::prepare;

pub const NAMESPACE: &str = "Ns.servicebus.windows.net";
pub const HUB: &str = "Orders";
pub const GROUP: &str = "$Default";
pub const CONTAINER: &str = "checkpoints";
pub const DEADLINE: Duration = Duration::from_secs(10);

/// A step that writes the checkpoint of one partition as Microsoft's store for Python does.
pub fn checkpoint(partition: &str, sequence: i64, offset: &str) -> Value {
    json!([
        "checkpoint",
        CONTAINER,
        NAMESPACE,
        HUB,
        GROUP,
        partition,
        sequence,
        offset
    ])
}

/// A secret in a file, as Kubernetes mounts it.
pub struct SecretFile {
    dir: tempfile::TempDir,
}

impl SecretFile {
    pub fn new(value: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = Self { dir };
        file.set(value);
        file
    }

    pub fn set(&self, value: &str) {
        std::fs::write(self.path(), value).expect("written");
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("secret")
    }

    pub fn secret(&self) -> Secret {
        Secret::File(self.path())
    }
}

pub fn config(auth: BlobAuth) -> CheckpointsConfig {
    CheckpointsConfig {
        account_url: None,
        container: Some(CONTAINER.to_owned()),
        strategy: CheckpointStrategy::BlobMetadata,
        auth,
        ca_file: None,
        ownership_expiry: Duration::from_secs(60),
    }
}

/// Reads one consumer group, and remembers what it found.
#[derive(Debug)]
pub struct Reader {
    store: BlobCheckpoints,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory(GroupMemory);

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

impl Reader {
    pub fn new(config: &CheckpointsConfig, deadline: Duration) -> Self {
        Self {
            store: BlobCheckpoints::new(config, NAMESPACE, HUB, deadline),
            memory: Mutex::default(),
        }
    }

    pub async fn read(&self, group: &str, partitions: &[String]) -> Result<Committed, Failure> {
        let mut memory = self.memory.lock().await;
        self.store.read(group, partitions, &mut memory.0).await
    }

    pub fn requests(&self) -> u64 {
        self.store.requests()
    }
}

/// Has Microsoft's checkpoint store for JavaScript write, as `tests/event_hubs/checkpoints.js` takes it.
pub fn write_by_javascript(connection_string: &str, writes: &Value) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new("node")
        .env("NODE_PATH", root.join(".tools/node/node_modules"))
        .arg(root.join("tests/event_hubs/checkpoints.js"))
        .args([connection_string, CONTAINER, NAMESPACE, HUB, GROUP])
        .stdin(Stdio::piped())
        .spawn()
        .expect("node");
    let mut stdin = child.stdin.take().expect("piped");
    stdin
        .write_all(writes.to_string().as_bytes())
        .expect("written");
    drop(stdin);
    let ended = child.wait().expect("its end");
    assert!(ended.success(), "run `make test` once, it installs it");
}

/// A reader with the hub's names as the user would write them.
pub fn reader(config: &CheckpointsConfig) -> Reader {
    Reader::new(config, DEADLINE)
}

/// `count` partitions: "0", "1", ...
pub fn partitions(count: usize) -> Vec<String> {
    (0..count).map(|id| id.to_string()).collect()
}

/// Reads, and counts the requests that it took.
pub async fn read_counted(store: &Reader, count: usize) -> (Committed, u64) {
    let before = store.requests();
    let committed = store.read(GROUP, &partitions(count)).await.expect("read");
    (committed, store.requests() - before)
}

/// Sequence numbers by partition; panics at anything unreadable.
pub fn positions(committed: &Committed) -> BTreeMap<&str, i64> {
    committed
        .partitions
        .iter()
        .map(|(partition, state)| match state {
            CheckpointState::Present(checkpoint) => {
                (partition.as_str(), checkpoint.sequence_number)
            }
            other => panic!("partition {partition}: {other:?}"),
        })
        .collect()
}

/// Owners by partition.
pub fn owners(committed: &Committed) -> Option<Vec<(&str, &str)>> {
    let owners = committed.owners.as_ref()?;
    Some(
        owners
            .iter()
            .map(|(partition, owner)| (partition.as_str(), owner.as_str()))
            .collect(),
    )
}
