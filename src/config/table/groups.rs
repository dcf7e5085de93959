//! Consumer groups: what is read, and how replicas follow from it. Trigger metadata has the same policy keys, in camelCase.

use std::time::Duration;

use serde_yaml::Value;

use crate::config::choices::Granularity;
use crate::config::keys::{
    DurationRange, Flag, GroupName, Number, StreamNames, Sub, Text, Whole, Words, flat, keys, name,
    optional, preset, required,
};
use crate::model::identity::Assignment;
use crate::policy::forecast::Forecasting;
use crate::policy::tuning::spec;

keys! {
    /// A consumer group to read. It is read, decided and exported whether or not a ScaledObject names it: a trial beside KEDA costs
    /// nothing.
    pub struct GroupKeys {
        /// Its name, unique among the groups, and its `group` label: 1 to 128 of `A-Z a-z 0-9 . _ -`.
        name: Option<String> = required(name(), "give the group a name"),
        /// The name of a source.
        source: Option<String> = required(Text::ANY, "set it to the name of a source"),
        /// One key; a pattern (`orders:*`, also `?` and `[…]`), looked up with SCAN; a template (`orders:{0..15}`: only `{int..int}`
        /// expands, so hash tags stay; `{00..15}` keeps its zeros); or a list of keys. In a key, `\*`, `\?` and `\[` stand for the
        /// characters themselves. Keys over 128 bytes get a shortened label. At most 10,000 partitions.
        stream: Option<Value> = optional(StreamNames).else_words("required; event hubs: none"),
        /// The consumer group whose backlog counts.
        consumer_group: Option<String> = optional(GroupName).else_words("required; event hubs: `$Default`"),
        /// How its consumers share the partitions.
        consumers: ConsumerKeys = flat::<ConsumerKeys>(),
        /// How often it is read.
        poll_interval: Option<Duration> = optional(DurationRange::POLL_INTERVAL).else_words("the source's"),
        /// How finely it is exported. `group`: without metrics per partition; the API shows partitions all the same.
        granularity: Granularity = preset(Words::of(&GRANULARITIES), Granularity::Partition),
        /// How replicas follow from what is read.
        policy: Option<PolicyKeys> = optional(Sub::<PolicyKeys>::new()),
        /// Two more indicators for its baselines. They never touch scaling.
        signals: Option<SignalKeys> = optional(Sub::<SignalKeys>::new()),
    }
}

const GRANULARITIES: [(&str, Granularity); 2] = [
    ("partition", Granularity::Partition),
    ("group", Granularity::Group),
];

const ASSIGNMENTS: [(&str, Assignment); 2] = [
    (Assignment::Shared.as_str(), Assignment::Shared),
    (Assignment::Exclusive.as_str(), Assignment::Exclusive),
];

keys! {
    /// How consumers share the partitions.
    pub struct ConsumerKeys {
        /// How messages find a consumer. `shared`: any consumer takes any message. `exclusive`: a partition has one consumer at a time,
        /// so more replicas than partitions are useless.
        assignment: Option<Assignment> = optional(Words::of(&ASSIGNMENTS)).else_words("`shared`; event hubs: `exclusive`"),
        /// The consumers that one replica runs.
        consumers_per_replica: Option<u32> = optional(Whole::<u32>::from(1).to(spec::MOST_CONSUMERS as u64)).else_value(&1),
    }
}

/// The words for the mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeWord {
    /// A replica count.
    Replicas,
    /// Messages against a threshold.
    Backlog,
    /// Jobs.
    Jobs,
}

const MODES: [(&str, ModeWord); 3] = [
    ("replicas", ModeWord::Replicas),
    ("backlog", ModeWord::Backlog),
    ("jobs", ModeWord::Jobs),
];

keys! {
    /// How replicas follow from what is read, see [policy](policy.md).
    pub struct PolicyKeys {
        /// What KEDA is given. `replicas`: a replica count. `jobs`: the jobs for the work that is there, for a ScaledJob. `backlog`:
        /// messages against a fixed threshold.
        mode: Option<ModeWord> = optional(Words::of(&MODES)).else_value(&ModeWord::Replicas),
        /// Messages per replica, for mode `backlog`; alone it implies that mode.
        backlog_threshold: Option<u64> = optional(Whole::<u64>::from(1).note(" (messages per replica)")),
        /// How long a message may wait; also the time within which a backlog is to be gone.
        target_delay: Option<Duration> = optional(DurationRange::up_to(spec::LONGEST_TARGET_DELAY)).else_value(&spec::TARGET_DELAY),
        /// The messages per second that one replica handles when it is never idle.
        capacity_per_replica: Option<f64> = optional(Number { note: ", in messages per second: remove it to have the capacity learned" })
            .else_words("learned"),
        /// The fewest replicas.
        min_replicas: Option<u32> = optional(Whole::<u32>::from(0)).else_value(&spec::MIN_REPLICAS),
        /// The most replicas.
        max_replicas: Option<u32> = optional(Whole::<u32>::from(1)).else_value(&spec::MAX_REPLICAS),
        /// A backlog, or arrivals, up to this do not activate.
        activation_backlog: Option<u64> = optional(Whole::<u64>::from(0)).else_value(&0),
        /// Arrivals within this time activate.
        activation_window: Option<Duration> = optional(DurationRange::up_to(spec::LONGEST_HOLD))
            .else_words("by the pauses between arrivals, `15s` to `45s`"),
        /// How long the largest recommendation is held against scale-in.
        scale_in_hold: Option<Duration> = optional(DurationRange::up_to(spec::LONGEST_HOLD)).else_value(&spec::SCALE_IN_HOLD),
        /// `on`: arrivals that are expected count, too. Either way the forecast and its error are exported.
        forecast: Option<Forecasting> = optional(Words::of(&Forecasting::WORDS)).else_value(&Forecasting::Off),
    }
}

keys! {
    /// Two more indicators for the group's [baselines](detection.md). They never touch scaling.
    pub struct SignalKeys {
        /// Errors per second.
        error_rate: Option<ErrorRateKeys> = optional(Sub::<ErrorRateKeys>::new()),
        /// How busy the consumers are.
        resource_utilization: Option<PromqlKeys> = optional(Sub::<PromqlKeys>::new()),
    }
}

const EXPRESSION: Text = Text::filled("set it to a PromQL expression that returns one value");

keys! {
    /// Where the error rate comes from: exactly one of these.
    pub struct ErrorRateKeys {
        /// A PromQL expression with one value: a scalar, or a vector of one series. Needs the section `prometheus`.
        promql: Option<String> = optional(EXPRESSION),
        /// `true`: deliveries per second beyond the first (Redis only).
        redeliveries: Option<bool> = optional(Flag),
        /// The key of a dead-letter stream on the group's server (Redis only): the messages per second that it gains. It need not exist
        /// yet.
        dead_letter: Option<String> = optional(Text::filled("set it to the key of a stream")),
    }
    exactly_one ["promql", "redeliveries", "dead_letter"]
}

keys! {
    /// Where the utilization comes from.
    pub struct PromqlKeys {
        /// A PromQL expression with one value: a scalar, or a vector of one series. Needs the section `prometheus`.
        promql: Option<String> = required(EXPRESSION, "set it to a PromQL expression that returns one value"),
    }
}
