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
        /// The name, unique among the groups; also the `group` label. 1 to 128 of `A-Z a-z 0-9 . _ -`.
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
        /// How often the group is polled.
        poll_interval: Option<Duration> = optional(DurationRange::POLL_INTERVAL).else_words("the source's"),
        /// How detailed the metrics are. `group`: no metrics per partition; the API still shows partitions.
        granularity: Granularity = preset(Words::of(&GRANULARITIES), Granularity::Partition),
        /// How the replica count is computed.
        policy: Option<PolicyKeys> = optional(Sub::<PolicyKeys>::new()),
        /// Two more signals for the group's baselines. They never affect scaling.
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
        /// Which consumers may take a message. `shared`: any of them. `exclusive`: a partition has one consumer at a time, so more
        /// replicas than partitions are useless.
        assignment: Option<Assignment> = optional(Words::of(&ASSIGNMENTS)).else_words("`shared`; event hubs: `exclusive`"),
        /// How many consumers one replica runs.
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
        /// What KEDA gets. `replicas`: a replica count. `jobs`: the number of jobs for the unfinished work, for a ScaledJob.
        /// `backlog`: the number of messages, for a fixed threshold.
        mode: Option<ModeWord> = optional(Words::of(&MODES)).else_value(&ModeWord::Replicas),
        /// Messages per replica in mode `backlog`. If `mode` is not set, it selects that mode.
        backlog_threshold: Option<u64> = optional(Whole::<u64>::from(1).note(" (messages per replica)")),
        /// How long a message may wait. A backlog is to be gone within the same time.
        target_delay: Option<Duration> = optional(DurationRange::up_to(spec::LONGEST_TARGET_DELAY)).else_value(&spec::TARGET_DELAY),
        /// Messages per second that one fully busy replica processes.
        capacity_per_replica: Option<f64> = optional(Number { note: ", in messages per second: remove it to have the capacity learned" })
            .else_words("learned"),
        /// Minimum number of replicas.
        min_replicas: Option<u32> = optional(Whole::<u32>::from(0)).else_value(&spec::MIN_REPLICAS),
        /// Maximum number of replicas.
        max_replicas: Option<u32> = optional(Whole::<u32>::from(1)).else_value(&spec::MAX_REPLICAS),
        /// Up to this many messages, waiting or just arrived, do not activate the group.
        activation_backlog: Option<u64> = optional(Whole::<u64>::from(0)).else_value(&0),
        /// The group is active if messages arrived within this time.
        activation_window: Option<Duration> = optional(DurationRange::up_to(spec::LONGEST_HOLD))
            .else_words("learned from the pauses between arrivals, `15s` to `45s`"),
        /// How long scale-in is delayed ([details](policy.md#scale-in-hold)).
        scale_in_hold: Option<Duration> = optional(DurationRange::up_to(spec::LONGEST_HOLD)).else_words("`5m`, or less if replicas start quickly"),
        /// `on`: expected arrivals count too. The forecast and its error are exported either way.
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
        /// The key of a dead-letter stream on the group's server (Redis only): messages per second added to it. The stream need not
        /// exist yet.
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
