//! A metric as it crosses the wire: two numbers for a value, two for its target, thousandths in the end.

/// One external metric as KEDA's metrics server hands it on, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExternalReading {
    /// The value.
    pub value_milli: u64,
    /// The target per replica; not 0.
    pub target_milli: u64,
}

impl ExternalReading {
    /// From the number pairs of the protocol: the float counts if it is above 0, else the integer. Three decimals are kept,
    /// cut off; what is no finite positive number becomes 0. `None` if the target is 0.
    pub fn of_wire(value: i64, value_float: f64, target: i64, target_float: f64) -> Option<Self> {
        let target_milli = milli(target, target_float);
        (target_milli > 0).then(|| Self {
            value_milli: milli(value, value_float),
            target_milli,
        })
    }
}

fn milli(int: i64, float: f64) -> u64 {
    if float.is_finite() && float > 0.0 {
        // Nudged, so that 0.29 does not become 289 thousandths.
        (float * 1000.0 + 1e-6) as u64
    } else {
        u64::try_from(int).unwrap_or(0).saturating_mul(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_pairs_of_the_protocol_become_thousandths() {
        let check = |value, float, expect| {
            let reading = ExternalReading::of_wire(value, float, 1, 0.0).unwrap();
            assert_eq!(reading.value_milli, expect, "{value} {float}");
        };
        check(3, 2.5, 2_500);
        check(3, 0.0, 3_000);
        check(3, f64::NAN, 3_000);
        check(-3, f64::NEG_INFINITY, 0);
        check(0, 0.29, 290);
        check(0, 0.000_9, 0);
        assert_eq!(ExternalReading::of_wire(1, 1.0, 0, 0.0), None);
    }
}
