//! Every value that the model is tuned by: its meaning, its unit and why it is so large. Baselines, forecasts and incidents have a
//! file each; docs/policy.md and docs/detection.md say what the values were measured on.

pub mod baseline;
pub mod forecast;
pub mod incident;

/// What processed and what left the log unread.
pub mod accounting {
    /// Messages by which the length of a log varies that is trimmed in whole blocks: Redis' `stream-node-max-entries`.
    pub const TRIM_BLOCK: u64 = 100;
}

/// What one consumer does when it is never idle.
pub mod capacity {
    use std::time::Duration;

    /// The number of consumers must not have changed for this long: a new one reads code and opens connections first.
    pub const SETTLED: Duration = Duration::from_secs(60);
    /// Busy means that the position reached lies behind the log end of this long ago: a batch in hand is no backlog.
    pub const BEHIND: Duration = Duration::from_secs(30);
    /// Polls in a row that have to show it: one may catch the tail of a burst.
    pub const BUSY_POLLS: u32 = 4;
    /// The time one sample is averaged over, so that bursts of acknowledgements even out.
    pub const SAMPLE_SPAN: Duration = Duration::from_secs(10);
    /// Samples before the estimate is used: the median of fewer follows single odd ones.
    pub const MIN_SAMPLES: u32 = 8;
    /// The estimate never falls below this share of the best: who did that much can do it. The rest is the error of a sample.
    pub const FLOOR_RATIO: f64 = 0.92;
    /// Samples kept, the newest; the estimate is their median. Twice what is needed at first, so that it follows a new version of
    /// the consumers within minutes.
    pub const KEPT: usize = 16;
    /// A sample over a longer time than [`SAMPLE_SPAN`] counts several times, at most this often: one poll must not fill the memory.
    pub const LONGEST_COUNTS: u32 = 4;
    /// The best is the mean of so many samples in a row: a single one may be wrong by a batch at its ends.
    pub const BEST_OF: usize = 3;
    /// How long until the best rate ever seen has lost all its weight: what consumers could do a week ago may be gone.
    pub const BEST_FADES_OVER: Duration = Duration::from_secs(7 * 24 * 3600);
    /// Commits that a sample has to cover, so that one more or less at its edges does little.
    pub const COMMITS_PER_SAMPLE: u32 = 3;
}

/// Counts that rise or fall all the time.
pub mod drift {
    use std::time::Duration;

    /// Values are compared that are so far apart: trims take whole blocks, consumers whole batches.
    pub const APART: Duration = Duration::from_secs(30);
    /// So many of them, so over a minute and a half: three changes in the same direction are hardly chance.
    pub const MARKS: usize = 4;
    /// After a gap of this length what was before says nothing.
    pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);
}

/// Until what is not finished leaves the log.
pub mod retention {
    /// Messages that are a reserve, and by which it has to fall at least: fewer are the end of a batch.
    pub const LEAST: f64 = 10.0;
    /// The share of the log that is a reserve, and of the reserve by which it has to fall: else there are two hours left or more.
    pub const LEAST_RATIO: f64 = 0.01;
    /// The reserve has to fall by this share of what is dropped meanwhile: where consumers delete what they did, what they have
    /// not deleted yet goes up and down by a second or two of their work.
    pub const LEAST_OF_DROPPED_RATIO: f64 = 0.05;
}

/// How consumers commit.
pub mod commits {
    use std::time::Duration;

    /// Commits remembered, the newest: enough for a median, few enough to follow a new batch size.
    pub const KEPT: usize = 8;
    /// Commits before anything is said: two intervals may be alike by chance.
    pub const NEEDED: usize = 3;
    /// Batches, or intervals, that differ by no more than this share of their median are regular.
    pub const REGULAR_RATIO: f64 = 0.25;
    /// A rate over less time is coarse: stores tell times in whole seconds.
    pub const RECENT: Duration = Duration::from_secs(10);
}

/// Whether what consumers depend on is slow.
pub mod downstream {
    use std::time::Duration;

    /// Less than this share of their capacity is an outage: a consumer that is merely unlucky keeps more …
    pub const COLLAPSED_RATIO: f64 = 0.55;
    /// … and such a rate does not count as a capacity sample.
    pub const TRUSTED_RATIO: f64 = COLLAPSED_RATIO;
    /// This share is health again. Well above the other, so that the breaker does not flap.
    pub const RECOVERED_RATIO: f64 = 0.8;
    /// Health has to last this long before the breaker closes: a dependency that comes back often falls over once more.
    pub const HALF_OPEN_FOR: Duration = Duration::from_secs(60);
    /// After this time it no longer counts as an outage: capacity is learned again.
    pub const ACCEPTED_AFTER: Duration = Duration::from_secs(3_600);
}

/// How much of its time a consumer works.
pub mod busy {
    use std::time::Duration;

    /// Looks of so long make the mean.
    pub const WINDOW: Duration = Duration::from_secs(120);
    /// A consumer that asked within so many milliseconds is there; one that was scaled in asks no more.
    pub const AT_WORK_MILLIS: u64 = 60_000;
    /// So many looks at a consumer say something: ten consumers, three polls.
    pub const LEAST_LOOKS: u32 = 30;
}

/// Capacity by the first busy seconds, where any consumer may take any message.
pub mod early {
    use std::time::Duration;

    /// A run of busy polls says something from this length on …
    pub const LEAST: Duration = Duration::from_secs(4);
    /// … and from so many messages: shorter ones are mostly batches in hand.
    pub const LEAST_MESSAGES: u64 = 20;
    /// What a run of this length showed is proof: the estimate does not fall far below it again.
    pub const PROVES: Duration = Duration::from_secs(10);
    /// Shorter runs prove as much once they are so long together: each may be wrong by a batch at its ends …
    pub const PROVE_TOGETHER: Duration = Duration::from_secs(15);
    /// … unless one of them is so long ago, or differs by more than [`JUMP_RATIO`].
    pub const TOGETHER_WITHIN: Duration = Duration::from_secs(600);
    /// A run starts over after so long, so that it follows a change.
    pub const LONGEST: Duration = Duration::from_secs(60);
    /// The estimate never falls below this share of what was proven. As in [`super::capacity::FLOOR_RATIO`].
    pub const FLOOR_RATIO: f64 = 0.92;
    /// A count that source and replicas do not agree on is believed once it has stood for so long: about two polls.
    pub const COUNT_SETTLES: Duration = Duration::from_secs(10);
    /// For a minute the source still lists consumers that were scaled in; this is a poll longer.
    pub const GONE_IS_SEEN: Duration = Duration::from_secs(70);
    /// A configured capacity is believed once this share of it was seen.
    pub const BELIEVED_RATIO: f64 = 0.8;
    /// An interval in which so many times the most before was done had more consumers than were counted.
    pub const JUMP_RATIO: f64 = 1.5;
}

/// What the whole fleet does, compared with what it could.
pub mod fleet {
    use std::time::Duration;

    /// Consumers count that were there for so long: before that they warm up.
    pub const SETTLED: Duration = Duration::from_secs(60);
    /// A ratio covers so long, so that bursts of acknowledgements even out …
    pub const SPAN: Duration = Duration::from_secs(10);
    /// … and so many messages that a healthy fleet would have done: fewer may be missing by chance.
    pub const LEAST_EXPECTED: f64 = 50.0;
}

/// What feeds baselines.
pub mod normal {
    use std::time::Duration;

    /// Polls may be faster: baselines take in one sample in so much time, so that "the last samples" means about the same everywhere.
    pub const LEAST_APART: Duration = Duration::from_secs(4);
}

/// What the holder of partitions does.
pub mod owners {
    use std::time::Duration;

    /// A holder counts once its partitions have been the same for so long: taking one over takes time …
    pub const SETTLED: Duration = Duration::from_secs(60);
    /// … and once it was never idle for so long …
    pub const BUSY: Duration = Duration::from_secs(20);
    /// … and for so many commit intervals: a commit tells only of what came before it.
    pub const BUSY_INTERVALS: u32 = 2;
    /// Where commits are rarer than this, what somebody did throughout [`BUSY_INTERVALS`] of them is proven.
    pub const RARE: Duration = Duration::from_secs(15);
    /// Time between two samples of one holder, or one commit interval: as for the capacity of all.
    pub const SAMPLE_EVERY: Duration = Duration::from_secs(10);
}

/// What is known of a partition while it cannot be read as usual.
pub mod partition {
    use std::time::Duration;

    /// A stream that vanished counts as unknown for this long, then as empty: it may be on its way back.
    pub const VANISHED_GRACE: Duration = Duration::from_secs(60);
    /// For how long the last rates stand for arrivals that the source could not count.
    pub const UNCOUNTED_FOR: Duration = Duration::from_secs(60);
}

/// Loads that may come back.
pub mod peaks {
    use std::time::Duration;

    /// How long a peak is remembered: what came within a working morning may come again.
    pub const PEAKS_WINDOW: Duration = Duration::from_secs(4 * 3600);
    /// One entry covers so long: 24 numbers per partition are enough to forget the oldest in time.
    pub const STEP: Duration = Duration::from_secs(600);
}

/// Whether a partition keeps up.
pub mod progress {
    use std::time::Duration;

    /// Commits that leave more than what arrived within this time are behind: less is a batch in hand.
    pub const BEHIND: Duration = Duration::from_secs(15);
}

/// When the rest of a batch counts as processed.
pub mod quiet {
    use std::time::Duration;

    /// A consumer that held a partition for so long without anything new is through with it …
    pub const SETTLES_OWNED: Duration = Duration::from_secs(60);
    /// … and where nobody records who holds it, after so long: it may have been a restart of all consumers.
    pub const SETTLES_UNTOLD: Duration = Duration::from_secs(300);
}

/// Rates.
pub mod rates {
    use std::time::Duration;

    /// Time over which arrivals are averaged: short, so that the target follows a rise.
    pub const ARRIVAL_WINDOW: Duration = Duration::from_secs(15);
    /// Time over which arrivals are averaged on the way down, where a moment says little.
    pub const STEADY_WINDOW: Duration = Duration::from_secs(60);
    /// Time over which processing is averaged: long enough for acknowledgements that come in bursts.
    pub const PROCESSING_WINDOW: Duration = Duration::from_secs(30);
    /// A rate over less time would call a handful of messages a flood, and holds would keep what it asked for …
    pub const LEAST_COVERED: Duration = Duration::from_secs(5);
    /// … unless it were this many messages: then it is over the less time, the more there are.
    pub const HANDFUL: u64 = 50;
    /// Intervals shorter than this are merged, so that fast polling does not cost memory.
    pub const BUCKET: Duration = Duration::from_millis(2_500);
    /// The longest window that arrivals can be asked for: as long as the longest activation window of the policy.
    pub const LONGEST_ARRIVAL_WINDOW: Duration = Duration::from_secs(3_600);
    /// Arrivals of that window are kept by so long: 720 numbers per group.
    pub const HISTORY_STEP: Duration = Duration::from_secs(5);
    /// Fewer pauses between arrivals say nothing of the longest.
    pub const PAUSES_TELL: usize = 10;
    /// Messages come in bursts if more than so many pauses within an hour are those between bursts: one may have been the end of something.
    pub const ENDS: usize = 1;
}

/// When a partition stands still.
pub mod standstill {
    use std::time::Duration;

    /// Without a commit for so long a partition stands still: longer than a rebalance takes …
    pub const STILL_AFTER: Duration = Duration::from_secs(75);
    /// … and for so many of its commit intervals: one may be missed.
    pub const STILL_INTERVALS: u32 = 3;
    /// As long as it is not known how often consumers commit, so many messages may be nothing but the rest of a batch.
    pub const LIKELY_BATCH: u64 = 1_000;
}

/// Text that others wrote.
pub mod foreign {
    /// A label value, at most: Prometheus keeps each of them for as long as its series.
    pub const LABEL_BYTES: usize = 128;
    /// Of a longer one so much is shown before the hash that tells it from others.
    pub const LABEL_START_BYTES: usize = 96;
    /// A sentence, at most: it may become an event of Kubernetes, which holds 1,024 bytes.
    pub const TEXT_BYTES: usize = 800;
}

/// Streams.
pub mod stream {
    /// Partitions that a template or list may name, at most: each is read at every poll and kept in memory.
    pub const MAX_PARTITIONS: usize = 10_000;
}

/// All partitions together.
pub mod whole {
    use std::time::Duration;

    /// For a partition that could not be read for so long nobody waits: meanwhile nothing is known of the whole.
    pub const WAITS_FOR: Duration = Duration::from_secs(60);
}
