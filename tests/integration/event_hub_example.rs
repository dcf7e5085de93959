//! The Event Hubs example, as a new user starts it: the way up. The way back to zero takes 160 s; `checkpoints_in_batches` plays
//! it in virtual time.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::prometheus::http_body;

/// Builds it, which is done already if all tests are run, and starts it for that many seconds.
fn start(seconds: u32) -> Child {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--example", "event_hubs"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    assert!(build.status().expect("cargo runs").success());
    let tests = std::env::current_exe().expect("this program");
    let built = tests.ancestors().nth(2).expect("target/…/deps");
    Command::new(built.join("examples/event_hubs"))
        .arg(seconds.to_string())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts")
}

/// A line of its table: second, backlog, uncommitted, arriving, desired, consumers.
fn row(line: &str) -> Option<Vec<u64>> {
    let cells = line.split_whitespace().take(6).map(str::parse);
    cells
        .collect::<Result<Vec<u64>, _>>()
        .ok()
        .filter(|cells| cells.len() == 6)
}

/// The number before that word.
fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split(word).next().expect("a part");
    let number = before.split_whitespace().next_back();
    number
        .and_then(|n| n.parse().ok())
        .unwrap_or_else(|| panic!("no number of {word}: {text}"))
}

/// Rows after the fleet has grown: by then it has done most of the work that waited.
const ROWS_OF_WORK: u32 = 4;

#[test]
fn consumers_start_for_the_events_and_every_count_is_explained() {
    // Ended once what is wanted was seen: how long that takes depends on how busy the machine is.
    let mut child = start(150);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = String::new();
    let mut metrics = None;
    let mut rows_since = 0;
    for line in lines {
        let line = line.expect("a line");
        said.push_str(&line);
        said.push('\n');
        if metrics.is_none() && row(&line).is_some_and(|cells| cells[5] >= 4) {
            let address = said
                .split("http://")
                .nth(1)
                .and_then(|rest| rest.split('/').next());
            let address = address.expect("an address").parse().expect("an address");
            metrics = http_body(address, "/metrics");
        }
        rows_since += u32::from(metrics.is_some() && row(&line).is_some());
        if rows_since == ROWS_OF_WORK {
            terminate(&child);
        }
    }
    let status = child.wait().expect("its end");
    let mut complained = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut complained)
        .unwrap();
    assert!(status.success(), "{said}{complained}");
    for expected in [
        "/api/v1/groups/clicks",
        "1 replica: ",
        " replicas: ",
        "at 50 messages/s per consumer (configured)",
    ] {
        assert!(said.contains(expected), "{expected}: {said}{complained}");
    }
    let last = said.lines().next_back().expect("a summary");
    assert!(number_before(last, " consumers, ") >= 4, "{said}");
    assert!(number_before(last, " processed, ") >= 500, "{said}");
    let metrics = metrics.expect("four consumers ran");
    for expected in [
        "group_waiting_seconds{",
        "partition_uncommitted_messages{",
        "group_emitted_replicas{",
    ] {
        let expected = format!("streamgauge_{expected}");
        assert!(metrics.contains(&expected), "{expected}: {metrics}");
    }
}

fn terminate(child: &Child) {
    let mut kill = Command::new("kill");
    let status = kill.args(["-TERM", &child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
}

/// The processes that it started.
fn children(of: &Child) -> Vec<PathBuf> {
    let id = of.id();
    let text =
        std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    text.split_whitespace()
        .map(|pid| Path::new("/proc").join(pid))
        .collect()
}

fn within<T>(time: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + time;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {time:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_signal_while_it_starts_leaves_no_server_behind() {
    let mut child = start(60);
    let servers = within(Duration::from_secs(20), || {
        Some(children(&child)).filter(|found| !found.is_empty())
    });
    terminate(&child);
    let status = within(Duration::from_secs(40), || {
        child.try_wait().expect("its state")
    });
    assert!(status.success(), "{status}");
    for server in servers {
        assert!(!server.exists(), "{server:?} is still there");
    }
}
