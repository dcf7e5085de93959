//! Consumers that hold messages and ask for nothing any more, where the source tells who holds what was delivered (shared
//! assignment). Source of the rule: docs/detection.md, "Incidents".

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::sample::Holder;
use crate::model::time::{Timestamp, seconds};
use crate::model::tuning::incident::silence::{FORGOTTEN_PER_DAY, LEAST, OLD, RATIO};

use super::{Finding, IncidentKind, Look, counted};

const DAY: Duration = Duration::from_secs(86_400);

/// What was seen of the consumers' silences.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SilenceWatch {
    /// The longest that was none: seconds until somebody asked again.
    longest: f64,
    forgotten_at: Option<Timestamp>,
    /// How long each was silent when it was seen last, if it was ever seen at work.
    seen: BTreeMap<String, Duration>,
}

impl SilenceWatch {
    /// Takes in a poll; who is missed.
    pub(super) fn observe(&mut self, look: &Look<'_>) -> Vec<Finding> {
        let Some(holders) = &look.facts.holders else {
            return Vec::new();
        };
        self.forget(look.at);
        let limit = self.limit();
        let silence = |holder: &Holder| Duration::from_millis(holder.silent_millis);
        let at_work = holders.values().filter(|h| silence(h) < limit).count();
        let mut found = Vec::new();
        for (name, holder) in holders {
            let now = silence(holder);
            let before = self.seen.get(name).copied();
            if let Some(before) = before.filter(|before| now < *before) {
                self.longest = self.longest.max(before.as_secs_f64());
            }
            // Who was silent already when it was first seen may be a name that was left behind long ago.
            if before.is_some() || now < limit {
                self.seen.insert(name.clone(), now);
                let is_missed = (limit..OLD).contains(&now) && holder.pending > 0;
                if is_missed && at_work > 0 {
                    found.push(missing(name, holder, now, at_work));
                }
            }
        }
        self.seen.retain(|name, _| holders.contains_key(name));
        found
    }

    fn limit(&self) -> Duration {
        LEAST.max(seconds(self.longest * RATIO))
    }

    fn forget(&mut self, at: Timestamp) {
        let forgotten_at = *self.forgotten_at.get_or_insert(at);
        if at.since(forgotten_at) >= DAY {
            self.forgotten_at = Some(at);
            self.longest *= FORGOTTEN_PER_DAY;
        }
    }
}

fn missing(name: &str, holder: &Holder, silent: Duration, at_work: usize) -> Finding {
    let seconds = silent.as_secs_f64();
    let held = counted(
        usize::try_from(holder.pending).unwrap_or(usize::MAX),
        "message",
    );
    let others = match at_work {
        1 => "another consumer is active".to_owned(),
        n => format!("{n} other consumers are active"),
    };
    Finding {
        kind: IncidentKind::ConsumerCrash,
        holder: None,
        partitions: BTreeSet::new(),
        for_seconds: seconds,
        text: format!(
            "{name} has not read for {seconds:.0} s and holds {held} unacknowledged; {others}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::GroupFacts;
    use crate::model::incident::holdings::Holdings;

    /// Plays a reading every 5 s: (name, seconds of silence, messages held) of each consumer.
    fn play<'a>(
        polls: u64,
        consumers: impl Fn(u64) -> Vec<(&'a str, u64, u64)>,
    ) -> Vec<(u64, String)> {
        let mut watch = SilenceWatch::default();
        let mut told = Vec::new();
        for second in (0..polls * 5).step_by(5) {
            let holder = |(name, silent, pending): (&str, u64, u64)| {
                let silent_millis = silent * 1_000;
                let holder = Holder {
                    pending,
                    silent_millis,
                };
                (name.to_owned(), holder)
            };
            let facts = GroupFacts {
                holders: Some(consumers(second).into_iter().map(holder).collect()),
                ..GroupFacts::default()
            };
            let look = Look {
                at: Timestamp::from_millis(1_000_000 + second * 1_000),
                poll: Duration::from_secs(5),
                facts: &facts,
                holdings: &Holdings::default(),
                capacity: None,
            };
            let found = watch.observe(&look);
            told.extend(found.into_iter().map(|finding| (second, finding.text)));
        }
        told
    }

    #[test]
    fn who_holds_messages_and_asks_for_nothing_is_missed_after_half_a_minute() {
        let told = play(40, |now| {
            vec![("a", now.saturating_sub(60), 7), ("b", 1, 3), ("c", now, 0)]
        });
        let text = "a has not read for 30 s and holds 7 messages unacknowledged; another consumer is active";
        assert_eq!(told[0], (90, text.to_owned()));
        assert!(told.iter().all(|(_, text)| text.starts_with("a ")));
    }

    #[test]
    fn long_work_is_learned_and_names_left_behind_are_no_news() {
        // Each batch of `a` takes 50 s: the first time it is missed, later it is known.
        let told = play(400, |now| vec![("a", now % 50, 5), ("b", 1, 3)]);
        assert!(told.iter().all(|(second, _)| *second < 50), "{told:?}");
        assert!(!told.is_empty());
        let told = play(100, |now| vec![("ghost", 300 + now, 9), ("b", 1, 3)]);
        assert_eq!(told, []);
    }

    #[test]
    fn where_nobody_asks_for_anything_nobody_is_missed_alone() {
        assert_eq!(play(100, |now| vec![("a", now, 9), ("b", now, 3)]), []);
    }
}
