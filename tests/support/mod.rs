//! What integration tests share: real servers, a faulty line, waiting with a deadline, a seeded generator.
#![allow(dead_code, reason = "benches use parts of this")]
#![allow(
    clippy::expect_used,
    reason = "this is test code; clippy knows only #[test] functions as such"
)]

pub mod azurite;
pub mod bare_scaler;
pub mod certificates;
pub mod dashboards;
pub mod demo;
pub mod entra;
pub mod event_hub;
pub mod exported;
pub mod keda;
pub mod kubernetes;
pub mod ports;
pub mod prometheus;
pub mod proxy;
pub mod redis;
pub mod redis_sets;
pub mod replicas;
pub mod service;

use std::time::{Duration, Instant};

/// How long to wait for what takes `usually` on a quiet machine: a busy one is no failure. How fast things are is for benchmarks.
pub const fn patience(usually: Duration) -> Duration {
    usually.saturating_mul(6)
}

/// Tries again until it gives something, which usually happens `within`; panics long after that.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut attempt: impl AsyncFnMut() -> Option<T>,
) -> T {
    let (started, within) = (Instant::now(), patience(within));
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(started.elapsed() < within, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A small seeded generator (splitmix64): the same seed gives the same test.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}
