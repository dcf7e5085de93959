//! Tokens that run out and keys that are replaced while reads go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use streamgauge::config::types::ManagementClient::{self, Pipelined};
use streamgauge::config::types::{Cloud, Endpoint, HubAuth, Identity, IdentityKind};
use streamgauge::sources::event_hubs::management::{self, Management, Settings};

use super::bench::{BOTH, Bench, DEADLINE, SCOPE, read_all};
use crate::support::event_hub::faults::Fault;
use crate::support::event_hub::tokens::TokenPolicy;

/// A third of it is what a renewal may take on a busy machine; of the first second, a signed one may lack a part.
const LIFETIME: Duration = Duration::from_secs(9);

fn short_lived() -> Settings {
    Settings {
        sas_lifetime: LIFETIME,
        ..Settings::new(SCOPE, DEADLINE)
    }
}

/// Reads without a pause until a token was renewed twice, for two lifetimes; not one read may fail.
async fn reads_go_on(bench: &Bench, client: &dyn Management, kind: &str) {
    bench.server.set_token_policy(TokenPolicy::Expire);
    let started = Instant::now();
    while started.elapsed() < LIFETIME * 2 {
        for (id, read) in read_all(client, 4).await {
            let read = read.unwrap_or_else(|failure| panic!("{:?}: {failure}", started.elapsed()));
            bench.must_be_right(&id, &read);
        }
        // As a poller does; with every read back to back the log of the test server grows without need.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let tokens = bench.server.tokens();
    assert!(tokens.len() >= 3, "{} tokens", tokens.len());
    assert!(tokens.iter().all(|token| token.kind == kind), "{tokens:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_when_signed_tokens_run_out() {
    for client in BOTH {
        let bench = Bench::start(client, 4).await;
        let management = management::open_with(&bench.configured.config, None, &short_lived());
        reads_go_on(&bench, &*management, "servicebus.windows.net:sastoken").await;
        if client == Pipelined {
            assert_eq!(
                bench.server.counts().connections,
                1,
                "renewed on the same connection"
            );
        }
    }
}

/// Gives tokens that are good for a few seconds.
#[derive(Debug, Default)]
struct Identities {
    given: AtomicUsize,
}

#[async_trait::async_trait]
impl TokenCredential for Identities {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, [SCOPE]);
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        let expires_on = OffsetDateTime::now_utc() + LIFETIME;
        Ok(AccessToken::new(format!("token-{number}"), expires_on))
    }
}

fn by_identity(bench: &mut Bench) -> Box<dyn Management> {
    let config = &mut bench.configured.config;
    config.namespace = "ns.example".into();
    config.endpoint = Some(Endpoint {
        tls: false,
        host: "127.0.0.1".into(),
        port: bench.server.port,
    });
    config.auth = HubAuth::Identity(Identity {
        kind: IdentityKind::Managed { client_id: None },
        cloud: Cloud::Public,
        authority_host: None,
        ca_file: None,
    });
    let credential: Arc<dyn TokenCredential> = Arc::new(Identities::default());
    management::open_with(config, Some(credential), &short_lived())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_when_tokens_of_an_identity_run_out() {
    for client in BOTH {
        let mut bench = Bench::start(client, 4).await;
        let management = by_identity(&mut bench);
        reads_go_on(&bench, &*management, "jwt").await;
        let audiences: Vec<_> = bench
            .server
            .tokens()
            .into_iter()
            .map(|it| it.audience)
            .collect();
        assert!(
            audiences
                .iter()
                .all(|it| it.contains("//ns.example/orders")),
            "{audiences:?}"
        );
    }
}

fn key_names(bench: &Bench) -> Vec<String> {
    let tokens = bench.server.tokens().into_iter();
    let name = |token: String| token.split("skn=").nth(1).unwrap_or_default().to_owned();
    tokens.map(|it| name(it.token)).collect()
}

fn rotate(bench: &Bench) {
    let rotated = bench.server.emulator_connection_string();
    let rotated = rotated.replace("SharedAccessKeyName=listen", "SharedAccessKeyName=rotated");
    std::fs::write(&bench.configured.secret, rotated).expect("written");
}

/// The old key is refused from one read to the next; the new one is in the file already.
async fn check_rotation(client: ManagementClient) {
    let bench = Bench::start(client, 4).await;
    bench.client.partition("0").await.expect("a partition");
    rotate(&bench);
    bench.server.fail_next(1, Fault::Unauthorized);
    let read = bench
        .client
        .partition("1")
        .await
        .expect("read with the new key");
    bench.must_be_right("1", &read);
    let names = key_names(&bench);
    assert_eq!(
        (names.first(), names.last()),
        (Some(&"listen".into()), Some(&"rotated".into()))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_replaced_in_its_file_costs_no_failed_call() {
    for client in BOTH {
        check_rotation(client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_string_for_another_hub_ends_the_reads_and_names_both_hubs() {
    for client in BOTH {
        let bench = Bench::start(client, 4).await;
        bench.client.partition("0").await.expect("a partition");
        let other = bench.server.emulator_connection_string() + ";EntityPath=bills";
        std::fs::write(&bench.configured.secret, other).expect("written");
        bench.client.reconnect();
        let failure = bench.client.partition("0").await.expect_err("another hub");
        assert_eq!(failure.kind.as_str(), "misconfigured");
        assert!(
            failure.text.contains("orders") && failure.text.contains("bills"),
            "{failure}"
        );
    }
}
