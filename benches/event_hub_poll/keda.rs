//! KEDA's own azure-eventhub scaler with its own Go clients, in a process of its own: `tests/e2e/keda/event_hub_poll`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Builds the program, which takes minutes the first time, and gives its path.
pub fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join("target/keda_event_hub_poll");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg("./event_hub_poll")
        .current_dir(root.join("tests/e2e/keda"))
        .env("CGO_ENABLED", "0")
        .status()
        .expect("go 1.26 or newer: KEDA is built with it");
    assert!(built.success(), "KEDA's scaler does not build");
    program
}

/// A scaler with its connections, which KEDA keeps from poll to poll.
pub struct Scaler {
    child: Child,
    polls: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Scaler {
    /// Reads the consumer group's checkpoints as blob metadata.
    pub fn start(program: &Path, hub: &str, store: &str, container: &str, group: &str) -> Self {
        let mut child = Command::new(program)
            .args([hub, store, container, group])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("KEDA's scaler starts");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        Self {
            polls: child.stdin.take(),
            child,
            answers,
        }
    }

    /// Polls once; gives how long it took inside KEDA, and the backlog that it tells.
    pub fn poll(&mut self) -> (Duration, i64) {
        let polls = self.polls.as_mut().expect("open");
        polls.write_all(b"\n").expect("it listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        let (took, backlog) = line.trim().split_once(' ').expect("two figures");
        let took = Duration::from_nanos(took.parse().expect("nanoseconds"));
        (took, backlog.parse().expect("a number"))
    }
}

impl Drop for Scaler {
    fn drop(&mut self) {
        // It ends with its input.
        self.polls = None;
        let _ = self.child.wait();
    }
}
