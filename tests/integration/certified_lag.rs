//! The lag we report against the counted truth, on real servers: all known scenarios, and random histories.

mod moving;
mod scenarios;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use redis::Connection;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::PartitionObservation;
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use crate::support::redis::{Flavour, RedisServer, run, try_run};
use crate::support::{Rng, eventually, patience};
use scenarios::SCENARIOS;

/// Polls per random history.
const POLLS: u64 = 1500;

/// Random histories per server: few, or as many as `HISTORIES` says.
fn histories() -> u64 {
    let wanted = std::env::var("HISTORIES").ok();
    wanted.map_or(3, |n| n.parse().expect("HISTORIES is a number"))
}

#[tokio::test]
async fn every_scenario_gives_the_counted_truth_polled_at_the_end_or_after_each_step() {
    println!("| server | scenarios: server's lag wrong / nil of 24 | ours wrong |");
    println!("|---|---|---|");
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        let (mut wrong, mut nil) = (0, 0);
        for (name, steps) in SCENARIOS {
            // Once with a fresh reader at the end only, once with a poll after each step.
            play(&mut redis, steps, async |_| {}).await;
            let truth = truth(&mut redis);
            let mut reader = reader(&server);
            assert_eq!(
                ours(&mut *reader).await,
                Some(Quantity::Exact(truth)),
                "{flavour:?} {name}"
            );
            match native(&mut redis) {
                None => nil += 1,
                Some(native) => wrong += u32::from(native != truth),
            }
            let mut reader = self::reader(&server);
            play(&mut redis, steps, async |redis| {
                let ours = ours(&mut *reader).await;
                if has_group(redis) {
                    assert_eq!(
                        ours,
                        Some(Quantity::Exact(self::truth(redis))),
                        "{flavour:?} {name}"
                    );
                }
            })
            .await;
        }
        println!("| {flavour:?} | {wrong} / {nil} | 0 |");
    }
}

/// Producers add, consumers read, acknowledge and delete what they read, all while we count several pages per poll: what
/// is told must have been true at some moment of the poll. The group starts in the middle, so nothing but a count serves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_traffic_the_lag_is_that_of_a_moment_within_the_poll() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        add(&mut redis, 3000, 1);
        mk(&mut redis, "100-0");
        run::<u64>(&mut redis, "XDEL x 200-0");
        // (begun, done): what an operation under way has done so far lies between the two.
        let added = Arc::new((AtomicU64::new(3000), AtomicU64::new(3000)));
        let delivered = Arc::new((AtomicU64::new(101), AtomicU64::new(101)));
        let stop = Arc::new(AtomicBool::new(false));
        let spawn = |mut step: Box<dyn FnMut() + Send>| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(SeqCst) {
                    step();
                }
            })
        };
        let mut producer = server.connect();
        let (counter, gone) = (Arc::clone(&added), Arc::clone(&delivered));
        let produce = spawn(Box::new(move || {
            if counter.0.load(SeqCst) > gone.1.load(SeqCst) + 5000 {
                return std::thread::sleep(Duration::from_millis(1));
            }
            let id = counter.0.fetch_add(1, SeqCst) + 1;
            run::<()>(&mut producer, &format!("XADD x {id}-0 d a"));
            counter.1.store(id, SeqCst);
        }));
        let mut consumer = server.connect();
        let counter = Arc::clone(&delivered);
        let consume = spawn(Box::new(move || {
            counter.0.fetch_add(1, SeqCst);
            // On a busy machine the producer may be behind: then nothing was delivered.
            if read(&mut consumer, 1) {
                counter.1.fetch_add(1, SeqCst);
            } else {
                counter.0.fetch_sub(1, SeqCst);
            }
            let done: Vec<(String, String, u64, u64)> = run(&mut consumer, "XPENDING x g - + 1");
            for (id, ..) in done {
                run::<u64>(&mut consumer, &format!("XACK x g {id}"));
                run::<u64>(&mut consumer, &format!("XDEL x {id}"));
            }
        }));
        let mut reader = reader(&server);
        let mut exact = 0;
        for _ in 0..100 {
            let least = added.1.load(SeqCst);
            let most_delivered = delivered.1.load(SeqCst);
            let lag = ours(&mut *reader).await.expect("a lag");
            let most = added.0.load(SeqCst).saturating_sub(most_delivered);
            let least = least.saturating_sub(delivered.0.load(SeqCst));
            assert!(lag.value() <= most, "{flavour:?}: {lag:?}, at most {most}");
            if lag.is_exact() {
                exact += 1;
                assert!(
                    lag.value() >= least,
                    "{flavour:?}: {lag:?}, at least {least}"
                );
            }
        }
        stop.store(true, SeqCst);
        produce.join().expect("the producer lives");
        consume.join().expect("the consumer lives");
        // On a busy machine not all of it is counted within one poll's time.
        let truth = Some(Quantity::Exact(truth(&mut redis)));
        let what = "the lag is counted to its end";
        let counted = async || Some(ours(&mut *reader).await).filter(|lag| *lag == truth);
        eventually(what, Duration::from_secs(5), counted).await;
        println!("{flavour:?}: {exact} of 100 polls under traffic exact, the others at least");
    }
}

#[derive(Default)]
struct Tally {
    polls: u64,
    native_wrong: u64,
    native_nil: u64,
    wrong: u64,
    counted: u64,
}

#[tokio::test]
async fn random_histories_never_give_a_wrong_lag() {
    println!(
        "| server | polls | server's lag wrong | server's lag nil | ours wrong | ours counted |"
    );
    println!("|---|---|---|---|---|---|");
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut redis = server.connect();
        let mut tally = Tally::default();
        for seed in 1..=histories() {
            history(&server, &mut redis, seed, &mut tally).await;
        }
        let percent = |n: u64| n as f64 * 100.0 / tally.polls as f64;
        println!(
            "| {flavour:?} | {} | {:.1} % | {:.1} % | {} | {:.1} % |",
            tally.polls,
            percent(tally.native_wrong),
            percent(tally.native_nil),
            tally.wrong,
            percent(tally.counted),
        );
        assert_eq!(tally.wrong, 0, "{flavour:?}");
    }
}

/// Random operations, a poll after one to three of them. Ids run in steps, so that positions between entries occur.
async fn history(server: &RedisServer, redis: &mut Connection, seed: u64, tally: &mut Tally) {
    let mut rng = Rng(seed);
    let mut last_id = 0;
    fresh(redis);
    mk(redis, "0");
    let mut reader = reader(server);
    for _ in 0..POLLS {
        for _ in 0..=rng.below(3) {
            operate(redis, &mut rng, &mut last_id);
        }
        let before = transactions(redis);
        let ours = ours(&mut *reader).await;
        // A count reads stream and group once more, together with the first page.
        tally.counted += u64::from(transactions(redis) > before + 1);
        let truth = truth(redis);
        tally.polls += 1;
        match native(redis) {
            None => tally.native_nil += 1,
            Some(native) => tally.native_wrong += u64::from(native != truth),
        }
        if ours != Some(Quantity::Exact(truth)) {
            tally.wrong += 1;
            eprintln!("{:?} seed {seed}: {ours:?}, truth {truth}", server.flavour);
        }
    }
}

fn operate(redis: &mut Connection, rng: &mut Rng, last_id: &mut u64) {
    let somewhere = |rng: &mut Rng, last: u64| last.saturating_sub(rng.below(40));
    match rng.below(100) {
        0..35 => {
            for _ in 0..=rng.below(5) {
                *last_id += 1 + rng.below(3);
                run::<()>(redis, &format!("XADD x {last_id}-0 d a"));
            }
        }
        35..65 => {
            read(redis, 1 + rng.below(6));
        }
        65..75 => {
            let id = somewhere(rng, *last_id);
            run::<u64>(redis, &format!("XDEL x {id}-0"));
        }
        75..80 => {
            // What was read is acknowledged and deleted, as many consumers do.
            let done: Vec<(String, String, u64, u64)> = run(redis, "XPENDING x g - + 5");
            for (id, ..) in done {
                run::<u64>(redis, &format!("XACK x g {id}"));
                run::<u64>(redis, &format!("XDEL x {id}"));
            }
        }
        80..85 => {
            let keep = rng.below(30);
            run::<u64>(redis, &format!("XTRIM x MAXLEN {keep}"));
        }
        85..88 => {
            let id = somewhere(rng, *last_id);
            run::<u64>(redis, &format!("XTRIM x MINID {id}"));
        }
        88..90 => {
            let id = somewhere(rng, *last_id);
            run::<()>(redis, &format!("XGROUP SETID x g {id}-0"));
        }
        90..91 => run::<()>(redis, "XGROUP SETID x g $"),
        91..92 => {
            run::<u64>(redis, "XGROUP DESTROY x g");
            let id = somewhere(rng, *last_id);
            mk(redis, &format!("{id}-0"));
        }
        92..93 => {
            run::<u64>(redis, "DEL x");
            mk(redis, "$");
        }
        _ => {
            let done: Vec<(String, String, u64, u64)> = run(redis, "XPENDING x g - + 9");
            for (id, ..) in done {
                run::<u64>(redis, &format!("XACK x g {id}"));
            }
        }
    }
}

async fn play(redis: &mut Connection, steps: &[&str], mut after: impl AsyncFnMut(&mut Connection)) {
    fresh(redis);
    for step in steps {
        let words: Vec<_> = step.split(' ').collect();
        match words.as_slice() {
            ["add", n] => add(redis, n.parse().expect("a number"), 1),
            ["add", n, from] => add(
                redis,
                n.parse().expect("a number"),
                from.parse().expect("a number"),
            ),
            ["read", n] => {
                read(redis, n.parse().expect("a number"));
            }
            ["mk"] => mk(redis, "0"),
            ["mk", id] => mk(redis, id),
            ["mk", id, option, value] => {
                let with = format!("XGROUP CREATE x g {id} MKSTREAM {option} {value}");
                // Redis 6.2 does not know ENTRIESREAD.
                if try_run::<()>(redis, &with).is_err() {
                    mk(redis, id);
                }
            }
            _ => {
                run::<redis::Value>(redis, step);
            }
        }
        after(redis).await;
    }
}

fn fresh(redis: &mut Connection) {
    run::<()>(redis, "FLUSHALL");
}

fn mk(redis: &mut Connection, id: &str) {
    run::<()>(redis, &format!("XGROUP CREATE x g {id} MKSTREAM"));
}

fn add(redis: &mut Connection, n: u64, from: u64) {
    for id in from..from + n {
        run::<()>(redis, &format!("XADD x {id}-0 d a"));
    }
}

/// Whether there was anything to read.
fn read(redis: &mut Connection, n: u64) -> bool {
    let command = format!("XREADGROUP GROUP g c COUNT {n} STREAMS x >");
    run::<redis::Value>(redis, &command) != redis::Value::Nil
}

fn group_fields(redis: &mut Connection) -> Option<Vec<redis::Value>> {
    let groups: Vec<Vec<redis::Value>> = try_run(redis, "XINFO GROUPS x").ok()?;
    groups.into_iter().next()
}

fn has_group(redis: &mut Connection) -> bool {
    group_fields(redis).is_some()
}

fn group_field<T: redis::FromRedisValue>(redis: &mut Connection, name: &str) -> Option<T> {
    let fields = group_fields(redis)?;
    let at = fields
        .chunks(2)
        .find(|pair| pair[0] == redis::Value::BulkString(name.as_bytes().to_vec()))?;
    redis::from_redis_value(at[1].clone()).ok()
}

fn native(redis: &mut Connection) -> Option<u64> {
    group_field(redis, "lag")
}

fn truth(redis: &mut Connection) -> u64 {
    let at: String = group_field(redis, "last-delivered-id").expect("a position");
    let entries: Vec<redis::Value> = run(redis, &format!("XRANGE x ({at} +"));
    entries.len() as u64
}

/// Transactions so far.
fn transactions(redis: &mut Connection) -> u64 {
    let info: String = run(redis, "INFO commandstats");
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_exec:calls="));
    line.and_then(|line| line.split(',').next()?.parse().ok())
        .unwrap_or(0)
}

fn reader(server: &RedisServer) -> Box<dyn GroupReader> {
    let poll = patience(Duration::from_secs(2));
    let source = RedisStreams::new(server.config(), poll);
    source.reader(&StreamSelector::parse("x").expect("a key"), "g", poll)
}

async fn ours(reader: &mut dyn GroupReader) -> Option<Quantity> {
    let sample = reader.poll().await.expect("a sample");
    match sample
        .partitions
        .get(&PartitionId::new("x"))
        .expect("the partition")
    {
        PartitionObservation::Present(partition) => partition.lag,
        _ => None,
    }
}
