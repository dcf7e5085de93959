//! The metadata of a ScaledObject's trigger. Names stand here in snake_case, in metadata in camelCase.

use super::{ConsumerKeys, PolicyKeys};
use crate::config::choices::CheckpointStrategy;
use crate::config::keys::{GroupName, Text, Whole, Words, flat, keys, optional};

keys! {
    /// The metadata of a trigger: a group, or source, stream and consumer group; and settings that go over the config's, key by key.
    pub struct TriggerKeys {
        /// A group in the config.
        group: Option<String> = optional(Text::ANY),
        /// Inline: a source in the config. Needs an `allow` rule.
        source: Option<String> = optional(Text::ANY),
        /// Inline: the stream. `*` is the only wildcard. Not needed for an event hub.
        stream: Option<String> = optional(Text::ANY),
        /// Inline: the consumer group. The default for event hubs is `$Default`. On Redis, without a consumer group only the length of
        /// the stream can be counted.
        consumer_group: Option<String> = optional(GroupName),
        /// As in the config.
        policy: PolicyKeys = flat::<PolicyKeys>(),
        /// As in the config.
        consumers: ConsumerKeys = flat::<ConsumerKeys>(),
        /// KEDA's own keys.
        keda: KedaKeys = flat::<KedaKeys>(),
    }
}

const fn threshold() -> Whole<u64> {
    Whole::from(1)
        .to(i64::MAX as u64)
        .note(" (messages per replica)")
}

const STRATEGIES: [(&str, CheckpointStrategy); 9] = {
    let [auto, blob, function, go, dapr, legacy] = CheckpointStrategy::WORDS;
    let kedas = [
        ("blobMetadata", CheckpointStrategy::BlobMetadata),
        ("azureFunction", CheckpointStrategy::AzureFunction),
        ("goSdk", CheckpointStrategy::GoSdk),
    ];
    [
        kedas[0], kedas[1], kedas[2], auto, blob, function, go, dapr, legacy,
    ]
};

keys! {
    /// Keys of KEDA's redis-streams and azure-eventhub triggers.
    pub struct KedaKeys {
        /// redis-streams: undelivered messages per replica. `0` is the same as not set.
        lag_count: Option<u64> = optional(Whole::<u64>::from(0).to(i64::MAX as u64).note(" (messages per replica)")),
        /// redis-streams: pending entries per replica.
        pending_entries_count: Option<u64> = optional(threshold()).else_words("KEDA's: `5`"),
        /// redis-streams: messages in the stream per replica.
        stream_length: Option<u64> = optional(threshold()).else_words("KEDA's: `5`"),
        /// redis-streams: a value up to this does not activate the object.
        activation_lag_count: Option<u64> = optional(Whole::<u64>::from(0)),
        /// azure-eventhub: events per replica.
        unprocessed_event_threshold: Option<u64> = optional(threshold()).else_words("KEDA's: `64`"),
        /// azure-eventhub: a value up to this does not activate the object.
        activation_unprocessed_event_threshold: Option<u64> = optional(Whole::<u64>::from(0)),
        /// azure-eventhub: must match the source's container.
        blob_container: Option<String> = optional(Text::ANY),
        /// azure-eventhub: must match the source's layout, in KEDA's or streamgauge's spelling. A source with `auto` accepts any.
        checkpoint_strategy: Option<CheckpointStrategy> = optional(Words::of(&STRATEGIES)),
    }
}
