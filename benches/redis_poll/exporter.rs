//! prometheus-redis-exporter on the same streams.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::Connection;

use super::measured;
use super::support::eventually;
use super::support::ports::free_port;
use super::support::redis::RedisServer;
use super::support::service::resident_megabytes;

const EXPORTER: &str = ".tools/bench/usr/bin/prometheus-redis-exporter";

struct Exporter(Child);

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The median time of a scrape, its bytes on the server's wire, and the exporter's memory.
pub async fn exporter(
    server: &RedisServer,
    redis: &mut Connection,
    streams: usize,
) -> (Duration, f64, f64) {
    assert!(
        Path::new(EXPORTER).exists(),
        "run scripts/install-bench-tools first"
    );
    let listen = format!("127.0.0.1:{}", free_port());
    let child = Command::new(EXPORTER)
        .arg(format!("-redis.addr=redis://{}", server.address()))
        .arg("-check-streams=s*")
        .arg(format!("-web.listen-address={listen}"))
        .arg("-connection-timeout=300s")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let exporter = Exporter(child);
    let url = format!("http://{listen}/metrics");
    let scrape = async || reqwest::get(&url).await?.text().await;
    eventually(
        "the exporter answers",
        Duration::from_secs(10),
        async || tokio::net::TcpStream::connect(&listen).await.ok(),
    )
    .await;
    let (took, bytes) = measured(redis, 3, async || {
        let text = scrape().await.unwrap();
        let told = text
            .lines()
            .filter(|line| line.starts_with("redis_stream_length{"));
        assert_eq!(told.count(), streams);
    })
    .await;
    (took, bytes, resident_megabytes(exporter.0.id()))
}
