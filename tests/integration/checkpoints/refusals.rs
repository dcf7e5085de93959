//! What is missing, wrong, dead or slow is told apart, and no secret shows.

use std::time::{Duration, Instant};

use serde_json::json;
use streamgauge::config::types::{BlobAuth, CheckpointsConfig, Secret};
use streamgauge::model::sample::{Failure, FailureKind};
use streamgauge::sources::event_hubs::checkpoints::Committed;

use super::filled;
use super::store::*;
use crate::support::azurite::{ACCOUNT, ACCOUNT_KEY, Azurite};
use crate::support::ports::free_port;
use crate::support::proxy::{FaultProxy, Mode};
use crate::support::{Rng, eventually, patience};

/// Base64 of something that is nobody's key.
const WRONG_KEY: &str = "aHVzaC1odXNoLWh1c2gtaHVzaC1odXNo";

async fn read(store: &Reader) -> Result<Committed, Failure> {
    let outcome = store.read(GROUP, &partitions(3)).await;
    if let Err(failure) = &outcome {
        for secret in [ACCOUNT_KEY, WRONG_KEY, "sig=", "?"] {
            assert!(!failure.text.contains(secret), "{failure}");
            assert!(!format!("{failure:?} {store:?}").contains(secret));
        }
    }
    outcome
}

async fn refused(config: &CheckpointsConfig, kind: FailureKind, parts: &[&str]) {
    let failure = read(&reader(config)).await.expect_err("refused");
    assert_eq!(failure.kind, kind, "{failure}");
    for part in parts {
        assert!(failure.text.contains(part), "{part} in: {failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_container_is_a_mistake_unless_the_first_commit_creates_it() {
    let (_server, _secret, mut config, _) = filled(&[]);
    let empty = read(&reader(&config)).await.expect("read");
    assert_eq!((empty.partitions.len(), &empty.owners), (0, &None));
    assert!(empty.layouts.contains("none for"), "{}", empty.layouts);
    config.container = Some("elsewhere".into());
    let parts = ["container elsewhere", ACCOUNT, "checkpoints.container"];
    refused(&config, FailureKind::Misconfigured, &parts).await;
    config.container = None;
    assert_eq!(
        read(&reader(&config)).await.expect("read"),
        Committed::default()
    );
    config.container = Some("Not_A_Name".into());
    refused(
        &config,
        FailureKind::Misconfigured,
        &["checkpoints.container"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_and_weak_credentials_are_told_from_outages() {
    let steps = [
        checkpoint("0", 5, "1"),
        json!(["container_signature", CONTAINER, "w"]),
        json!(["container_signature", CONTAINER, "rl", -1]),
    ];
    let (server, secret, mut config, results) = filled(&steps);
    config.account_url = Some(server.account_url());
    config.auth = BlobAuth::AccountKey(secret.secret());
    secret.set(WRONG_KEY);
    refused(
        &config,
        FailureKind::Auth,
        &[ACCOUNT, CONTAINER, "AuthorizationFailure"],
    )
    .await;
    secret.set("no base64!");
    refused(&config, FailureKind::Auth, &["not base64"]).await;
    secret.set("");
    refused(&config, FailureKind::Auth, &["empty"]).await;
    config.auth = BlobAuth::Sas(secret.secret());
    for (at, part) in [(2, "AuthorizationPermissionMismatch"), (3, "status 403")] {
        secret.set(results[at].as_str().expect("a signature"));
        refused(&config, FailureKind::Auth, &[part]).await;
    }
    let before = reader(&config);
    assert_eq!(before.requests(), 0, "it connects at first use");
    config.auth = BlobAuth::Sas(Secret::File("/nonexistent/sas".into()));
    refused(&config, FailureKind::Auth, &["/nonexistent/sas"]).await;
    config.auth = BlobAuth::Sas(secret.secret());
    config.account_url = Some("http://account.invalid".into());
    refused(
        &config,
        FailureKind::Unreachable,
        &["storage account account", "account_url"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_is_picked_up_while_reading_goes_on() {
    let (server, secret, mut config, _) = filled(&[checkpoint("0", 5, "1")]);
    config.account_url = Some(server.account_url());
    config.auth = BlobAuth::AccountKey(secret.secret());
    secret.set(ACCOUNT_KEY);
    let store = reader(&config);
    for _ in 0..3 {
        secret.set(ACCOUNT_KEY);
        assert_eq!(
            positions(&read(&store).await.expect("read")),
            [("0", 5)].into()
        );
        secret.set(WRONG_KEY);
        assert_eq!(
            read(&store).await.expect_err("revoked").kind,
            FailureKind::Auth
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_store_is_unreachable_and_found_again_when_it_is_back() {
    let (mut server, _secret, config, _) = filled(&[checkpoint("0", 5, "1")]);
    let store = reader(&config);
    read(&store).await.expect("read");
    server.stop();
    let failure = read(&store).await.expect_err("dead");
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure}");
    assert!(failure.text.contains("refused"), "{failure}");
    server.restart();
    let back = eventually("it is back", DEADLINE, async || read(&store).await.ok()).await;
    assert_eq!(positions(&back), [("0", 5)].into());
}

/// A server behind a line with faults, and a reader that is in a hurry.
async fn hurried() -> (Azurite, FaultProxy, SecretFile, Reader) {
    let (server, secret, config, _) = filled(&[checkpoint("0", 5, "1")]);
    let line = FaultProxy::start(server.port).await;
    let through = server.port.to_string();
    secret.set(
        &server
            .connection_string()
            .replace(&through, &line.port.to_string()),
    );
    let store = Reader::new(&config, Duration::from_millis(700));
    read(&store).await.expect("read");
    (server, line, secret, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_store_costs_no_more_than_the_deadline() {
    let (_server, line, _secret, store) = hurried().await;
    line.set(Mode::BlackholeAll);
    for _ in 0..3 {
        let started = Instant::now();
        let failure = read(&store).await.expect_err("stalled");
        assert_eq!(failure.kind, FailureKind::Timeout, "{failure}");
        assert!(started.elapsed() < patience(Duration::from_secs(2)));
    }
    line.set(Mode::Pass);
    assert_eq!(
        positions(&read(&store).await.expect("read")),
        [("0", 5)].into()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_line_and_a_garbled_answer_are_never_a_position() {
    let (_server, line, _secret, store) = hurried().await;
    // The kept connection breaks unnoticed: the request goes out again on a new one.
    line.set(Mode::Reset);
    line.set(Mode::Pass);
    assert_eq!(
        positions(&read(&store).await.expect("read")),
        [("0", 5)].into()
    );
    line.set(Mode::Reset);
    assert_eq!(
        read(&store).await.expect_err("reset").kind,
        FailureKind::Unreachable
    );
    let answers: [&[u8]; 3] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 27\r\n\r\n<EnumerationResults><Blobs>",
        b"+PONG\r\n",
    ];
    for answer in answers {
        line.set(Mode::Garbage(answer.to_vec()));
        let failure = read(&store).await.expect_err("garbage");
        let is_expected = matches!(
            failure.kind,
            FailureKind::Protocol | FailureKind::Unreachable
        );
        assert!(is_expected, "{failure:?}");
    }
    let busy = |status: &str, code: &str| {
        let text =
            format!("HTTP/1.1 {status}\r\nx-ms-error-code: {code}\r\ncontent-length: 0\r\n\r\n");
        Mode::Garbage(text.into_bytes())
    };
    line.set(busy("503 Busy", "ServerBusy"));
    assert_eq!(
        read(&store).await.expect_err("busy").kind,
        FailureKind::Throttled
    );
    line.set(busy("429 Slow Down", "TooManyRequests"));
    assert_eq!(
        read(&store).await.expect_err("busy").kind,
        FailureKind::Throttled
    );
    line.set(busy("500 Oops", "InternalError"));
    assert_eq!(
        read(&store).await.expect_err("oops").kind,
        FailureKind::Transient
    );
    line.set(Mode::Truncate(300));
    assert!(read(&store).await.is_err(), "half an answer is no answer");
    line.set(Mode::Slice(7));
    assert_eq!(
        positions(&read(&store).await.expect("read")),
        [("0", 5)].into()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_shows_whatever_goes_wrong() {
    let mut random = Rng(42);
    let line = FaultProxy::start(free_port()).await;
    line.set(Mode::RefuseNew);
    for round in 0..60 {
        let letters = (0..24).map(|_| char::from(b'a' + random.below(26) as u8));
        let hush = format!("{}+/{round:02}", letters.collect::<String>());
        let text = match round % 6 {
            0 => format!("sv=2024&sig={hush}&sp=rl"),
            1 => format!("?sig={}&x=%", hush.replace('+', "%2B").replace('/', "%2F")),
            2 => format!("AccountName=a;AccountKey={hush}"),
            3 => format!("BlobEndpoint=https://h/?sig={hush};SharedAccessSignature=sig={hush}"),
            4 => format!("BlobEndpoint={hush};AccountKey={hush}"),
            _ => hush.clone(),
        };
        let secret = SecretFile::new(&text);
        let auths = [
            BlobAuth::ConnectionString,
            BlobAuth::AccountKey,
            BlobAuth::Sas,
        ];
        let ports = [line.port, free_port()];
        for (auth, port) in auths.iter().flat_map(|auth| ports.map(|port| (auth, port))) {
            let mut config = config(auth(secret.secret()));
            config.account_url = Some(format!("http://127.0.0.1:{port}/a"));
            let store = reader(&config);
            let outcome = store.read(GROUP, &partitions(3)).await;
            let failure = outcome.expect_err("nothing is there");
            let shown = format!("{failure} {failure:?} {store:?} {config:?}");
            for part in [hush.as_str(), &hush[..24], &hush.replace('+', "%2B")] {
                assert!(!shown.contains(part), "{shown}");
            }
        }
    }
}
