//! How unusual the last four values are together: four fixed projections of them, each against a histogram of what it was.

use serde::{Deserialize, Serialize};

use super::bits::log2;
use super::memory::Memory;
use crate::model::tuning::baseline::pattern::{
    BINS, BINS_PER_OCTAVE, COUNTS_PER_SAMPLE, NO_SURPRISE_FROM, PRIOR, PROJECTIONS,
    SURPRISE_FROM_BITS,
};

/// Histograms of the projections.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Patterns {
    last: [f64; 3],
    total: u32,
    histograms: [Histogram; PROJECTIONS],
}

/// What one value looks like after those before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern {
    projections: [f64; PROJECTIONS],
    places: [usize; PROJECTIONS],
    /// 0 for the usual, to about 1.
    pub surprise: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Histogram {
    centre: f32,
    /// Mean distance from the centre.
    spread: f32,
    counts: [u16; BINS],
}

/// How much the histograms hold after one more sample, if all of it is in one bin.
pub(super) fn counted(total: u32, memory: &Memory) -> u32 {
    let total = total + u32::from(added(memory));
    if is_full(total, memory) {
        total / 2
    } else {
        total
    }
}

fn added(memory: &Memory) -> u16 {
    (memory.weight * COUNTS_PER_SAMPLE).round().max(1.0) as u16
}

fn is_full(total: u32, memory: &Memory) -> bool {
    f64::from(total) > memory.pattern_samples * COUNTS_PER_SAMPLE
}

impl Patterns {
    /// Where a series has had no other value: every projection but the first is 0, and all are counted in the middle.
    pub fn of_one_value(value: f64, total: u32) -> Self {
        let mut patterns = Self {
            last: [value; 3],
            total,
            ..Self::default()
        };
        patterns.histograms[0].centre = value as f32;
        for histogram in &mut patterns.histograms {
            histogram.counts[BINS / 2] = total as u16;
        }
        patterns
    }

    /// How much the histograms hold.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// How the value follows those before.
    pub fn judge(&self, value: f64, memory: &Memory) -> Pattern {
        let weight = f64::from(self.total) / COUNTS_PER_SAMPLE + PRIOR * BINS as f64;
        let projections = self.projections(value);
        let (mut surprise, mut places) = (0.0, [0; PROJECTIONS]);
        for (n, histogram) in self.histograms.iter().enumerate() {
            places[n] = histogram.place(projections[n]);
            let count = histogram.near(places[n]);
            let share = (count / COUNTS_PER_SAMPLE + PRIOR) / weight;
            if share < NO_SURPRISE_FROM {
                surprise += (-log2(share) - SURPRISE_FROM_BITS).max(0.0);
            }
        }
        if surprise > 0.0 {
            let rarest = memory.rarest_pattern_bits() - SURPRISE_FROM_BITS;
            surprise = surprise / PROJECTIONS as f64 / rarest;
        }
        Pattern {
            projections,
            places,
            surprise,
        }
    }

    /// Takes in the value and what was found of it.
    pub fn learn(&mut self, value: f64, pattern: &Pattern, memory: &Memory) {
        let first = memory.samples <= 1.0;
        self.last = if first {
            [value; 3]
        } else {
            [value, self.last[0], self.last[1]]
        };
        let added = added(memory);
        for (n, histogram) in self.histograms.iter_mut().enumerate() {
            let projection = if first && n > 0 {
                0.0
            } else {
                pattern.projections[n]
            };
            histogram.learn(projection, pattern.places[n], added, memory);
        }
        self.total += u32::from(added);
        if is_full(self.total, memory) {
            self.halve();
        }
    }

    fn projections(&self, value: f64) -> [f64; PROJECTIONS] {
        let [a, b, c] = self.last;
        [value, value - a, value - 2.0 * a + b, value + a - b - c]
    }

    fn halve(&mut self) {
        self.total /= 2;
        let counts = self.histograms.iter_mut().flat_map(|h| &mut h.counts);
        counts.for_each(|count| *count /= 2);
    }
}

impl Histogram {
    fn place(&self, projection: f64) -> usize {
        let distance = projection - f64::from(self.centre);
        if self.spread <= 0.0 {
            return BINS / 2;
        }
        let octaves = log2(1.0 + distance.abs() / f64::from(self.spread));
        let bins = (octaves * BINS_PER_OCTAVE).min(BINS as f64);
        let place = BINS as f64 / 2.0 + if distance < 0.0 { -bins } else { bins };
        place.clamp(0.0, (BINS - 1) as f64) as usize
    }

    /// Counts of the bin, smoothed by its neighbours.
    fn near(&self, at: usize) -> f64 {
        let count = |at: usize| f64::from(self.counts.get(at).copied().unwrap_or(0));
        0.5 * count(at) + 0.25 * (count(at.wrapping_sub(1)) + count(at + 1))
    }

    fn learn(&mut self, projection: f64, at: usize, added: u16, memory: &Memory) {
        self.counts[at] = self.counts[at].saturating_add(added);
        if memory.samples <= 1.0 {
            self.centre = projection as f32;
        }
        let pace = memory.tail_pace;
        let distance = projection - f64::from(self.centre);
        self.centre += (pace * distance) as f32;
        self.spread += (pace * (distance.abs() - f64::from(self.spread))) as f32;
    }
}
