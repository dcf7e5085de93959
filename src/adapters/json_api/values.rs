//! How numbers and times are written in JSON.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::clock::on_the_wall;
use crate::model::quantity::Quantity;
use crate::model::time::Timestamp;
use crate::policy::decision::Metric;

/// A rate, a ratio or a time, to three decimals: more is noise, and 95.95225342413343 reads badly.
#[derive(Clone, Copy)]
pub(super) struct Thousandths(pub f64);

impl Serialize for Thousandths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.0 * 1000.0).round() / 1000.0)
    }
}

/// A value in a unit that is not ours, to six significant digits: 0.0004 errors per second are not 0.
#[derive(Clone, Copy)]
pub(super) struct Significant(pub f64);

impl Serialize for Significant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rounded = format!("{:.5e}", self.0).parse();
        serializer.serialize_f64(rounded.unwrap_or(self.0))
    }
}

/// A number that may be a lower bound.
#[derive(Serialize)]
pub(super) struct QuantityShape {
    value: u64,
    certainty: &'static str,
}

impl From<Quantity> for QuantityShape {
    fn from(quantity: Quantity) -> Self {
        Self {
            value: quantity.value(),
            certainty: certainty(quantity),
        }
    }
}

pub(super) fn certainty(quantity: Quantity) -> &'static str {
    if quantity.is_exact() {
        "exact"
    } else {
        "at_least"
    }
}

/// Whole where it is whole.
pub(super) fn number(metric: Metric) -> Option<serde_json::Number> {
    if metric.milli.is_multiple_of(1000) {
        Some((metric.milli / 1000).into())
    } else {
        serde_json::Number::from_f64(metric.as_f64())
    }
}

/// The end of the year 9999: later times have no RFC 3339 form.
const LAST_MILLI: u64 = 253_402_300_799_999;

pub(in crate::adapters) fn rfc3339(at: Timestamp) -> String {
    let since_epoch = Duration::from_millis(on_the_wall(at).as_millis().min(LAST_MILLI));
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since_epoch).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_three_decimals_and_what_is_no_number_is_null() {
        for (number, json) in [
            (95.952_253_424_133_43, "95.952"),
            (0.8, "0.8"),
            (0.000_4, "0.0"),
            (12.0, "12.0"),
            (1e15, "1000000000000000.0"),
            (f64::INFINITY, "null"),
        ] {
            assert_eq!(
                serde_json::to_string(&Thousandths(number)).ok().as_deref(),
                Some(json)
            );
        }
    }
}
