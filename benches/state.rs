//! What a group's state costs, by number of partitions: one poll and one sample, news of replicas, the first call for a ScaledObject,
//! a reload beside KEDA's calls; and what keeping it costs: time that its lock is held for the copy, time to write and to read, and
//! the file. Machines are shared: what one thread does is counted in its own CPU time, smallest and middle of several rounds.
//! `cargo bench --bench state`; `… -- reload` for a part.

#![allow(
    clippy::expect_used,
    reason = "a measurement that cannot be made has to fail loudly"
)]

#[path = "state/stream.rs"]
mod stream;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use streamgauge::config::types::Config;
use streamgauge::group::GroupState;
use streamgauge::group::event::{Event, What};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::group::GroupModel;
use streamgauge::model::identity::GroupKey;
use streamgauge::model::time::Timestamp;
use streamgauge::publish::Group;
use streamgauge::registry::{Registry, Target};
use streamgauge::scaled_object::ReplicasObserved;
use streamgauge::state::{StateFiles, StateStore};

use stream::{START, Stream};

const MOST: usize = 10_000;
const ROUNDS: usize = 21;
/// What takes microseconds is done so often in a round.
const OFTEN: u32 = 50;

/// The most that one namespace may register is 50.
const TRIGGERS: usize = 200;
const NAMESPACES: usize = 4;
const BETWEEN_PAIRS: Duration = Duration::from_millis(1);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that it builds.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let parts: [(&str, fn()); 5] = [
        ("sample", samples),
        ("poll", polls),
        ("event", events),
        ("reload", reloads),
        ("keep", keeping),
    ];
    let is_named = |name: &str| arguments.iter().any(|argument| argument == name);
    let all = !parts.iter().any(|(name, _)| is_named(name));
    for (name, measure) in parts {
        if all || is_named(name) {
            measure();
        }
    }
}

fn millis(work: impl FnOnce()) -> f64 {
    timed(work).0
}

/// Milliseconds that this thread was running.
fn cpu_millis(work: impl FnOnce()) -> f64 {
    let before = cpu();
    work();
    cpu() - before
}

fn cpu() -> f64 {
    // The account is brought up to date when a thread makes room for others.
    std::thread::yield_now();
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds = account
        .split(' ')
        .next()
        .and_then(|n| n.parse::<f64>().ok());
    nanoseconds.expect("a number") / 1e6
}

/// Smallest and middle.
fn summary(mut each: Vec<f64>) -> (f64, f64) {
    each.sort_unstable_by(f64::total_cmp);
    (each[0], each[each.len() / 2])
}

fn samples() {
    println!(
        "{:>10} {:>10} {:>22} {:>22}",
        "partitions", "holders", "µs a sample, min, p50", "µs its facts, min, p50"
    );
    for partitions in [100, 1_000, MOST] {
        for is_owned in [false, true] {
            let mut stream = Stream::of(partitions, is_owned);
            let mut model = GroupModel::new(CapacityRules::default());
            let (mut taking_in, mut telling) = (Vec::new(), Vec::new());
            for round in 0..60 + ROUNDS {
                let sample = stream.poll();
                let each = 1e3 / partitions as f64;
                let took = each * cpu_millis(|| model.observe(stream.now(), &sample));
                let told = each * cpu_millis(|| drop(std::hint::black_box(model.facts())));
                if round >= 60 {
                    taking_in.push(took);
                    telling.push(told);
                }
            }
            let ((least, middle), (told, usual)) = (summary(taking_in), summary(telling));
            let holders = if is_owned { "told" } else { "none" };
            println!(
                "{partitions:>10} {holders:>10} {least:>13.2} {middle:>8.2} {told:>13.2} {usual:>8.2}"
            );
        }
    }
}

fn config(more: &str) -> Config {
    let text = format!(
        "sources: [ {{ name: main, redis: {{ url: \"redis://127.0.0.1:6379/0\" }} }} ]\n\
         groups: [ {{ name: billing, source: main, stream: \"orders:*\", consumer_group: billing, policy: {{ min_replicas: 1{more} }} }} ]\n"
    );
    Config::parse(&text, "bench.yaml").expect("a right config")
}

fn trigger(n: usize) -> (String, String, HashMap<String, String>) {
    let metadata = [
        ("group".to_owned(), "billing".to_owned()),
        ("capacityPerReplica".to_owned(), "50".to_owned()),
    ];
    let namespace = format!("team-{}", n % NAMESPACES);
    (namespace, format!("worker-{n}"), metadata.into())
}

/// One group of so many partitions that was polled for a while and is asked for by so many triggers.
struct Scene {
    registry: Arc<Registry>,
    group: Arc<Group>,
    stream: Stream,
}

impl Scene {
    fn of(partitions: usize, targets: usize) -> Self {
        let (registry, _started) = Registry::new(config(""), CapacityRules::default(), START);
        let group = registry.groups().remove(0);
        let mut scene = Self {
            registry: Arc::new(registry),
            group,
            stream: Stream::of(partitions, false),
        };
        for n in 0..targets {
            scene.ask(n);
        }
        for _ in 0..30 {
            scene.group.apply(&scene.stream.event());
        }
        scene
    }

    fn ask(&self, n: usize) -> Arc<Target> {
        let (namespace, name, metadata) = trigger(n);
        let target = self
            .registry
            .resolve(&namespace, &name, &metadata, self.stream.now());
        target.expect("a right trigger")
    }
}

fn polls() {
    println!(
        "{:>10} {:>10} {:>12} {:>8}",
        "partitions", "targets", "ms, min", "p50"
    );
    for partitions in [100, 1_000, MOST] {
        for targets in [1, 20] {
            let mut scene = Scene::of(partitions, targets);
            let each = (0..ROUNDS).map(|_| {
                let event = scene.stream.event();
                cpu_millis(|| scene.group.apply(&event))
            });
            let (least, middle) = summary(each.collect());
            println!("{partitions:>10} {targets:>10} {least:>12.2} {middle:>8.2}");
        }
    }
}

fn events() {
    println!(
        "{:>10} {:>26} {:>12} {:>8}",
        "partitions", "", "µs, min", "p50"
    );
    for partitions in [100, 1_000, MOST] {
        let scene = Scene::of(partitions, 1);
        let row = |what: &str, each: Vec<f64>| {
            let (least, middle) = summary(each);
            let (least, middle) = (least * 1e3, middle * 1e3);
            println!("{partitions:>10} {what:>26} {least:>12.1} {middle:>8.1}");
        };
        let key = scene.ask(0).key.clone();
        let news = Event {
            at: scene.stream.now(),
            what: What::ReplicasObserved(key, Box::new(Ok(ReplicasObserved::default()))),
        };
        scene.group.apply(&news);
        let each = (0..ROUNDS).map(|_| {
            let often = || (0..OFTEN).for_each(|_| scene.group.apply(&news));
            cpu_millis(often) / f64::from(OFTEN)
        });
        row("replicas, no news", each.collect());
        let (whole, locked) = (0..ROUNDS).map(|n| register(&scene, n + 1)).unzip();
        row("a new target", whole);
        row("… under the registry's lock", locked);
    }
}

/// How long a registration takes, and how long others wait for the lock meanwhile at most.
fn register(scene: &Scene, n: usize) -> (f64, f64) {
    let (is_over, is_ready) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut longest = 0.0;
            while !is_over.load(Ordering::Acquire) {
                is_ready.store(true, Ordering::Release);
                longest = millis(|| scene.registry.wait_for_lock()).max(longest);
            }
            longest
        });
        while !is_ready.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        let whole = cpu_millis(|| drop(scene.ask(n)));
        is_over.store(true, Ordering::Release);
        (whole, waiter.join().expect("the waiter"))
    })
}

/// The configuration that a round puts in force, if it does.
type Changed<'a> = &'a dyn Fn(usize) -> Option<Config>;

fn reloads() {
    let scene = Scene::of(MOST, TRIGGERS);
    println!(
        "\n{TRIGGERS} triggers of one group of {MOST} partitions, a pair asked every {BETWEEN_PAIRS:?}: the longest that one took\n{:>34} {:>12} {:>8} {:>12} {:>8}",
        "", "ms, min", "p50", "reload, min", "p50"
    );
    let replicas = |n: usize| config(&format!(", max_replicas: {}", 50 + n));
    let cases: [(&str, Changed<'_>); 3] = [
        ("no reload", &|_| None),
        ("a reload that changes nothing", &|_| Some(config(""))),
        ("a reload that changes the group", &|n| Some(replicas(n))),
    ];
    for (name, changed) in cases {
        let (pairs, whole) = (0..7).map(|n| reload(&scene, changed(n))).unzip();
        let ((pair, usual), (whole, middle)) = (summary(pairs), summary(whole));
        println!("{name:>34} {pair:>12.2} {usual:>8.2} {whole:>12.1} {middle:>8.1}");
    }
}

/// The longest that a pair took while that was put in force, and how long that took.
fn reload(scene: &Scene, changed: Option<Config>) -> (f64, f64) {
    let is_over = AtomicBool::new(false);
    let now = scene.stream.now();
    let asked: Vec<_> = (0..TRIGGERS).map(trigger).collect();
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| {
            let (started, mut longest) = (Instant::now(), Duration::ZERO);
            let mut due = Duration::ZERO;
            for (namespace, name, metadata) in asked.iter().cycle() {
                std::thread::sleep(due.saturating_sub(started.elapsed()));
                let target = scene.registry.resolve(namespace, name, metadata, now);
                let target = target.expect("a right trigger");
                target.group.answer(&target.key, now).expect("an answer");
                target.group.activity(&target.key, now).expect("an answer");
                longest = longest.max(started.elapsed().saturating_sub(due));
                due += BETWEEN_PAIRS;
                if is_over.load(Ordering::Acquire) {
                    break;
                }
            }
            longest.as_secs_f64() * 1e3
        });
        std::thread::sleep(BETWEEN_PAIRS * 100);
        let took = match changed {
            Some(config) => millis(|| scene.registry.reconfigure(config, &BTreeSet::new(), now)),
            None => millis(|| std::thread::sleep(BETWEEN_PAIRS * 300)),
        };
        std::thread::sleep(BETWEEN_PAIRS * 100);
        is_over.store(true, Ordering::Release);
        (caller.join().expect("the caller"), took)
    })
}

fn keeping() {
    println!(
        "\n{:>10} {:>9} {:>9} {:>9} {:>9}",
        "partitions", "copy, ms", "write, ms", "read, ms", "file, MB"
    );
    for partitions in [100, 1_000, MOST] {
        keep(partitions);
    }
}

fn keep(partitions: usize) {
    let mut state = GroupState::new(CapacityRules::default());
    let mut stream = Stream::of(partitions, false);
    for _ in 0..400 {
        state.apply(&stream.event());
    }
    let folder = tempfile::tempdir().expect("a folder");
    let files = StateFiles::new(folder.path());
    let key = GroupKey {
        source: "s".into(),
        stream: "s".into(),
        consumer_group: "c".into(),
    };
    let now = Timestamp::from_millis(1);
    let (copy, remembered) = timed(|| state.remembered());
    let (write, ()) = timed(|| files.save(&key, now.into(), &remembered).expect("saved"));
    let (read, loaded) = timed(|| files.load(&key, now.into()).expect("read").expect("there"));
    assert!(loaded.remembered == remembered && loaded.problems.is_empty());
    let file = std::fs::read_dir(folder.path()).expect("a folder").next();
    let bytes = file.expect("a file").and_then(|file| file.metadata());
    let megabytes = bytes.expect("its size").len() as f64 / 1e6;
    println!("{partitions:>10} {copy:>9.1} {write:>9.0} {read:>9.0} {megabytes:>9.2}");
}

/// Milliseconds, and what came of it.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let started = Instant::now();
    let done = work();
    (started.elapsed().as_secs_f64() * 1e3, done)
}
