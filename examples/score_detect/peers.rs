//! What is usually put on a dashboard, for comparison. Each row is judged by those before it only.

use super::Scores;
use super::corpus::Series;

/// Names and scores. Larger is more unusual; only the order matters.
pub fn all(corpus: &[Series]) -> Vec<(&'static str, Scores)> {
    let of = |scores: fn(&Series) -> Vec<f64>| corpus.iter().map(scores).collect();
    vec![
        ("EWMA z-score, 1 day", of(ewma)),
        ("hour-of-week z-score", of(hour_of_week)),
        ("median ± 2 MAD of 24 h", of(median)),
        ("avg ± 2 σ of 26 h", of(average)),
    ]
}

const HOUR_MILLIS: u64 = 3_600_000;

/// Distance in standard deviations of running mean and variance over 288 rows.
fn ewma(series: &Series) -> Vec<f64> {
    let share = 2.0 / 289.0;
    let (mut mean, mut variance) = (series.values.first().copied().unwrap_or(0.0), 0.0);
    let judge = |value: &f64| {
        let distance = value - mean;
        let score = distances(distance, f64::sqrt(variance));
        mean += share * distance;
        variance = (1.0 - share) * (variance + share * distance * distance);
        score
    };
    series.values.iter().map(judge).collect()
}

/// Distance in standard deviations from the mean of the same hour of the week so far.
fn hour_of_week(series: &Series) -> Vec<f64> {
    let mut hours = vec![(0.0_f64, 0.0_f64, 0.0_f64); 168];
    let rows = series.times.iter().zip(&series.values);
    let judge = |(at, value): (&streamgauge::model::time::Timestamp, &f64)| {
        let (count, mean, squares) = &mut hours[(at.as_millis() / HOUR_MILLIS) as usize % 168];
        let score = if *count >= 4.0 {
            distances(value - *mean, (*squares / *count).sqrt())
        } else {
            0.0
        };
        *count += 1.0;
        let distance = value - *mean;
        *mean += distance / *count;
        *squares += distance * (value - *mean);
        score
    };
    rows.map(judge).collect()
}

/// Distance from the median of the last 24 hours, in median absolute deviations: 2 is the usual bound.
fn median(series: &Series) -> Vec<f64> {
    windowed(series, 24, |window, value| {
        let middle = middle(window.iter().copied());
        let spread = self::middle(window.iter().map(|v| (v - middle).abs()));
        distances(value - middle, spread)
    })
}

/// Distance from the mean of the last 26 hours, in standard deviations: 2 is the usual bound.
fn average(series: &Series) -> Vec<f64> {
    windowed(series, 26, |window, value| {
        let mean = window.iter().sum::<f64>() / window.len() as f64;
        let squares = window.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        distances(value - mean, (squares / window.len() as f64).sqrt())
    })
}

fn windowed(series: &Series, hours: u64, judge: impl Fn(&[f64], f64) -> f64) -> Vec<f64> {
    let mut first = 0;
    let score = |row: usize| {
        let start = series.times[row]
            .as_millis()
            .saturating_sub(hours * HOUR_MILLIS);
        while series.times[first].as_millis() < start {
            first += 1;
        }
        if row < first + 4 {
            return 0.0;
        }
        judge(&series.values[first..row], series.values[row])
    };
    (0..series.values.len()).map(score).collect()
}

fn distances(distance: f64, spread: f64) -> f64 {
    if spread > 0.0 {
        distance.abs() / spread
    } else {
        0.0
    }
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
