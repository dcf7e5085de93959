//! What an answer is used for: it decides whether it may depend on what runs.

use serde::{Deserialize, Serialize};

use super::spec::{Mode, TargetSpec};
use crate::scaled_object::{ObjectKind, ObjectSettings};

/// What KEDA makes of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answering {
    /// The replica count itself: it may be held by what runs, and made to pass the HPA's dead band.
    #[default]
    Fleet,
    /// One of several parts of it, added up or compared elsewhere: what depends on the total would feed back on itself.
    Part,
    /// Jobs that should exist: KEDA subtracts those that run, so what is held would be started again and again.
    Jobs,
}

impl Answering {
    /// By what the trigger asks for and what the Kubernetes API tells of its object.
    pub fn of(spec: &TargetSpec, object: Option<&ObjectSettings>) -> Self {
        let is_job = object.is_some_and(|object| object.kind == ObjectKind::ScaledJob);
        let is_part = object.is_some_and(|object| object.has_formula || object.triggers > 1);
        if spec.mode == Mode::Jobs || is_job {
            Self::Jobs
        } else if is_part {
            Self::Part
        } else {
            Self::Fleet
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::PolicySettings;
    use super::*;

    #[test]
    fn jobs_go_by_kind_or_mode_and_parts_by_formula_or_other_triggers() {
        let check = |mode: Mode, change: fn(&mut ObjectSettings), expect| {
            let mut object = ObjectSettings::default();
            change(&mut object);
            let settings = PolicySettings {
                mode: Some(mode),
                ..PolicySettings::default()
            };
            assert_eq!(Answering::of(&settings.resolve(), Some(&object)), expect);
        };
        check(Mode::Replicas, |_| {}, Answering::Fleet);
        check(Mode::Jobs, |_| {}, Answering::Jobs);
        check(
            Mode::Replicas,
            |o| o.kind = ObjectKind::ScaledJob,
            Answering::Jobs,
        );
        check(Mode::Replicas, |o| o.has_formula = true, Answering::Part);
        check(Mode::Replicas, |o| o.triggers = 2, Answering::Part);
        assert_eq!(
            Answering::of(&TargetSpec::default(), None),
            Answering::Fleet
        );
    }
}
