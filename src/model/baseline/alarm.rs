//! From departure to flag: when to fire, how long the flag stays, and what was fired for of late.

use serde::{Deserialize, Serialize};

use crate::model::tuning::baseline::alarm::{
    CALM_RATIO, CALM_SAMPLES, FIRINGS_SAMPLES, HABITUATION, MOST_FIRINGS, PEAK_SAMPLES,
    PER_DENSITY_BIT, PER_FIRING, REFRACTORY_SAMPLES, REFRACTORY_SAMPLES_PER_DENSITY, THRESHOLD,
};

/// The state of one series' flag.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Alarm {
    raised: bool,
    calm: u8,
    /// Samples until it may fire again.
    wait: u32,
    /// Largest departure of late.
    peak: f32,
    /// Firings in memory.
    firings: f32,
}

/// What the alarm says of one sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// 0 to 1; from one half on it fires.
    pub score: f64,
    /// The same for the departure itself, whether or not it may fire.
    pub departure: f64,
    pub raised: bool,
    pub fired: bool,
}

impl Alarm {
    pub fn raised(&self) -> bool {
        self.raised
    }

    /// Takes in a departure; `density` as in `Pace`.
    pub fn observe(&mut self, departure: f64, density: f64, density_bits: f64) -> Verdict {
        self.firings *= (1.0 - 1.0 / (FIRINGS_SAMPLES * density)) as f32;
        let threshold = THRESHOLD
            * (1.0 + PER_DENSITY_BIT * density_bits)
            * (1.0 + PER_FIRING * f64::from(self.firings));
        self.calm_down(departure < CALM_RATIO * threshold);
        let new = self.wait == 0 && departure >= HABITUATION * f64::from(self.peak);
        let fired = new && departure >= threshold;
        self.peak =
            (self.peak * (1.0 - 1.0 / (PEAK_SAMPLES * density)) as f32).max(departure as f32);
        self.wait = self.wait.saturating_sub(1);
        if fired {
            self.raised = true;
            self.calm = 0;
            self.firings = (self.firings + 1.0).min(MOST_FIRINGS);
            let wait = REFRACTORY_SAMPLES.max(REFRACTORY_SAMPLES_PER_DENSITY * density);
            self.wait = wait as u32 - 1;
        }
        let departure = departure / (departure + threshold);
        Verdict {
            score: if new { departure } else { departure / 2.0 },
            departure,
            raised: self.raised,
            fired,
        }
    }

    fn calm_down(&mut self, calm: bool) {
        self.calm = if calm { self.calm.saturating_add(1) } else { 0 };
        if self.calm >= CALM_SAMPLES {
            self.raised = false;
        }
    }
}
