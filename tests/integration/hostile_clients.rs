//! Clients that take more than their share: of connections, of memory, of time. A well-behaved one beside them is served all the same.
//! `cargo bench --bench hostile` has the figures.

use std::net::SocketAddr;
use std::time::Duration;

use streamgauge::adapters::grpc::proto::ScaledObjectRef;
use streamgauge::adapters::grpc::proto::external_scaler_client::ExternalScalerClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::redis::{Flavour, RedisServer};
use crate::support::service::Service;
use crate::support::{eventually, patience};

const SOON: Duration = patience(Duration::from_secs(20));

fn config(redis: &RedisServer, partitions: u32) -> String {
    let port = redis.port;
    format!(
        r#"
server: {{ grpc: "127.0.0.1:0", http: "127.0.0.1:0" }}
sources:
  - {{ name: main, redis: {{ url: "redis://127.0.0.1:{port}/0" }} }}
groups:
  - {{ name: billing, source: main, stream: "orders:{{0..{}}}", consumer_group: g }}
"#,
        partitions - 1
    )
}

/// A connection from that loopback address: another client for each.
async fn connect(from: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let address = SocketAddr::from(([127, 0, 0, from], 0));
    socket.bind(address).expect("a loopback address");
    socket.connect(to).await.expect("a connection")
}

async fn ask(stream: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
}

/// The next bytes; none where the connection was closed.
async fn next(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 64 * 1024];
    let read = timeout(SOON, stream.read(&mut bytes)).await;
    let read = read.expect("an answer or the end").unwrap_or(0);
    bytes.truncate(read);
    bytes
}

/// Whether the request is answered with 200, on a connection of its own.
async fn is_served(from: u8, to: SocketAddr, path: &str) -> bool {
    let mut stream = connect(from, to).await;
    ask(&mut stream, path).await;
    next(&mut stream).await.starts_with(b"HTTP/1.1 200")
}

async fn open_descriptors(service: &Service) -> usize {
    let entries = std::fs::read_dir(format!("/proc/{}/fd", service.pid()));
    entries.expect("its descriptors").count()
}

#[tokio::test]
async fn idle_connections_to_both_ports_leave_room_for_everybody_else() {
    let redis = RedisServer::start(Flavour::Redis70);
    let service = Service::start_under(&["prlimit", "--nofile=128:128"], &config(&redis, 1));
    // A page that was here before, and KEDA.
    let mut page = connect(3, service.http).await;
    ask(&mut page, "/livez").await;
    assert!(!next(&mut page).await.is_empty());
    let mut keda = ExternalScalerClient::connect(format!("http://{}", service.grpc))
        .await
        .expect("a connection");
    let mut idle = Vec::new();
    for n in 0..300 {
        let to = if n % 2 == 0 {
            service.http
        } else {
            service.grpc
        };
        idle.push(connect(2, to).await);
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        assert!(is_served(2, service.http, path).await, "{path}");
    }
    ask(&mut page, "/livez").await;
    assert!(!next(&mut page).await.is_empty(), "kept its connection");
    let asked = keda.get_metric_spec(ScaledObjectRef {
        name: "worker".to_owned(),
        namespace: "shop".to_owned(),
        scaler_metadata: [("group".to_owned(), "billing".to_owned())].into(),
    });
    asked.await.expect("kept its connection, too");
    assert!(open_descriptors(&service).await < 128);
}

#[tokio::test]
async fn scrapes_that_nobody_reads_take_no_memory_and_end() {
    const CLIENTS: u8 = 200;
    let redis = RedisServer::start(Flavour::Redis70);
    let service = Service::start(&config(&redis, 3_000));
    eventually("every partition is exported", SOON, async || {
        let scrape = service.get("/metrics").await;
        scrape.contains("partition=\"2999\"").then_some(())
    })
    .await;
    let (memory, descriptors) = (
        service.resident_megabytes(),
        open_descriptors(&service).await,
    );
    let mut clients = Vec::new();
    for n in 0..CLIENTS {
        let mut client = connect(2 + n % 50, service.http).await;
        ask(&mut client, "/metrics").await;
        clients.push(client);
    }
    assert!(is_served(100, service.http, "/livez").await);
    eventually("one that reads gets all of it", SOON, async || {
        let answer = reqwest::get(format!("http://{}/metrics", service.http)).await;
        let whole = answer.ok()?.error_for_status().ok()?.text().await;
        whole.is_ok_and(|text| text.ends_with('\n')).then_some(())
    })
    .await;
    let more = service.resident_megabytes() - memory;
    assert!(more < 60.0, "{more:.0} MB more");
    eventually(
        "their connections end",
        Duration::from_secs(60),
        async || (open_descriptors(&service).await <= descriptors + 5).then_some(()),
    )
    .await;
    drop(clients);
}

#[tokio::test]
async fn a_crowd_that_listens_to_events_does_not_end_another_client_s_line() {
    let redis = RedisServer::start(Flavour::Redis70);
    let service = Service::start(&config(&redis, 1));
    let mut page = connect(3, service.http).await;
    ask(&mut page, "/api/v1/events").await;
    let mut heard = String::new();
    while !heard.contains("event: groups") {
        heard += &String::from_utf8_lossy(&next(&mut page).await);
    }
    let mut crowd = Vec::new();
    for _ in 0..150 {
        let mut listener = connect(2, service.http).await;
        ask(&mut listener, "/api/v1/events").await;
        crowd.push(listener);
    }
    eventually("the oldest of the crowd are closed", SOON, async || {
        let mut bytes = [0; 64 * 1024];
        let ended = crowd[0].read(&mut bytes).await;
        ended.map_or(true, |read| read == 0).then_some(())
    })
    .await;
    let more = next(&mut page).await;
    assert!(!more.is_empty(), "its line stands");
    assert!(
        is_served(4, service.http, "/api/v1/events").await,
        "another is let in"
    );
}
