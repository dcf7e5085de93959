//! Shapes of load, in parts of what one replica can do.

/// How unevenly twelve partitions share; the mean is 1.
const SHARES: [f64; 12] = [1.4, 1.1, 1.3, 0.9, 0.7, 1.0, 1.2, 0.8, 0.9, 1.3, 0.6, 0.8];

/// A partition's part of what `replicas` could do.
pub(super) fn uneven(partition: usize, replicas: f64) -> f64 {
    replicas / 12.0 * SHARES[partition % 12]
}

/// From `low` up to `high` and back within `period` hours, smoothly; `low` before and after.
pub(super) fn wave(hour: f64, period: f64, low: f64, high: f64) -> f64 {
    let phase = (hour / period).clamp(0.0, 1.0);
    let way = 1.0 - (2.0 * phase - 1.0).abs();
    low + (high - low) * way * way * (3.0 - 2.0 * way)
}

/// `factor` between two hours, 1 otherwise; a minute from one to the other.
pub(super) fn step(hour: f64, from: f64, to: f64, factor: f64) -> f64 {
    let minute = 1.0 / 60.0;
    let inside = ((hour - from) / minute).min((to - hour) / minute);
    1.0 + (factor - 1.0) * inside.clamp(0.0, 1.0)
}

/// Two replicas' worth, of which partition 3 takes `share` of one replica for a while.
pub(super) fn hot(partition: usize, hour: f64, (from, to): (f64, f64), share: f64) -> f64 {
    let usual = uneven(partition, 2.0);
    if partition == 3 {
        usual * step(hour, from, to, share / usual)
    } else {
        usual
    }
}

/// What arrives in the scenario `faults`.
pub(super) fn faults(partition: usize, hour: f64) -> f64 {
    let day = wave(hour % 24.0, 24.0, 1.5, 6.0);
    let usual = uneven(partition, day) * step(hour, 4.0, 4.5, 3.0) * step(hour, 13.0, 14.0, 0.0);
    let hot = match partition {
        3 => step(hour, 7.0, 8.0, 0.85 / usual.max(0.01)),
        5 => step(hour, 10.0, 10.5, 1.3 / usual.max(0.01)),
        _ => 1.0,
    };
    usual * hot
}
