//! A histogram of seconds with fixed bounds, counted where something happens and read at a scrape.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::trace::Exemplar;

/// Counts durations.
#[derive(Debug)]
pub struct DurationHistogram {
    bounds: &'static [f64],
    inner: Mutex<Counts>,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Per bound, those up to it and above the bound before; the last holds what lies above all.
    pub buckets: Vec<(f64, u64)>,
    /// Of each of these, the last that was traced.
    pub exemplars: Vec<Option<Exemplar>>,
    /// Seconds, added up.
    pub sum: f64,
    /// All of them.
    pub count: u64,
}

impl DurationHistogram {
    /// Nothing is counted yet. `bounds` are upper ones in seconds, rising.
    pub fn new(bounds: &'static [f64]) -> Self {
        let all = bounds.iter().copied().chain([f64::INFINITY]);
        let counts = Counts {
            buckets: all.map(|bound| (bound, 0)).collect(),
            exemplars: vec![None; bounds.len() + 1],
            ..Counts::default()
        };
        Self {
            bounds,
            inner: Mutex::new(counts),
        }
    }

    /// Counts one.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        let mut counts = self.counts();
        if let Some((_, count)) = counts.buckets.get_mut(bucket) {
            *count += 1;
        }
        if let (Some(exemplar), Some(place)) =
            (Exemplar::of(seconds), counts.exemplars.get_mut(bucket))
        {
            *place = Some(exemplar);
        }
        counts.sum += seconds;
        counts.count += 1;
    }

    /// What was counted so far.
    pub fn read(&self) -> Counts {
        self.counts().clone()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_up_to_the_first_bound_that_it_does_not_exceed() {
        let histogram = DurationHistogram::new(&[0.1, 1.0]);
        for millis in [0, 100, 101, 1_000, 1_001, 60_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let counts = histogram.read();
        assert_eq!(counts.buckets, [(0.1, 2), (1.0, 2), (f64::INFINITY, 2)]);
        assert_eq!((counts.sum, counts.count), (62.202, 6));
    }
}
