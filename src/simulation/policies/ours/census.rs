//! The census of consumers as `serve` takes it on Redis: read every 5 s, and who left counts on for a minute.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::sample::Holder;
use crate::model::time::Timestamp;
use crate::simulation::plant::Plant;

/// As `sources::redis_streams::consumers`, which this has to follow.
const READ_EVERY: Duration = Duration::from_secs(5);
const ACTIVE_IDLE_MILLIS: u64 = 60_000;
const BUSY_IDLE_MILLIS: u64 = 300_000;
const MOST_HOLDERS: usize = 1_000;

/// What the last reading said.
#[derive(Clone, Debug, Default)]
pub(super) struct ReplicaCensus {
    read_at: Option<Timestamp>,
    lagging_before: bool,
    /// Consumers at work; `None` where silent ones may be blocked or dead.
    pub consumers: Option<u32>,
    /// Consumers with what they hold.
    pub holders: Option<BTreeMap<String, Holder>>,
}

impl ReplicaCensus {
    /// Reads the listing if that is due.
    pub fn read(&mut self, plant: &Plant) {
        let now = plant.now();
        if self.read_at.is_some_and(|at| now.since(at) < READ_EVERY) {
            return;
        }
        self.read_at = Some(now);
        let (mut listed, mut active) = (0_usize, 0_u32);
        let mut holders = BTreeMap::new();
        for consumer in plant.listing() {
            let silent_millis = consumer.silent_millis;
            let pending = consumer.pending;
            let at_work = silent_millis < ACTIVE_IDLE_MILLIS
                || (pending > 0 && silent_millis < BUSY_IDLE_MILLIS);
            listed += 1;
            active += u32::from(at_work);
            let holder = Holder {
                pending,
                silent_millis,
            };
            holders.insert(format!("replica-{}", consumer.replica), holder);
        }
        let lagging = plant.partitions().iter().any(|p| p.produced > p.delivered);
        // Every consumer reads every partition: one that lags at two readings would have woken all of them.
        let all_gone = listed == 0 || (lagging && self.lagging_before);
        self.lagging_before = lagging;
        self.consumers = (active > 0 || all_gone).then_some(active);
        self.holders = (listed <= MOST_HOLDERS).then_some(holders);
    }
}
