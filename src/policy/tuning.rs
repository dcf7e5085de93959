//! Every value that the policy is tuned by: its meaning, its unit and why it is so large.

/// Settings.
pub mod spec {
    use std::time::Duration;

    /// Consumers that one replica may run, at most.
    pub const MOST_CONSUMERS: u32 = 1_000;
    /// The longest target delay.
    pub const LONGEST_TARGET_DELAY: Duration = Duration::from_secs(24 * 3600);
    /// The longest activation window, and the longest hold.
    pub const LONGEST_HOLD: Duration = Duration::from_secs(3600);
    /// How long a message may wait by default.
    pub const TARGET_DELAY: Duration = Duration::from_secs(30);
    /// The default hold: as long as the HPA's own.
    pub const SCALE_IN_HOLD: Duration = Duration::from_secs(300);
    /// The default bounds of the answer …
    pub const MIN_REPLICAS: u32 = 0;
    /// … are those of KEDA.
    pub const MAX_REPLICAS: u32 = 100;
}

/// What is waited for.
pub mod target {
    use std::time::Duration;

    /// A call to the Kubernetes API takes three seconds at most.
    pub const OBJECT_TOLD_WITHIN: Duration = Duration::from_secs(5);
}

/// How old an observation may be.
pub mod freshness {
    use std::time::Duration;

    /// Up to so many poll intervals it is fresh: one poll may fail.
    pub const FRESH_POLLS: u32 = 2;
    /// Up to so many an active target goes by it, …
    pub const USABLE_POLLS: u32 = 3;
    /// … for at least this long, as a source that is restarted is soon back, …
    pub const USABLE_LEAST: Duration = Duration::from_secs(30);
    /// … and at most this.
    pub const USABLE_MOST: Duration = Duration::from_secs(300);
}

/// How soon a group is polled again.
pub mod pace {
    use std::time::Duration;

    /// A group that has become active is looked at again after this time, then after twice that, …
    pub const FIRST_GAP: Duration = Duration::from_secs(1);
    /// … and so on up to this, if the poll interval is longer …
    pub const CLOSE: Duration = Duration::from_secs(5);
    /// … for so long: in that time the fleet is sized, by what its first busy seconds show.
    pub const CLOSE_FOR: Duration = Duration::from_secs(120);
    /// Groups that became active together are polled together at first: their gaps are shorter by up to this share.
    pub const APART: f64 = 0.25;
    /// While messages come and a threshold keeps the group inactive, they bring about a poll no more often than this, …
    pub const BETWEEN_WAKES: Duration = Duration::from_secs(1);
    /// … nor than once in this share of the poll interval, …
    pub const BETWEEN_WAKES_SHARE: u32 = 10;
    /// … nor sooner than this many times as long as a poll took.
    pub const BETWEEN_WAKES_TIMES: u32 = 10;
}

/// Whether a target is active.
pub mod activation {
    use std::time::Duration;

    /// Arrivals within this time activate, where the pauses between them do not say that less will do …
    pub const LONGEST_WINDOW: Duration = Duration::from_secs(45);
    /// … never less than this: a producer that restarts is soon back …
    pub const SHORTEST_WINDOW: Duration = Duration::from_secs(15);
    /// … and so many times the longest pause. A poll that is late is no end, and no pause is shorter than the time between polls.
    pub const PAUSES: u32 = 2;
    /// `cooldownPeriod` where it is not known: that of the example. KEDA's own default is five minutes.
    pub const SUPPOSED_COOLDOWN: Duration = Duration::from_secs(60);
}

/// Shares of its capacity that a replica is meant to use, where nobody knows who holds which partition.
pub mod utilization {
    /// Shares of its capacity that a replica is meant to use.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Utilization {
        /// When the target rises.
        pub up: f64,
        /// When it falls: lower, so that one replica more or less does not tip it back.
        pub down: f64,
        /// Arrivals up to this share of what the present replicas can do ask for no more of them.
        pub kept: f64,
    }

    /// Any consumer may take any message: the others take what one has no time for, and one more helps at once.
    pub const SHARED: Utilization = Utilization {
        up: 0.95,
        down: 0.85,
        kept: 0.97,
    };
    /// A partition that belongs to a consumer needs room for its own peaks.
    pub const EXCLUSIVE: Utilization = Utilization {
        up: 0.80,
        down: 0.75,
        kept: 0.90,
    };
}

/// A surge in the newest interval.
pub mod surge {
    /// The newest interval alone shows a surge if it is so many times the mean, …
    pub const SURGE_RATIO: f64 = 1.3;
    /// … and lies so many standard deviations above it, …
    pub const SURGE_DEVIATIONS: f64 = 6.0;
    /// … those of a count over so many seconds, the shortest that a rate is taken over.
    pub const COUNTED_OVER_SECONDS: f64 = 5.0;
}

/// Whether what was asked for is enough.
pub mod fleet {
    use std::time::Duration;

    /// Until a new replica starts: poll, HPA sync.
    pub const ASKED_WITHIN: Duration = Duration::from_secs(20);
    /// How long it starts where none was seen, and at most: what takes longer is no reason to ask for nothing.
    pub const LONGEST_START: Duration = Duration::from_secs(40);
    /// A fleet that processes so many times the arrivals catches up.
    pub const CATCHES_UP_RATIO: f64 = 1.05;
    /// Messages that wait for this share of the target delay wait too long: the rest of it is needed to act.
    pub const TOO_LONG_RATIO: f64 = 0.5;
    /// What does not keep up, whatever one replica does, is multiplied by this.
    pub const DOUBLE: u32 = 2;
}

/// The count where each partition belongs to one consumer. Where the values come from: docs/policy.md.
pub mod exclusive {
    use std::time::Duration;

    /// While capacity is only known to be at least so much, so much more is tried.
    pub const EXPLORED_RATIO: f64 = 1.2;
    /// A step up multiplies the count by this at most, as it is not known how far is enough.
    pub const EXPLORED_STEP: u32 = 4;
    /// Share of its capacity that a consumer's arrivals may take after a rise …
    pub const UTILIZATION_UP: f64 = 0.85;
    /// … and after a fall.
    pub const UTILIZATION_DOWN: f64 = 0.70;
    /// A backlog is to be gone within so many times the target delay.
    pub const CATCH_UP_RATIO: f64 = 3.0;
    /// Backlog alone makes no partition larger than this share of a consumer: else one would ask for a consumer of its own.
    pub const BACKLOG_SHARE: f64 = 0.7;
    /// Until a new replica helps: poll, HPA sync, start, and the rest of a partition that moves.
    pub const HELPS_AFTER: Duration = Duration::from_secs(75);
    /// A partition that moved rests, and then catches up.
    pub const MOVE_LANDS_AFTER: Duration = Duration::from_secs(20);
    /// Share of the outcomes of chance in which a count has to be enough: after a rise, …
    pub const LIKELY_UP: f64 = 0.6;
    /// … after a fall, …
    pub const LIKELY_DOWN: f64 = 0.9;
    /// … for peaks that may come back, …
    pub const LIKELY_PEAK: f64 = 0.75;
    /// … and while a step lands.
    pub const LIKELY_LANDING: f64 = 0.5;
    /// A load of so many times its capacity is borne by a consumer until help comes, without making messages late.
    pub const BORNE_RATIO: f64 = 1.3;
    /// The reserve for peaks to come back is at most this many times what is needed now, …
    pub const RESERVE_RATIO: f64 = 1.5;
    /// … or so many replicas more.
    pub const RESERVE_REPLICAS: u32 = 2;
    /// While capacity is only known to be at least so much, a load of so many times that is beyond what was seen, and needs no waiting until it hurts, …
    pub const SURPRISE_RATIO: f64 = 1.5;
    /// … if it also lies so many standard deviations above it.
    pub const SURPRISE_DEVIATIONS: f64 = 3.0;
    /// A holder whose commits leave messages behind for so long is behind.
    pub const BEHIND_AFTER: Duration = Duration::from_secs(10);
    /// One that is behind for so long …
    pub const SLOW_FOR: Duration = Duration::from_secs(60);
    /// … and does less than this share of what others can is slow.
    pub const SLOW_RATIO: f64 = 0.7;
    /// Arrivals are little that take up to this share of a consumer's capacity, …
    pub const LITTLE_RATIO: f64 = 0.3;
    /// … and a backlog is much that takes it longer than this share of the target delay.
    pub const MUCH_RATIO: f64 = 0.25;
    /// The HPA leaves a ratio up to this alone.
    pub const DEAD_BAND_RATIO: f64 = 1.1;
}

/// Who would hold what with another count.
pub mod placement {
    /// Outcomes of chance that a count is judged by.
    pub const TRIALS: usize = 16;
}

/// Partitions that no count of replicas helps.
pub mod incurable {
    /// While capacity is not known: only who gets so many times the mean partition may be hotter than a consumer, else all are.
    pub const STANDS_OUT: f64 = 3.0;
}

/// The first step, while capacity is unknown and any consumer may take any message.
pub mod cold {
    use std::time::Duration;

    /// A replica is taken to do so many messages per second until it is seen: of the field's consumers few are slower.
    pub const SUPPOSED_PER_SECOND: f64 = 50.0;
    /// How long a start takes where none was seen.
    pub const SUPPOSED_START: Duration = Duration::from_secs(10);
    /// No first step is larger: one of 16 made a little less late over the cold grid, but cost more where consumers are fast.
    pub const LARGEST_FIRST_STEP: u32 = 12;
    /// Where partitions belong to replicas a second step moves them once more, so the first may be larger.
    pub const LARGEST_FIRST_STEP_EXCLUSIVE: u32 = 16;
    /// A second step has to be larger than what started, by more than this share.
    pub const SECOND_STEP_RATIO: f64 = 0.25;
    /// As long as consumers keep up, so much more than was seen of one is tried: of a fleet that others sized, …
    pub const EXPLORED_RATIO: f64 = 1.2;
    /// … but no more than would keep consumers busy for this share of their time: who has always something in hand does all it can; …
    pub const BUSY_RATIO: f64 = 0.95;
    /// … and of one that rests on the supposition above: consumers that do ten times as much would keep ten times too many for minutes …
    pub const EXPLORED_RATIO_OWN: f64 = 2.0;
    /// … and they keep up while less waits than arrives in this time, and this many messages.
    pub const KEEPS_UP_WITHIN: Duration = Duration::from_secs(3);
    /// All that run had so long to show that they are too few.
    pub const SHOWS_AFTER: Duration = Duration::from_secs(10);
    /// What a replica cannot do is this share of what would have kept the backlog as it was: rates are means.
    pub const TOO_MUCH_RATIO: f64 = 0.95;
    /// A handful is no backlog, however slowly messages arrive.
    pub const HANDFUL: u64 = 20;
}

/// The count while capacity is unknown and partitions belong to replicas.
pub mod bootstrap {
    use std::time::Duration;

    /// A step has landed when the replicas are there and had this long to show what they do.
    pub const STEP_SETTLES: Duration = Duration::from_secs(60);
    /// Where the running replicas are unknown, a step counts as landed after this long.
    pub const STEP_LANDS_BLIND: Duration = Duration::from_secs(120);
    /// Idle for this long lowers the target by [`EXPLORE_DOWN_RATIO`].
    pub const EXPLORE_AFTER: Duration = Duration::from_secs(300);
    /// Share that is taken off per idle spell, but at least one.
    pub const EXPLORE_DOWN_RATIO: f64 = 0.15;
    /// A count that was too few is not tried again before arrivals fall below this share of what they were then.
    pub const TRIED_RATIO: f64 = 0.8;
}

/// The count while messages are lost.
pub mod losing {
    use std::time::Duration;

    /// Each step multiplies the replicas by this …
    pub const STEP_RATIO: u32 = 2;
    /// … once the last one had so long to show what it does, where it is known that all are at work …
    pub const SHOWS_AFTER: Duration = Duration::from_secs(20);
    /// … and so long where it is not.
    pub const LANDS_AFTER: Duration = Duration::from_secs(60);
}

/// Bounds by the source.
pub mod bounds {
    /// Consumers that get this share of what the source gives out are held up by it.
    pub const READ_LIMIT_REACHED: f64 = 0.9;
}

/// What Kubernetes shows of pods.
pub mod replicas {
    use std::time::Duration;

    /// A reading counts for so long. One failed call takes nothing away: else every hiccup of the API server would lift the
    /// hold on pods that hang, and move the count that the HPA's dead band is computed from.
    pub const COUNTS_FOR: Duration = Duration::from_secs(120);
    /// A replica takes up to so long to start, as long as nothing else was seen here. Pods that are not ready after that hang.
    pub const STARTS_WITHIN: Duration = Duration::from_secs(120);
    /// Once starts were seen, pods hang that take so many times as long …
    pub const HANGS_RATIO: u32 = 2;
    /// … and this much more, for the time it takes to see them.
    pub const HANGS_BEYOND: Duration = Duration::from_secs(10);
    /// Starts remembered; the longest of them is what a start takes.
    pub const STARTS_KEPT: usize = 8;
}

/// An instance without memory beside a fleet that others sized.
pub mod new_instance {
    use std::time::Duration;

    use crate::model::tuning::rates::ARRIVAL_WINDOW;

    /// Rates of less are no reason to change what others sized.
    pub const MEASURED_FOR: Duration = ARRIVAL_WINDOW;
}

/// Scale-in, and the first values after a start.
pub mod held {
    use std::time::Duration;

    use crate::model::tuning::rates::ARRIVAL_WINDOW;

    /// Where the running replicas are unknown, the first value waits until rates are known for so long …
    pub const RATES_KNOWN_AFTER: Duration = Duration::from_secs(30);
    /// … or, while capacity stays unknown, for so long.
    pub const ANSWER_ANYWAY_AFTER: Duration = Duration::from_secs(60);
    /// A partition that moved lately is not to move again.
    pub const MOVE_LANDS_AFTER: Duration = Duration::from_secs(30);
    /// Where partitions move, a scale-in has to take away at least this share of the replicas.
    pub const WORTH_MOVING_RATIO: f64 = 0.2;
    /// A count that a moment asked for is held for this share of the hold, which grows where that was too short.
    pub const MOMENT_RATIO: f64 = 0.2;
    /// Where replicas start quickly the hold is as long as a start, but no less than the mean of arrivals covers.
    pub const SHORTEST_HOLD: Duration = ARRIVAL_WINDOW;
    /// After so short a hold a fall waits while fewer are needed than it leaves, unless that is no more than this share.
    pub const WORTH_FALLING_RATIO: f64 = 0.4;
    /// What is handed out is being worked on as long as the oldest of it is no older than so many times what all of it takes.
    pub const IN_WORK_RATIO: f64 = 3.0;
    /// After an outage the first step is the count divided by this, at least one.
    pub const STEP_AFTER_OUTAGE_DIVISOR: u32 = 2;
    /// So much of a replica is no reason for another one.
    pub const ROUNDING: f64 = 1e-6;
}

/// Scale-in that came too early.
pub mod scale_history {
    use std::time::Duration;

    /// A rise within so many holds of a fall shows that the fall came too early.
    pub const TOO_EARLY_WITHIN_HOLDS: u32 = 3;
    /// Each time the hold grows by this, …
    pub const GROWS_BY: f64 = 1.5;
    /// … up to this …
    pub const LONGEST_HOLD: Duration = Duration::from_secs(30 * 60);
    /// … and is back a step after a day without.
    pub const FORGIVEN_AFTER: Duration = Duration::from_secs(24 * 3600);
    /// Where partitions move, no fall within so many holds of a rise …
    pub const AFTER_RISE: f64 = 3.3;
    /// … and of another fall.
    pub const AFTER_FALL: f64 = 2.0;
    /// Both grow by this with every fall that came too early, …
    pub const WAIT_GROWS_BY: f64 = 1.6;
    /// … up to this …
    pub const LONGEST_WAIT: Duration = Duration::from_secs(3 * 3600);
    /// … and at most so often.
    pub const MOST_LESSONS: u32 = 10;
}

/// What a rise brought.
pub mod effect {
    use std::time::Duration;

    /// Replicas have started and worked by then, slow nodes included.
    pub const SHOWS_AFTER: Duration = Duration::from_secs(300);
    /// Less than this share of what the rise should bring is nothing (Flink's autoscaler has the same).
    pub const INEFFECTIVE_RATIO: f64 = 0.1;
}

/// How many partitions a group needs.
pub mod advice {
    use std::time::Duration;

    /// The largest load of so long counts: a week has its peaks on a few days.
    pub const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);
    /// More than so many times what is needed, …
    pub const TOO_MANY_RATIO: f64 = 8.0;
    /// … and more than this, cost: calls per poll, checkpoints, leases.
    pub const NEVER_TOO_MANY: u32 = 32;
    /// If there are too many, so many times what is needed is advised.
    pub const SPARE_RATIO: f64 = 2.0;
    /// The advice falls only if it would with so much more load, too.
    pub const CLEAR_RATIO: f64 = 1.25;
    /// Growth goes on as it did for so many weeks: about what it takes to plan and carry out more partitions.
    pub const WEEKS_AHEAD: f64 = 4.0;
    /// Two weeks say nothing of more growth than this.
    pub const MOST_GROWTH: f64 = 4.0;
}
