//! What holds for every series.

use proptest::prelude::*;

use super::tests::{at, fresh, noise};
use super::*;
use crate::model::time::Timestamp;

/// Steady values with steps, spikes, ramps and zeros in between, and gaps.
fn series() -> impl Strategy<Value = Vec<Option<f64>>> {
    let piece = prop_oneof![
        4 => (1_usize..200, 1.0..1000.0_f64, 0.0..0.5_f64).prop_map(|(n, level, spread)| {
            (0..n).map(|i| Some(level * (1.0 + spread * noise(i)))).collect::<Vec<_>>()
        }),
        1 => (1_usize..5, 1.0..1e5_f64).prop_map(|(n, value)| vec![Some(value); n]),
        1 => (1_usize..80).prop_map(|n| vec![Some(0.0); n]),
        1 => (1_usize..40, -50.0..50.0_f64).prop_map(|(n, slope)| (0..n).map(|i| Some(slope * i as f64)).collect()),
        1 => (1_usize..30).prop_map(|n| vec![None; n]),
    ];
    prop::collection::vec(piece, 4..20).prop_map(|pieces| pieces.concat())
}

/// One value for a while, again and again interrupted by silence, other values, or what only looks like 0.
fn mostly_still() -> impl Strategy<Value = Vec<(u64, Option<f64>)>> {
    let values = prop_oneof![
        Just(0.0),
        Just(-0.0),
        Just(1e-300),
        Just(-1e-300),
        Just(0.1 + 0.2),
        Just(-7.3),
        1e-6..1e15_f64
    ];
    let steps = prop_oneof![
        6 => Just(5_000_u64), 2 => 0_u64..1_000, 3 => 4_000_u64..400_000, 1 => 3_000_000_u64..200_000_000
    ];
    let piece = (values, steps, 1_usize..1200, 0_usize..4).prop_map(|(value, step, n, missing)| {
        [vec![(step, Some(value)); n], vec![(step, None); missing]].concat()
    });
    prop_oneof![
        2 => piece.clone(),
        1 => (piece.clone(), prop::collection::vec(piece, 1..4)).prop_map(|(first, more)| {
            let value = first[0].1;
            let same = |(step, v): (u64, Option<f64>)| (step, v.and(value));
            let again = more.iter().flatten().copied().map(same).collect();
            [first, again, more.concat()].concat()
        }),
    ]
}

/// To the bit, 0 and -0 apart.
fn written(baseline: &Baseline, reading: Reading) -> String {
    serde_json::to_string(&(baseline, reading)).unwrap()
}

fn read(baseline: &mut Baseline, from: usize, values: &[Option<f64>]) -> Vec<Reading> {
    let sample = |(n, value): (usize, &Option<f64>)| baseline.observe(at(from + n), *value);
    values.iter().enumerate().map(sample).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_scale_of_a_series_changes_no_flag(values in series()) {
        let flags = |factor: f64| {
            let scaled: Vec<_> = values.iter().map(|value| value.map(|value| value * factor)).collect();
            let readings = read(&mut fresh(), 0, &scaled);
            readings.iter().map(|r| (r.anomaly, r.fired)).collect::<Vec<_>>()
        };
        let plain = flags(1.0);
        prop_assert_eq!(&flags(1e-6), &plain);
        prop_assert_eq!(&flags(1e9), &plain);
    }

    #[test]
    fn the_same_samples_give_the_same_readings_also_over_a_restart(values in series(), cut in 0.0..1.0_f64) {
        let whole = read(&mut fresh(), 0, &values);
        let cut = (values.len() as f64 * cut) as usize;
        let mut first = fresh();
        let mut readings = read(&mut first, 0, &values[..cut]);
        let text = serde_json::to_string(&first.save().unwrap()).unwrap();
        let saved = serde_json::from_str(&text).unwrap();
        let (mut second, warning) = Baseline::restore(BaselineRules::default(), saved);
        prop_assert_eq!(warning, None);
        prop_assert_eq!(&second, &first);
        readings.extend(read(&mut second, cut, &values[cut..]));
        prop_assert_eq!(readings, whole);
    }

    #[test]
    fn scores_and_bounds_keep_their_order_whatever_comes(
        values in prop::collection::vec(prop::option::of(prop::num::f64::ANY), 1..600),
        steps in prop::collection::vec(0_u64..100_000_000, 1..600),
    ) {
        let mut baseline = fresh();
        let mut now = Timestamp::from_millis(0);
        for (value, step) in values.iter().zip(&steps) {
            now = now.plus(Duration::from_millis(*step));
            let reading = baseline.observe(now, *value);
            prop_assert!((0.0..=1.0).contains(&reading.score) && reading.score <= reading.departure);
            prop_assert!(!reading.fired || (reading.anomaly && reading.score >= 0.5));
            if let (Some(lower), Some(upper)) = (reading.lower, reading.upper) {
                prop_assert!(lower <= upper);
            }
        }
        prop_assert!(baseline.save().is_ok());
    }

    #[test]
    fn a_still_series_is_kept_short_and_says_the_same_to_the_bit(samples in mostly_still(), start in 0_u64..2_000_000_000, cut in 0_usize..1500, learning in 0_u64..20_000_000) {
        let rules = BaselineRules { weekly_season: false, learning: Duration::from_millis(learning) };
        let mut short = Baseline::new(rules);
        let mut whole = Baseline { rules, series: SeriesMemory::Varied(Box::new(State::new(false))) };
        let mut now = Timestamp::from_millis(1_700_000_000_000 + start);
        let first = samples.iter().find_map(|(_, value)| *value);
        let mut varied = false;
        for (n, (step, value)) in samples.into_iter().enumerate() {
            now = now.plus(Duration::from_millis(step));
            let readings = (short.observe(now, value), whole.observe(now, value));
            varied |= value.is_some() && value != first || first == Some(-1e-300);
            prop_assert!(varied || matches!(short.series, SeriesMemory::Still(_)), "{} {:?}", n, value);
            if n < 8 || n % 53 == 0 || n == cut {
                prop_assert_eq!(written(&short, readings.0), written(&whole, readings.1));
            } else {
                prop_assert_eq!(readings.0, readings.1);
            }
            if n == cut {
                let saved = serde_json::to_string(&whole).unwrap();
                whole = serde_json::from_str(&saved).unwrap();
                prop_assert_eq!(&whole, &short, "what was written before is read in the short form, too");
                let SeriesMemory::Still(still) = &whole.series else { continue };
                whole.series = SeriesMemory::Varied(Box::new(still.whole()));
            }
        }
    }
}
