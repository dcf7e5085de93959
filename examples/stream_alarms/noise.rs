//! Noise alone: two weeks of five-minute samples without anything to find.

use std::time::Duration;

use streamgauge::model::baseline::{Baseline, BaselineRules};
use streamgauge::model::time::Timestamp;

use super::plant::Random;

const RUNS: u64 = 60;
const SAMPLES: u32 = 4032;
const STEP: Duration = Duration::from_secs(300);

type Draw = fn(&mut Random) -> f64;

const KINDS: [(&str, Draw); 5] = [
    ("uniform", |random| 100.0 + 10.0 * random.unit()),
    ("normal", |random| 100.0 + 5.0 * random.normal()),
    ("Poisson", |random| random.poisson(5.0)),
    ("exponential", |random| -random.unit().max(1e-12).ln()),
    ("1 % spikes on zero", |random| {
        if random.unit() < 0.01 {
            1.0 + random.poisson(1.0)
        } else {
            0.0
        }
    }),
];

/// Firings per run of each kind.
pub fn report() {
    println!("\nnoise alone, firings in two weeks of five-minute samples, mean of {RUNS} runs");
    for (name, draw) in KINDS {
        let firings: usize = (0..RUNS).map(|run| firings(run, draw)).sum();
        println!("{name:<20} {:.2}", firings as f64 / RUNS as f64);
    }
}

fn firings(run: u64, draw: Draw) -> usize {
    let mut random = Random::new(run + 100);
    let mut baseline = Baseline::new(BaselineRules::default());
    let mut fired = |sample: u32| {
        let at = Timestamp::from_millis(0).plus(STEP * sample);
        baseline.observe(at, Some(draw(&mut random))).fired
    };
    (0..SAMPLES).filter(|sample| fired(*sample)).count()
}
