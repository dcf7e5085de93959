//! The values of the baselines. They were chosen together, on the 29 series of docs/detection.md, "Results"; spans are in samples
//! at the reference interval. Whoever changes one runs that measurement again, and counts up the version of what is kept where the
//! state means something else after it.

/// What the user may set.
pub mod rules {
    use std::time::Duration;

    /// Nothing is flagged before this time is over: a morning shows what the usual ups and downs are.
    pub const LEARNING: Duration = Duration::from_secs(4 * 3600);
}

/// From departure to flag.
pub mod alarm {
    /// A departure of this size fires, at the reference interval, in a series that has been quiet. Best of 0.24 to 0.28.
    pub const THRESHOLD: f64 = 0.26;
    /// More samples per hour have more chances to look odd: the threshold is higher by this share per doubling.
    pub const PER_DENSITY_BIT: f64 = 0.22;
    /// A series that fires often has to show this share more per firing in memory …
    pub const PER_FIRING: f64 = 0.2;
    /// … which fades over so many samples, two weeks.
    pub const FIRINGS_SAMPLES: f64 = 4000.0;
    /// True incidents raise it too: more firings than these do not, so that it is double at most.
    pub const MOST_FIRINGS: f32 = 5.0;
    /// After a firing none for so many samples, so that one event is one alarm …
    pub const REFRACTORY_SAMPLES: f64 = 100.0;
    /// … or, at short intervals, for so many times the samples of five minutes: an hour.
    pub const REFRACTORY_SAMPLES_PER_DENSITY: f64 = 12.0;
    /// What was seen of late has to be seen again to this share: a repetition is less news …
    pub const HABITUATION: f64 = 0.9;
    /// … and what was seen fades over so many samples, a little more than a day.
    pub const PEAK_SAMPLES: f64 = 340.0;
    /// The flag goes after so many samples in a row …
    pub const CALM_SAMPLES: u8 = 5;
    /// … below this share of the threshold: one calm sample may be chance.
    pub const CALM_RATIO: f64 = 0.5;
}

/// The means that a sample is compared with.
pub mod levels {
    /// Spans of the means over the newest samples, which stay samples whatever the interval: no more than a deploy lasts.
    pub const FAST_SPANS: [f64; 2] = [2.0, 8.0];
    /// Spans of the slow means: one hour, eight hours, half a day, two days.
    pub const SLOW_SPANS: [f64; 4] = [12.0, 100.0, 150.0, 500.0];
    /// Departures that are judged: the value from the two shortest slow means, and means from slower ones.
    pub const DEPARTURES: usize = 4;
}

/// What one sample counts, and for how long.
pub mod memory {
    /// Bits from which on a departure is a surprise: one that a sample in 32 exceeds is none.
    pub const SURPRISE_FROM_BITS: f64 = 5.0;
    /// Departures are remembered for about a week …
    pub const TAIL_SAMPLES: f64 = 2500.0;
    /// … and the largest for eight, so that a monthly job is known.
    pub const RECORD_SAMPLES: f64 = 16_000.0;
    /// Patterns of the last values are remembered for about a week, …
    pub const PATTERN_SAMPLES: f64 = 2000.0;
    /// … but never more of them, so that the counts fit 16 bits.
    pub const MOST_PATTERN_SAMPLES: f64 = 30_000.0;
    /// What is seasonal proves itself over so many samples, three days and a half.
    pub const TRUST_SAMPLES: f64 = 1000.0;
    /// The long-run level follows over a week.
    pub const LEVEL_SAMPLES: f64 = 2016.0;
    /// What a suspicious sample counts, of 1 …
    pub const SUSPICIOUS_WEIGHT: f64 = 0.4;
    /// … and how much it moves means, of what a usual one does: an incident must not become normal before it is noticed.
    pub const SUSPICIOUS_LEVEL_WEIGHT: f64 = 0.5;
    /// The share by which the largest departure grows over the time that suspicion may last.
    pub const SUSPICIOUS_RECORD_GROWTH: f64 = 0.3;
    /// For how many samples suspicion may slow learning, so that a lasting shift is learned …
    pub const SUSPICIOUS_SAMPLES: f64 = 50.0;
    /// … or, at short intervals, for so many times the samples of five minutes: an hour.
    pub const SUSPICIOUS_SAMPLES_PER_DENSITY: f64 = 12.0;
}

/// How often samples come.
pub mod pace {
    /// Seconds between samples that count one by one, as do those that are rarer: the interval of the series that it was tuned on.
    pub const REFERENCE_SECONDS: f32 = 300.0;
    /// Samples that stand for one at the reference interval, at most: one a second.
    pub const MOST_RATIO: f32 = 300.0;
    /// The usual interval is followed in steps of this size, by a majority of the samples: one gap says nothing …
    pub const STEP: f32 = 1.05;
    /// … and nothing within this ratio of it does.
    pub const TOLERANCE: f32 = 1.1;
}

/// How unusual the last values are together.
pub mod pattern {
    /// Fixed projections of the last four values: level, step, bend, and the change over two steps.
    pub const PROJECTIONS: usize = 4;
    /// Bins of each histogram …
    pub const BINS: usize = 32;
    /// … and how many of them per doubling: finer ones take too long to fill.
    pub const BINS_PER_OCTAVE: f64 = 2.0;
    /// Counts are in halves of a sample, so that less than a whole one can be counted; they fit 16 bits.
    pub const COUNTS_PER_SAMPLE: f64 = 2.0;
    /// Samples that every bin is taken to hold before any was seen: one half, so that an empty one is rare but possible.
    pub const PRIOR: f64 = 0.5;
    /// Bits from which on a pattern is a surprise: one that is seen one time in ten is none …
    pub const SURPRISE_FROM_BITS: f64 = 3.32;
    /// … so that most need no logarithm: a share above this has fewer bits than that.
    pub const NO_SURPRISE_FROM: f64 = 0.11;
}

/// Hours of the day and of the week.
pub mod season {
    /// Share by which an hour's value follows a sample: it takes on about half of a new day's, of twelve samples in an hour.
    pub const PACE: f64 = 0.5 / 12.0;
    /// The first sample of an hour is its value if it is nearer to the middle of that hour than to that of any other.
    pub const NEAREST: f64 = 0.5;
    /// While an hour of the season was not seen yet, its error is taken to be so many times that without a season.
    pub const UNSEEN_PENALTY: f64 = 1.2;
    /// Trust per share of the error that a season takes away: it is whole once the error is halved.
    pub const TRUST_SLOPE: f64 = 2.0;
}

/// What a sample is held against.
pub mod state {
    /// Samples before anything is flagged, however long that takes: rarity needs a number of them.
    pub const LEARNING_SAMPLES: u64 = 200;
    /// What a new record counts beside the rarity of departures, which counts 1, …
    pub const RECORD_WEIGHT: f64 = 0.6;
    /// … an odd pattern, …
    pub const PATTERN_WEIGHT: f64 = 0.2;
    /// … and a departure from the season.
    pub const SEASON_WEIGHT: f64 = 1.0;
    /// From this departure on, a little below the threshold, a sample is suspicious and teaches less.
    pub const SUSPICIOUS: f64 = 0.2;
    /// Below this share of it a sample is calm.
    pub const CALM_RATIO: f64 = 0.5;
    /// Samples by which a calm one gives back the time for which learning may be slowed: what is odd more often than that is usual.
    pub const SUSPICION_FADES: f64 = 0.1;
    /// A sample moves the slow means by at most so many of the largest departures known.
    pub const MOST_MOVE: f64 = 2.0;
    /// Share of the samples that lie above the upper bound, and as many below the lower one.
    pub const OUTSIDE_SHARE: f32 = 0.01;
    /// After more intervals than these without a sample the series may have gone anywhere.
    pub const GAP_INTERVALS: f64 = 10.0;
    /// Differences below this share of the value are rounding.
    pub const ROUNDING: f64 = 1e-9;
    /// What is nearer to 0 than this is 0, so that ratios stay finite, …
    pub const SMALLEST_VALUE: f64 = 1e-200;
    /// … values beyond this are no measurements, …
    pub const LARGEST_VALUE: f64 = 1e200;
    /// … and larger multiples of the first value are all the same.
    pub const LARGEST_RATIO: f64 = 1e30;
}

/// How rare a departure is.
pub mod tail {
    /// Bins per doubling …
    pub const BINS_PER_OCTAVE: usize = 2;
    /// … and how many: from twice the mean departure to 45 times. The last takes all that is beyond.
    pub const BINS: usize = 9;
    /// Departures below so many mean ones are usual.
    pub const FIRST: f64 = 2.0;
    /// What the largest departure so far is exceeded by counts so many times: the share beyond it is taken to fall with the square.
    pub const BEYOND: f64 = 2.0;
    /// An unseen departure counts as half of one.
    pub const UNSEEN: f64 = 0.5;
    /// Larger ratios are all the same: they must not overflow.
    pub const LARGEST_RATIO: f64 = 1e30;
}
