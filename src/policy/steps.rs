//! The steps of a decision: each rule that applied, with the count before and after it.

use serde::{Deserialize, Serialize};

use super::rule::{Limit, Rule};

/// One rule, applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The count that it found: replicas, in `backlog` mode messages. 0 at the first step.
    pub before: u64,
    /// The count that it left.
    pub after: u64,
    /// Which, and by what figures.
    #[serde(flatten)]
    pub rule: Rule,
}

impl Step {
    /// Whether it may begin a sentence: it says by itself why a count is needed.
    pub const fn opens(&self) -> bool {
        self.before == 0 && (self.rule.is_first() || matches!(self.rule, Rule::Activation))
    }

    /// Whether it left another count than it found.
    pub const fn changes(&self) -> bool {
        self.before != self.after
    }
}

/// A count by a rule that is about to apply.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// The count.
    pub after: u32,
    /// Why.
    pub rule: Rule,
}

impl Proposal {
    /// A change to `after`.
    pub const fn to(after: u32, rule: Rule) -> Self {
        Self { after, rule }
    }
}

/// The way from nothing to the count: each step begins where the one before ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Steps(Vec<Step>);

impl Steps {
    /// Begins with what the work needs.
    pub fn begin(first: Proposal) -> Self {
        Self::counted(first.after.into(), first.rule)
    }

    /// As [`Steps::begin`], in messages.
    pub fn counted(after: u64, rule: Rule) -> Self {
        Self(vec![Step {
            before: 0,
            after,
            rule,
        }])
    }

    /// The count so far.
    pub fn total(&self) -> u64 {
        self.0.last().map_or(0, |step| step.after)
    }

    /// The count so far, in replicas.
    pub fn replicas(&self) -> u32 {
        u32::try_from(self.total()).unwrap_or(u32::MAX)
    }

    /// Applies a rule. One that changes nothing is no step.
    pub fn apply(&mut self, change: Option<Proposal>) {
        if let Some(Proposal { after, rule }) = change {
            self.change(after.into(), rule);
        }
    }

    /// As [`Steps::apply`], in messages.
    pub fn change(&mut self, after: u64, rule: Rule) {
        let before = self.total();
        if after != before {
            self.0.push(Step {
                before,
                after,
                rule,
            });
        }
    }

    /// Adds what a person should know; the count stays.
    pub fn note(&mut self, rule: Rule) {
        let count = self.total();
        self.0.push(Step {
            before: count,
            after: count,
            rule,
        });
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.0.iter()
    }

    /// The step that the count is from: the last that changed it, else the first.
    pub fn deciding(&self) -> Option<&Step> {
        let last = self.iter().rev().find(|step| step.changes());
        last.or(self.0.first())
    }

    /// What the work needs, before bounds and holds.
    pub fn demand(&self) -> u64 {
        let demand = self.iter().rev().find(|step| step.rule.is_demand());
        demand.map_or(0, |step| step.after)
    }

    /// The limit of the last step that changed something; where none did, what replicas cannot cure.
    pub fn limit(&self) -> Limit {
        let limits = self.iter().filter(|step| step.rule.limit() != Limit::None);
        let (changed, noted): (Vec<&Step>, Vec<&Step>) = limits.partition(|step| step.changes());
        let decisive = changed.last().or(noted.first());
        decisive.map_or(Limit::None, |step| step.rule.limit())
    }

    /// Whether a rule that limits changed something.
    pub fn is_limited(&self) -> bool {
        let limits = |step: &Step| step.changes() && step.rule.limit() != Limit::None;
        self.iter().any(limits)
    }
}
