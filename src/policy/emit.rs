//! The value sent to KEDA so that the HPA ends at the wanted count. Arithmetic: docs/policy.md, "The HPA's dead band".
//!
//! The HPA computes ⌈value ÷ 1⌉ replicas but stays where it is while value ÷ current lies within 1 ± 0.1, or within the tolerance of
//! its `behavior`.

use super::decision::Metric;
use crate::scaled_object::ObjectSettings;

/// The HPA's dead band, in thousandths of the current count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    /// Rises up to this are ignored.
    pub up_milli: u64,
    /// … and falls.
    pub down_milli: u64,
}

impl Default for Band {
    /// Kubernetes' own.
    fn default() -> Self {
        Self {
            up_milli: 100,
            down_milli: 100,
        }
    }
}

impl Band {
    /// As the ScaledObject sets it, where that is known.
    pub fn of(object: Option<&ObjectSettings>) -> Self {
        let set = |milli: Option<u32>| milli.map_or(100, u64::from);
        object.map_or_else(Self::default, |object| Self {
            up_milli: set(object.tolerance_up_milli),
            down_milli: set(object.tolerance_down_milli),
        })
    }

    /// Whether the HPA takes a rise from `now` to `wanted` for none.
    fn swallows(self, wanted: u32, now: u32) -> bool {
        u64::from(wanted) * 1_000 <= u64::from(now) * (1_000 + self.up_milli)
    }

    /// The smallest count above `now` that the HPA acts on.
    fn past(self, now: u32) -> u32 {
        let past = u64::from(now) * (1_000 + self.up_milli) / 1_000 + 1;
        u32::try_from(past).unwrap_or(u32::MAX)
    }
}

/// The smallest count from `wanted` on that an HPA at `current` goes to: one more than a tenth more, where `wanted` is a rise above
/// `last` that it would not act on. Asked for from the start, it is no overshoot that is taken back at once.
pub fn reachable(wanted: u32, current: Option<u32>, last: Option<u32>, band: Band) -> u32 {
    match current {
        Some(now) if wanted > now.max(last.unwrap_or(0)) && band.swallows(wanted, now) => {
            band.past(now)
        }
        _ => wanted,
    }
}

/// The metric value, target 1, that takes an HPA from `current` (if known) to `desired`, never above `most`.
pub fn emitted(desired: u32, current: Option<u32>, most: u32, band: Band) -> Metric {
    let exact = Metric::whole(u64::from(desired));
    let Some(current) = current.filter(|current| *current > 0) else {
        return exact;
    };
    let (wanted, now) = (u64::from(desired), u64::from(current));
    // The HPA goes up to this at one sync; from just below `desired` it could not take the last step.
    let reach = (now * 2).max(now + 4);
    let widest = 1_000 + band.up_milli;
    if reach < wanted && wanted * 1_000 <= reach * widest {
        return Metric::whole((wanted * 1_000 - 1) / widest);
    }
    if desired > current && band.swallows(desired, current) {
        return Metric::whole(u64::from(band.past(current).min(most).max(desired)));
    }
    let least = 1_000 - band.down_milli.min(1_000);
    if wanted < now && wanted > 0 && wanted * 1_000 >= now * least {
        // Rounds up to `desired` and lies a little lower; beyond 19 replicas even that stays within the tolerance.
        let lower = (wanted - 1) * 1000 + 10;
        if lower < now * least {
            return Metric { milli: lower };
        }
    }
    exact
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The HPA at its default tolerance, external metric, AverageValue, target 1.
    fn hpa(value: Metric, current: u32) -> u32 {
        let ratio = value.milli as f64 / (f64::from(current) * 1000.0);
        if (ratio - 1.0).abs() <= 0.1 {
            current
        } else {
            value.milli.div_ceil(1000) as u32
        }
    }

    #[test]
    fn one_more_replica_passes_the_dead_band_and_one_fewer_does_to_nineteen() {
        let check = |desired, current, milli| {
            assert_eq!(
                emitted(desired, Some(current), 100, Band::default()).milli,
                milli,
                "{current} → {desired}"
            );
        };
        check(5, 5, 5_000);
        check(11, 10, 12_000);
        check(22, 20, 23_000);
        check(23, 20, 23_000);
        check(9, 10, 8_010);
        check(18, 19, 17_010);
        check(19, 20, 19_000);
        check(0, 10, 0);
        assert_eq!(emitted(11, None, 100, Band::default()).milli, 11_000);
        assert_eq!(
            emitted(11, Some(10), 11, Band::default()).milli,
            11_000,
            "never above the maximum"
        );
    }

    #[test]
    fn without_a_tolerance_the_wanted_count_is_sent_as_it_is() {
        let none = Band {
            up_milli: 0,
            down_milli: 0,
        };
        for current in 1..60 {
            for wanted in 1..60 {
                assert_eq!(reachable(wanted, Some(current), None, none), wanted);
                let sent = emitted(wanted, Some(current), 100, none);
                assert_eq!(
                    sent,
                    Metric::whole(u64::from(wanted)),
                    "{current} → {wanted}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn a_needed_scale_up_arrives_within_few_syncs_and_is_not_overdone(current in 1_u32..500, more in 1_u32..500) {
            let desired = current + more;
            let synced = |now: u32| hpa(emitted(desired, Some(now), u32::MAX, Band::default()), now).min((now * 2).max(now + 4));
            let reached = (0..12).fold(current, |now, _| synced(now));
            prop_assert!(reached >= desired);
            prop_assert!(reached <= desired.max(Band::default().past(current)));
        }

        #[test]
        fn what_is_reachable_is_reached_exactly(current in 1_u32..500, more in 0_u32..500) {
            let desired = reachable(current + more, Some(current), None, Band::default());
            let synced = |now: u32| hpa(emitted(desired, Some(now), u32::MAX, Band::default()), now).min((now * 2).max(now + 4));
            prop_assert_eq!((0..12).fold(current, |now, _| synced(now)), desired);
        }

        #[test]
        fn a_scale_down_never_ends_below_the_wanted_count(current in 1_u32..500, desired in 1_u32..500) {
            prop_assume!(desired < current);
            let reached = hpa(emitted(desired, Some(current), 500, Band::default()), current);
            prop_assert!(reached == desired || reached == current);
            if current <= 19 { prop_assert_eq!(reached, desired); }
        }
    }
}
