//! The scoring of the Numenta Anomaly Benchmark (Lavin and Ahmad, 2015): early detections in a window earn most, only the best of
//! each window counts, and false ones cost less right behind a window.

use std::ops::AddAssign;

use super::corpus::Series;

/// What false rows and missed windows cost.
#[derive(Clone, Copy)]
pub struct Profile {
    false_row: f64,
    missed: f64,
}

impl Profile {
    /// Standard, few false positives, few false negatives.
    pub const ALL: [Self; 3] = [
        Self::of(0.11, 1.0),
        Self::of(0.22, 1.0),
        Self::of(0.11, 2.0),
    ];

    const fn of(false_row: f64, missed: f64) -> Self {
        Self { false_row, missed }
    }
}

/// What detections earn and cost, before the profile.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    windows: usize,
    found: usize,
    earned: f64,
    false_rows: f64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.windows += other.windows;
        self.found += other.found;
        self.earned += other.earned;
        self.false_rows += other.false_rows;
    }
}

impl Tally {
    /// 0 for nothing detected, 100 for every window at its first row and nothing else.
    pub fn normalised(self, profile: Profile) -> f64 {
        let windows = self.windows as f64;
        let missed = windows - self.found as f64;
        let raw = self.earned + profile.false_row * self.false_rows - profile.missed * missed;
        let nothing = -profile.missed * windows;
        100.0 * (raw - nothing) / (windows - nothing)
    }
}

/// 1 far before position 0, -1 far after it.
fn sigmoid(position: f64) -> f64 {
    2.0 / (1.0 + (5.0 * position).exp()) - 1.0
}

/// Scored rows that say "anomaly".
pub fn detections(series: &Series, says_so: impl Fn(usize) -> bool) -> Vec<usize> {
    (series.probation()..series.values.len())
        .filter(|row| says_so(*row))
        .collect()
}

/// Windows found, rows outside of any.
pub fn found(series: &Series, rows: &[usize]) -> (usize, usize) {
    let inside = |row: usize| {
        series
            .windows
            .iter()
            .position(|w| (w.0..=w.1).contains(&row))
    };
    let mut windows: Vec<usize> = rows.iter().filter_map(|row| inside(*row)).collect();
    let outside = rows.len() - windows.len();
    windows.dedup();
    (windows.len(), outside)
}

pub fn tally(series: &Series, rows: &[usize]) -> Tally {
    let mut best: Vec<Option<f64>> = vec![None; series.windows.len()];
    let mut false_rows = 0.0;
    for row in rows {
        let next = series.windows.partition_point(|window| window.1 < *row);
        match series.windows.get(next) {
            Some((first, last)) if row >= first => {
                let position = -((last - row + 1) as f64) / (last - first + 1) as f64;
                let earned = sigmoid(position) / 0.98661;
                best[next] = Some(best[next].map_or(earned, |before| before.max(earned)));
            }
            _ => {
                false_rows += next.checked_sub(1).map_or(-1.0, |before| {
                    let (first, last) = series.windows[before];
                    let position = (row - last) as f64 / ((last - first).max(1)) as f64;
                    if position > 3.0 {
                        -1.0
                    } else {
                        sigmoid(position)
                    }
                })
            }
        }
    }
    Tally {
        windows: best.len(),
        found: best.iter().flatten().count(),
        earned: best.iter().flatten().sum(),
        false_rows,
    }
}

/// The rows that are at least `apart` from the one kept before.
fn thinned(rows: Vec<usize>, apart: usize) -> Vec<usize> {
    let mut kept: Vec<usize> = Vec::new();
    for row in rows {
        if kept.last().is_none_or(|last| row - last >= apart) {
            kept.push(row);
        }
    }
    kept
}

/// The best score with one threshold for all files, and the threshold; after a detection none for `apart` rows. Tries 400 quantiles of all scores, denser towards the top.
pub fn best(corpus: &[Series], scores: &[Vec<f64>], profile: Profile, apart: usize) -> (f64, f64) {
    let mut all: Vec<f64> = corpus
        .iter()
        .zip(scores)
        .flat_map(|(series, scores)| &scores[series.probation()..])
        .copied()
        .filter(|score| *score > 0.0)
        .collect();
    all.sort_by(|a, b| b.total_cmp(a));
    let mut thresholds: Vec<f64> = (0..400)
        .filter_map(|n| {
            let share = (f64::from(n) / 400.0).powi(3);
            all.get((share * all.len() as f64) as usize).copied()
        })
        .collect();
    thresholds.push(0.5);
    let score = |threshold: f64| {
        let mut sum = Tally::default();
        for (series, scores) in corpus.iter().zip(scores) {
            let rows = detections(series, |row| scores[row] >= threshold);
            sum += tally(series, &thinned(rows, apart));
        }
        sum.normalised(profile)
    };
    let tried = thresholds.into_iter().map(|t| (score(t), t));
    tried.fold((0.0, f64::INFINITY), |best, new| {
        if new.0 > best.0 { new } else { best }
    })
}
