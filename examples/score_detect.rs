//! Scores `detect` on a folder of labelled series, beside simple baselines: `cargo run --release --example score_detect -- FOLDER`.
//!
//! FOLDER holds CSV files and `labels.json`, which gives each file's windows of anomalies as `[[from, to], …]`, as in the
//! Numenta Anomaly Benchmark; the scoring is that benchmark's, and is described in docs/detection.md.

#[path = "score_detect/corpus.rs"]
mod corpus;
#[path = "score_detect/peers.rs"]
mod peers;
#[path = "score_detect/score.rs"]
mod score;

use std::path::PathBuf;

use anyhow::{Context, Result};
use streamgauge::commands::detect::detect;
use streamgauge::model::baseline::BaselineRules;

use corpus::Series;
use score::{Profile, Tally};

/// What has no pause of its own after a detection gets one of so many rows, which helps all of them.
const PEERS_APART: usize = 100;

/// Scores of every row of every file.
type Scores = Vec<Vec<f64>>;

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let folder = folder.context("say which folder: it holds CSV files and labels.json")?;
    let corpus = corpus::read(&folder)?;
    let windows: usize = corpus.iter().map(|series| series.windows.len()).sum();
    println!("{} files, {windows} windows", corpus.len());
    println!(
        "{:<34} {:>9} {:>9} {:>9} {:>10}",
        "", "standard", "low FP", "low FN", "threshold"
    );
    let answers: Vec<(Vec<f64>, Vec<bool>)> = corpus
        .iter()
        .map(|series| judged(series).with_context(|| series.name.clone()))
        .collect::<Result<_>>()?;
    let (scores, fired): (Scores, Vec<Vec<bool>>) = answers.into_iter().unzip();
    print_fired("detect: fired, as shipped", &corpus, &fired);
    print_best("detect: anomaly_score", &corpus, &scores, 1);
    for (name, scores) in peers::all(&corpus) {
        print_best(name, &corpus, &scores, PEERS_APART);
    }
    println!("\nfired, file by file: windows found, rows flagged outside");
    for (series, fired) in corpus.iter().zip(&fired) {
        let rows = score::detections(series, |row| fired[row]);
        let (found, false_rows) = score::found(series, &rows);
        println!(
            "{:<60} {found}/{} {false_rows}",
            series.name,
            series.windows.len()
        );
    }
    Ok(())
}

/// `anomaly_score` and `fired` of every row, read from what `detect` writes.
fn judged(series: &Series) -> Result<(Vec<f64>, Vec<bool>)> {
    let mut output = Vec::new();
    detect(BaselineRules::default(), series.csv.as_slice(), &mut output)?;
    let mut rows = csv::Reader::from_reader(output.as_slice());
    let (mut scores, mut fired) = (Vec::new(), Vec::new());
    for row in rows.records() {
        let row = row?;
        scores.push(row[2].parse().unwrap_or(0.0));
        fired.push(&row[7] == "1");
    }
    Ok((scores, fired))
}

fn print_fired(name: &str, corpus: &[Series], fired: &[Vec<bool>]) {
    let mut tally = Tally::default();
    for (series, fired) in corpus.iter().zip(fired) {
        tally += score::tally(series, &score::detections(series, |row| fired[row]));
    }
    let [standard, low_fp, low_fn] = Profile::ALL.map(|profile| tally.normalised(profile));
    println!("{name:<34} {standard:>9.1} {low_fp:>9.1} {low_fn:>9.1}");
}

/// Every profile with the one threshold for all files that suits it best.
fn print_best(name: &str, corpus: &[Series], scores: &Scores, apart: usize) {
    let [standard, low_fp, low_fn] =
        Profile::ALL.map(|profile| score::best(corpus, scores, profile, apart));
    println!(
        "{name:<34} {:>9.1} {:>9.1} {:>9.1} {:>10.4}",
        standard.0, low_fp.0, low_fn.0, standard.1
    );
}
