//! The worst problem of a group, in one word: page and `top` sort by it.

use serde::{Deserialize, Serialize};

use crate::model::facts::{GroupFacts, PartitionStatus};
use crate::policy::freshness::Freshness;
use crate::policy::rule::Limit;

use super::view::GroupView;

/// The worst problem of a group; the worst come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It cannot be read, or the last observation is too old.
    Unknown,
    /// An incident is open.
    Incident,
    /// Messages have waited for longer than they may.
    Late,
    /// Partitions without progress, or that were moved back.
    Stuck,
    /// The last observation is getting old.
    Stale,
    /// Some partitions cannot be read.
    PartlyUnknown,
    /// A limit keeps it below the replicas that the work needs.
    Limited,
    /// A backlog is being worked off.
    Behind,
    /// None of these.
    Ok,
}

impl Condition {
    /// Of a group as it is shown now.
    pub fn of(group: &GroupView) -> Self {
        let Some(facts) = group.facts() else {
            return Self::Unknown;
        };
        let has = |status| facts.partitions.values().any(|p| p.status == status);
        let found = [
            (goes_on(group), Self::Incident),
            (is_late(group, facts), Self::Late),
            (
                has(PartitionStatus::Stuck)
                    || has(PartitionStatus::Stopped)
                    || has(PartitionStatus::Rewound),
                Self::Stuck,
            ),
            (group.freshness == Some(Freshness::Stale), Self::Stale),
            (has(PartitionStatus::Unknown), Self::PartlyUnknown),
            (is_limited(group), Self::Limited),
            (has(PartitionStatus::Behind), Self::Behind),
        ];
        let first = found.into_iter().find(|(holds, _)| *holds);
        first.map_or(Self::Ok, |(_, condition)| condition)
    }
}

fn goes_on(group: &GroupView) -> bool {
    let incidents = &group.snapshot().incidents;
    incidents.iter().any(|incident| incident.ended_at.is_none())
}

/// By the strictest of its targets.
fn is_late(group: &GroupView, facts: &GroupFacts) -> bool {
    let targets = group.snapshot().targets.values();
    let allowed = targets.map(|target| target.spec.target_delay).min();
    let waits = facts.waiting_seconds.or(facts.oldest_age_seconds);
    waits
        .zip(allowed)
        .is_some_and(|(waits, allowed)| waits > allowed.as_secs_f64())
}

fn is_limited(group: &GroupView) -> bool {
    let targets = group.snapshot().targets.values();
    let mut decisions = targets.filter_map(|target| target.decision.as_ref());
    decisions.any(|decision| match decision.limit {
        Limit::None | Limit::MinReplicas | Limit::Hold | Limit::WarmUp => false,
        Limit::MaxReplicas
        | Limit::PartitionCount
        | Limit::Skew
        | Limit::Downstream
        | Limit::Stuck
        | Limit::PodsNotReady
        | Limit::ThroughputUnits => true,
    })
}
