//! Redis over TLS: a real server's own, with every kind of certificate, and what is said where it does not fit.

use std::path::Path;
use std::time::Duration;

use streamgauge::config::types::{CertificateFiles, RedisConfig, RedisTls};
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{Failure, FailureKind, PartitionObservation, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use crate::support::certificates::Certificates;
use crate::support::patience;
use crate::support::ports::free_port;
use crate::support::redis::{Flavour, RedisServer, config_at, one_at, run};

const TIMEOUT: Duration = patience(Duration::from_secs(2));
const SOON: Duration = Duration::from_secs(2);
const QUIET: Duration = Duration::from_millis(300);

/// A server with a port without TLS, for setting the scene, and one with it.
struct TlsServer {
    plain: RedisServer,
    port: u16,
}

impl TlsServer {
    /// Further arguments come last.
    fn start(certificates: &Certificates, further: &[&str]) -> Self {
        let port = free_port();
        let own = certificates.redis_args(port);
        let own: Vec<_> = own.iter().map(String::as_str).collect();
        let args = [&own, further].concat();
        let plain = RedisServer::start_with(Flavour::Redis70, &args);
        let mut redis = plain.connect();
        run::<String>(&mut redis, "XADD x 1-0 a b");
        run::<()>(&mut redis, "XGROUP CREATE x g 0");
        Self { plain, port }
    }

    /// By the name that the certificate has, unless it was made for another one.
    fn config(&self, tls: RedisTls) -> RedisConfig {
        RedisConfig {
            servers: one_at("localhost", self.port),
            tls: Some(tls),
            ..config_at(self.port)
        }
    }
}

fn trusting(authority: &Path) -> RedisTls {
    RedisTls {
        ca_file: Some(authority.into()),
        ..RedisTls::default()
    }
}

fn presenting(certificates: &Certificates) -> RedisTls {
    RedisTls {
        certificate: Some(CertificateFiles {
            cert_file: certificates.client.clone(),
            key_file: certificates.client_key.clone(),
        }),
        ..trusting(&certificates.authority)
    }
}

fn reader_of(config: RedisConfig) -> Box<dyn GroupReader> {
    let selector = StreamSelector::parse("x").expect("a stream");
    RedisStreams::new(config, TIMEOUT).reader(&selector, "g", TIMEOUT)
}

async fn poll(config: RedisConfig) -> Result<Sample, Failure> {
    reader_of(config).poll().await
}

fn assert_reads(outcome: Result<Sample, Failure>) {
    let sample = outcome.expect("a sample");
    match sample.partitions.get(&PartitionId::new("x")) {
        Some(PartitionObservation::Present(partition)) => {
            assert_eq!(partition.lag, Some(Quantity::Exact(1)));
        }
        other => panic!("{other:?}"),
    }
}

fn assert_says(outcome: Result<Sample, Failure>, expect: &[&str]) {
    let failure = outcome.expect_err("a failed poll");
    assert_eq!(failure.kind, FailureKind::Misconfigured, "{failure}");
    for part in expect {
        assert!(failure.text.contains(part), "{part}: {failure}");
    }
}

#[tokio::test]
async fn a_server_is_read_over_its_own_tls_once_its_authority_is_trusted() {
    let certificates = Certificates::make();
    let server = TlsServer::start(&certificates, &["--tls-auth-clients", "no"]);
    assert_reads(poll(server.config(trusting(&certificates.authority))).await);
    assert_says(
        poll(server.config(RedisTls::default())).await,
        &["certificate is not trusted", "tls.ca_file"],
    );
    let other = Certificates::make();
    assert_says(
        poll(server.config(trusting(&other.authority))).await,
        &["certificate is not trusted", "tls.ca_file"],
    );
}

#[tokio::test]
async fn a_certificate_for_another_name_is_told_and_may_be_expected() {
    let certificates = Certificates::of_server(&["redis.internal"]);
    let server = TlsServer::start(&certificates, &["--tls-auth-clients", "no"]);
    let trusted = trusting(&certificates.authority);
    assert_says(
        poll(server.config(trusted.clone())).await,
        &["localhost", "redis.internal", "tls.server_name"],
    );
    let expecting = RedisTls {
        server_name: Some("redis.internal".into()),
        ..trusted
    };
    assert_reads(poll(server.config(expecting)).await);
}

#[tokio::test]
async fn a_server_that_requires_a_client_certificate_gets_it_and_its_refusal_says_so() {
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let certificates = Certificates::make();
        let args = ["--tls-auth-clients", "yes", "--tls-protocols", protocol];
        let server = TlsServer::start(&certificates, &args);
        assert_reads(poll(server.config(presenting(&certificates))).await);
        assert_says(
            poll(server.config(trusting(&certificates.authority))).await,
            &["the server refused the TLS handshake", "tls.cert_file"],
        );
        let others = RedisTls {
            ca_file: Some(certificates.authority.clone()),
            ..presenting(&Certificates::make())
        };
        assert_says(poll(server.config(others)).await, &["cert_file"]);
    }
}

#[tokio::test]
async fn tls_on_a_port_without_it_and_the_reverse_are_named() {
    let certificates = Certificates::make();
    let server = TlsServer::start(&certificates, &["--tls-auth-clients", "no"]);
    let without = RedisConfig {
        servers: one_at("localhost", server.plain.port),
        ..server.config(trusting(&certificates.authority))
    };
    assert_says(
        poll(without).await,
        &["the port does not use TLS", "redis:// instead of rediss://"],
    );
    assert_says(
        poll(config_at(server.port)).await,
        &["the port expects TLS", "rediss:// instead of redis://"],
    );
}

#[tokio::test]
async fn rotated_files_are_read_at_the_next_connection() {
    let certificates = Certificates::make();
    let server = TlsServer::start(&certificates, &["--tls-auth-clients", "no"]);
    let file = tempfile::NamedTempFile::new().expect("a file");
    let other = Certificates::make();
    std::fs::copy(&other.authority, file.path()).expect("written");
    let mut reader = reader_of(server.config(trusting(file.path())));
    assert_says(reader.poll().await, &["certificate is not trusted"]);
    std::fs::copy(&certificates.authority, file.path()).expect("written");
    assert_reads(reader.poll().await);
    std::fs::remove_file(file.path()).expect("removed");
    assert_reads(reader.poll().await);
    assert_says(
        poll(server.config(trusting(file.path()))).await,
        &["ca_file", &file.path().display().to_string()],
    );
}

#[tokio::test]
async fn a_new_message_on_a_quiet_stream_wakes_over_tls_too() {
    let certificates = Certificates::make();
    let server = TlsServer::start(&certificates, &["--tls-auth-clients", "no"]);
    let mut redis = server.plain.connect();
    let mut reader = reader_of(server.config(trusting(&certificates.authority)));
    assert_reads(reader.poll().await);
    let mut until_news = reader.until_news();
    let early = tokio::time::timeout(QUIET, until_news.as_mut()).await;
    assert!(early.is_err(), "nothing is new");
    run::<String>(&mut redis, "XADD x * a b");
    let told = tokio::time::timeout(patience(SOON), until_news).await;
    told.expect("news in time");
}
