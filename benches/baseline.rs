//! What a baseline costs: time per sample and memory per series, with 10,000 and 100,000 series that are updated in turn, so that
//! none is in a cache; over all rounds the tenth and the middle one, since machines are shared. `make bench`, or `cargo bench --bench baseline`.

use std::time::{Duration, Instant};

use streamgauge::model::baseline::{Baseline, BaselineRules};
use streamgauge::model::time::Timestamp;

const POLL: Duration = Duration::from_secs(5);
const SAMPLES: usize = 6_000_000;

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!(
        "{:>8} {:>14} {:>10} {:>10} {:>12} {:>16}",
        "series", "weekly season", "ns, p10", "ns, p50", "bytes", "resident bytes"
    );
    for series in [10_000, 100_000] {
        for weekly_season in [false, true] {
            measure(series, weekly_season);
        }
    }
}

fn measure(series: usize, weekly_season: bool) {
    let rules = BaselineRules {
        weekly_season,
        ..BaselineRules::default()
    };
    let before = resident_bytes();
    let mut baselines: Vec<Baseline> = (0..series).map(|_| Baseline::new(rules)).collect();
    let resident = resident_bytes().saturating_sub(before) / series as u64;
    let (mut random, mut now) = (1_u64, Timestamp::from_millis(1_700_000_000_000));
    let (polls, mut firings) = (SAMPLES / series, 0_u32);
    let mut each = Vec::with_capacity(polls);
    for _ in 0..polls {
        let started = Instant::now();
        now = now.plus(POLL);
        for (n, baseline) in baselines.iter_mut().enumerate() {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(n as u64);
            let value = 1000.0 + (random >> 40) as f64 / 1e5;
            firings += u32::from(baseline.observe(now, Some(value)).fired);
        }
        each.push(started.elapsed().as_nanos() as f64 / series as f64);
    }
    each.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| each[((each.len() - 1) as f64 * share) as usize];
    std::hint::black_box(firings);
    println!(
        "{series:>8} {weekly_season:>14} {:>10.0} {:>10.0} {:>12} {resident:>16}",
        at(0.1),
        at(0.5),
        baselines[0].bytes()
    );
}

/// 0 where the system does not tell.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
