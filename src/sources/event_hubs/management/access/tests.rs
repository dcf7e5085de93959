//! Checks of what a configuration and its secret lead to.

use std::path::{Path, PathBuf};

use azure_core::credentials::{AccessToken, TokenRequestOptions};
use azure_core::time::OffsetDateTime;

use super::*;
use crate::config::types::{
    BlobAuth, CheckpointStrategy, CheckpointsConfig, Cloud, Identity, IdentityKind,
    ManagementClient,
};
use crate::sources::entra::Tokens;

const KEY: &str = "c2VjcmV0LWtleS1vZi10aGUtdGVzdA==";

fn config(auth: HubAuth) -> EventHubsConfig {
    EventHubsConfig {
        namespace: "ns.example".into(),
        event_hub: "orders".into(),
        endpoint: None,
        auth,
        ca_file: None,
        client: ManagementClient::Pipelined,
        management_calls_per_second: 10,
        throughput_units: None,
        retention: None,
        checkpoints: CheckpointsConfig {
            account_url: None,
            container: None,
            strategy: CheckpointStrategy::BlobMetadata,
            auth: BlobAuth::Sas(Secret::Env("UNUSED".into())),
            ca_file: None,
            ownership_expiry: Duration::from_secs(120),
        },
    }
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("cs")
    }

    /// An access whose connection string is that text.
    fn access(&self, text: &str, change: impl FnOnce(&mut EventHubsConfig)) -> Access {
        std::fs::write(self.path(), format!("{text}\n")).expect("written");
        let mut config = config(HubAuth::ConnectionString(Secret::File(self.path())));
        if let Ok(parsed) = ConnectionString::parse(text) {
            config.namespace = parsed.namespace;
        }
        change(&mut config);
        Access::new(config, None, "scope", Duration::from_secs(60))
    }
}

fn text(endpoint: &str, more: &str) -> String {
    format!("Endpoint=sb://{endpoint}/;SharedAccessKeyName=n;SharedAccessKey={KEY}{more}")
}

#[tokio::test]
async fn addresses_follow_the_connection_string_unless_an_endpoint_is_given() {
    let place = Place::new();
    let custom = |config: &mut EventHubsConfig| {
        config.endpoint = Some(Endpoint {
            tls: false,
            host: "127.0.0.1".into(),
            port: 99,
        });
    };
    let keep = |_: &mut EventHubsConfig| {};
    for (text, access, tls, address) in [
        (
            "NS.example",
            place_access(&place, "NS.example", "", keep),
            true,
            "ns.example:5671",
        ),
        (
            "port",
            place_access(&place, "ns.example:9", "", keep),
            true,
            "ns.example:9",
        ),
        (
            "emulator",
            place_access(&place, "localhost", ";UseDevelopmentEmulator=true", keep),
            false,
            "localhost:5672",
        ),
        (
            "both",
            place_access(&place, "localhost:7", ";UseDevelopmentEmulator=true", keep),
            false,
            "localhost:7",
        ),
        (
            "custom",
            place_access(&place, "ns.example", ";EntityPath=orders", custom),
            false,
            "127.0.0.1:99",
        ),
    ] {
        let (target, _) = access().grant().await.expect("granted");
        let Endpoint { host, port, .. } = &target.endpoint;
        assert_eq!(
            (target.endpoint.tls, format!("{host}:{port}").as_str()),
            (tls, address),
            "{text}"
        );
        if text == "custom" {
            assert_eq!(target.audience(), "sb://ns.example/orders");
            assert_eq!(
                target.subject(),
                "event hub orders in ns.example at 127.0.0.1:99"
            );
        }
    }
}

fn place_access<'a>(
    place: &'a Place,
    endpoint: &'a str,
    more: &'a str,
    change: impl FnOnce(&mut EventHubsConfig) + 'a,
) -> Box<dyn FnOnce() -> Access + 'a> {
    Box::new(move || place.access(&text(endpoint, more), change))
}

async fn refused(access: Access) -> Failure {
    let failure = access.grant().await.expect_err("refused");
    assert!(!failure.text.contains(KEY), "{failure}");
    failure
}

#[tokio::test]
async fn contradictions_name_both_sides() {
    let place = Place::new();
    let path = place.path();
    let shown = Path::display(&path);
    let other_hub = place.access(&text("ns.example", ";EntityPath=bills"), |_| {});
    let failure = refused(other_hub).await;
    assert_eq!(failure.kind, FailureKind::Misconfigured);
    assert_eq!(
        failure.text,
        format!(
            "event_hub is orders, but the connection string in file {shown} is for event hub bills"
        )
    );
    let other_namespace = place.access(&text("ns.example", ""), |config| {
        config.namespace = "other.example".into();
    });
    let failure = refused(other_namespace).await;
    assert_eq!(failure.kind, FailureKind::Misconfigured);
    assert_eq!(
        failure.text,
        format!(
            "namespace is other.example, but the connection string in file {shown} is for ns.example"
        )
    );
}

#[tokio::test]
async fn a_secret_that_is_missing_or_no_connection_string_is_named() {
    let place = Place::new();
    let failure = refused(place.access(KEY, |_| {})).await;
    assert_eq!(failure.kind, FailureKind::Misconfigured);
    assert!(failure.text.contains("Endpoint is missing"), "{failure}");
    let gone = place.access("", |config| {
        config.auth = HubAuth::ConnectionString(Secret::Env("STREAMGAUGE_TEST_NOT_SET".into()));
    });
    let failure = refused(gone).await;
    assert_eq!(failure.kind, FailureKind::Auth);
    assert!(
        failure.text.contains("STREAMGAUGE_TEST_NOT_SET"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_signed_token_lives_as_long_as_it_is_told_and_is_renewed_before() {
    let place = Place::new();
    let access = place.access(&text("ns.example", ""), |_| {});
    let (target, token) = access.grant().await.expect("granted");
    assert_eq!(token.kind, sas::TOKEN_TYPE);
    assert_eq!(sas::expiry(&token.value), Some(token.expires_at));
    assert_eq!(
        token.value,
        sas::sign(&target.audience(), "n", KEY, token.expires_at)
    );
    let left = token.expires_at - unix_now();
    assert!((58..=60).contains(&left), "{left}");
    let until_refresh = token.refresh.duration_since(Instant::now()).as_secs();
    assert!((35..=40).contains(&until_refresh), "{until_refresh}");
    assert!(!format!("{token:?}").contains("sig"), "{token:?}");
}

#[tokio::test]
async fn a_ready_signature_is_used_until_it_expires() {
    let place = Place::new();
    let of = |expires_at: u64| {
        let token = sas::sign("sb://ns.example/orders", "n", KEY, expires_at);
        (
            place.access(
                &format!("Endpoint=sb://ns.example/;SharedAccessSignature={token}"),
                |_| {},
            ),
            token,
        )
    };
    let (access, signed) = of(unix_now() + 100);
    let (_, token) = access.grant().await.expect("granted");
    assert_eq!(token.value, signed);
    let (access, _) = of(unix_now() - 1);
    let failure = refused(access).await;
    assert_eq!(failure.kind, FailureKind::Auth);
    assert!(failure.text.contains("has expired"), "{failure}");
}

#[derive(Debug)]
struct Fake(Option<azure_core::error::ErrorKind>);

#[async_trait::async_trait]
impl TokenCredential for Fake {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        match &self.0 {
            Some(kind) => Err(azure_core::Error::with_message(
                kind.clone(),
                format!("denied {KEY}"),
            )),
            None => {
                let expires = i64::try_from(unix_now()).expect("fits") + 60;
                let expires = OffsetDateTime::from_unix_timestamp(expires).expect("a time");
                Ok(AccessToken::new(format!("token for {scopes:?}"), expires))
            }
        }
    }
}

fn by_identity(namespace: &str, credential: Option<Fake>) -> Access {
    let mut config = config(HubAuth::Identity(Identity {
        kind: IdentityKind::Managed { client_id: None },
        cloud: Cloud::Public,
        authority_host: None,
        ca_file: None,
    }));
    config.namespace = namespace.to_owned();
    let credential = credential.map(|fake| Arc::new(fake) as Arc<dyn TokenCredential>);
    Access::new(
        config,
        credential,
        "https://scope/.default",
        Duration::from_secs(60),
    )
}

#[tokio::test]
async fn an_identity_is_asked_for_the_scope_and_its_refusal_is_told() {
    let (target, token) = by_identity("NS.example", Some(Fake(None)))
        .grant()
        .await
        .expect("granted");
    assert_eq!(
        (target.namespace.as_str(), target.endpoint.port),
        ("ns.example", 5671)
    );
    assert_eq!(
        (token.kind, token.value.as_str()),
        ("jwt", "token for [\"https://scope/.default\"]")
    );
    let check = async |access: Access, kind| {
        let failure = refused(access).await;
        assert_eq!(failure.kind, kind, "{failure}");
    };
    let fails = |kind| by_identity("ns", Some(Fake(Some(kind))));
    check(
        fails(azure_core::error::ErrorKind::Credential),
        FailureKind::Auth,
    )
    .await;
    check(
        fails(azure_core::error::ErrorKind::Io),
        FailureKind::Unreachable,
    )
    .await;
    check(by_identity("ns", None), FailureKind::Misconfigured).await;
}

#[tokio::test]
async fn an_authority_that_is_out_is_no_refusal() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), KEY).expect("written");
    let kind = IdentityKind::ClientSecret {
        tenant_id: "tenant".to_owned(),
        client_id: "client".to_owned(),
        client_secret: Secret::File(file.path().to_owned()),
    };
    let identity = Identity {
        kind,
        cloud: Cloud::Public,
        authority_host: Some("https://localhost:1".to_owned()),
        ca_file: None,
    };
    let tokens = Tokens::new(identity, "scope");
    let mut access = by_identity("ns", None);
    access.credential = Some(Arc::new(tokens));
    let failure = refused(access).await;
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure}");
    assert!(failure.text.contains("authority_host"), "{failure}");
}
