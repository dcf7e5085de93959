//! What a baseline promises, on series that are made here.

use super::counter::CounterRate;
use super::saved::{LearnsAnew, Saved, VERSION};
use super::*;
use crate::model::time::Timestamp;

const STEP_SECONDS: u64 = 300;
const DAY: usize = 288;

pub(super) fn at(sample: usize) -> Timestamp {
    // A Monday.
    Timestamp::from_millis((1_700_438_400 + sample as u64 * STEP_SECONDS) * 1000)
}

/// Noise between -1 and 1, the same on every machine.
pub(super) fn noise(sample: usize) -> f64 {
    let mut x = (sample as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 32;
    x = x.wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^= x >> 32;
    (x >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// 100 ± 5.
fn steady(sample: usize) -> f64 {
    100.0 + 5.0 * noise(sample)
}

/// 100 ± 60 over the day, with a little noise.
fn daily(sample: usize) -> f64 {
    let triangle = (sample % DAY).abs_diff(DAY / 2) as f64 / (DAY / 2) as f64;
    40.0 + 120.0 * (1.0 - triangle) + 4.0 * noise(sample)
}

fn run(
    baseline: &mut Baseline,
    range: std::ops::Range<usize>,
    value: impl Fn(usize) -> f64,
) -> Vec<Reading> {
    range
        .map(|sample| baseline.observe(at(sample), Some(value(sample))))
        .collect()
}

pub(super) fn fresh() -> Baseline {
    Baseline::new(BaselineRules::default())
}

fn firings(readings: &[Reading]) -> Vec<usize> {
    let fired = readings.iter().enumerate().filter(|(_, r)| r.fired);
    fired.map(|(n, _)| n).collect()
}

#[test]
fn constant_and_zero_series_stay_silent_and_expect_what_they_are() {
    for value in [0.0, 42.0, -7.5, 0.1 + 0.2, 1e18] {
        let readings = run(&mut fresh(), 0..3000, |_| value);
        assert!(
            readings.iter().all(|r| r.score == 0.0 && !r.anomaly),
            "{value}"
        );
        let last = readings[2999];
        assert_eq!(
            (last.expected, last.lower, last.upper),
            (Some(value), Some(value), Some(value))
        );
    }
}

#[test]
fn nothing_is_flagged_while_learning() {
    let readings = run(
        &mut fresh(),
        0..260,
        |n| if n == 150 { 1e6 } else { steady(n) },
    );
    assert_eq!(firings(&readings), Vec::<usize>::new());
    assert!(readings[199].learning && !readings[200].learning);
    assert_eq!(readings[0].expected, None);
    let rules = BaselineRules {
        learning: Duration::from_secs(24 * 3600),
        ..BaselineRules::default()
    };
    let readings = run(&mut Baseline::new(rules), 0..300, steady);
    assert!(readings[287].learning && !readings[288].learning);
}

#[test]
fn a_spike_is_flagged_at_once_and_does_not_become_the_baseline() {
    let mut baseline = fresh();
    run(&mut baseline, 0..2000, steady);
    let before = baseline.observe(at(2000), Some(steady(2000)));
    let readings = run(&mut baseline, 2001..2060, |n| {
        if n < 2004 { 400.0 } else { steady(n) }
    });
    assert!(
        firings(&readings).first().is_some_and(|n| *n <= 1),
        "{:?}",
        firings(&readings)
    );
    let (expected, after) = (before.expected.unwrap(), readings[3].expected.unwrap());
    assert!((after - expected).abs() < 10.0, "{expected} became {after}");
    let (lower, upper) = (readings[58].lower.unwrap(), readings[58].upper.unwrap());
    assert!(lower > 85.0 && upper < 115.0, "{lower} to {upper}");
    // The same again a day later is news again.
    run(&mut baseline, 2060..2300, steady);
    let again = run(&mut baseline, 2300..2303, |_| 400.0);
    assert_eq!(firings(&again).len(), 1);
}

#[test]
fn a_flag_stays_until_it_is_calm_and_fires_again_only_after_a_pause() {
    let mut baseline = fresh();
    run(&mut baseline, 0..2000, steady);
    let readings = run(&mut baseline, 2000..2300, |n| {
        if n < 2030 { 200.0 } else { steady(n) }
    });
    let fired = firings(&readings);
    assert_eq!(fired.len(), 1);
    assert!(readings[fired[0]..15].iter().all(|r| r.anomaly));
    let down = readings.iter().rposition(|r| r.anomaly).unwrap();
    assert!((30..100).contains(&down), "{down}");
}

#[test]
fn a_lasting_shift_of_the_level_is_adopted_within_a_day() {
    let mut baseline = fresh();
    run(&mut baseline, 0..2000, steady);
    let readings = run(&mut baseline, 2000..2000 + 3 * DAY, |n| steady(n) + 100.0);
    assert!(firings(&readings).first().is_some_and(|n| *n <= 2));
    let adopted = readings.iter().rposition(|r| r.anomaly).unwrap();
    assert!(adopted < DAY, "{adopted} samples");
    let later = readings[DAY];
    assert!((later.expected.unwrap() - 200.0).abs() < 5.0);
    assert!(later.lower.unwrap() > 150.0 && later.upper.unwrap() < 250.0);
}

#[test]
fn a_daily_season_is_learned_and_what_breaks_it_is_flagged() {
    let mut baseline = fresh();
    let learned = run(&mut baseline, 0..10 * DAY, daily);
    assert!(firings(&learned).len() <= 1, "{:?}", firings(&learned));
    let errors = learned[9 * DAY..]
        .iter()
        .enumerate()
        .map(|(n, r)| (r.expected.unwrap() - daily(9 * DAY + n)).abs());
    let mean = errors.sum::<f64>() / DAY as f64;
    assert!(mean < 6.0, "{mean}");
    // The afternoon stays as low as the night, which is no unusual value as such.
    let broken = run(&mut baseline, 10 * DAY..11 * DAY, |n| daily(n).min(60.0));
    assert_eq!(firings(&broken).len(), 1);
}

#[test]
fn a_week_is_learned_if_it_is_asked_for() {
    let weekly = |n: usize| {
        if (n / DAY) % 7 >= 5 {
            0.3 * daily(n)
        } else {
            daily(n)
        }
    };
    let error = |weekly_season: bool| {
        let rules = BaselineRules {
            weekly_season,
            ..BaselineRules::default()
        };
        let readings = run(&mut Baseline::new(rules), 0..42 * DAY, weekly);
        let last = readings.iter().enumerate().skip(35 * DAY);
        last.map(|(n, r)| (r.expected.unwrap() - weekly(n)).abs())
            .sum::<f64>()
    };
    assert!(
        error(true) < 0.9 * error(false),
        "{} {}",
        error(true),
        error(false)
    );
}

#[test]
fn missing_samples_and_what_is_no_number_teach_nothing() {
    let mut gaps = fresh();
    run(&mut gaps, 0..1000, steady);
    let mut whole = gaps.clone();
    for missing in [None, Some(f64::NAN), Some(f64::INFINITY), Some(-f64::MAX)] {
        let reading = gaps.observe(at(1000), missing);
        assert!(reading.score == 0.0 && !reading.fired && reading.expected.is_some());
    }
    assert_eq!(gaps, whole);
    assert_eq!(
        gaps.observe(at(1001), Some(99.0)),
        whole.observe(at(1001), Some(99.0))
    );
}

#[test]
fn after_hours_without_samples_another_level_is_no_news() {
    let mut baseline = fresh();
    run(&mut baseline, 0..2000, steady);
    let readings = run(&mut baseline, 2100..2200, |n| steady(n) + 9.0);
    assert_eq!(firings(&readings), Vec::<usize>::new());
}

#[test]
fn a_restarted_counter_is_no_anomaly() {
    let (mut baseline, mut rate) = (fresh(), CounterRate::default());
    let mut total = 0;
    for n in 0..1500 {
        total = if n == 1200 {
            0
        } else {
            total + 30_000 + (1500.0 * noise(n)) as u64
        };
        let reading = baseline.observe(at(n), rate.observe(at(n), Some(total)));
        assert!(!reading.fired || !(1195..1250).contains(&n), "{n}");
    }
}

#[test]
fn a_saved_baseline_of_another_version_learns_anew_and_says_so() {
    let mut baseline = fresh();
    run(&mut baseline, 0..300, steady);
    let saved = serde_json::to_value(baseline.save().unwrap()).unwrap();
    let check = |change: &dyn Fn(&mut serde_json::Value), expect: LearnsAnew| {
        let mut changed = saved.clone();
        change(&mut changed);
        let changed: Saved = serde_json::from_value(changed).unwrap();
        let (restored, warning) = Baseline::restore(BaselineRules::default(), changed);
        assert_eq!((restored, warning), (fresh(), Some(expect)));
    };
    check(
        &|saved| saved["version"] = 99.into(),
        LearnsAnew::Version { found: 99 },
    );
    let reason = "missing field `unit`".to_owned();
    check(
        &|saved| saved["state"] = serde_json::json!({}),
        LearnsAnew::Unreadable { reason },
    );
    let reason = "a season has the wrong number of hours".to_owned();
    check(
        &|saved| saved["state"]["seasons"]["day"] = serde_json::json!([1.0]),
        LearnsAnew::Unreadable { reason },
    );
    check(
        &|saved| saved["state"]["seasons"]["week"] = serde_json::Value::Null,
        LearnsAnew::Season,
    );
    assert_eq!(saved["version"], VERSION);
}

#[test]
fn state_takes_no_more_room_than_it_may() {
    let check = |weekly_season: bool, varies: bool, most: usize| {
        let rules = BaselineRules {
            weekly_season,
            ..BaselineRules::default()
        };
        let mut baseline = Baseline::new(rules);
        run(
            &mut baseline,
            0..300,
            |n| if varies { steady(n) } else { 20.0 },
        );
        let bytes = baseline.bytes();
        assert!(bytes <= most, "{weekly_season} {varies}: {bytes}");
    };
    check(true, true, 2200);
    check(false, true, 1200);
    check(false, false, 112);
}
