//! The values that incidents are recognized by. What they are measured on: docs/detection.md, "How well incidents are recognized".

/// Producers that stop, and traffic that surges.
pub mod arrivals {
    use std::time::Duration;

    /// Days whose largest rates are remembered: a week and today.
    pub const DAYS: usize = 8;
    /// A rate belongs to what was seen before once it is this old, so that a surge is not its own record.
    pub const RECENT: Duration = Duration::from_secs(600);
    /// Time over which the usual rate is averaged.
    pub const USUAL_OVER: Duration = Duration::from_secs(600);
    /// Messages that would have come meanwhile: all of them missing is no chance (e^-20).
    pub const MISSING: f64 = 20.0;
    /// A silence is unusual beyond so many times the longest that began about that hour, …
    pub const SILENCE_RATIO: f64 = 1.5;
    /// … and this many polls, …
    pub const SILENT_POLLS: u32 = 3;
    /// … and this long, however fast the polls are.
    pub const SILENT_FOR: Duration = Duration::from_secs(10);
    /// Before a day is known a silence has to be longer, by this ratio.
    pub const UNKNOWN_DAY_RATIO: f64 = 4.0;
    /// What a silence counts for a day later, of 1: the longest is forgotten slowly, as weekends and holidays are rare.
    pub const FORGOTTEN_PER_DAY: f64 = 0.99;
    /// A surge is so many times the largest rate of the week …
    pub const SURGE_RATIO: f64 = 1.5;
    /// … or, where the flag of throughput rose, so many times the rate of the last minutes …
    pub const RISE_RATIO: f64 = 1.7;
    /// … and so many standard deviations of a count beyond it.
    pub const SURGE_DEVIATIONS: f64 = 6.0;
}

/// Consumers that are slow, crash or meet a hot partition.
pub mod consumers {
    use std::time::Duration;

    /// Who got or lost a partition within this time is not judged by what it does yet: a rebalance takes that long.
    pub const SETTLES: Duration = Duration::from_secs(45);
    /// Who has just come may take this much longer for the first commit.
    pub const ARRIVES: Duration = Duration::from_secs(20);
    /// A commit is overdue after so many times the usual interval …
    pub const DUE_INTERVALS: f64 = 1.5;
    /// … and so many polls, as the last one may have come a moment too early to see it.
    pub const DUE_POLLS: u32 = 2;
    /// Seconds of arrivals that wait and are not only yet to be committed …
    pub const WAITING_SECONDS: f64 = 8.0;
    /// … so many standard deviations of a count beyond chance.
    pub const DEVIATIONS: f64 = 6.0;
    /// Less than this share of what comes is done: it falls behind.
    pub const FALLS_BEHIND_RATIO: f64 = 0.9;
    /// Less than this share of what it has to do and can do: it is slow.
    pub const SLOW_RATIO: f64 = 0.8;
    /// All are slow if those that are get at least this share of what arrives.
    pub const ALL_RATIO: f64 = 0.6;
    /// More than this share of what a consumer can do arrives on one partition: it is hot, beyond the error of the capacity.
    pub const HOT_RATIO: f64 = 1.05;
    /// A hot partition gets more than so many times the mean one, too: else all of them are hot.
    pub const HOT_MEANS: f64 = 2.0;
    /// Where capacity is only known from below: so many times the mean partition.
    pub const STANDS_OUT: f64 = 3.0;
}

/// Consumers that are not heard of any more.
pub mod silence {
    use std::time::Duration;

    /// Nobody is missed before this time …
    pub const LEAST: Duration = Duration::from_secs(30);
    /// … nor before so many times the longest that somebody worked on before asking again.
    pub const RATIO: f64 = 3.0;
    /// What such a time counts for a day later, of 1: consumers change with deploys.
    pub const FORGOTTEN_PER_DAY: f64 = 0.9;
    /// Who has been silent for so long is no news any more: what it holds is reported as stuck.
    pub const OLD: Duration = Duration::from_secs(3_600);
}

/// When an incident begins, ends and takes in others.
pub mod track {
    use std::time::Duration;

    /// Incidents that are over and still listed: some weeks of them.
    pub const KEPT: usize = 64;
    /// An incident is over when nothing was wrong for so long.
    pub const OVER_AFTER: Duration = Duration::from_secs(60);
    /// A flag within this time after an incident belongs to it: the backlog that it left has to drain.
    pub const BELONGS_WITHIN: Duration = Duration::from_secs(900);
    /// What turns out to be wrong with all of them belongs to what was wrong with one of them so shortly before.
    pub const SPREADS_WITHIN: Duration = Duration::from_secs(180);
}
