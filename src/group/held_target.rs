//! What is kept of a target over an upgrade: enough that no answer is below the one before it. Little, so that other versions can read it.

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;
use crate::policy::bootstrap::Bootstrap;
use crate::policy::decision::Metric;
use crate::policy::hold::Hold;
use crate::policy::scale_history::ScaleHistory;
use crate::policy::spec::TargetSpec;
use crate::policy::target::TargetState;

/// Every target, when they were last decided for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeldTargets {
    /// When that was.
    pub at: Timestamp,
    /// Each of them.
    pub targets: Vec<HeldTarget>,
}

/// One target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldTarget {
    namespace: String,
    name: String,
    /// In hexadecimal: as a number it would be larger than any that is counted.
    metadata_hash: String,
    registered_at: Timestamp,
    hold: Hold,
    scaled: ScaleHistory,
    bootstrap: Bootstrap,
    too_much_for_one: Option<f64>,
    warm_up_floor: u32,
    most_asked: u32,
    last_desired: Option<u32>,
    last_active: Option<bool>,
    last_metric: Option<Metric>,
}

impl HeldTarget {
    /// Of the target that these three stand for.
    pub fn of((namespace, name, hash): (&str, &str, u64), target: &TargetState) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            metadata_hash: format!("{hash:016x}"),
            registered_at: target.registered_at,
            hold: target.hold.clone(),
            scaled: target.scaled.clone(),
            bootstrap: target.bootstrap.clone(),
            too_much_for_one: target.too_much_for_one,
            warm_up_floor: target.warm_up_floor,
            most_asked: target.most_asked,
            last_desired: target.last_desired,
            last_active: target.last_active,
            last_metric: target.last_metric,
        }
    }

    /// The target, which is yet to be asked for and decided for; `None` where it cannot be what was kept before `now`.
    pub fn target(&self, now: Timestamp) -> Option<(String, String, u64, Box<TargetState>)> {
        let metadata_hash = u64::from_str_radix(&self.metadata_hash, 16).ok()?;
        // A hold from the future would hold for ever.
        let is_past = self.hold.is_until(now) && self.scaled.is_until(now);
        if !is_past || self.registered_at > now {
            return None;
        }
        let (namespace, name) = (self.namespace.clone(), self.name.clone());
        let target = TargetState {
            hold: self.hold.clone(),
            scaled: self.scaled.clone(),
            bootstrap: self.bootstrap.clone(),
            too_much_for_one: self.too_much_for_one,
            warm_up_floor: self.warm_up_floor,
            most_asked: self.most_asked,
            last_desired: self.last_desired,
            last_active: self.last_active,
            last_metric: self.last_metric,
            ..TargetState::new(TargetSpec::default(), self.registered_at)
        };
        Some((namespace, name, metadata_hash, Box::new(target)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::group::remembered::Remembered;

    #[test]
    fn a_target_is_read_as_it_was_written_and_not_with_a_hold_from_the_future() {
        let at = Timestamp::from_millis(1_700_000_000_000);
        let mut target = TargetState::new(TargetSpec::default(), at);
        target.hold.work.hold(at, 12.5, Duration::from_secs(60));
        target.scaled.note(at, 2, 7, Duration::from_secs(60));
        (target.last_desired, target.last_active) = (Some(7), Some(true));
        let held = HeldTarget::of(("shop", "worker", u64::MAX), &target);
        let targets = vec![held];
        let remembered = Remembered {
            targets: Some(HeldTargets { at, targets }),
            ..Remembered::default()
        };
        let written = serde_json::to_string(&remembered.sections()).expect("JSON");
        let read = |text: &str| Remembered::read(serde_json::from_str(text).expect("sections"));
        let (read_back, problems) = read(&written);
        assert_eq!((&read_back, problems), (&remembered, Vec::new()));
        let held = &read_back.targets.as_ref().expect("targets").targets[0];
        let (_, _, hash, back) = held.target(at).expect("of the past");
        assert_eq!((hash, *back), (u64::MAX, target));
        assert_eq!(held.target(at.minus(Duration::from_secs(1))), None);

        let of_later = written.replace(r#""targets":{"version":1"#, r#""targets":{"version":2"#);
        let (later, problems) = read(&of_later);
        assert_eq!(later.targets, None);
        assert_eq!(problems, ["targets has format 2, this version reads 1"]);
    }
}
