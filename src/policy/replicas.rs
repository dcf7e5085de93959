//! What the Kubernetes API tells of a target's replicas, folded: how long a reading counts, and since when pods hang.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;

use super::decision::ReplicaSource;
use crate::policy::tuning::replicas::{
    COUNTS_FOR, HANGS_BEYOND, HANGS_RATIO, STARTS_KEPT, STARTS_WITHIN,
};

/// A ScaledObject and what it scales, as read at one moment. What could not be read is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicasObserved {
    /// Pods that exist, ready or not (`status.replicas` of the scale target, which is what the HPA divides by).
    pub current: Option<u32>,
    /// Pods asked for (`spec.replicas`).
    pub asked: Option<u32>,
    /// Pods that are ready.
    pub ready: Option<u32>,
    /// Pods of the newest template: they grow in number while a rollout goes on.
    pub updated: Option<u32>,
    /// The HPA that KEDA made; `None` if there is none or it cannot be read.
    pub hpa: Option<HpaObserved>,
    /// The settings of the ScaledObject itself.
    pub object: ObjectSettings,
    /// Why the scale target itself could not be read, although the ScaledObject was: then nobody knows what is ready.
    pub unread: Option<Unread>,
}

/// The state of an HPA.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HpaObserved {
    /// What it wants.
    pub desired: Option<u32>,
    /// What it complains of, in its own words.
    pub trouble: Option<String>,
}

/// What a ScaledObject says beside its triggers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectSettings {
    /// What asks: an object that scales a workload, or one that starts jobs.
    pub kind: ObjectKind,
    /// Triggers of any type.
    pub triggers: u32,
    /// Whether `advanced.scalingModifiers` composes them by a formula.
    pub has_formula: bool,
    /// Whether one of its external triggers has `metricType: Value`.
    pub has_value_metric: bool,
    /// `minReplicaCount`.
    pub min_replicas: u32,
    /// `maxReplicaCount`.
    pub max_replicas: u32,
    /// Whether KEDA is told to leave the target alone.
    pub paused: Option<Pause>,
    /// `fallback.replicas`.
    pub fallback_replicas: Option<u32>,
    /// `fallback.behavior`.
    pub fallback_behavior: FallbackBehavior,
    /// `pollingInterval`.
    pub polling_interval_seconds: Option<u32>,
    /// `cooldownPeriod`.
    pub cooldown_seconds: Option<u32>,
    /// `behavior.scaleDown.stabilizationWindowSeconds`; `None` leaves the HPA at its default.
    pub scale_down_window_seconds: Option<u32>,
    /// `behavior.scaleUp.tolerance`, in thousandths; `None` leaves the HPA at its default, a tenth.
    pub tolerance_up_milli: Option<u32>,
    /// `behavior.scaleDown.tolerance`, likewise.
    pub tolerance_down_milli: Option<u32>,
}

impl Default for ObjectSettings {
    /// KEDA's own defaults.
    fn default() -> Self {
        Self {
            kind: ObjectKind::ScaledObject,
            triggers: 1,
            has_formula: false,
            has_value_metric: false,
            min_replicas: 0,
            max_replicas: 100,
            paused: None,
            fallback_replicas: None,
            fallback_behavior: FallbackBehavior::Static,
            polling_interval_seconds: None,
            cooldown_seconds: None,
            scale_down_window_seconds: None,
            tolerance_up_milli: None,
            tolerance_down_milli: None,
        }
    }
}

/// What KEDA makes of `fallback.replicas` while a scaler fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FallbackBehavior {
    /// That many, whatever runs.
    #[default]
    Static,
    /// The count that runs.
    CurrentReplicas,
    /// The count that runs, where it is higher.
    CurrentReplicasIfHigher,
    /// The count that runs, where it is lower.
    CurrentReplicasIfLower,
    /// Left to the formula of `advanced.scalingModifiers`.
    ScalingModifiers,
}

/// The kinds of KEDA's objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// Scales a workload through an HPA.
    #[default]
    ScaledObject,
    /// Starts jobs.
    ScaledJob,
}

/// How a ScaledObject is paused, by an annotation of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pause {
    /// `paused`: at the count it has.
    AsItIs,
    /// `paused-replicas`: at this count.
    At(u32),
    /// `paused-scale-in`: it may only rise.
    ScaleIn,
    /// `paused-scale-out`: it may only fall.
    ScaleOut,
}

/// Why the Kubernetes API told nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Unread {
    /// The class.
    pub kind: UnreadKind,
    /// What happened and what to do.
    pub text: String,
}

/// Classes of failed readings. A closed set: it is a label value. Words as for sources where they mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnreadKind {
    /// No connection, or it broke.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The API server answers, but not with data now.
    Transient,
    /// The API server asks to be asked less often.
    Throttled,
    /// Not allowed to read this.
    Auth,
    /// There is no such object.
    NotFound,
    /// The answer could not be understood.
    Protocol,
    /// There is no usable address or credential to ask with.
    Misconfigured,
}

impl UnreadKind {
    /// Every class, in label order.
    pub const ALL: [Self; 8] = [
        Self::Unreachable,
        Self::Timeout,
        Self::Transient,
        Self::Throttled,
        Self::Auth,
        Self::NotFound,
        Self::Protocol,
        Self::Misconfigured,
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Auth => "auth",
            Self::NotFound => "not_found",
            Self::Protocol => "protocol",
            Self::Misconfigured => "misconfigured",
        }
    }

    /// Whether the API server itself is in trouble, so that asking it for the next object is pointless now.
    pub const fn is_outage(self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::Timeout | Self::Transient | Self::Throttled
        )
    }
}

/// What is known of a target's replicas over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplicaState {
    seen: Option<(Timestamp, ReplicasObserved)>,
    pending: Option<Pending>,
    /// How long the last starts took, from being asked for until all were ready.
    #[serde(default)]
    starts: VecDeque<Duration>,
    failure: Option<(Timestamp, Unread)>,
}

/// Fewer pods are ready than asked for, and no more become so.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Pending {
    /// The last progress.
    since: Timestamp,
    /// The last rise of what is asked for, and to how many.
    asked_at: Timestamp,
    asked: u32,
    /// The most that were ready meanwhile: pods that crash and start again are no progress.
    most_ready: u32,
    /// Pods of the newest template while a rollout goes on. Outside of one they are all, and grow with what is asked for.
    rolled_out: Option<u32>,
}

/// The replicas of a target as a decision takes them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Running {
    /// Replicas that run.
    pub current: Option<u32>,
    /// Of these, the ready ones, where that can be seen.
    pub ready: Option<u32>,
    /// Replicas asked for, where that can be seen.
    pub asked: Option<u32>,
    /// Since when the rest hangs: longer than a replica takes to start.
    pub not_ready_since: Option<Timestamp>,
    /// How KEDA is paused.
    pub paused: Option<Pause>,
    /// Where the count comes from.
    pub source: ReplicaSource,
}

impl ReplicaState {
    /// Takes in a reading or its failure.
    pub fn observed(&mut self, at: Timestamp, reading: &Result<ReplicasObserved, Unread>) {
        match reading {
            Ok(seen) => {
                let before = self.pending.filter(|_| self.seen_at(at).is_some());
                self.pending = pending(before, at, seen);
                if let (Some(started), None) = (before, self.pending) {
                    self.note_start(at, &started);
                }
                self.seen = Some((at, seen.clone()));
                self.failure = None;
            }
            Err(unread) => {
                if unread.kind == UnreadKind::NotFound {
                    // No failure to read but knowledge: the object is not there any more.
                    self.seen = None;
                    self.pending = None;
                }
                self.failure = Some((at, unread.clone()));
            }
        }
    }

    fn note_start(&mut self, at: Timestamp, started: &Pending) {
        if started.rolled_out.is_some() {
            return;
        }
        if self.starts.len() == STARTS_KEPT {
            self.starts.pop_front();
        }
        self.starts
            .push_back(at.since(started.asked_at).min(STARTS_WITHIN));
    }

    /// How long a start takes here, as far as seen: those on the way take at least as long as they have taken.
    pub fn start_takes_at_least(&self, now: Timestamp) -> Option<Duration> {
        let on_the_way = self.pending.as_ref().map(|p| now.since(p.asked_at));
        self.start_takes().max(on_the_way)
    }

    /// How long a start takes here; `None` before one was seen.
    pub fn start_takes(&self) -> Option<Duration> {
        self.starts.iter().max().copied()
    }

    /// Until those that were asked for last should be ready; `None` if nobody is on the way, or it is not known how long that takes.
    pub fn starts_in(&self, now: Timestamp) -> Option<Duration> {
        let (pending, takes) = (self.pending.as_ref()?, self.start_takes()?);
        Some(takes.saturating_sub(now.since(pending.asked_at)))
    }

    fn hangs_after(&self) -> Duration {
        let longer = |takes: Duration| takes * HANGS_RATIO + HANGS_BEYOND;
        self.start_takes()
            .map_or(STARTS_WITHIN, longer)
            .min(STARTS_WITHIN)
    }

    /// The last reading, while it counts.
    pub fn seen_at(&self, now: Timestamp) -> Option<&ReplicasObserved> {
        let (at, seen) = self.seen.as_ref()?;
        (now.since(*at) < COUNTS_FOR).then_some(seen)
    }

    /// Why the last reading failed, if one was tried lately.
    pub fn failure_at(&self, now: Timestamp) -> Option<&Unread> {
        let (at, unread) = self.failure.as_ref()?;
        (now.since(*at) < COUNTS_FOR).then_some(unread)
    }

    /// What runs: by the Kubernetes API, else by the `consumers` that are active, else unknown.
    pub fn running(&self, now: Timestamp, consumers: Option<u32>) -> Running {
        let seen = self.seen_at(now);
        let visible = seen.and_then(|seen| Some((seen, seen.current?)));
        let paused = seen.and_then(|seen| seen.object.paused);
        match (visible, consumers) {
            (Some((seen, current)), _) => Running {
                current: Some(current),
                ready: seen.ready,
                asked: Some(seen.asked.unwrap_or(current)),
                not_ready_since: self
                    .pending
                    .filter(|pending| now.since(pending.since) >= self.hangs_after())
                    .map(|pending| pending.since),
                paused,
                source: ReplicaSource::Kubernetes,
            },
            (None, Some(consumers)) => Running {
                current: Some(consumers),
                paused,
                source: ReplicaSource::Consumers,
                ..Running::default()
            },
            (None, None) => Running {
                paused,
                ..Running::default()
            },
        }
    }
}

fn pending(before: Option<Pending>, at: Timestamp, seen: &ReplicasObserved) -> Option<Pending> {
    let (ready, asked) = (seen.ready?, seen.asked.or(seen.current)?);
    if ready >= asked {
        return None;
    }
    let rolled_out = seen.updated.filter(|updated| Some(*updated) < seen.current);
    let first = Pending {
        since: at,
        asked_at: at,
        asked,
        most_ready: ready,
        rolled_out,
    };
    let Some(before) = before else {
        return Some(first);
    };
    let rolls_on = rolled_out.is_some() && rolled_out != before.rolled_out;
    let progress = ready > before.most_ready || rolls_on;
    Some(Pending {
        since: if progress { at } else { before.since },
        asked_at: if asked > before.asked {
            at
        } else {
            before.asked_at
        },
        asked,
        most_ready: if progress { ready } else { before.most_ready },
        rolled_out,
    })
}

#[cfg(test)]
mod tests;
