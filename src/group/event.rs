//! The one kind of input: everything that can change a group's state, with its time.

use serde::{Deserialize, Serialize};

use crate::model::sample::{Failure, Sample};
use crate::model::signal::{Signal, SignalReading};
use crate::model::time::{Timestamp, WallOffset};

use crate::policy::spec::TargetSpec;
use crate::scaled_object::{ReplicasObserved, Unread};

use super::remembered::Remembered;

/// Who asks: one trigger of one ScaledObject, or nobody (`TargetKey::default`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TargetKey {
    /// Namespace of the ScaledObject.
    pub namespace: String,
    /// Name of the ScaledObject.
    pub name: String,
    /// Hash of the trigger's metadata, so that several triggers of one object are told apart.
    pub metadata_hash: u64,
}

impl TargetKey {
    /// Whether no ScaledObject stands behind it: the free trial of a config group.
    pub fn is_unnamed(&self) -> bool {
        self.name.is_empty()
    }
}

/// What happened to a group. State changes by nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// The kinds of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum What {
    /// A poll ended, well or not.
    Observed(Result<Sample, Failure>),
    /// Somebody asks for a target from now on.
    TargetRegistered(TargetKey, Box<TargetSpec>),
    /// As that, but the Kubernetes API is about to tell what the answer is used for: until then it must not depend on what runs.
    TargetAwaited(TargetKey, Box<TargetSpec>),
    /// The second target goes on with what is known of the first: the trigger was edited.
    TargetInherits(TargetKey, TargetKey),
    /// Nobody asked for a target for long.
    TargetExpired(TargetKey),
    /// The Kubernetes API was asked about the ScaledObject of a target and what it scales.
    ReplicasObserved(TargetKey, Box<Result<ReplicasObserved, Unread>>),
    /// A signal was read that comes from elsewhere than the stream.
    SignalObserved(Signal, SignalReading),
    /// What was kept over a restart was read. Counts before the first observation only.
    Restored(Box<Remembered>),
    /// Another process goes on from here. Who asked until now has to ask again, and is then answered on.
    Resumed {
        /// By how much its clock is ahead of the one that all times so far are by.
        moved: WallOffset,
        /// Where its wall clock is.
        wall: WallOffset,
    },
    /// Folding an event failed for a fault of the program: all that was known is given up, but for what was answered last.
    StartedOver,
    /// The wall clock is elsewhere than before: somebody set it.
    WallClockSet(WallOffset),
    /// A signal comes from elsewhere than before, or from nowhere: what was learned of it is worth nothing.
    SignalForgotten(Signal),
}
