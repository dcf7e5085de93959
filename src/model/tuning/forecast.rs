//! The values of the forecast. Where they come from: docs/policy.md, "Forecast".

use std::time::Duration;

/// How far ahead: until a new replica helps (poll, HPA sync, start, and the rest of a partition that moves).
pub const HORIZON: Duration = Duration::from_secs(75);
/// How far ahead a scale-in looks: what it gives up takes that long to get back without harm.
pub const LOOK_AHEAD: Duration = Duration::from_secs(600);
/// Arrivals are counted over at least so long before they make a rate: the window of arrivals.
pub const STEP: Duration = Duration::from_secs(15);
/// A count over more time than this says nothing of when it came.
pub const LONGEST_INTERVAL: Duration = Duration::from_secs(600);
/// Share of rates that the upper bound is to cover (q) …
pub const COVERED_RATIO: f64 = 0.9;
/// … and the share by which the margin follows (γ), per step: over some hundred steps, half an hour.
pub const MARGIN_PACE: f64 = 0.01;
/// The margin is at most this share of the forecast: a forecast that errs by more is not worth replicas.
pub const MOST_MARGIN: f64 = 1.0;

/// Which expert is believed.
pub mod expert {
    /// The share of the last value's error that the error of a season may be at most: it looks further back, so it has to be better.
    pub const SEASON_BAR: f64 = 0.85;
}

/// The damped trend.
pub mod holt {
    /// Weight of the newest rate in the level …
    pub const LEVEL: f64 = 0.5;
    /// … and in the slope, which a burst must not turn.
    pub const SLOPE: f64 = 0.1;
    /// What is left of the slope after each step: a trend does not go on forever.
    pub const DAMPED: f64 = 0.9;
}

/// How well an expert does.
pub mod score {
    use std::time::Duration;

    /// Errors fade over so long: a quarter of a day, so that the night does not speak for the day …
    pub const MEMORY: Duration = Duration::from_secs(6 * 3600);
    /// … and an expert is trusted once it was judged for so long.
    pub const TRUSTED_AFTER: Duration = Duration::from_secs(3600);
}

/// Days and weeks.
pub mod season {
    use std::time::Duration;

    /// One value covers so long: 288 a day.
    pub const BIN: Duration = Duration::from_secs(300);
    /// Weight of the newest season once there were several …
    pub const NEWEST: f64 = 0.3;
    /// … and the ratio by which a bin changes at once, at most: a shock is no season.
    pub const MOST_CHANGE: f64 = 2.0;
    /// Bins that are over wait for so many others, so that all of one forecast comes from the seasons before.
    pub const WAITING_BINS: usize = 2;
    /// The present rate is at most multiplied, and divided, by this.
    pub const MOST_RATIO: f64 = 4.0;
}
