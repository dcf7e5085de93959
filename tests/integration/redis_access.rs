//! The Redis source and who may use it: permissions, passwords, and how refusals and troubles are named.

use std::time::{Duration, Instant};

use streamgauge::config::types::{RedisConfig, Secret};
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{
    Failure, FailureKind, PartitionObservation, PartitionSample, Sample,
};
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use crate::support::ports::free_port;
use crate::support::redis::{Flavour, RedisServer, config_at, run, try_run};
use crate::support::{eventually, patience};

const TIMEOUT: Duration = patience(Duration::from_secs(2));

/// What a user of ours needs, besides its key patterns.
pub const PERMISSIONS: [&str; 14] = [
    "+xinfo",
    "+xpending",
    "+xrange",
    "+xread",
    "+scan",
    "+time",
    "+multi",
    "+exec",
    "+ping",
    "+select",
    "+client|setname",
    "+hello",
    "+info",
    "+memory|usage",
];

/// What it can do without.
const OPTIONAL: [&str; 5] = [
    "+client|setname",
    "+hello",
    "+xread",
    "+info",
    "+memory|usage",
];

fn reader_of(config: RedisConfig, stream: &str, group: &str) -> Box<dyn GroupReader> {
    let selector = StreamSelector::parse(stream).expect("a stream");
    RedisStreams::new(config, TIMEOUT).reader(&selector, group, TIMEOUT)
}

fn observed<'a>(sample: &'a Sample, id: &str) -> Option<&'a PartitionObservation> {
    sample.partitions.get(&PartitionId::new(id))
}

fn present<'a>(sample: &'a Sample, id: &str) -> &'a PartitionSample {
    match observed(sample, id) {
        Some(PartitionObservation::Present(partition)) => partition,
        other => panic!("{id}: {other:?}"),
    }
}

fn failure_of(result: Result<Sample, Failure>) -> Failure {
    result.expect_err("a failed poll")
}

#[tokio::test]
async fn a_user_with_exactly_the_documented_permissions_sees_everything_and_each_is_needed() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        run::<()>(&mut redis, "SELECT 1");
        let (seconds, _): (u64, u64) = run(&mut redis, "TIME");
        for n in 0..6 {
            run::<String>(
                &mut redis,
                &format!("XADD o:1 {}-0 d a", (seconds - 9000 + n) * 1000),
            );
        }
        // In the middle, so that the lag must be counted; one pending entry is stuck.
        run::<()>(
            &mut redis,
            &format!("XGROUP CREATE o:1 g {}-0", (seconds - 9000) * 1000),
        );
        run::<redis::Value>(&mut redis, "XREADGROUP GROUP g c COUNT 1 STREAMS o:1 >");
        let claim = format!(
            "XCLAIM o:1 g c 0 {}-0 IDLE 3700000",
            (seconds - 8999) * 1000
        );
        run::<redis::Value>(&mut redis, &claim);
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "s3cret\n").expect("written");
        let config = || RedisConfig {
            database: 1,
            username: Some("gauge".into()),
            password: Some(Secret::File(file.path().into())),
            ..server.config()
        };
        let mut grant = |permissions: &[&str]| {
            let rule = permissions.join(" ");
            run::<()>(
                &mut redis,
                &format!("ACL SETUSER gauge reset on >s3cret ~o:* {rule}"),
            );
        };
        grant(&PERMISSIONS);
        let sample = reader_of(config(), "o:*", "g")
            .poll()
            .await
            .expect("a sample");
        let partition = present(&sample, "1");
        assert_eq!(partition.lag, Some(Quantity::Exact(4)), "{flavour:?}");
        assert_eq!(partition.stuck_pending, 1);
        assert_eq!(sample.consumers, Some(1));
        for needed in PERMISSIONS.iter().filter(|p| !OPTIONAL.contains(p)) {
            let others: Vec<_> = PERMISSIONS
                .iter()
                .filter(|p| *p != needed)
                .copied()
                .collect();
            grant(&others);
            let result = reader_of(config(), "o:*", "g").poll().await;
            let failure = match result {
                Err(failure) => failure,
                Ok(sample) => match observed(&sample, "1") {
                    Some(PartitionObservation::Failed(failure)) => failure.clone(),
                    other => panic!("without {needed}: {other:?}"),
                },
            };
            assert_eq!(
                failure.kind,
                FailureKind::Auth,
                "without {needed}: {failure}"
            );
            assert!(failure.text.contains("ACL"), "{failure}");
        }
    }
}

#[tokio::test]
async fn a_user_who_may_not_list_consumers_is_told_what_keeps_a_group_active() {
    for flavour in [Flavour::Redis70, Flavour::Redis82, Flavour::Valkey] {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        run::<()>(&mut redis, "XGROUP CREATE x g 0 MKSTREAM");
        run::<String>(&mut redis, "XADD x 1-0 d a");
        run::<redis::Value>(&mut redis, "XREADGROUP GROUP g gone COUNT 1 STREAMS x >");
        run::<redis::Value>(&mut redis, "XCLAIM x g gone 0 1-0 IDLE 3700000");
        let mut grant = |more: &str| {
            let rule = PERMISSIONS.join(" ");
            let rule = format!("ACL SETUSER gauge reset on nopass ~x {rule} {more}");
            run::<()>(&mut redis, &rule);
        };
        let config = || RedisConfig {
            username: Some("gauge".into()),
            password: Some(Secret::Env("CARGO_MANIFEST_DIR".into())),
            ..server.config()
        };
        grant("-xinfo|consumers");
        let sample = reader_of(config(), "x", "g")
            .poll()
            .await
            .expect("a sample");
        let x = present(&sample, "x");
        assert_eq!((x.stuck_pending, x.stuck_in_work), (1, 1));
        let remark = x.remark.as_deref().expect("a remark");
        assert!(remark.contains("keep the group active"), "{remark}");
        assert!(remark.contains("XINFO CONSUMERS"), "{remark}");
        grant("+xinfo|consumers");
        let sample = reader_of(config(), "x", "g")
            .poll()
            .await
            .expect("a sample");
        assert_eq!(present(&sample, "x").remark, None, "{flavour:?}");
    }
}

#[tokio::test]
async fn a_rotated_password_file_is_read_at_the_next_connection_and_no_secret_is_told() {
    let server = RedisServer::start_with(Flavour::Redis70, &["--requirepass", "new-s3cret"]);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "old-s3cret\r\n").expect("written");
    let config = RedisConfig {
        password: Some(Secret::File(file.path().into())),
        ..server.config()
    };
    let mut reader = reader_of(config, "x", "g");
    let failure = failure_of(reader.poll().await);
    assert_eq!(failure.kind, FailureKind::Auth, "{failure}");
    assert!(
        failure.text.contains("WRONGPASS") && !failure.text.contains("s3cret"),
        "{failure}"
    );
    std::fs::write(file.path(), "new-s3cret\n").expect("written");
    reader.poll().await.expect("the new password is taken");

    std::fs::remove_file(file.path()).expect("removed");
    let config = RedisConfig {
        password: Some(Secret::File(file.path().into())),
        ..server.config()
    };
    let failure = failure_of(reader_of(config, "x", "g").poll().await);
    assert_eq!(failure.kind, FailureKind::Auth);
    assert!(
        failure.text.contains(&file.path().display().to_string()),
        "{failure}"
    );
}

#[tokio::test]
async fn a_password_may_come_from_the_environment() {
    // Set by cargo for every test.
    let password = std::env::var("CARGO_MANIFEST_DIR").expect("set by cargo");
    let server = RedisServer::start_with(Flavour::Redis70, &["--requirepass", &password]);
    let with = |name: &str| RedisConfig {
        password: Some(Secret::Env(name.into())),
        ..server.config()
    };
    reader_of(with("CARGO_MANIFEST_DIR"), "x", "g")
        .poll()
        .await
        .expect("a sample");
    let failure = failure_of(
        reader_of(with("STREAMGAUGE_NOT_SET"), "x", "g")
            .poll()
            .await,
    );
    assert_eq!(failure.kind, FailureKind::Auth);
    assert!(failure.text.contains("STREAMGAUGE_NOT_SET"), "{failure}");
    let failure = failure_of(reader_of(server.config(), "x", "g").poll().await);
    assert!(failure.text.contains("NOAUTH"), "{failure}");
}

#[tokio::test]
async fn a_wrong_database_and_an_address_where_nobody_listens_are_named() {
    let server = RedisServer::start(Flavour::Redis70);
    let config = RedisConfig {
        database: 99,
        ..server.config()
    };
    let failure = failure_of(reader_of(config, "x", "g").poll().await);
    assert_eq!(failure.kind, FailureKind::Misconfigured, "{failure}");
    let port = free_port();
    let failure = failure_of(reader_of(config_at(port), "x", "g").poll().await);
    assert_eq!(failure.kind, FailureKind::Unreachable);
    assert!(
        failure.text.contains(&format!("127.0.0.1:{port}")),
        "{failure}"
    );
}

#[tokio::test]
async fn a_cluster_without_slots_and_a_loading_server_are_passing_troubles_of_the_whole_poll() {
    let cluster = RedisServer::start_with(Flavour::Redis70, &["--cluster-enabled", "yes"]);
    let failure = failure_of(reader_of(cluster.config(), "o:{1..3}", "g").poll().await);
    assert_eq!(failure.kind, FailureKind::Transient, "{failure}");
    assert!(failure.text.contains("CLUSTERDOWN"), "{failure}");

    let slow_start = [
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--key-load-delay",
        "500",
        "--loading-process-events-interval-bytes",
        "1024",
    ];
    let mut server = RedisServer::start_with(Flavour::Redis70, &slow_start);
    let mut redis = server.connect();
    let mut fill = redis::pipe();
    for n in 0..4000 {
        fill.cmd("XADD")
            .arg("x")
            .arg(format!("{}-0", n + 1))
            .arg("d")
            .arg("y".repeat(100));
    }
    fill.exec(&mut redis).expect("filled");
    run::<()>(&mut redis, "XGROUP CREATE x g 0");
    let mut reader = reader_of(server.config(), "x", "g");
    reader.poll().await.expect("a sample");
    server.kill();
    server.spawn();
    let mut saw_loading = false;
    let sample = loop_until_ok(&mut *reader, |failure| {
        saw_loading |= failure.kind == FailureKind::Transient && failure.text.contains("LOADING");
    })
    .await;
    assert!(saw_loading, "the server loads for more than a second");
    assert_eq!(present(&sample, "x").lag, Some(Quantity::Exact(4000)));
}

async fn loop_until_ok(reader: &mut dyn GroupReader, mut seen: impl FnMut(&Failure)) -> Sample {
    let started = Instant::now();
    loop {
        match reader.poll().await {
            Ok(sample) => return sample,
            Err(failure) => seen(&failure),
        }
        assert!(started.elapsed() < patience(Duration::from_secs(20)));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_cluster_node_is_named_as_such() {
    let bus = (free_port().to_string(), free_port().to_string());
    let start = |bus: &str| {
        let args = ["--cluster-enabled", "yes", "--cluster-port", bus];
        RedisServer::start_with(Flavour::Redis70, &args)
    };
    let (asked, owner) = (start(&bus.0), start(&bus.1));
    run::<()>(&mut owner.connect(), "CLUSTER ADDSLOTSRANGE 0 16383");
    let meet = format!("CLUSTER MEET 127.0.0.1 {} {}", owner.port, bus.1);
    run::<()>(&mut asked.connect(), &meet);
    let mut reader = reader_of(asked.config(), "x", "g");
    let failure = eventually("MOVED", Duration::from_secs(20), async || {
        let failure = reader.poll().await.err()?;
        (failure.kind == FailureKind::Misconfigured).then_some(failure)
    });
    let text = failure.await.text;
    assert!(
        text.contains("on another node of a cluster: set mode: cluster"),
        "{text}"
    );
    // It would find its own keys, and call that the whole.
    let mut owned = owner.connect();
    let created = eventually(
        "its slots are served",
        Duration::from_secs(20),
        async || try_run::<()>(&mut owned, "XGROUP CREATE x g 0 MKSTREAM").ok(),
    );
    created.await;
    let own = reader_of(owner.config(), "x", "g").poll().await;
    assert_eq!(
        present(&own.expect("a sample"), "x").lag,
        Some(Quantity::Exact(0))
    );
    let failure = failure_of(reader_of(owner.config(), "*", "g").poll().await);
    assert_eq!(failure.kind, FailureKind::Misconfigured, "{failure}");
    assert!(failure.text.contains("a node of a cluster"), "{failure}");
}

#[tokio::test]
async fn a_sentinel_is_named_as_such() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let port = free_port();
    std::fs::write(file.path(), format!("port {port}\nbind 127.0.0.1\n")).expect("written");
    let mut sentinel = std::process::Command::new("redis-server")
        .arg(file.path())
        .arg("--sentinel")
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("redis-server");
    // It refuses both, and that is not the point.
    let config = RedisConfig {
        database: 1,
        password: Some(Secret::Env("CARGO_MANIFEST_DIR".into())),
        ..config_at(port)
    };
    let mut reader = reader_of(config, "x", "g");
    let failure = eventually("a refusal", Duration::from_secs(5), async || {
        let failure = reader.poll().await.err()?;
        (failure.kind == FailureKind::Misconfigured).then_some(failure)
    });
    let text = failure.await.text;
    sentinel.kill().expect("ended");
    sentinel.wait().expect("ended");
    assert!(text.contains("is a sentinel"), "{text}");
}
