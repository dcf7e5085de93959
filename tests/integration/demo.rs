//! The demo, as a new user starts it.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::certificates::Certificates;
use crate::support::ports::free_port;
use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::redis_sets::{RedisCluster, SentinelSet};

/// Lines of the table in which replicas were ready, and everything that was printed.
fn demo(arguments: &[&str]) -> (usize, String) {
    demo_with(arguments, &[])
}

fn demo_with(arguments: &[&str], variables: &[(&str, &Path)]) -> (usize, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .arg("demo")
        .envs(variables.iter().copied())
        .args(["--seconds", "20"])
        .args(arguments)
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    let ready = said
        .lines()
        .filter_map(|line| {
            line.split_whitespace()
                .find_map(|word| word.split_once('/'))
        })
        .filter(|(wanted, ready)| {
            wanted.parse::<u32>().is_ok() && ready.parse::<u32>().is_ok_and(|ready| ready > 0)
        })
        .count();
    (ready, said)
}

#[test]
fn with_nothing_installed_consumers_start_and_work_and_every_change_is_said_in_words() {
    let (ready, said) = demo(&[]);
    assert!(ready >= 2, "{said}");
    for expected in [
        "curl http://127.0.0.1:",
        "/metrics",
        "→ 0 replicas: ",
        "→ 1 replica: ",
        "drift",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let widest = said.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(120), "{said}");
}

#[test]
fn on_a_real_redis_it_does_the_same_and_leaves_nothing_behind() {
    let redis = RedisServer::start(Flavour::Redis70);
    let mut connection = redis.connect();
    run::<()>(&mut connection, "SET theirs 1");
    run::<()>(&mut connection, "XADD streamgauge-demo-1:0 * of another");
    let (ready, said) = demo(&["--redis", &format!("redis://{}", redis.address())]);
    assert!(ready >= 2, "{said}");
    let mut keys: Vec<String> = run(&mut connection, "KEYS *");
    keys.sort();
    assert_eq!(keys, ["streamgauge-demo-1:0", "theirs"]);
    assert_eq!(run::<u64>(&mut connection, "XLEN streamgauge-demo-1:0"), 1);
}

#[test]
fn on_a_cluster_it_finds_the_other_nodes_and_uses_them_all() {
    let cluster = RedisCluster::start(Flavour::Redis82, 3, 0);
    let url = format!("redis://{}", cluster.nodes[1].address());
    let (ready, said) = demo(&["--redis", &url]);
    assert!(ready >= 2, "{said}");
    for node in &cluster.nodes {
        let stats: String = run(&mut node.connect(), "INFO commandstats");
        assert!(stats.contains("cmdstat_xack:"), "{stats}");
        assert_eq!(run::<u64>(&mut node.connect(), "DBSIZE"), 0);
    }
}

#[test]
fn over_tls_it_does_the_same() {
    let (certificates, port) = (Certificates::make(), free_port());
    let own = certificates.redis_args(port);
    let mut args: Vec<_> = own.iter().map(String::as_str).collect();
    args.extend(["--tls-auth-clients", "no"]);
    let redis = RedisServer::start_with(Flavour::Redis70, &args);
    // The authority among the system's.
    let trusted = [("SSL_CERT_FILE", certificates.authority.as_path())];
    let url = format!("rediss://localhost:{port}/0");
    let (ready, said) = demo_with(&["--redis", &url], &trusted);
    assert!(ready >= 2, "{said}");
    assert_eq!(run::<u64>(&mut redis.connect(), "DBSIZE"), 0);
}

/// What it complains of when it ends with 1.
fn refusal(port: u16) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .args(["demo", "--redis", &format!("redis://127.0.0.1:{port}/0")])
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn behind_sentinels_it_asks_for_the_primary_and_leaves_nothing_on_a_replica() {
    let set = SentinelSet::start(Flavour::Redis70, 2, 1);
    let said = refusal(set.sentinels[0].port);
    assert!(
        said.contains("use the address of the primary") && !said.contains("mode:"),
        "{said}"
    );
    let said = refusal(set.servers[1].port);
    assert_eq!(said.matches("read only replica").count(), 1, "{said}");
    let primary = format!("redis://{}", set.servers[0].address());
    let (ready, said) = demo(&["--redis", &primary]);
    assert!(ready >= 2, "{said}");
    assert_eq!(run::<u64>(&mut set.servers[0].connect(), "DBSIZE"), 0);
}

/// The demo on that Redis, once its keys are there.
fn begin(redis: &RedisServer) -> Child {
    let child = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .args(["demo", "--redis", &format!("redis://{}", redis.address())])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut connection = redis.connect();
    let deadline = Instant::now() + Duration::from_secs(20);
    while run::<u64>(&mut connection, "DBSIZE") < 16 {
        assert!(Instant::now() < deadline, "its keys are made");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// What it said, if it ends within 20 s; otherwise it is killed.
fn end(mut child: Child) -> Output {
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().expect("its state").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("a kill");
            panic!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().expect("its output")
}

#[test]
fn stopped_by_a_signal_at_any_moment_it_deletes_its_keys() {
    let redis = RedisServer::start(Flavour::Redis70);
    for wait in [Duration::ZERO, Duration::from_secs(9)] {
        let child = begin(&redis);
        std::thread::sleep(wait);
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .expect("kill runs");
        let output = end(child);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            run::<u64>(&mut redis.connect(), "DBSIZE"),
            0,
            "after {wait:?}"
        );
    }
}

#[test]
fn when_redis_goes_away_it_ends_and_names_the_keys_that_are_left() {
    let mut redis = RedisServer::start(Flavour::Redis70);
    let child = begin(&redis);
    std::thread::sleep(Duration::from_secs(9));
    redis.kill();
    let output = end(child);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complained}");
    for expected in [
        "streamgauge-demo-",
        ":{0..15}",
        "delete them",
        "lost the connection to Redis",
    ] {
        assert!(complained.contains(expected), "{expected}: {complained}");
    }
}

#[test]
fn a_redis_that_is_not_there_is_said_with_its_address() {
    let complained = refusal(1);
    assert!(complained.contains("127.0.0.1:1"), "{complained}");
}
