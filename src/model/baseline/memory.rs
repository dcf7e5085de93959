//! The constants of the detector, as they apply to one sample. Spans are in samples at the reference interval of [`SamplePace`].

use crate::model::tuning::baseline::levels::SLOW_SPANS;
use crate::model::tuning::baseline::memory::{
    LEVEL_SAMPLES, MOST_PATTERN_SAMPLES, PATTERN_SAMPLES, RECORD_SAMPLES, SUSPICIOUS_LEVEL_WEIGHT,
    SUSPICIOUS_RECORD_GROWTH, SUSPICIOUS_SAMPLES, SUSPICIOUS_SAMPLES_PER_DENSITY,
    SUSPICIOUS_WEIGHT, TAIL_SAMPLES, TRUST_SAMPLES,
};

use super::bits::log2;
use super::pace::SamplePace;

/// What one sample counts, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// This sample's number, from 1.
    pub samples: f64,
    /// What it counts: 1, or less while suspicious.
    pub weight: f64,
    pub level_weight: f64,
    pub slow_spans: [f64; 4],
    pub tail_samples: f64,
    pub record_kept: f32,
    pub record_growth: f32,
    pub pattern_samples: f64,
    /// Shares by which what is remembered follows this sample.
    pub tail_pace: f64,
    pub trust_pace: f64,
    pub level_pace: f64,
    newest: f64,
    pub suspicious_samples: f64,
    pub density: f64,
}

impl Memory {
    /// For sample number `samples`.
    pub fn of(samples: u64, pace: SamplePace) -> Self {
        let density = pace.density();
        let suspicious_samples = suspicious_samples(density);
        let samples = samples as f64;
        let newest = 1.0 / samples;
        let (tail_samples, pattern_samples) = (
            TAIL_SAMPLES * density,
            (PATTERN_SAMPLES * density).min(MOST_PATTERN_SAMPLES),
        );
        Self {
            samples,
            weight: 1.0,
            level_weight: 1.0,
            slow_spans: SLOW_SPANS.map(|span| span * density),
            tail_samples,
            record_kept: (1.0 - 1.0 / (RECORD_SAMPLES * density)) as f32,
            record_growth: (1.0 + SUSPICIOUS_RECORD_GROWTH / suspicious_samples) as f32,
            pattern_samples,
            tail_pace: newest.max(1.0 / tail_samples),
            trust_pace: newest.max(1.0 / (TRUST_SAMPLES * density)),
            level_pace: newest.max(1.0 / (LEVEL_SAMPLES * density)),
            newest,
            suspicious_samples,
            density,
        }
    }

    /// Surprise of what was not seen once in a whole memory.
    pub fn rarest_bits(&self) -> f64 {
        log2(self.tail_samples)
    }

    /// As that, of a pattern.
    pub fn rarest_pattern_bits(&self) -> f64 {
        log2(self.pattern_samples)
    }

    /// For a sample that may be an anomaly.
    pub fn slow_down(&mut self) {
        self.weight = SUSPICIOUS_WEIGHT;
        self.level_weight = SUSPICIOUS_LEVEL_WEIGHT;
    }

    /// Share by which an average over `span` follows this sample.
    pub fn share(&self, span: f64) -> f64 {
        (2.0 / (span + 1.0)).max(self.newest)
    }
}

fn suspicious_samples(density: f64) -> f64 {
    SUSPICIOUS_SAMPLES.max(SUSPICIOUS_SAMPLES_PER_DENSITY * density)
}
