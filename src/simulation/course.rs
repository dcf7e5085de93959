//! How a run went over time, thin enough to be drawn.

use serde::Serialize;

use super::plant::Plant;
use super::policies::Policy;
use super::trace::Trace;

/// Points that a drawn series has at most.
pub const MOST_POINTS: usize = 1_500;

/// What a run looked like, tick by tick.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    replicas: Vec<f64>,
    waiting: Vec<f64>,
    oldest_seconds: Vec<f64>,
    decided: Option<u32>,
    changes: Vec<Change>,
}

/// A change of the wanted count.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The tick.
    pub tick: usize,
    /// Replicas before.
    pub from: u32,
    /// Replicas wanted.
    pub to: u32,
    /// Why; empty where the policy cannot tell.
    pub text: String,
}

/// A run, drawable: (tick, value), at most [`MOST_POINTS`] of each.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Course {
    /// Replicas that exist.
    pub replicas: Series,
    /// Messages not done.
    pub backlog: Series,
    /// Seconds that the oldest of them has waited.
    pub age_seconds: Series,
    /// What the policy decided; nothing where it cannot tell why.
    pub changes: Vec<Change>,
}

/// Points of a line: when, and what from then on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Series {
    /// Ticks, ascending.
    pub at: Vec<usize>,
    /// Values, one per tick.
    pub value: Vec<f64>,
}

impl Recorder {
    /// Notes how things are after a tick.
    pub fn note(&mut self, plant: &Plant, policy: &dyn Policy) {
        let replicas = plant.replicas().len() as u32;
        if let Some((to, text)) = policy.decision() {
            let from = self.decided.replace(to).unwrap_or(replicas);
            if from != to {
                self.changes.push(Change {
                    tick: self.replicas.len(),
                    from,
                    to,
                    text: text.to_owned(),
                });
            }
        }
        let partitions = plant.partitions();
        let oldest = partitions.iter().map(|p| p.oldest_ticks(plant.tick()));
        let seconds = oldest.max().unwrap_or(0) as f64 * plant.spec().step.seconds();
        self.replicas.push(f64::from(replicas));
        self.waiting
            .push(partitions.iter().map(|p| p.waiting()).sum::<f64>().round());
        self.oldest_seconds.push(seconds);
    }

    /// All of it, thinned.
    pub fn finish(self) -> Course {
        Course {
            replicas: thin(&self.replicas, MOST_POINTS),
            backlog: thin(&self.waiting, MOST_POINTS),
            age_seconds: thin(&self.oldest_seconds, MOST_POINTS),
            changes: self.changes,
        }
    }
}

/// Messages per second that arrive, thinned.
pub fn load(trace: &Trace) -> Series {
    let per_second = |row: &[u32]| {
        let messages: u64 = row.iter().map(|n| u64::from(*n)).sum();
        (messages as f64 / trace.step().seconds() * 10.0).round() / 10.0
    };
    let all: Vec<f64> = trace.ticks().map(per_second).collect();
    thin(&all, MOST_POINTS)
}

/// At most `most` points that keep every extreme: the least and the greatest of each stretch, at their times. A value that
/// repeats the one before is left out.
fn thin(values: &[f64], most: usize) -> Series {
    let stretch = (2 * values.len()).div_ceil(most).max(1);
    let mut series = Series::default();
    for (n, part) in values.chunks(stretch).enumerate() {
        let by_value = |a: &(usize, &f64), b: &(usize, &f64)| a.1.total_cmp(b.1);
        let least = part.iter().enumerate().min_by(by_value);
        let greatest = part.iter().enumerate().max_by(by_value);
        let mut ends: Vec<(usize, &f64)> = least.into_iter().chain(greatest).collect();
        ends.sort_by_key(|(at, _)| *at);
        for (at, value) in ends {
            if series.value.last() != Some(value) {
                series.at.push(n * stretch + at);
                series.value.push(*value);
            }
        }
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_series_keeps_its_extremes_and_stays_within_its_points() {
        let mut values: Vec<f64> = (0..10_000).map(|n| f64::from(n % 7)).collect();
        values[4_321] = 99.0;
        values[8_765] = -3.0;
        let thinned = thin(&values, 1_500);
        assert!(thinned.at.len() <= 1_500 && thinned.at.is_sorted());
        let peak = thinned.value.iter().position(|v| *v == 99.0).unwrap();
        let dip = thinned.value.iter().position(|v| *v == -3.0).unwrap();
        assert_eq!((thinned.at[peak], thinned.at[dip]), (4_321, 8_765));
        let step = thin(&[1.0, 1.0, 2.0, 2.0], 1_500);
        assert_eq!((step.at, step.value), (vec![0, 2], vec![1.0, 2.0]));
    }
}
