//! The demo, as a new user starts it.

#![allow(
    clippy::expect_used,
    reason = "a test that cannot start has to fail loudly"
)]

mod support;

use std::process::Command;

use support::redis::{Flavour, RedisServer, run};

/// Lines of the table in which replicas were ready, and everything that was printed.
fn demo(arguments: &[&str]) -> (usize, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .arg("demo")
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
}

#[test]
fn on_a_real_redis_it_does_the_same_and_leaves_nothing_behind() {
    let redis = RedisServer::start(Flavour::Redis70);
    let mut connection = redis.connect();
    run::<()>(&mut connection, "SET theirs 1");
    let (ready, said) = demo(&["--redis", &format!("redis://{}", redis.address())]);
    assert!(ready >= 2, "{said}");
    let keys: Vec<String> = run(&mut connection, "KEYS *");
    assert_eq!(keys, ["theirs"]);
}

#[test]
fn a_redis_that_is_not_there_is_said_with_its_address() {
    let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .args(["demo", "--redis", "redis://127.0.0.1:1/0"])
        .output()
        .expect("the binary starts");
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(complained.contains("127.0.0.1:1"), "{complained}");
}
