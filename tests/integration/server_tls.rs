//! TLS and client certificates on gRPC, with the real binary: who comes in, who is told why not, and certificates that rotate.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use streamgauge::adapters::grpc::proto::ScaledObjectRef;
use streamgauge::adapters::grpc::proto::external_scaler_client::ExternalScalerClient;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use crate::support::certificates::Certificates;
use crate::support::eventually;
use crate::support::service::Service;

const SOON: Duration = Duration::from_secs(20);

/// A service that shows `served` and wants certificates of the authority of `clients`.
fn service(served: &Certificates, clients: &Certificates, more: &str) -> Service {
    let text = |path: &Path| path.display().to_string();
    Service::start(&format!(
        r#"
server:
  grpc: "127.0.0.1:0"
  http: "127.0.0.1:0"
  tls: {{ cert_file: "{}", key_file: "{}", client_ca_file: "{}"{more} }}
sources:
  - {{ name: main, redis: {{ url: "redis://127.0.0.1:1" }} }}
groups:
  - {{ name: billing, source: main, stream: orders, consumer_group: g }}
"#,
        text(&served.certificate),
        text(&served.key),
        text(&clients.authority),
    ))
}

/// What a client trusts and shows, as KEDA reads it from `caCert`, `tlsClientCert` and `tlsClientKey`.
fn client(trusted: &[&Certificates], shown: Option<&Certificates>) -> ClientConfig {
    let shown = shown.map(|of| (of.client.as_path(), of.client_key.as_path()));
    client_with(trusted, shown)
}

fn client_with(trusted: &[&Certificates], shown: Option<(&Path, &Path)>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for of in trusted {
        let authority = CertificateDer::from_pem_file(&of.authority).expect("an authority");
        roots.add(authority).expect("trusted");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_file_iter(certificate).expect("a file");
            let chain = chain.collect::<Result<_, _>>().expect("certificates");
            let key = PrivateKeyDer::from_pem_file(key).expect("a key");
            builder.with_client_auth_cert(chain, key).expect("a pair")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

async fn ask(service: &Service, config: ClientConfig) -> Result<(), String> {
    let (to, config) = (service.grpc, Arc::new(config));
    let connector = tower::service_fn(move |_| {
        let connector = TlsConnector::from(config.clone());
        async move {
            let stream = TcpStream::connect(to).await?;
            let name = ServerName::try_from("localhost").expect("a name");
            Ok::<_, std::io::Error>(TokioIo::new(connector.connect(name, stream).await?))
        }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    let channel = endpoint.connect_with_connector(connector).await;
    call(channel.map_err(|error| format!("{error:?}"))?).await
}

async fn call(channel: Channel) -> Result<(), String> {
    let mut keda = ExternalScalerClient::new(channel);
    let asked = keda.get_metric_spec(ScaledObjectRef {
        name: "worker".to_owned(),
        namespace: "shop".to_owned(),
        scaler_metadata: [("group".to_owned(), "billing".to_owned())].into(),
    });
    asked.await.map(drop).map_err(|status| status.to_string())
}

#[tokio::test]
async fn who_shows_a_certificate_of_the_authority_is_served_and_nobody_else() {
    let (ours, others) = (Certificates::make(), Certificates::make());
    let service = service(&ours, &ours, "");
    let shown = Some(&ours);
    ask(&service, client(&[&ours], shown))
        .await
        .expect("served");
    let refused = ask(&service, client(&[&ours], None)).await;
    refused.expect_err("shows nothing");
    service
        .until_logged("it showed no client certificate: set tlsClientCert and tlsClientKey")
        .await;
    let refused = ask(&service, client(&[&ours], Some(&others))).await;
    refused.expect_err("of another authority");
    service
        .until_logged("its certificate is not one of client_ca_file")
        .await;
    let refused = ask(&service, client(&[&others], shown)).await;
    refused.expect_err("does not trust us");
    service
        .until_logged("it does not trust this service's certificate (caCert)")
        .await;
    let expired = client_with(&[&ours], Some((&ours.expired, &ours.client_key)));
    ask(&service, expired).await.expect_err("is over");
    service.until_logged("its certificate has expired").await;
    let plain = Endpoint::from_shared(format!("http://{}", service.grpc)).expect("an address");
    let refused = match plain.connect().await {
        Ok(channel) => call(channel).await,
        Err(error) => Err(error.to_string()),
    };
    refused.expect_err("plain text");
    service.until_logged("it does not speak TLS").await;
    ask(&service, client(&[&ours], shown))
        .await
        .expect("still served");
}

#[tokio::test]
async fn only_the_listed_names_come_in() {
    let ours = Certificates::make();
    let named = service(
        &ours,
        &ours,
        ", client_names: [\"keda-operator\", \"streamgauge\"]",
    );
    ask(&named, client(&[&ours], Some(&ours)))
        .await
        .expect("is listed");
    let other = service(&ours, &ours, ", client_names: [\"keda-operator\"]");
    let refused = ask(&other, client(&[&ours], Some(&ours))).await;
    refused.expect_err("is not listed");
    other
        .until_logged("its certificate has none of client_names")
        .await;
}

#[tokio::test]
async fn tls_where_there_is_none_is_told_in_the_log() {
    let ours = Certificates::make();
    let service = Service::start(
        "server: { grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\" }\nsources:\n  - { name: main, redis: { url: \"redis://127.0.0.1:1\" } }\n",
    );
    let refused = ask(&service, client(&[&ours], None)).await;
    refused.expect_err("there is no TLS");
    service
        .until_logged("remove enableTLS from its trigger, or set server.tls")
        .await;
}

#[tokio::test]
async fn certificates_that_rotate_cost_no_call() {
    const ROTATIONS: usize = 20;
    let ours = Certificates::make();
    let others = [Certificates::make(), Certificates::make()];
    let service = service(&ours, &ours, "");
    let trusted: Vec<&Certificates> = std::iter::once(&ours).chain(&others).collect();
    let of_all = client(&trusted, Some(&ours));
    let (ends, calls, refused) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    let load = async {
        while !ends.load(Ordering::Relaxed) {
            calls.fetch_add(1, Ordering::Relaxed);
            refused.fetch_add(
                u32::from(ask(&service, of_all.clone()).await.is_err()),
                Ordering::Relaxed,
            );
        }
    };
    let rotate = async {
        for rotation in 0..ROTATIONS {
            let next = &others[rotation % 2];
            std::fs::copy(&next.certificate, &ours.certificate).expect("a new certificate");
            std::fs::copy(&next.key, &ours.key).expect("its key");
            let by_new = client(&[next], Some(&ours));
            eventually("the new certificate is shown", SOON, async || {
                ask(&service, by_new.clone()).await.ok()
            })
            .await;
        }
        ends.store(true, Ordering::Relaxed);
    };
    tokio::join!(load, rotate);
    assert_eq!(refused.load(Ordering::Relaxed), 0, "of {calls:?}");
}
