//! Every rule that makes a count, in the order in which the rules apply. A decision lists those that applied to it, each with
//! the count before and after it and the figures that it used: the rule that made n is the last step that ends at n.
//!
//! λ is arrivals per second, b the messages that wait, T the target delay, μ what one replica does per second, ρ the share of μ
//! that replicas are meant to use.

mod figures;

use serde::{Deserialize, Serialize};

pub use figures::{
    Bound, Counted, Enough, Explored, FallsBehind, FirstStep, Foreseen, HeldFor, Holders,
    HpaTolerance, Slack, Started, Work,
};

/// A rule with its figures. The names are those of the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", content = "figures", rename_all = "snake_case")]
pub enum Rule {
    // What the work needs: one of these is the first step.
    /// Nothing waits, and nothing arrived within the activation window (jobs: nothing that no job has taken): 0.
    Idle,
    /// `backlog` mode counts messages instead of replicas.
    Counted(Counted),
    /// ⌈(λ ÷ ρ + b ÷ T) ÷ μ⌉; where partitions belong to replicas and nobody knows who holds them, the smallest count for which the
    /// hottest partitions that meet on one replica fit it.
    Work(Work),
    /// The consumer that receives most gets more than it can do in time.
    Busiest(Holders),
    /// A consumer is slower than the others and needs to give a partition away.
    Relief(Holders),
    /// What each holder would get, were there fewer of them.
    Spread(Holders),
    /// Peaks of the last hours that may come back.
    Reserve(Holders),
    /// ⌈λ ÷ μ⌉, whoever holds what.
    Arrivals(Holders),
    /// μ is not known yet, but one consumer was seen to do so much: somewhat more than that is tried.
    Explored(Explored),
    /// Nothing is known of μ: ⌈(λ + (b + λ · start) ÷ T) ÷ supposed μ⌉, at least 1, at most `largest`.
    FirstStep(FirstStep),
    /// Nothing is known of μ, and partitions belong to replicas: double while messages wait too long, explore downwards when idle.
    Delay,
    /// μ is not known yet, so what runs stays.
    Kept,

    // What is added to it or taken from it.
    /// Replicas that started for a first step had no time to show what they do, and hardly more are needed.
    Started(Started),
    /// What runs cannot keep up, whatever one replica does: twice as many.
    FallsBehind(FallsBehind),
    /// Scale-in leaves more room than scale-out: down only to what does the work at a lower ρ.
    Slack(Slack),
    /// What was asked for keeps up and clears the backlog before more could help.
    Enough(Enough),
    /// Arrivals that are expected need more. Switched off, it only says how many.
    Forecast(Foreseen),
    /// There is something to run for: at least 1.
    Activation,
    /// Messages are lost unread: more, until none is.
    Losing,
    /// A job has a message to work on: no more jobs than messages.
    OneJobPerMessage,

    // What bounds it.
    /// Never more than `maxReplicas`.
    MaxReplicas(Bound),
    /// Never more than there are partitions, where each has one consumer.
    PartitionCount(Bound),
    /// Never more than can read what the source gives out.
    ThroughputUnits(Bound),
    /// Never more while pods that were asked for do not become ready.
    PodsNotReady(Bound),
    /// Never more than what runs, or than the backlog alone needs, until arrivals have been measured.
    NotMeasured(Bound),
    /// One more, where the HPA would ignore the rise.
    HpaTolerance(HpaTolerance),
    /// Never fewer than `minReplicas`.
    MinReplicas(Bound),

    // What keeps it from changing.
    /// What consumers depend on is slow: no change; a moment after, one step.
    Downstream,
    /// No fewer while a backlog drains.
    Draining,
    /// No fewer while not everything is known.
    Uncertain,
    /// No fewer than the arrivals of the hold window need.
    HeldArrivals(HeldFor),
    /// No fewer than a burst or a backlog a moment ago needed.
    HeldMoment(HeldFor),
    /// No fewer than the largest recommendation of the hold window.
    HeldWindow(HeldFor),
    /// No fewer where moving partitions costs more than that saves.
    Moves,
    /// No fewer than what runs, for one hold after a start without memory.
    WarmUp(HeldFor),

    // What a person should know. These change no count.
    /// The count is one trigger's part of an answer.
    Part,
    /// Messages leave the log unread.
    Losses,
    /// Partitions receive more than one consumer can do.
    Skew,
    /// Partitions make no progress although a consumer holds them.
    Stuck,
    /// The last rise brought less than a tenth of what it should.
    Ineffective,
    /// Partitions could not be read.
    Unread,
    /// KEDA does not follow: the ScaledObject is paused.
    Paused,
}

impl Rule {
    /// The limit that a change by this rule is reported as.
    pub const fn limit(&self) -> Limit {
        match self {
            Self::MaxReplicas(_) => Limit::MaxReplicas,
            Self::PartitionCount(_) => Limit::PartitionCount,
            Self::ThroughputUnits(_) => Limit::ThroughputUnits,
            Self::PodsNotReady(_) => Limit::PodsNotReady,
            Self::NotMeasured(_) | Self::WarmUp(_) => Limit::WarmUp,
            Self::MinReplicas(_) => Limit::MinReplicas,
            Self::Downstream => Limit::Downstream,
            Self::Draining
            | Self::Uncertain
            | Self::HeldArrivals(_)
            | Self::HeldMoment(_)
            | Self::HeldWindow(_)
            | Self::Moves => Limit::Hold,
            Self::Skew => Limit::Skew,
            Self::Stuck => Limit::Stuck,
            _ => Limit::None,
        }
    }

    /// Whether it says what the work needs by itself: the first step of a decision.
    pub const fn is_first(&self) -> bool {
        matches!(
            self,
            Self::Idle
                | Self::Counted(_)
                | Self::Work(_)
                | Self::Busiest(_)
                | Self::Relief(_)
                | Self::Spread(_)
                | Self::Reserve(_)
                | Self::Arrivals(_)
                | Self::Explored(_)
                | Self::FirstStep(_)
                | Self::Delay
                | Self::Kept
        )
    }

    /// Whether it says what the work needs, before bounds and holds.
    pub const fn is_demand(&self) -> bool {
        let adds = matches!(
            self,
            Self::Started(_)
                | Self::FallsBehind(_)
                | Self::Slack(_)
                | Self::Enough(_)
                | Self::Forecast(_)
                | Self::Activation
                | Self::Losing
                | Self::OneJobPerMessage
        );
        adds || self.is_first()
    }
}

/// The bound that decided. A closed set: it is a label value (docs/metrics.md).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Nothing held it back.
    #[default]
    None,
    /// `minReplicas`.
    MinReplicas,
    /// `maxReplicas`.
    MaxReplicas,
    /// More replicas than partitions would idle.
    PartitionCount,
    /// A partition is hotter than one replica: replicas cannot cure it.
    Skew,
    /// What consumers depend on is slow: more of them would make it worse.
    Downstream,
    /// A partition does not move although somebody holds it: replicas cannot cure it.
    Stuck,
    /// A larger recommendation is still held.
    Hold,
    /// Too little is known since the start.
    WarmUp,
    /// Pods that were asked for hang before they are ready: more of them would hang, too.
    PodsNotReady,
    /// The source gives out no more than the replicas read already.
    ThroughputUnits,
}

impl Limit {
    /// Every limit that exists by now, in label order.
    pub const ALL: [Self; 11] = [
        Self::None,
        Self::MinReplicas,
        Self::MaxReplicas,
        Self::PartitionCount,
        Self::Skew,
        Self::Downstream,
        Self::Stuck,
        Self::Hold,
        Self::WarmUp,
        Self::PodsNotReady,
        Self::ThroughputUnits,
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::MinReplicas => "min_replicas",
            Self::MaxReplicas => "max_replicas",
            Self::PartitionCount => "partition_count",
            Self::Skew => "skew",
            Self::Downstream => "downstream",
            Self::Stuck => "stuck",
            Self::Hold => "hold",
            Self::WarmUp => "warm_up",
            Self::PodsNotReady => "pods_not_ready",
            Self::ThroughputUnits => "throughput_units",
        }
    }
}
