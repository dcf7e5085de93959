//! False alarms per group and week, and polls until faults are seen, on made-up streams polled every 5 s:
//! `cargo run --release --example stream_alarms`.
//!
//! Five kinds of group (steady, daily, bursty, sparse, silent at night) with noise, daily and weekly seasons, hourly jobs, random
//! bursts, a deploy every working day, a fleet that follows the load late, and trend. Four signals each: processing rate over
//! 30 s, backlog and age behind commits every 10 s, errors per poll. The first of five weeks is for learning. Faults of ten
//! minutes strike three times in one more run per kind of fault.

#[path = "stream_alarms/noise.rs"]
mod noise;
#[path = "stream_alarms/plant.rs"]
mod plant;

use std::time::Duration;

use streamgauge::model::baseline::{Baseline, BaselineRules};
use streamgauge::model::time::Timestamp;

use plant::{Fault, Kind, POLL, Plant, Signals};

const WEEK: usize = 7 * 24 * 720;
const WEEKS: usize = 5;
/// Firings of a group's signals within an hour are one alarm.
const MERGED: usize = 720;
/// A fault lasts ten minutes and counts as seen until two minutes after.
const FAULT: usize = 120;
const AFTERMATH: usize = 24;
const IN_TIME: usize = 6;

fn main() {
    println!(
        "{:<8} alarms of a fault-free group in weeks 2 to {WEEKS}, per week; firings per signal; in week 1",
        ""
    );
    let mut per_week = 0.0;
    for kind in Kind::ALL {
        let firings = fired(Plant::new(kind, 1), WEEKS * WEEK, &[]);
        let late = firings.clone().map(|rows| {
            rows.into_iter()
                .filter(|row| *row >= WEEK)
                .collect::<Vec<_>>()
        });
        let week_one: usize = firings.iter().flatten().filter(|row| **row < WEEK).count();
        let alarms = merged(&late) as f64 / (WEEKS - 1) as f64;
        per_week += alarms / Kind::ALL.len() as f64;
        println!(
            "{:<8} {alarms:.2}  {:?}  {week_one}",
            kind.name(),
            late.map(|rows| rows.len())
        );
    }
    println!("mean     {per_week:.2} per group and week\n");
    println!(
        "polls until any signal fired, three strikes on the 16th, 17th and 18th day (-: not seen)"
    );
    let (mut first_seen, mut strikes) = (0, 0);
    for kind in Kind::ALL {
        for fault in Fault::ALL {
            let starts = [0, 1, 2].map(|day| (15 + day) * WEEK / 7 + 8640 + day * 1400);
            let struck = starts.map(|start| (fault, start..start + FAULT));
            let firings = fired(Plant::new(kind, 2), 3 * WEEK, &struck);
            let delays = starts.map(|start| delay(&firings, start));
            strikes += 1;
            first_seen += usize::from(delays[0].is_some_and(|polls| polls <= IN_TIME));
            let shown = delays.map(|polls| polls.map_or("-".to_owned(), |polls| polls.to_string()));
            println!(
                "{:<8} {:<16} {}",
                kind.name(),
                fault.name(),
                shown.join(" ")
            );
        }
    }
    println!("first strike seen within {IN_TIME} polls: {first_seen} of {strikes}");
    noise::report();
}

/// Rows at which each signal fired.
fn fired(
    mut plant: Plant,
    polls: usize,
    faults: &[(Fault, std::ops::Range<usize>)],
) -> [Vec<usize>; 4] {
    let mut baselines = [(); 4].map(|()| Baseline::new(BaselineRules::default()));
    let mut firings: [Vec<usize>; 4] = Default::default();
    for poll in 0..polls {
        let fault = faults
            .iter()
            .find(|(_, when)| when.contains(&poll))
            .map(|(fault, _)| *fault);
        let Signals(values) = plant.step(fault);
        let at = Timestamp::from_millis(MONDAY).plus(POLL * poll as u32);
        for ((baseline, value), rows) in baselines.iter_mut().zip(values).zip(&mut firings) {
            if baseline.observe(at, Some(value)).fired {
                rows.push(poll);
            }
        }
    }
    firings
}

/// 5 January 1970, in milliseconds.
const MONDAY: u64 = 4 * Duration::from_secs(24 * 3600).as_millis() as u64;

fn merged(firings: &[Vec<usize>]) -> usize {
    let mut rows: Vec<usize> = firings.iter().flatten().copied().collect();
    rows.sort_unstable();
    let apart = rows
        .windows(2)
        .filter(|pair| pair[1] > pair[0] + MERGED)
        .count();
    apart + usize::from(!rows.is_empty())
}

fn delay(firings: &[Vec<usize>], start: usize) -> Option<usize> {
    let during = start..start + FAULT + AFTERMATH;
    let rows = firings.iter().flatten().filter(|row| during.contains(row));
    rows.min().map(|row| row - start + 1)
}
