//! A soak on demand: the real program with 2,000 ScaledObjects on a real Redis, called as KEDA calls, with a fault every 30 s. Memory,
//! descriptors and threads must not climb, no answer may be a false zero, no call may hang. Ends with 1 if one of these fails.
//!
//! `make soak`; `SOAK_MINUTES=3 make soak` is the short form. `STREAMGAUGE=path` soaks another build.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot start has to say so loudly"
)]

#[path = "../tests/support/mod.rs"]
mod support;

#[path = "soak/callers.rs"]
mod callers;
#[path = "soak/faults.rs"]
mod faults;
#[path = "soak/slopes.rs"]
mod slopes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Connection;

use callers::{BUSY_MESSAGES, Callers, PER_STREAM, VICTIMS, is_busy};
use faults::{Fault, Scene};
use slopes::{Sample, Slopes};
use support::eventually;
use support::proxy::FaultProxy;
use support::redis::{Flavour, RedisServer};
use support::service::Service;

/// A fault begins this often, and lasts a third of it at most.
const EVERY: Duration = Duration::from_secs(30);
/// What the charts remember poll by poll fills up in six minutes.
const WARM_UP: Duration = Duration::from_secs(7 * 60);
/// In less time than this after it, memory is only shown: the line through a few minutes says nothing of an hour.
const TELLS_OF_MEMORY: Duration = Duration::from_secs(15 * 60);

fn number(name: &str, default: u32) -> u32 {
    let named = std::env::var(name).ok();
    named.map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number"))
    })
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let minutes = number("SOAK_MINUTES", 30);
    let references = number("SOAK_REFERENCES", 2_000) as usize;
    let time = Duration::from_secs(60) * minutes;
    let mut redis = RedisServer::start_with(Flavour::Redis82, &["--appendonly", "yes"]);
    let streams = references.div_ceil(PER_STREAM);
    fill(&mut redis.connect(), streams);
    let proxy = FaultProxy::start(redis.port).await;
    let state = tempfile::tempdir().unwrap();
    let service = Service::start(&config(proxy.port, state.path()));
    let callers = Callers::start(&service, references).await;
    let tally = Arc::clone(&callers.tally);
    eventually("answers", Duration::from_secs(60), async || {
        (tally.answered() > references as u64).then_some(())
    })
    .await;
    println!(
        "{references} ScaledObjects on {streams} streams that are polled every second, a fault every {EVERY:?} for {minutes} min"
    );
    println!(
        "| minute | fault | memory MB | descriptors | threads | calls | failed | streams opened |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut scene = Scene {
        proxy: &proxy,
        redis: &mut redis,
    };
    let (started, mut samples) = (Instant::now(), Vec::new());
    for (n, fault) in (0_u32..).zip(Fault::ALL.into_iter().cycle()) {
        let began = started + EVERY * n;
        if began + EVERY > started + time + Duration::from_secs(1) {
            break;
        }
        fault.play(&mut scene, n as usize % VICTIMS).await;
        let sample = Sample::median_until(&service, started, began + EVERY).await;
        println!(
            "| {:.1} | {} | {:.1} | {:.0} | {:.0} | {} |",
            sample.hours * 60.0,
            fault.name(),
            sample.megabytes,
            sample.descriptors,
            sample.threads,
            tally.row(),
        );
        samples.push(sample);
    }
    let warm_up = WARM_UP.min(time / 3);
    samples.retain(|sample| sample.hours > warm_up.as_secs_f64() / 3600.0);
    let slopes = Slopes::of(&samples, time - warm_up >= TELLS_OF_MEMORY);
    println!("\n{slopes}\n{}", tally.summary());
    let log = service.log();
    let errors: Vec<_> = log
        .iter()
        .filter(|line| line.contains("\"ERROR\""))
        .collect();
    println!("{} lines logged, {} errors", log.len(), errors.len());
    let faults = slopes.faults().into_iter().chain(tally.faults());
    let faults: Vec<String> = faults.chain(errors.into_iter().take(3).cloned()).collect();
    if !faults.is_empty() {
        println!("\nFAILED:\n{}", faults.join("\n"));
        // Without the destructors the servers would stay.
        drop((callers, service, redis));
        std::process::exit(1);
    }
    println!("\npassed");
}

fn config(port: u16, state: &std::path::Path) -> String {
    format!(
        "server: {{ grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\" }}\nkubernetes: {{ enabled: false }}\npoll_interval: 1s\nstate: {{ dir: \"{}\" }}\nsources:\n  \
         - name: main\n    redis: {{ url: \"redis://127.0.0.1:{port}\" }}\n    \
         allow: [ {{ namespaces: [\"*\"], streams: [\"*\"], consumer_groups: [\"*\"] }} ]\n",
        state.display()
    )
}

/// Every stream that is busy has messages that nobody ever reads: an answer of zero is false.
fn fill(redis: &mut Connection, streams: usize) {
    let mut commands = redis::pipe();
    for n in 0..streams {
        faults::create(&mut commands, n, if is_busy(n) { BUSY_MESSAGES } else { 0 });
    }
    commands.exec(redis).unwrap();
}
