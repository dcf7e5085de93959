//! How unusual a departure is among those in memory: on each side a histogram of large ones over logarithmic bins, and the
//! largest. The share of time beyond a departure, in bits, is its surprise; no shape of the distribution is assumed.

use serde::{Deserialize, Serialize};

use super::bits::log2;
use super::memory::Memory;
use crate::model::tuning::baseline::memory::SURPRISE_FROM_BITS;
use crate::model::tuning::baseline::tail::{
    BEYOND, BINS, BINS_PER_OCTAVE, FIRST, LARGEST_RATIO, UNSEEN,
};

/// Departures to both sides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tails {
    /// Mean size of a departure, and the unit of the bins, which follows it in doublings.
    mean: f32,
    unit: f32,
    /// Weight of all samples in memory.
    total: f32,
    above: Side,
    below: Side,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Side {
    bins: [f32; BINS],
    /// The largest departure in memory, in units.
    largest: f32,
}

/// What one departure says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Surprise {
    /// 0: usual; 1: not once in a whole memory.
    pub rarity: f64,
    /// How far beyond the largest in memory: 0 at it, one half at double, towards 1.
    pub record: f64,
}

impl Tails {
    /// How unusual the departure is. Takes nothing in.
    pub fn judge(&self, departure: f64, memory: &Memory) -> Surprise {
        let size = self.ratio(departure);
        if size <= FIRST {
            return Surprise::default();
        }
        let side = self.side(departure);
        let beyond = f64::from(side.beyond(position(size)));
        let mut bits = -log2((beyond + UNSEEN) / (f64::from(self.total) + 1.0));
        let largest = f64::from(side.largest);
        let mut record = 0.0;
        if size > largest {
            record = 1.0 - largest / size;
            if largest > 0.0 {
                bits += BEYOND * log2(size / largest);
            }
        }
        let span = memory.rarest_bits() - SURPRISE_FROM_BITS;
        Surprise {
            rarity: ((bits - SURPRISE_FROM_BITS) / span).clamp(0.0, 1.0),
            record,
        }
    }

    /// Takes the departure in. While what is seen is suspicious, `memory.weight` is below 1 and the largest grows slowly.
    pub fn learn(&mut self, departure: f64, memory: &Memory) {
        let pace = memory.weight * memory.tail_pace;
        self.mean += (pace * (departure.abs() - f64::from(self.mean))) as f32;
        self.follow_mean();
        if self.unit <= 0.0 {
            return;
        }
        self.total += memory.weight as f32;
        self.above.largest *= memory.record_kept;
        self.below.largest *= memory.record_kept;
        let ratio = self.ratio(departure);
        let side = if departure < 0.0 {
            &mut self.below
        } else {
            &mut self.above
        };
        if ratio > FIRST {
            side.bins[bin(position(ratio))] += memory.weight as f32;
        }
        let ratio = ratio as f32;
        if ratio > side.largest {
            side.largest = if memory.weight < 1.0 && side.largest > 0.0 {
                ratio.min(side.largest * memory.record_growth)
            } else {
                ratio
            };
        }
        if f64::from(self.total) > memory.tail_samples {
            self.halve();
        }
    }

    /// Up to which departure `share` of the samples lie, above and below the expected value.
    pub fn bounds(&self, share: f32) -> (f64, f64) {
        let bound = |side: &Side| side.bound(share * self.total) * f64::from(self.unit);
        (bound(&self.above), bound(&self.below))
    }

    /// The largest departures in memory, above and below.
    pub fn largest(&self) -> (f64, f64) {
        let size = |side: &Side| f64::from(side.largest) * f64::from(self.unit);
        (size(&self.above), size(&self.below))
    }

    /// Size in units; 0 as long as there is no unit.
    fn ratio(&self, departure: f64) -> f64 {
        if self.unit <= 0.0 {
            return 0.0;
        }
        (departure.abs() / f64::from(self.unit)).min(LARGEST_RATIO)
    }

    fn side(&self, departure: f64) -> &Side {
        if departure < 0.0 {
            &self.below
        } else {
            &self.above
        }
    }

    /// Moves the bins by whole octaves, so that no count has to be split.
    fn follow_mean(&mut self) {
        if self.unit <= 0.0 {
            self.unit = self.mean;
        } else if self.mean > 2.0 * self.unit {
            self.unit *= 2.0;
            self.above.rescale_up();
            self.below.rescale_up();
        } else if self.mean < 0.5 * self.unit && self.mean > 0.0 {
            self.unit *= 0.5;
            self.above.rescale_down();
            self.below.rescale_down();
        }
    }

    fn halve(&mut self) {
        self.total *= 0.5;
        let bins = self.above.bins.iter_mut().chain(&mut self.below.bins);
        bins.for_each(|count| *count *= 0.5);
    }
}

impl Side {
    /// Weight beyond the position; the bin it lies in counts by the part of it that is beyond.
    fn beyond(&self, position: f64) -> f32 {
        let at = bin(position);
        let within = ((position - at as f64) / self.width(at)).clamp(0.0, 1.0) as f32;
        self.bins[at] * (1.0 - within) + self.bins[at + 1..].iter().sum::<f32>()
    }

    /// The departure, in units, beyond which `weight` lies.
    fn bound(&self, weight: f32) -> f64 {
        let mut beyond = 0.0;
        for (at, count) in self.bins.iter().enumerate().rev() {
            if beyond + count > weight {
                let within = 1.0 - f64::from((weight - beyond) / count);
                let end = if at == BINS - 1 {
                    edge(BINS).max(f64::from(self.largest) / FIRST)
                } else {
                    edge(at + 1)
                };
                return FIRST * (edge(at) + within * (end - edge(at)));
            }
            beyond += count;
        }
        FIRST
    }

    /// In bins: the last one reaches to the largest departure.
    fn width(&self, bin: usize) -> f64 {
        if bin < BINS - 1 || f64::from(self.largest) <= FIRST * edge(BINS) {
            return 1.0;
        }
        position(f64::from(self.largest)) - bin as f64
    }

    fn rescale_up(&mut self) {
        self.bins.copy_within(BINS_PER_OCTAVE.., 0);
        self.bins[BINS - BINS_PER_OCTAVE..].fill(0.0);
        self.largest *= 0.5;
    }

    fn rescale_down(&mut self) {
        let over: f32 = self.bins[BINS - BINS_PER_OCTAVE..].iter().sum();
        self.bins
            .copy_within(..BINS - BINS_PER_OCTAVE, BINS_PER_OCTAVE);
        self.bins[..BINS_PER_OCTAVE].fill(0.0);
        self.bins[BINS - 1] += over;
        self.largest *= 2.0;
    }
}

/// In bins from the first edge; `ratio` is the departure in units.
fn position(ratio: f64) -> f64 {
    BINS_PER_OCTAVE as f64 * log2(ratio / FIRST)
}

/// Where a bin begins, as a multiple of the first edge.
fn edge(bin: usize) -> f64 {
    let octaves = (1_u32 << (bin / BINS_PER_OCTAVE)) as f64;
    if bin.is_multiple_of(BINS_PER_OCTAVE) {
        octaves
    } else {
        octaves * std::f64::consts::SQRT_2
    }
}

fn bin(position: f64) -> usize {
    (position.max(0.0) as usize).min(BINS - 1)
}
