//! Microsoft Entra identities: tokens from an authority over HTTPS, taken by an account that asks for them.

use std::sync::atomic::Ordering;

use serde_json::json;
use streamgauge::config::types::{BlobAuth, CheckpointsConfig, Identity, IdentityKind};
use streamgauge::model::sample::FailureKind;
use streamgauge::sources::entra::{Tokens, blob_scope, credential, event_hubs_scope};

use super::store::*;
use crate::support::azurite::Azurite;
use crate::support::certificates::Certificates;
use crate::support::entra::{Authority, CLIENT, TENANT};

fn application(secret: &SecretFile) -> IdentityKind {
    IdentityKind::ClientSecret {
        tenant_id: TENANT.into(),
        client_id: CLIENT.into(),
        client_secret: secret.secret(),
    }
}

/// An account over HTTPS that takes tokens, with one checkpoint.
fn account(certificates: &Certificates) -> Azurite {
    let server = Azurite::start_with_oauth(&certificates.certificate, &certificates.key);
    let steps = json!([["create", CONTAINER], checkpoint("0", 5, "1")]);
    prepare(
        &server.connection_string(),
        Some(&certificates.authority),
        &steps,
    );
    server
}

fn config_of(
    server: &Azurite,
    identity: Identity,
    certificates: &Certificates,
) -> CheckpointsConfig {
    let mut config = config(BlobAuth::Identity(identity));
    config.account_url = Some(server.account_url());
    config.ca_file = Some(certificates.authority.clone());
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_reads_with_tokens_and_its_rotated_secret_is_picked_up() {
    let certificates = Certificates::make();
    let server = account(&certificates);
    let authority = Authority::start(certificates.acceptor.clone(), "first-hush").await;
    let secret = SecretFile::new("first-hush\n");
    let identity = authority.identity(application(&secret), certificates.authority.clone());
    let config = config_of(&server, identity, &certificates);
    let store = reader(&config);
    for _ in 0..3 {
        let (committed, requests) = read_counted(&store, 4).await;
        assert_eq!((positions(&committed), requests), ([("0", 5)].into(), 1));
    }
    assert_eq!(
        authority.issued(),
        1,
        "a token is used as long as it is valid"
    );

    authority.accept_only("second-hush");
    secret.set("second-hush");
    assert_eq!(
        positions(&read_counted(&store, 4).await.0),
        [("0", 5)].into()
    );
    assert_eq!(authority.issued(), 2, "a new secret gives a new token");

    secret.set("wrong-hush");
    let failure = store.read(GROUP, &partitions(1)).await.expect_err("wrong");
    assert_eq!(failure.kind, FailureKind::Auth, "{failure}");
    assert!(failure.text.contains("AADSTS7000215"), "{failure}");
    assert!(!failure.text.contains("wrong-hush"), "{failure}");
    secret.set("second-hush");
    assert_eq!(
        positions(&read_counted(&store, 4).await.0),
        [("0", 5)].into()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubernetes_service_account_reads_and_its_rotated_token_file_is_picked_up() {
    let certificates = Certificates::make();
    let server = account(&certificates);
    let authority = Authority::start(certificates.acceptor.clone(), "assertion-1").await;
    let file = SecretFile::new("assertion-1");
    let kind = IdentityKind::Workload {
        client_id: Some(CLIENT.into()),
        tenant_id: Some(TENANT.into()),
        token_file: Some(file.path()),
    };
    let identity = authority.identity(kind, certificates.authority.clone());
    // Shorter than the library's margin: every reading asks for a token, and long enough to be used.
    authority.lifetime_seconds.store(200, Ordering::SeqCst);
    let store = reader(&config_of(&server, identity, &certificates));
    let read = async || positions(&read_counted(&store, 1).await.0) == [("0", 5)].into();
    assert!(read().await);
    let issued = authority.issued();
    authority.accept_only("assertion-2");
    file.set("assertion-2");
    // The library keeps the file's content for ten minutes. The refusal makes us read it anew; until then the token lasts.
    assert!(read().await);
    assert_eq!(authority.issued(), issued);
    assert!(read().await);
    assert_eq!(authority.issued(), issued + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_outlives_its_authority() {
    let certificates = Certificates::make();
    let authority = Authority::start(certificates.acceptor.clone(), "hush").await;
    let secret = SecretFile::new("hush");
    let identity = authority.identity(application(&secret), certificates.authority.clone());
    let scope = event_hubs_scope(&identity);
    let tokens = Tokens::new(identity, scope);
    authority.lifetime_seconds.store(200, Ordering::SeqCst);
    let first = tokens.token().await.expect("a token");
    assert_ne!(tokens.token().await.expect("a token"), "");
    assert_eq!(authority.issued(), 2, "it is renewed well before its end");
    authority.accept_only("another");
    let side_by_side = [(); 4].map(|()| tokens.token());
    for token in futures_util::future::join_all(side_by_side).await {
        token.expect("the token of before, for everybody who is refused");
    }
    assert!(!format!("{tokens:?}").contains(&first));
    tokens.distrust();
    let failure = tokens.token().await.expect_err("none is left");
    assert_eq!(failure.kind, FailureKind::Auth);
    assert!(!failure.text.contains("hush"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_not_trusted_or_not_there_is_told() {
    let (certificates, others) = (Certificates::make(), Certificates::make());
    let authority = Authority::start(certificates.acceptor.clone(), "hush").await;
    let secret = SecretFile::new("hush");
    let mut identity = authority.identity(application(&secret), others.authority.clone());
    let told = async |identity: &Identity, kind, part: &str| {
        let tokens = Tokens::new(identity.clone(), blob_scope(identity));
        let failure = tokens.token().await.expect_err(part);
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.text.contains(part), "{part} in: {failure}");
        assert!(!failure.text.contains("hush"), "{failure}");
    };
    told(&identity, FailureKind::Unreachable, "certificate").await;
    identity.ca_file = Some("/nonexistent/ca.pem".into());
    told(&identity, FailureKind::Misconfigured, "/nonexistent/ca.pem").await;
    identity.ca_file = Some(secret.path());
    told(&identity, FailureKind::Misconfigured, "no PEM certificate").await;
    identity.ca_file = Some(certificates.authority.clone());
    identity.authority_host = Some("http://localhost:1".into());
    told(&identity, FailureKind::Auth, "HTTPS").await;
    identity.authority_host = Some("https://localhost:1".into());
    told(&identity, FailureKind::Unreachable, "authority_host").await;
    identity.kind = IdentityKind::Workload {
        client_id: Some(CLIENT.into()),
        tenant_id: Some(TENANT.into()),
        token_file: Some("/nonexistent/token".into()),
    };
    told(&identity, FailureKind::Auth, "/nonexistent/token").await;
    identity.kind = IdentityKind::Managed {
        client_id: Some(CLIENT.into()),
    };
    assert!(credential(&identity).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_something_else_is_refused_by_the_account() {
    let certificates = Certificates::make();
    let server = account(&certificates);
    let authority = Authority::start(certificates.acceptor.clone(), "hush").await;
    let secret = SecretFile::new("hush");
    let identity = authority.identity(application(&secret), certificates.authority.clone());
    let mut config = config_of(&server, identity, &certificates);
    authority.lifetime_seconds.store(0, Ordering::SeqCst);
    let store = reader(&config);
    let failure = store
        .read(GROUP, &partitions(1))
        .await
        .expect_err("expired");
    assert_eq!(failure.kind, FailureKind::Auth, "{failure}");
    assert!(failure.text.contains("AuthenticationFailed"), "{failure}");
    authority.lifetime_seconds.store(3600, Ordering::SeqCst);
    assert_eq!(
        positions(&read_counted(&store, 1).await.0),
        [("0", 5)].into()
    );

    config.ca_file = None;
    let failure = reader(&config)
        .read(GROUP, &partitions(1))
        .await
        .expect_err("untrusted");
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure}");
    assert!(failure.text.contains("checkpoints.ca_file"), "{failure}");
}
