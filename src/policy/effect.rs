//! What a rise brought: where it brought nothing, more of the same would not either, and a person should know.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::facts::GroupFacts;
use crate::model::time::Timestamp;
use crate::policy::tuning::effect::{INEFFECTIVE_RATIO, SHOWS_AFTER};

/// The last rise of one target, and what it brought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    rise: Option<Rise>,
    is_ineffective: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Rise {
    at: Timestamp,
    from: u32,
    to: u32,
    /// Processed per second before it.
    before: f64,
}

impl Effect {
    /// Takes in the count before and after a decision. Steps of one rise count together.
    pub fn note(&mut self, now: Timestamp, before: u32, after: u32, facts: &GroupFacts) {
        if after == before {
            return;
        }
        self.is_ineffective = false;
        let rate = facts.processing_per_second;
        self.rise = match self.rise.take() {
            _ if after < before || before == 0 => None,
            Some(rise) => Some(Rise {
                at: now,
                to: after,
                ..rise
            }),
            None => rate.map(|rate| Rise {
                at: now,
                from: before,
                to: after,
                before: rate,
            }),
        };
    }

    /// Whether the last rise brought less than a tenth of what it should although messages wait: known once it had time to show.
    /// `capacity` is of one replica, `waiting` how long the oldest message waits that replicas can help.
    pub fn judge(
        &mut self,
        now: Timestamp,
        facts: &GroupFacts,
        capacity: Option<f64>,
        waiting: Option<f64>,
        target_delay: Duration,
    ) -> bool {
        let still_waits = waiting.is_some_and(|age| age > target_delay.as_secs_f64());
        let shown = |rise: &Rise| now.since(rise.at) >= SHOWS_AFTER;
        if let Some(rise) = self.rise.take_if(|rise| shown(rise)) {
            let gained = facts.processing_per_second.map(|rate| rate - rise.before);
            let expected = capacity.map(|capacity| f64::from(rise.to - rise.from) * capacity);
            self.is_ineffective = still_waits
                && gained
                    .zip(expected)
                    .is_some_and(|(gained, expected)| gained < expected * INEFFECTIVE_RATIO);
        }
        self.is_ineffective &= still_waits;
        self.is_ineffective
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn doing(rate: f64) -> GroupFacts {
        GroupFacts {
            processing_per_second: Some(rate),
            ..GroupFacts::default()
        }
    }

    /// A rise from 2 to 6 replicas of 100/s, 200/s before and `after` then, with messages that wait `waiting` seconds.
    fn judged(after: f64, waiting: f64) -> bool {
        let mut effect = Effect::default();
        effect.note(at(0), 2, 4, &doing(200.0));
        effect.note(at(30), 4, 6, &doing(210.0));
        let early = effect.judge(at(299), &doing(after), Some(100.0), Some(waiting), DELAY);
        assert!(!early, "it had no time to show");
        effect.judge(at(330), &doing(after), Some(100.0), Some(waiting), DELAY)
    }

    #[test]
    fn a_rise_that_brings_less_than_a_tenth_while_messages_wait_is_ineffective() {
        assert!(judged(239.0, 60.0));
        assert!(!judged(241.0, 60.0));
        assert!(!judged(200.0, 10.0), "there was no more to do");
    }

    #[test]
    fn it_is_said_until_the_count_changes_or_nothing_waits() {
        let mut effect = Effect::default();
        let judge = |effect: &mut Effect, second, waiting| {
            effect.judge(at(second), &doing(200.0), Some(100.0), Some(waiting), DELAY)
        };
        effect.note(at(0), 2, 6, &doing(200.0));
        assert!(judge(&mut effect, 300, 60.0));
        assert!(judge(&mut effect, 900, 60.0));
        effect.note(at(905), 6, 5, &doing(200.0));
        assert!(!judge(&mut effect, 910, 60.0));
        effect.note(at(1_000), 5, 6, &doing(200.0));
        assert!(judge(&mut effect, 1_300, 60.0));
        assert!(!judge(&mut effect, 1_305, 0.0));
    }
}
