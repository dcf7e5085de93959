//! A base-2 logarithm that is the same to the bit on every machine, which the platform's own need not be.

/// log2 of a positive, normal number, to about 1e-6. Anything else gives a number of no meaning, never a panic.
pub(super) fn log2(x: f64) -> f64 {
    const EXPONENT_BITS: u64 = 0x7ff;
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & EXPONENT_BITS) as i64 - 1023;
    // The mantissa as a number in [1, 2).
    let mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    let (mantissa, exponent) = if mantissa > std::f64::consts::SQRT_2 {
        (mantissa / 2.0, exponent + 1)
    } else {
        (mantissa, exponent)
    };
    // ln m = 2 artanh((m − 1) / (m + 1)), and the argument is below 0.172.
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let square = t * t;
    let series = t * (1.0 + square * (1.0 / 3.0 + square * (1.0 / 5.0 + square * (1.0 / 7.0))));
    exponent as f64 + 2.0 * std::f64::consts::LOG2_E * series
}

#[cfg(test)]
mod tests {
    use super::log2;

    #[test]
    fn the_logarithm_is_close_over_the_whole_range() {
        for n in -3000..3000 {
            let x = 1.1_f64.powi(n) * 1.01;
            assert!((log2(x) - x.log2()).abs() < 2e-6, "{x}");
        }
    }
}
