//! What people and proxies do to streams, groups and servers: it counts as what it is, or is said in words that help.

use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use redis::Connection;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{
    Failure, FailureKind, PartitionObservation, PartitionSample, Sample,
};
use streamgauge::model::signal::ErrorSource;
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::patience;
use crate::support::ports::free_port;
use crate::support::redis::{Flavour, RedisServer, config_at, run};

const TIMEOUT: Duration = patience(Duration::from_secs(2));

fn reader_at(port: u16, stream: &str) -> Box<dyn GroupReader> {
    let selector = StreamSelector::parse(stream).expect("a stream");
    RedisStreams::new(config_at(port), TIMEOUT).reader(&selector, "g", TIMEOUT)
}

async fn polled(reader: &mut dyn GroupReader) -> PartitionSample {
    let sample = reader.poll().await.expect("a sample");
    present(&sample, "x")
}

fn present(sample: &Sample, id: &str) -> PartitionSample {
    match sample.partitions.get(&PartitionId::new(id)) {
        Some(PartitionObservation::Present(partition)) => partition.clone(),
        other => panic!("{other:?}"),
    }
}

/// Seconds of the server's clock.
fn seconds(redis: &mut Connection) -> u64 {
    let (seconds, _): (u64, u64) = run(redis, "TIME");
    seconds
}

/// `n` entries that came `ago` seconds before, all read by consumer `c`.
fn pending(redis: &mut Connection, n: u64, ago: u64) -> Vec<String> {
    let at = (seconds(redis) - ago) * 1_000;
    run::<()>(redis, "XGROUP CREATE x g 0 MKSTREAM");
    let ids: Vec<String> = (0..n).map(|n| format!("{at}-{n}")).collect();
    for ids in ids.chunks(1_000) {
        let mut pipe = redis::pipe();
        for id in ids {
            pipe.cmd("XADD").arg("x").arg(id).arg("d").arg("a");
        }
        pipe.exec(redis).expect("added");
    }
    let read = format!("XREADGROUP GROUP g c COUNT {n} STREAMS x >");
    run::<redis::Value>(redis, &read);
    ids
}

fn claim(redis: &mut Connection, consumer: &str, ids: &[String], how: &str) {
    for ids in ids.chunks(1_000) {
        let claim = format!("XCLAIM x g {consumer} 0 {} {how} JUSTID", ids.join(" "));
        run::<redis::Value>(redis, &claim);
    }
}

#[tokio::test]
async fn entries_whose_delivery_time_was_set_by_hand_wait() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        let ids = pending(&mut redis, 30, 50);
        for how in ["TIME 0", "IDLE 3700000"] {
            claim(&mut redis, "c", &ids, how);
            let x = polled(&mut *reader_at(server.port, "x")).await;
            assert_eq!(x.backlog(), Some(Quantity::Exact(30)), "{flavour:?} {how}");
            assert_eq!((x.stuck_pending, x.lacks_stuck), (0, false), "{how}");
            assert_eq!(
                x.oldest_age_millis.map(|age| age / 10_000),
                Some(5),
                "{how}"
            );
        }
    }
}

#[tokio::test]
async fn a_delivery_count_that_somebody_set_is_one_error_and_no_rate_to_learn() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        let ids = pending(&mut redis, 2, 50);
        let mut reader = reader_at(server.port, "x");
        reader.count_errors(&ErrorSource::Redeliveries);
        let mut total = async || {
            let sample = reader.poll().await.expect("a sample");
            sample.errors.and_then(|errors| errors.total)
        };
        assert_eq!(total().await, Some(0));
        claim(&mut redis, "c", &ids[..1], "RETRYCOUNT 9223372036854775807");
        claim(&mut redis, "c", &ids[1..], "RETRYCOUNT 500000");
        assert!(total().await.expect("counted") <= 2, "{flavour:?}");
        let x = polled(&mut *reader_at(server.port, "x")).await;
        assert_eq!(
            (x.oldest_delivery_count, x.pending),
            (None, 2),
            "{flavour:?}"
        );
    }
}

#[tokio::test]
async fn fifty_thousand_entries_of_a_dead_pod_are_stuck_and_never_an_exact_backlog() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        let ids = pending(&mut redis, 50_000, 9_000);
        claim(&mut redis, "dead", &ids, "IDLE 7200000");
        let mut reader = reader_at(server.port, "x");
        let mut polls = 0;
        loop {
            polls += 1;
            let x = polled(&mut *reader).await;
            if !x.lacks_stuck {
                assert_eq!(x.stuck_pending, 50_000, "{flavour:?}");
                assert_eq!(x.backlog(), Some(Quantity::Exact(0)), "{flavour:?}");
                break;
            }
            assert_eq!(x.backlog(), None, "not all looked at: {flavour:?} {x:?}");
            assert!(x.remark.is_some_and(|text| text.contains("not all 50000")));
            assert!(polls < 30, "{flavour:?}");
        }
    }
}

#[tokio::test]
async fn what_a_consumer_at_work_holds_for_long_keeps_its_group_active() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        let ids = pending(&mut redis, 1, 9_000);
        claim(&mut redis, "c", &ids, "IDLE 7200000");
        // It asks for others meanwhile.
        run::<redis::Value>(&mut redis, "XREADGROUP GROUP g c STREAMS x >");
        let x = polled(&mut *reader_at(server.port, "x")).await;
        let held = (x.stuck_pending, x.stuck_in_work, x.backlog());
        assert_eq!(held, (1, 1, Some(Quantity::Exact(0))), "{flavour:?}");
    }
}

#[tokio::test]
async fn keys_that_are_no_text_are_read_and_shown_by_their_bytes() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        let keys = [
            (&b"k:caf\xe9"[..], "caf%e9"),
            ("k:café".as_bytes(), "café"),
            (b"k:%ff", "%ff"),
            (b"k:\xff", "k:%ff"),
        ];
        for (n, (key, _)) in keys.iter().enumerate() {
            for id in 1..=n + 3 {
                let mut add = redis::cmd("XADD");
                add.arg(key).arg(format!("{id}-0")).arg("d").arg("a");
                add.exec(&mut redis).expect("added");
            }
            let mut create = redis::cmd("XGROUP");
            create.arg("CREATE").arg(key).arg("g").arg("2-0");
            create.exec(&mut redis).expect("created");
        }
        // In what a server says of a missing group it quotes the key.
        let mut add = redis::cmd("XADD");
        add.arg(b"k:\xe9").arg("*").arg("d").arg("a");
        add.exec(&mut redis).expect("added");
        let mut reader = reader_at(server.port, "k:*");
        let sample = reader.poll().await.expect("a sample");
        assert_eq!(sample.partitions.len(), keys.len() + 1, "{flavour:?}");
        let missing = sample.partitions.get(&PartitionId::new("%e9"));
        let is_missing = matches!(missing, Some(PartitionObservation::GroupMissing { .. }));
        assert!(is_missing, "{flavour:?}: {missing:?}");
        for (n, (_, id)) in keys.iter().enumerate() {
            let lag = present(&sample, id).lag;
            assert_eq!(lag, Some(Quantity::Exact(n as u64 + 1)), "{id}");
        }
        assert_eq!(sample.consumers, Some(0), "{flavour:?}");
    }
}

#[tokio::test]
async fn a_group_that_stands_ahead_of_the_log_is_reported() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        run::<String>(&mut redis, "XADD x 1-0 d a");
        run::<()>(&mut redis, "XGROUP CREATE x g 99-0");
        let x = polled(&mut *reader_at(server.port, "x")).await;
        assert!(x.is_ahead, "{flavour:?}");
        let remark = x.remark.expect("a remark");
        assert!(
            remark.contains("99-0 is after the newest entry 1-0"),
            "{remark}"
        );
        assert!(remark.contains("XGROUP SETID"), "{remark}");
    }
}

#[tokio::test]
async fn keys_with_wildcards_in_them_and_long_ones_are_read() {
    let server = RedisServer::start(Flavour::Redis70);
    let mut redis = server.connect();
    let long = "k".repeat(300);
    for key in ["a[1]", "a*", r"a\b", &long] {
        run::<()>(&mut redis, &format!("XGROUP CREATE {key} g 0 MKSTREAM"));
        run::<String>(&mut redis, &format!("XADD {key} 1-0 d a"));
    }
    for (stream, id) in [
        (r"a\[1\]", "a[1]"),
        (r"a\*", "a*"),
        (r"a\b", r"a\b"),
        (long.as_str(), long.as_str()),
    ] {
        let mut reader = reader_at(server.port, stream);
        let sample = reader.poll().await.expect("a sample");
        let lag = present(&sample, id).lag;
        assert_eq!(
            (sample.partitions.len(), lag),
            (1, Some(Quantity::Exact(1))),
            "{stream}"
        );
    }
}

async fn failure_at(port: u16) -> Failure {
    let mut reader = reader_at(port, "x");
    reader.poll().await.expect_err("a failed poll")
}

fn says(failure: &Failure, kind: FailureKind, what: &str) {
    assert_eq!(failure.kind, kind, "{failure}");
    assert!(failure.text.contains(what), "{failure}");
}

#[tokio::test]
async fn a_port_that_speaks_tls_is_told_as_such() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("parameters");
    let certificate = params.self_signed(&key).expect("a certificate");
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let (certificate, key) = (
        file("cert.pem", certificate.pem()),
        file("key.pem", key.serialize_pem()),
    );
    let tls = free_port();
    let args = [
        "--tls-port",
        &tls.to_string(),
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &certificate,
        "--tls-auth-clients",
        "no",
    ];
    let _server = RedisServer::start_with(Flavour::Redis70, &args);
    says(
        &failure_at(tls).await,
        FailureKind::Misconfigured,
        "expects TLS",
    );
}

#[tokio::test]
async fn a_full_server_names_maxclients() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut taken = server.connect();
        run::<()>(&mut taken, "CONFIG SET maxclients 1");
        says(
            &failure_at(server.port).await,
            FailureKind::Transient,
            "maxclients",
        );
    }
}

#[tokio::test]
async fn a_renamed_command_is_named_and_a_person_has_to_mend_it() {
    for flavour in Flavour::ALL {
        for (command, text) in [
            (
                "XINFO",
                "unknown command XINFO: the command is renamed or disabled",
            ),
            ("XPENDING", "unknown command XPENDING"),
            ("TIME", "unknown command TIME"),
            ("MULTI", "MULTI was refused"),
        ] {
            let server = RedisServer::start_with(flavour, &["--rename-command", command, ""]);
            let mut redis = server.connect();
            run::<()>(&mut redis, "XGROUP CREATE x g 0 MKSTREAM");
            says(
                &failure_at(server.port).await,
                FailureKind::Misconfigured,
                text,
            );
        }
    }
}

/// Answers everything by OK, and hangs up once it sees `word`.
async fn proxy_that_hangs_up_at(word: &'static str) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut line, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = vec![0; 4_096];
                while let Ok(read @ 1..) = line.read(&mut bytes).await {
                    let text = String::from_utf8_lossy(&bytes[..read]).to_string();
                    if text.contains(word) {
                        return;
                    }
                    let commands = text.lines().filter(|line| line.starts_with('*')).count();
                    let answers = "+OK\r\n".repeat(commands.max(1));
                    if line.write_all(answers.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a_proxy_that_hangs_up_is_told_with_the_command_at_which_it_does() {
    let port = proxy_that_hangs_up_at("MULTI").await;
    let text = "connection is closed on MULTI";
    says(&failure_at(port).await, FailureKind::Misconfigured, text);
    let port = proxy_that_hangs_up_at("").await;
    let text = "connection is closed on PING";
    says(&failure_at(port).await, FailureKind::Misconfigured, text);
}
