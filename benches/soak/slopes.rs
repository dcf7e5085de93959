//! What climbs: a line through the medians between faults, per hour.

use std::fmt;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::support::service::Service;

const LOOKS_EVERY: Duration = Duration::from_millis(500);

/// What may climb (memory first), how much per hour, and what of it says nothing: in a few minutes the line through little is steep.
const LIMITS: [Limit; 3] = [
    Limit {
        what: "memory, MB",
        of: |sample| sample.megabytes,
        per_hour: 40.0,
        noise: 4.0,
    },
    Limit {
        what: "descriptors",
        of: |sample| sample.descriptors,
        per_hour: 4.0,
        noise: 4.0,
    },
    Limit {
        what: "threads",
        of: |sample| sample.threads,
        per_hour: 2.0,
        noise: 2.0,
    },
];

struct Limit {
    what: &'static str,
    of: fn(&Sample) -> f64,
    per_hour: f64,
    noise: f64,
}

/// The process at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Since the start.
    pub hours: f64,
    pub megabytes: f64,
    pub descriptors: f64,
    pub threads: f64,
}

impl Sample {
    fn now(service: &Service) -> Self {
        let pid = service.pid();
        let count = |what: &str| {
            let entries = std::fs::read_dir(format!("/proc/{pid}/{what}"));
            entries.expect("the process runs").count() as f64
        };
        Self {
            hours: 0.0,
            megabytes: service.resident_megabytes(),
            descriptors: count("fd"),
            threads: count("task"),
        }
    }

    /// Medians from now until then.
    pub async fn median_until(service: &Service, started: Instant, until: Instant) -> Self {
        let mut seen = Vec::new();
        while seen.is_empty() || Instant::now() < until {
            seen.push(Self::now(service));
            sleep_until((Instant::now() + LOOKS_EVERY).min(until).into()).await;
        }
        let median = |of: fn(&Self) -> f64| {
            let mut values: Vec<f64> = seen.iter().map(of).collect();
            values.sort_unstable_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Self {
            hours: started.elapsed().as_secs_f64() / 3600.0,
            megabytes: median(|sample| sample.megabytes),
            descriptors: median(|sample| sample.descriptors),
            threads: median(|sample| sample.threads),
        }
    }
}

/// Per hour, and what that comes to in the time measured.
pub struct Slopes {
    hours: f64,
    tells_of_memory: bool,
    per_hour: [f64; LIMITS.len()],
}

impl Slopes {
    pub fn of(samples: &[Sample], tells_of_memory: bool) -> Self {
        let hours = samples.last().map_or(0.0, |last| last.hours)
            - samples.first().map_or(0.0, |first| first.hours);
        let per_hour = LIMITS.map(|limit| slope(samples, limit.of));
        Self {
            hours,
            tells_of_memory,
            per_hour,
        }
    }

    /// Memory is the first.
    const fn is_judged(&self, n: usize) -> bool {
        self.tells_of_memory || n > 0
    }

    /// What climbs too fast.
    pub fn faults(&self) -> Vec<String> {
        let each = LIMITS.iter().zip(self.per_hour).enumerate();
        let climbs = each.filter(|(n, (limit, per_hour))| {
            let is_too_fast = *per_hour > limit.per_hour;
            self.is_judged(*n) && is_too_fast && per_hour * self.hours > limit.noise
        });
        climbs
            .map(|(_, (limit, per_hour))| {
                format!(
                    "{}: {per_hour:+.1} per hour, at most {}",
                    limit.what, limit.per_hour
                )
            })
            .collect()
    }
}

impl fmt::Display for Slopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "over {:.1} min after the warm-up, per hour:",
            self.hours * 60.0
        )?;
        for (n, (limit, per_hour)) in LIMITS.iter().zip(self.per_hour).enumerate() {
            let (what, most) = (limit.what, limit.per_hour);
            if self.is_judged(n) {
                write!(f, " {what} {per_hour:+.1} (limit {most});")?;
            } else {
                write!(f, " {what} {per_hour:+.1} (no limit in so short a run);")?;
            }
        }
        Ok(())
    }
}

/// Of the line with the least squares.
fn slope(samples: &[Sample], of: fn(&Sample) -> f64) -> f64 {
    let count = samples.len() as f64;
    let mean = |value: &dyn Fn(&Sample) -> f64| samples.iter().map(value).sum::<f64>() / count;
    let (at, value) = (mean(&|sample| sample.hours), mean(&of));
    let covariance = mean(&|sample| (sample.hours - at) * (of(sample) - value));
    let variance = mean(&|sample| (sample.hours - at).powi(2));
    if variance > 0.0 {
        covariance / variance
    } else {
        0.0
    }
}
