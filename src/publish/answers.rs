//! What KEDA is told of a group, and why it is told nothing.

use crate::group::event::TargetKey;
use crate::model::time::Timestamp;
use crate::policy::decision::{Decision, Metric};
use crate::policy::freshness::Freshness;

use super::{Group, GroupSnapshot};

/// A value and its activity, from one snapshot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// For GetMetrics.
    pub metric: Metric,
    /// For IsActive.
    pub active: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum NoAnswer {
    /// Not now: waiting may help.
    NotNow(String),
    /// Not before somebody changes something.
    NeedsRepair(String),
}

impl Group {
    /// What KEDA is told at `now`, by the staleness table of docs/operations.md.
    ///
    /// # Errors
    /// [`NoAnswer`], with a text for the operator, where any number would be a guess.
    pub fn answer(&self, key: &TargetKey, now: Timestamp) -> Result<Answer, NoAnswer> {
        self.told(key, now, |decision| {
            let (metric, active) = decision.metric.zip(decision.active)?;
            Some((Answer { metric, active }, active))
        })
    }

    /// As [`Self::answer`], activity alone: it may be certain before any number is.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub fn activity(&self, key: &TargetKey, now: Timestamp) -> Result<bool, NoAnswer> {
        self.told(key, now, |decision| {
            decision.active.map(|active| (active, active))
        })
    }

    /// A part of the decision, while it stands; `part` gives it with whether it was active.
    fn told<T>(
        &self,
        key: &TargetKey,
        now: Timestamp,
        part: impl Fn(&Decision) -> Option<(T, bool)>,
    ) -> Result<T, NoAnswer> {
        let freshness = self.freshness(now);
        let snapshot = self.snapshot();
        let decision = snapshot
            .targets
            .get(key)
            .and_then(|target| target.decision.as_ref());
        let (Some(freshness), Some(decision)) = (freshness, decision) else {
            return Err(self.no_answer(&snapshot, "no successful poll yet"));
        };
        let Some((value, active)) = part(decision) else {
            return Err(NoAnswer::NotNow(format!(
                "group {}: {}",
                self.definition.name, decision.text
            )));
        };
        match freshness {
            Freshness::Fresh => Ok(value),
            Freshness::Stale if active => Ok(value),
            // Unavailable whatever failed: the value may be back at the next poll.
            Freshness::Stale => Err(NoAnswer::NotNow(self.explain(
                &snapshot,
                "the last value was 0 but is stale; streamgauge does not report a stale zero",
            ))),
            Freshness::Expired => {
                Err(self.no_answer(&snapshot, "the last successful poll is too old to scale on"))
            }
        }
    }

    fn no_answer(&self, snapshot: &GroupSnapshot, why: &str) -> NoAnswer {
        let text = self.explain(snapshot, why);
        match &snapshot.failure {
            Some(failure) if failure.kind.needs_repair() => NoAnswer::NeedsRepair(text),
            _ => NoAnswer::NotNow(text),
        }
    }

    fn explain(&self, snapshot: &GroupSnapshot, why: &str) -> String {
        let name = &self.definition.name;
        let failure = snapshot.failure.as_ref().map(|failure| &failure.text);
        // A partition may be readable and its backlog unknown all the same.
        let mut partitions = snapshot.facts.partitions.values();
        let unknown = || partitions.find(|p| p.backlog.is_none())?.problem.as_ref();
        match failure.or_else(unknown) {
            None => format!("group {name}: {why}"),
            Some(reason) => format!("group {name}: {why}; {reason}"),
        }
    }
}
