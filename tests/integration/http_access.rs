//! Who may see page, API and metrics of the real binary: by a token, by a certificate, under which names, and at which address.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::{Certificate, Client, Identity, RequestBuilder, StatusCode};
use tokio::time::timeout;

use crate::support::certificates::Certificates;
use crate::support::service::Service;

/// What is shown to those who may see it, and what does not exist.
const SHOWN: [&str; 6] = [
    "/",
    "/page/app.js",
    "/api/v1/groups",
    "/api/v1/events",
    "/metrics",
    "/nothing",
];
const PROBES: [&str; 2] = ["/livez", "/readyz"];

fn service(server: &str) -> Service {
    Service::start_with(
        &format!(
            r#"
server: {{ grpc: "127.0.0.1:0", http: "127.0.0.1:0", {server} }}
sources:
  - {{ name: main, redis: {{ url: "redis://127.0.0.1:1" }} }}
groups:
  - {{ name: billing, source: main, stream: orders, consumer_group: g }}
"#
        ),
        &[("LOGIN_TOKEN", "s3cret")],
    )
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.expect("an answer").status().as_u16()
}

fn at(address: SocketAddr, path: &str) -> String {
    format!("http://{address}{path}")
}

#[tokio::test]
async fn nothing_but_probes_is_shown_without_the_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret\n").expect("written");
    let service = service(&format!(
        "login: {{ token: {{ file: {} }} }}",
        file.display()
    ));
    let client = Client::new();
    let get = |path: &str| client.get(at(service.http, path));
    for path in SHOWN {
        assert_eq!(status(get(path)).await, 401, "{path}");
        assert_eq!(status(get(path).bearer_auth("s3cre")).await, 401, "{path}");
        let found = if path == "/nothing" { 404 } else { 200 };
        assert_eq!(
            status(get(path).bearer_auth("s3cret")).await,
            found,
            "{path}"
        );
        let password = get(path).basic_auth("anyone", Some("s3cret"));
        assert_eq!(status(password).await, found, "{path}");
    }
    for path in PROBES {
        assert_eq!(status(get(path)).await, 200, "{path}");
    }
    let asked = get("/").send().await.expect("an answer");
    let challenges = asked.headers().get_all("www-authenticate").into_iter();
    let challenges: Vec<_> = challenges.filter_map(|value| value.to_str().ok()).collect();
    assert!(challenges[0].starts_with("Basic realm="), "{challenges:?}");
    service.until_logged("its token is wrong").await;

    std::fs::write(&file, "another").expect("written");
    assert_eq!(status(get("/").bearer_auth("s3cret")).await, 401);
    assert_eq!(status(get("/").bearer_auth("another")).await, 200);
    std::fs::remove_file(&file).expect("removed");
    assert_eq!(status(get("/").bearer_auth("another")).await, 503);
    service
        .until_logged("nobody can log in: server.login.token")
        .await;
    let log = service.log().join("\n");
    assert!(!log.contains("s3cre") && !log.contains("another"), "{log}");
}

#[tokio::test]
async fn events_end_for_those_whose_token_is_no_longer_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret").expect("written");
    let service = service(&format!(
        "login: {{ token: {{ file: {} }} }}",
        file.display()
    ));
    let events = Client::new().get(at(service.http, "/api/v1/events"));
    let mut events = events
        .bearer_auth("s3cret")
        .send()
        .await
        .expect("an answer");
    let first = events.chunk().await.expect("it stands");
    assert!(first.is_some());
    std::fs::write(&file, "another").expect("written");
    let end = async { while events.chunk().await.expect("it ends in order").is_some() {} };
    timeout(Duration::from_secs(60), end).await.expect("an end");
}

#[tokio::test]
async fn top_logs_in_with_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret").expect("written");
    let service = service("login: { token: { env: LOGIN_TOKEN } }");
    let top = |more: &[&Path]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
        command.args(["top", "--once", "--url", &at(service.http, "/")]);
        let done = command.args(more).output().expect("it runs");
        let text = [done.stdout, done.stderr].concat();
        (
            done.status.success(),
            String::from_utf8(text).expect("text"),
        )
    };
    let (is_done, text) = top(&[]);
    assert!(!is_done && text.contains("--token-file"), "{text}");
    let (is_done, text) = top(&[Path::new("--token-file"), &file]);
    assert!(is_done && text.contains("billing"), "{text}");
}

#[tokio::test]
async fn metrics_can_be_bound_apart_where_they_need_no_login() {
    let service = service("metrics: \"127.0.0.1:0\", login: { token: { env: LOGIN_TOKEN } }");
    let client = Client::new();
    let there = service.metrics.expect("an address for metrics");
    let text = client.get(at(there, "/metrics")).send().await;
    let text = text.expect("an answer").text().await.expect("a text");
    assert!(text.contains("streamgauge_"), "{text}");
    for path in ["/", "/api/v1/groups", "/livez"] {
        assert_eq!(status(client.get(at(there, path))).await, 404, "{path}");
    }
    let here = client
        .get(at(service.http, "/metrics"))
        .bearer_auth("s3cret");
    assert_eq!(status(here).await, 404);
}

#[tokio::test]
async fn a_name_of_somebody_else_is_refused_everywhere_but_at_probes() {
    let service = service("metrics: \"127.0.0.1:0\", hosts: [\"*.example.com\"]");
    let client = Client::new();
    let ask = async |address, path: &str, host: &str| {
        status(client.get(at(address, path)).header("host", host)).await
    };
    let metrics = service.metrics.expect("an address for metrics");
    for host in ["rebound.example.org", "gauge.example.com.example.org:8080"] {
        for path in [
            "/",
            "/api/v1/groups",
            "/api/v1/events",
            "/page/app.js",
            "/nothing",
        ] {
            assert_eq!(ask(service.http, path, host).await, 421, "{host} {path}");
        }
        assert_eq!(ask(metrics, "/metrics", host).await, 421, "{host}");
        assert_eq!(ask(service.http, "/livez", host).await, 200, "{host}");
    }
    for host in [
        "gauge.example.com",
        "streamgauge.streamgauge.svc:8080",
        "localhost:1",
        "[::1]:8080",
    ] {
        assert_eq!(ask(service.http, "/", host).await, 200, "{host}");
        assert_eq!(ask(metrics, "/metrics", host).await, 200, "{host}");
    }
    service.until_logged("server.hosts does not contain").await;
}

#[tokio::test]
async fn every_answer_has_the_usual_headers() {
    let service = service("metrics: \"127.0.0.1:0\", login: { token: { env: LOGIN_TOKEN } }");
    let client = Client::new();
    let metrics = at(service.metrics.expect("an address for metrics"), "/metrics");
    let mut asked = vec![client.get(metrics)];
    for path in SHOWN.iter().chain(&PROBES) {
        let request = || client.get(at(service.http, path));
        asked.extend([request(), request().bearer_auth("s3cret")]);
        asked.push(request().header("host", "rebound.example.org"));
        asked.push(client.post(at(service.http, path)).bearer_auth("s3cret"));
    }
    let mut seen = BTreeSet::new();
    for request in asked {
        let answer = request.send().await.expect("an answer");
        let told = |name: &str| match answer.headers().get(name) {
            Some(value) => value.to_str().expect("a text").to_owned(),
            None => panic!("{} without {name}", answer.url()),
        };
        seen.insert(answer.status());
        assert_eq!(told("x-content-type-options"), "nosniff");
        assert_eq!(told("x-frame-options"), "DENY");
        assert_eq!(told("referrer-policy"), "no-referrer");
        assert_eq!(told("cross-origin-resource-policy"), "same-origin");
        assert_eq!(told("cross-origin-opener-policy"), "same-origin");
        assert!(told("content-security-policy").contains("frame-ancestors 'none'"));
        assert!(["no-store", "no-cache"].contains(&told("cache-control").as_str()));
    }
    let all = [200, 401, 404, 405, 421].map(|code| StatusCode::from_u16(code).expect("a code"));
    assert_eq!(seen, all.into());
}

fn https(trusted: &Certificates, shown: Option<(&Path, &Path)>) -> Client {
    let pem = std::fs::read(&trusted.authority).expect("an authority");
    let authority = Certificate::from_pem(&pem).expect("a certificate");
    let mut builder = Client::builder().tls_certs_only([authority]);
    if let Some((certificate, key)) = shown {
        let mut pem = std::fs::read(certificate).expect("a certificate");
        pem.extend(std::fs::read(key).expect("a key"));
        builder = builder.identity(Identity::from_pem(&pem).expect("an identity"));
    }
    builder.build().expect("a client")
}

#[tokio::test]
async fn a_certificate_of_the_authority_lets_in_and_the_token_still_does() {
    let (served, readers, others) = (
        Certificates::make(),
        Certificates::make(),
        Certificates::make(),
    );
    let text = |path: &Path| path.display().to_string();
    let tls = format!(
        "tls: {{ cert_file: {}, key_file: {}, http: true }}",
        text(&served.certificate),
        text(&served.key)
    );
    let with = |names: &str| {
        service(&format!(
            "{tls}, login: {{ token: {{ env: LOGIN_TOKEN }}, client_ca_file: {}{names} }}",
            text(&readers.authority)
        ))
    };
    let service = with("");
    let url =
        |service: &Service, path: &str| format!("https://localhost:{}{path}", service.http.port());
    let reader = https(&served, Some((&readers.client, &readers.client_key)));
    let nobody = https(&served, None);
    for path in ["/", "/api/v1/groups", "/metrics"] {
        assert_eq!(status(reader.get(url(&service, path))).await, 200, "{path}");
        assert_eq!(status(nobody.get(url(&service, path))).await, 401, "{path}");
        let token = nobody.get(url(&service, path)).bearer_auth("s3cret");
        assert_eq!(status(token).await, 200, "{path}");
    }
    assert_eq!(status(nobody.get(url(&service, "/livez"))).await, 200);
    for (certificate, key) in [
        (&others.client, &others.client_key),
        (&readers.expired, &readers.client_key),
    ] {
        let stranger = https(&served, Some((certificate, key)));
        let refused = stranger.get(url(&service, "/")).send().await;
        refused.expect_err("of another authority, or over");
    }
    service
        .until_logged("its certificate is not one of client_ca_file")
        .await;
    service.until_logged("its certificate has expired").await;

    let named = with(", client_names: [somebody-else]");
    let refused = reader.get(url(&named, "/")).send().await;
    refused.expect_err("is not listed");
    named
        .until_logged("its certificate has none of client_names")
        .await;
}
