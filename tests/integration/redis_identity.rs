//! Logins at Redis by tokens of Microsoft Entra, as Azure's caches take them: the token is the password of the object that it is of.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::Connection;
use streamgauge::config::types::{IdentityKind, RedisConfig, RedisTls, Secret};
use streamgauge::model::sample::FailureKind;
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use crate::support::certificates::Certificates;
use crate::support::entra::{Authority, CLIENT, TENANT};
use crate::support::ports::free_port;
use crate::support::redis::{Flavour, RedisServer, config_at, connect_at, one_at, run};
use crate::support::{eventually, patience};

const TIMEOUT: Duration = patience(Duration::from_secs(2));

/// A server that knows one user, the object of the tokens, whose password is always the last token that was given out.
struct Cache {
    server: RedisServer,
    authority: Authority,
    config: RedisConfig,
    _folder: tempfile::TempDir,
    _certificates: Certificates,
}

impl Cache {
    async fn start() -> Self {
        let certificates = Certificates::make();
        let port = free_port();
        let args = certificates.redis_args(port);
        let own = args.iter().map(String::as_str);
        let args: Vec<&str> = own.chain(["--tls-auth-clients", "no"]).collect();
        let server = RedisServer::start_with(Flavour::Redis70, &args);
        run::<()>(&mut server.connect(), "XGROUP CREATE x g $ MKSTREAM");
        let authority = Authority::start(certificates.acceptor.clone(), "hush").await;
        let folder = tempfile::tempdir().expect("a directory");
        let secret: PathBuf = folder.path().join("secret");
        std::fs::write(&secret, "hush").expect("written");
        let kind = IdentityKind::ClientSecret {
            tenant_id: TENANT.into(),
            client_id: CLIENT.into(),
            client_secret: Secret::File(secret),
        };
        let ca_file = certificates.authority.clone();
        let identity = authority.identity(kind, ca_file.clone());
        let at = server.port;
        authority.on_issue(move |token| {
            let mut redis: Connection = connect_at(at);
            let user = format!("ACL SETUSER {CLIENT} on resetpass >{token} ~* +@all");
            run::<()>(&mut redis, &user);
        });
        let config = RedisConfig {
            servers: one_at("localhost", port),
            identity: Some(identity),
            tls: Some(RedisTls {
                ca_file: Some(ca_file),
                ..RedisTls::default()
            }),
            ..config_at(port)
        };
        Self {
            server,
            authority,
            config,
            _folder: folder,
            _certificates: certificates,
        }
    }

    fn reader(&self) -> Box<dyn GroupReader> {
        let selector = StreamSelector::parse("x").expect("a stream");
        RedisStreams::new(self.config.clone(), TIMEOUT).reader(&selector, "g", TIMEOUT)
    }

    /// Connections of that user.
    fn connections(&self) -> usize {
        let clients: String = run(&mut self.server.connect(), "CLIENT LIST");
        let user = format!("user={CLIENT}");
        clients.lines().filter(|line| line.contains(&user)).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_the_identity_is_the_password_of_its_object() {
    let cache = Cache::start().await;
    let mut reader = cache.reader();
    for _ in 0..5 {
        reader.poll().await.expect("a sample");
    }
    assert_eq!((cache.connections(), cache.authority.issued()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_replaced_before_its_token_ends_and_no_poll_fails() {
    let cache = Cache::start().await;
    cache.authority.lifetime_seconds.store(8, Ordering::SeqCst);
    let mut reader = cache.reader();
    reader.poll().await.expect("a sample");
    eventually("a second token", Duration::from_secs(10), async || {
        reader.poll().await.expect("a sample");
        (cache.authority.issued() >= 2).then_some(())
    })
    .await;
    eventually("the old connection ends", TIMEOUT, async || {
        reader.poll().await.expect("a sample");
        (cache.connections() == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_token_and_a_refused_secret_are_told_and_end_once_they_are_good() {
    let cache = Cache::start().await;
    let mut redis = cache.server.connect();
    cache.authority.on_issue(|_| {});
    let mut reader = cache.reader();
    let failure = reader.poll().await.expect_err("no such user");
    assert_eq!(failure.kind, FailureKind::Auth, "{failure}");
    assert!(!format!("{failure:?}").contains("eyJ"), "{failure:?}");
    run::<()>(
        &mut redis,
        &format!("ACL SETUSER {CLIENT} on nopass ~* +@all"),
    );
    reader.poll().await.expect("a sample");
    assert_eq!(
        cache.authority.issued(),
        2,
        "a refused token is not used again"
    );
    cache.authority.accept_only("another");
    let failure = cache.reader().poll().await.expect_err("a wrong secret");
    assert_eq!(failure.kind, FailureKind::Auth, "{failure}");
    assert!(failure.text.contains("check tenant"), "{failure}");
}
