//! Several replicas under KEDA's calls, round-robin, while something happens to one of them: answers that are lost, answers that fell, and
//! how long it takes until messages that came afterwards are in the answers.
//!
//! `cargo bench --bench replicas`; `ROUNDS=3` is the default, `STREAMGAUGE=path` measures another build.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot start has to say so loudly"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use support::proxy::Mode;
use support::replicas::{GROUPS, Replicas};

/// Calls go on for so long after something happened.
const LASTS: Duration = Duration::from_secs(12);

/// What happens to replica 0.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Nothing,
    Killed,
    Frozen,
    Terminated,
    Apart,
}

impl Fault {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Nothing, "nothing"),
        (Self::Killed, "killed (SIGKILL)"),
        (Self::Frozen, "frozen 6 s (SIGSTOP), then goes on"),
        (Self::Terminated, "replaced (SIGTERM, a new one after it)"),
        (Self::Apart, "cannot reach the others for 6 s"),
    ];
}

#[derive(Default)]
struct Tally {
    answers: usize,
    errors: usize,
    fell: usize,
    slowest: Duration,
    taken_over: Vec<Duration>,
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let named = std::env::var("ROUNDS").ok();
    let rounds: usize = named.map_or(3, |text| text.parse().expect("ROUNDS is a number"));
    println!(
        "replicas | what happens to one | answers | lost | fell | slowest call | new messages told after, median / longest"
    );
    for count in [2, 3] {
        for (fault, name) in Fault::ALL {
            let mut tally = Tally::default();
            for _ in 0..rounds {
                round(count, fault, &mut tally).await;
            }
            tally.taken_over.sort();
            let median = tally.taken_over[tally.taken_over.len() / 2];
            let longest = tally.taken_over[tally.taken_over.len() - 1];
            println!(
                "{count} | {name} | {} | {} | {} | {:.0?} | {median:.1?} / {longest:.1?}",
                tally.answers, tally.errors, tally.fell, tally.slowest,
            );
        }
    }
}

async fn round(count: usize, fault: Fault, tally: &mut Tally) {
    let mut all = Replicas::start(count).await;
    all.until_ready(count).await;
    all.add();
    let everyone: Vec<usize> = (0..count).collect();
    all.until_all_tell("the first message", &everyone).await;
    strike(&mut all, count, fault).await;
    all.add();
    let struck = Instant::now();
    let new = all.backlog;
    let mut told = [0.0_f64; GROUPS];
    let mut after: [Option<Duration>; GROUPS] = [None; GROUPS];
    let mut is_over = false;
    // Whom KEDA's client has no line to, or no answer from, it leaves out.
    let asked: Vec<usize> = match fault {
        Fault::Nothing => everyone,
        _ => (1..count).collect(),
    };
    while struck.elapsed() < LASTS {
        if !is_over && struck.elapsed() > Duration::from_secs(6) {
            is_over = true;
            mend(&mut all, count, fault).await;
        }
        all.add();
        for n in &asked {
            for (group, keda) in all.keda[*n].iter_mut().enumerate() {
                let begun = Instant::now();
                let answer = keda.ask().await;
                tally.slowest = tally.slowest.max(begun.elapsed());
                tally.answers += 1;
                match answer {
                    Ok((value, _)) => {
                        tally.fell += usize::from(value < told[group]);
                        told[group] = value;
                        if value >= new && after[group].is_none() {
                            after[group] = Some(struck.elapsed());
                        }
                    }
                    Err(_) => tally.errors += 1,
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let late = LASTS;
    tally.taken_over.extend(after.map(|at| at.unwrap_or(late)));
}

async fn strike(all: &mut Replicas, count: usize, fault: Fault) {
    match fault {
        Fault::Nothing => {}
        Fault::Killed => all.services[0] = None,
        Fault::Frozen => all.services[0].as_ref().expect("it runs").pause(),
        Fault::Terminated => all.services[0].as_ref().expect("it runs").terminate(),
        Fault::Apart => (1..count).for_each(|n| all.between(0, n, Mode::BlackholeAll)),
    }
}

async fn mend(all: &mut Replicas, count: usize, fault: Fault) {
    match fault {
        Fault::Nothing => {}
        Fault::Killed | Fault::Terminated => {
            all.services[0] = None;
            all.start_one(0).await;
        }
        Fault::Frozen => all.services[0].as_ref().expect("it runs").resume(),
        Fault::Apart => (1..count).for_each(|n| all.between(0, n, Mode::Pass)),
    }
}
