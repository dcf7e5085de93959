//! What the forecast learns, and what must not mislead it.

use proptest::prelude::*;

use super::*;

const POLL: Duration = Duration::from_secs(15);
const DAY: u64 = 5_760;

fn at(poll: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000).plus(POLL * poll as u32)
}

/// Feeds one count per poll, and tells what is expected after each.
fn watch(
    forecast: &mut Forecast,
    polls: std::ops::Range<u64>,
    arrived: impl Fn(u64) -> Option<u64>,
    mut then: impl FnMut(u64, Option<ForecastFacts>),
) {
    for poll in polls {
        forecast.observe(at(poll), POLL, arrived(poll));
        then(poll, forecast.facts());
    }
}

fn fed(polls: std::ops::Range<u64>, arrived: impl Fn(u64) -> Option<u64>) -> Forecast {
    let mut forecast = Forecast::default();
    watch(&mut forecast, polls, arrived, |_, _| ());
    forecast
}

fn facts(forecast: &Forecast) -> ForecastFacts {
    forecast.facts().expect("arrivals are known")
}

/// Day and night as a sine, and twice as much in the hours after six every morning.
fn day_and_night(poll: u64) -> Option<u64> {
    let of_day = (at(poll).as_millis() % 86_400_000) as f64 / 86_400_000.0;
    let wave = 1.0 + 0.6 * (of_day * std::f64::consts::TAU).sin();
    let step = if (0.25..0.5).contains(&of_day) {
        2.0
    } else {
        1.0
    };
    Some((100_000.0 * wave * step) as u64)
}

#[test]
fn days_are_learned_after_two_of_them_and_forecast_better_than_the_last_value() {
    let forecast = fed(0..DAY * 2 + DAY / 2, day_and_night);
    let facts = facts(&forecast);
    let naive = facts.expert_error_ratios[&Expert::LastValue];
    assert_eq!(facts.expert, Expert::Daily, "{facts:?}");
    assert!(
        facts.error_ratio.expect("judged") < 0.85 * naive,
        "{facts:?}"
    );
    assert!(facts.expert_error_ratios[&Expert::Daily] < 0.5 * naive);
}

#[test]
fn a_daily_step_is_seen_coming_minutes_before() {
    let mut forecast = fed(0..DAY * 3, day_and_night);
    let mut seen = Vec::new();
    watch(
        &mut forecast,
        DAY * 3..DAY * 4,
        day_and_night,
        |poll, facts| {
            let of_day = at(poll).as_millis() % 86_400_000;
            if (6 * 3_600_000 - 300_000..6 * 3_600_000 - 285_000).contains(&of_day) {
                let now = day_and_night(poll).expect("a count") as f64 / 15.0;
                seen.push(facts.expect("known").largest_per_second / now);
            }
        },
    );
    assert_eq!(seen.len(), 1);
    assert!(seen[0] > 1.8, "{seen:?}");
}

#[test]
fn what_never_changes_is_forecast_without_error_and_with_hardly_a_margin() {
    let facts = facts(&fed(0..DAY * 2, |_| Some(1_500)));
    assert_eq!(facts.error_ratio, Some(0.0));
    assert_eq!(
        (
            facts.per_second,
            facts.upper_per_second,
            facts.largest_per_second
        ),
        (100.0, 100.0, 100.0)
    );
    assert_eq!(facts.expert, Expert::LastValue);
}

#[test]
fn a_shock_of_one_day_is_not_expected_on_the_next() {
    let shocked = |poll: u64| {
        let shock = (DAY * 2 + 1_000..DAY * 2 + 1_080).contains(&poll);
        day_and_night(poll).map(|n| if shock { n * 20 } else { n })
    };
    let (mut plain, mut forecast) = (Forecast::default(), Forecast::default());
    watch(&mut plain, 0..DAY * 3 + 900, day_and_night, |_, _| ());
    watch(&mut forecast, 0..DAY * 3 + 900, shocked, |_, _| ());
    for poll in DAY * 3 + 900..DAY * 3 + 1_080 {
        plain.observe(at(poll), POLL, day_and_night(poll));
        forecast.observe(at(poll), POLL, day_and_night(poll));
        let (usual, after) = (facts(&plain), facts(&forecast));
        assert!(
            after.largest_per_second < usual.largest_per_second * 1.5,
            "{usual:?} {after:?}"
        );
    }
}

#[test]
fn the_upper_bound_covers_nine_rates_of_ten() {
    // A fixed pseudo-random walk of rates between 80 and 120 per second.
    let noisy = |poll: u64| Some(1_200 + (poll.wrapping_mul(2_654_435_761) >> 7) % 600);
    let mut forecast = fed(0..DAY, noisy);
    let (mut upper, mut covered) = (VecDeque::new(), 0);
    watch(&mut forecast, DAY..DAY * 2, noisy, |poll, facts| {
        if upper.len() == 5 {
            let bound: f64 = upper.pop_front().expect("five");
            covered += u64::from(noisy(poll).expect("a count") as f64 / 15.0 <= bound);
        }
        upper.push_back(facts.expect("known").upper_per_second);
    });
    let ratio = covered as f64 / DAY as f64;
    assert!((0.87..0.93).contains(&ratio), "{ratio}");
}

#[test]
fn a_gap_teaches_nothing_and_nothing_is_forecast_in_it() {
    let mut forecast = fed(0..DAY, day_and_night);
    let before = forecast.clone();
    watch(
        &mut forecast,
        DAY..DAY + 240,
        |_| None,
        |_, facts| assert_eq!(facts, None),
    );
    // One count over the whole gap, from a service that could not poll.
    forecast.observe(at(DAY + 500), POLL * 260, Some(3));
    assert_eq!(forecast.facts(), None);
    assert_eq!(forecast.scores, before.scores);
    assert_eq!(forecast.daily, before.daily);
    forecast.observe(at(DAY + 501), POLL, day_and_night(DAY + 501));
    assert_eq!(forecast.scores, before.scores, "what fell due in the gap");
    let now = day_and_night(DAY + 501).expect("a count") as f64 / 15.0;
    assert_eq!(facts(&forecast).per_second, now);
}

#[test]
fn memory_does_not_grow() {
    let size = |forecast: &Forecast| serde_json::to_string(forecast).expect("JSON").len();
    let forecast = fed(0..DAY * 8, day_and_night);
    assert!(size(&forecast) < 60_000, "{}", size(&forecast));
    assert!(forecast.pending.len() <= 6);
}

#[test]
fn it_goes_on_from_what_was_written_down() {
    let forecast = fed(0..300, day_and_night);
    let text = serde_json::to_string(&forecast).expect("JSON");
    let read: Forecast = serde_json::from_str(&text).expect("the same");
    // JSON as it is read here may cost the last bit.
    let (before, after) = (facts(&forecast), facts(&read));
    assert!((before.upper_per_second / after.upper_per_second - 1.0).abs() < 1e-12);
    assert_eq!(read.pending.len(), forecast.pending.len());
}

fn counts() -> impl Strategy<Value = Vec<Option<u64>>> {
    prop::collection::vec(prop::option::weighted(0.9, 0_u64..1_000_000), 1..200)
}

proptest! {
    #[test]
    fn a_forecast_is_never_negative_and_always_a_number(counts in counts(), millis in 50_u64..400_000) {
        let mut forecast = Forecast::default();
        for (poll, count) in counts.iter().enumerate() {
            let covered = Duration::from_millis(millis);
            forecast.observe(at(0).plus(covered * poll as u32), covered, *count);
            if let Some(facts) = forecast.facts() {
                prop_assert!(facts.per_second >= 0.0 && facts.per_second.is_finite());
                prop_assert!(facts.upper_per_second >= facts.per_second);
                prop_assert!(facts.largest_per_second >= facts.per_second);
                prop_assert!(facts.upper_per_second.is_finite() && facts.largest_per_second.is_finite());
            }
            prop_assert!(forecast.pending.len() <= 6);
        }
    }

    #[test]
    fn eight_times_the_messages_give_eight_times_the_forecast(counts in counts()) {
        let count = |poll: u64| counts[poll as usize];
        let plain = fed(0..counts.len() as u64, count);
        let scaled = fed(0..counts.len() as u64, |poll| Some(count(poll)? * 8));
        let expected = plain.facts().map(|facts| ForecastFacts {
            per_second: facts.per_second * 8.0,
            upper_per_second: facts.upper_per_second * 8.0,
            largest_per_second: facts.largest_per_second * 8.0,
            ..facts
        });
        prop_assert_eq!(scaled.facts(), expected);
    }

    #[test]
    fn the_same_counts_give_the_same_forecast(counts in counts()) {
        let count = |poll: u64| counts[poll as usize];
        let polls = 0..counts.len() as u64;
        prop_assert!(fed(polls.clone(), count) == fed(polls, count));
    }
}
