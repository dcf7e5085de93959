//! What is normal for a group and its partitions: a baseline per signal, and the flags that come of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::baseline::{Baseline, BaselineRules, Reading};
use super::signal::Signal;
use super::time::{Moment, Timestamp};
use crate::model::tuning::normal::LEAST_APART;

/// The signals that a partition has a baseline for.
const OF_PARTITIONS: [Signal; 3] = [Signal::Throughput, Signal::Backlog, Signal::Age];

/// One signal over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    baseline: Baseline,
    taken_at: Option<Timestamp>,
    normal: Normal,
}

/// One signal beside its baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Normal {
    /// The value that was judged last; `None` where it was not known.
    pub value: Option<f64>,
    /// What the baseline says of it.
    pub reading: Reading,
    /// How often the flag rose since the service watches.
    pub anomalies_total: u64,
}

impl Watched {
    fn new(rules: BaselineRules) -> Self {
        Self {
            baseline: Baseline::new(rules),
            taken_at: None,
            normal: Normal::default(),
        }
    }

    fn under(self, rules: BaselineRules) -> Self {
        Self {
            baseline: self.baseline.under(rules),
            ..self
        }
    }

    /// Takes in a value, unless the one before was just now; whether the flag rose.
    fn observe(&mut self, now: Moment, value: Option<f64>) -> bool {
        let at = now.at;
        if self
            .taken_at
            .is_some_and(|then| at.since(then) < LEAST_APART)
        {
            self.normal.reading.fired = false;
            return false;
        }
        self.taken_at = Some(at);
        let reading = self.baseline.observe(now, value);
        self.normal = Normal {
            value,
            reading,
            anomalies_total: self.normal.anomalies_total + u64::from(reading.fired),
        };
        reading.fired
    }
}

/// The baselines of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupNormal {
    signals: BTreeMap<Signal, Watched>,
}

impl GroupNormal {
    /// Takes in what a signal is now; `None`: not known.
    pub(super) fn observe(&mut self, now: impl Into<Moment>, signal: Signal, value: Option<f64>) {
        let watched = self.signals.entry(signal);
        watched
            .or_insert_with(|| Watched::new(BaselineRules::default()))
            .observe(now.into(), value);
    }

    /// As it was learned, judged from now on by the rules of now.
    pub(super) fn under_todays_rules(self) -> Self {
        let rules = BaselineRules::default();
        let signals = self.signals.into_iter();
        Self {
            signals: signals
                .map(|(s, watched)| (s, watched.under(rules)))
                .collect(),
        }
    }

    /// Starts anew with a signal.
    pub(super) fn forget(&mut self, signal: Signal) {
        self.signals.remove(&signal);
    }

    /// Every signal that was ever told of.
    pub(super) fn facts(&self) -> BTreeMap<Signal, Normal> {
        let all = self.signals.iter();
        all.map(|(signal, watched)| (*signal, watched.normal))
            .collect()
    }
}

/// The baselines of a partition; without a weekly season, for there are many of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionNormal([Watched; 3]);

/// Without a weekly season.
fn rules_of_partitions() -> BaselineRules {
    BaselineRules {
        weekly_season: false,
        ..BaselineRules::default()
    }
}

impl Default for PartitionNormal {
    fn default() -> Self {
        Self(OF_PARTITIONS.map(|_| Watched::new(rules_of_partitions())))
    }
}

impl PartitionNormal {
    /// As it was learned, judged from now on by the rules of now.
    pub(super) fn under_todays_rules(self) -> Self {
        Self(self.0.map(|watched| watched.under(rules_of_partitions())))
    }

    /// Takes in throughput, backlog and age.
    pub(super) fn observe(&mut self, now: Moment, values: [Option<f64>; 3]) {
        for (watched, value) in self.0.iter_mut().zip(values) {
            watched.observe(now, value);
        }
    }

    /// Every signal beside its baseline.
    pub(super) fn facts(&self) -> PartitionNormals {
        let [throughput, backlog, age] = &self.0;
        PartitionNormals([throughput.normal, backlog.normal, age.normal])
    }
}

/// The signals of a partition beside their baselines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionNormals([Normal; 3]);

impl PartitionNormals {
    /// Signal by signal.
    pub fn iter(&self) -> impl Iterator<Item = (Signal, &Normal)> {
        OF_PARTITIONS.into_iter().zip(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_polls_count_as_one_sample_and_flags_are_counted() {
        let mut normal = GroupNormal::default();
        let mut fired = 0;
        for poll in 0..40_000_u64 {
            let at = Timestamp::from_millis(1_000_000 + poll * 1_000);
            let noise = (poll * 7919 % 13) as f64;
            let value = if poll > 39_900 { 900.0 } else { 100.0 + noise };
            normal.observe(at, Signal::Backlog, Some(value));
            fired += u64::from(normal.facts()[&Signal::Backlog].reading.fired);
        }
        let found = normal.facts()[&Signal::Backlog];
        assert_eq!(found.value, Some(900.0));
        assert!(
            fired > 0 && found.anomalies_total == fired,
            "{fired} {found:?}"
        );
        let expected = found.reading.expected.expect("learned");
        assert!((90.0..500.0).contains(&expected), "{expected}");
    }

    #[test]
    fn what_was_learned_survives_being_written_and_read() {
        let mut normal = GroupNormal::default();
        for poll in 0..500_u64 {
            let at = Timestamp::from_millis(1_000_000 + poll * 5_000);
            normal.observe(at, Signal::Age, Some((poll % 17) as f64));
        }
        let text = serde_json::to_string(&normal).expect("can be written");
        assert_eq!(
            serde_json::from_str::<GroupNormal>(&text).expect("can be read"),
            normal
        );
        let newer = text.replace("\"version\":1", "\"version\":2");
        let read: GroupNormal = serde_json::from_str(&newer).expect("of another version");
        assert_eq!(
            read.facts(),
            normal.facts(),
            "only the baseline learns anew"
        );
        assert_ne!(read, normal);
    }
}
