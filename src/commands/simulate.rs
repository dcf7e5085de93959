//! `simulate`: policies compared in virtual time.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cli::SimulateArgs;
use crate::simulation::faults::Fault;
use crate::simulation::plant::{Commits, PlantSpec};
use crate::simulation::run::{Outcome, Workload, run as run_one};
use crate::simulation::trace::Trace;

pub async fn run(args: SimulateArgs) -> Result<ExitCode> {
    let mut workloads = Vec::new();
    for path in &args.trace {
        workloads.push(Workload {
            trace: Arc::new(read(path)?),
            faults: faults(path),
        });
    }
    let mut cells = Vec::new();
    for w in &workloads {
        for commit in &args.commit_interval {
            for cap in &args.capacity {
                cells.push((
                    w,
                    PlantSpec {
                        commits: Commits::Every(Duration::from_secs(*commit)),
                        capacity_per_second: *cap,
                        ..PlantSpec::default()
                    },
                ));
            }
        }
    }
    let mut jobs = Vec::new();
    for (n, (w, spec)) in cells.iter().enumerate() {
        for policy in &args.policy {
            for seed in 0..args.seeds {
                jobs.push((n, w, spec, policy, seed));
            }
        }
    }
    let next = std::sync::atomic::AtomicUsize::new(0);
    let results: std::sync::Mutex<Vec<Option<(Outcome, f64)>>> =
        std::sync::Mutex::new(vec![None; jobs.len()]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some((_, w, spec, policy, seed)) = jobs.get(n) else {
                        break;
                    };
                    let begun = std::time::Instant::now();
                    let mut policy = policy.build(w, spec);
                    let mut last = (0_u64, 0.0_f64, 0_usize, String::new());
                let dump = std::env::var("DUMP").is_ok();
                let outcome = run_one(w, spec, policy.as_mut(), *seed, |plant, policy| {
                    if !dump { return; }
                    let waiting: f64 = plant.partitions().iter().map(|p| p.waiting_late(plant.tick())).sum();
                    last.1 += waiting;
                    let text = policy.text().unwrap_or("").to_owned();
                    let n = plant.replicas().len();
                    if n != last.2 || plant.tick() % 60 == 0 {
                        let arr: u32 = w.trace.tick(plant.tick()-1).iter().sum();
                        let maxp = (0..plant.partitions().len()).map(|p| (plant.tick().saturating_sub(3)..plant.tick()).map(|t| w.trace.tick(t)[p]).sum::<u32>()).max().unwrap_or(0) as f64 / 15.0;
                        let mut loads = std::collections::BTreeMap::new();
                        for (p, o) in plant.owners().iter().enumerate() { *loads.entry(*o).or_insert(0.0) += (plant.tick().saturating_sub(12)..plant.tick()).map(|t| w.trace.tick(t)[p]).sum::<u32>() as f64 / 60.0; }
                        let maxo = loads.values().copied().fold(0.0, f64::max);
                        println!("{:6.3}h n {:3} arr {:5} maxp15 {:5.1} maxowner60 {:5.1} latewait {:8.0} {}", plant.tick() as f64 / 720.0, n, arr / 5, maxp, maxo, last.1, text);
                        last.1 = 0.0;
                    }
                    last.2 = n;
                });
                    results.lock().unwrap()[n] = Some((outcome, begun.elapsed().as_secs_f64()));
                }
            });
        }
    });
    let results = results.into_inner().unwrap();
    println!(
        "{:<44} {:>14} {:>7} {:>7} {:>8} {:>7} {:>7} {:>7} {:>5}",
        "cell", "policy", "late%", "viol%", "rep-h", "act/d", "flap/d", "move/d", "s"
    );
    for (n, (w, spec)) in cells.iter().enumerate() {
        for policy in &args.policy {
            let of: Vec<(Outcome, f64)> = jobs
                .iter()
                .zip(&results)
                .filter(|((c, _, _, p, _), _)| *c == n && *p == policy)
                .filter_map(|(_, r)| *r)
                .collect();
            let mean = |f: fn(&Outcome) -> f64| {
                of.iter().map(|(o, _)| f(o)).sum::<f64>() / of.len() as f64
            };
            let name = format!(
                "{} {:?} {}",
                w.trace.name, spec.commits, spec.capacity_per_second
            );
            println!(
                "{:<44} {:>14} {:>7.3} {:>7.2} {:>8.1} {:>7.1} {:>7.1} {:>7.0} {:>5.2}",
                name,
                policy.to_string(),
                mean(|o| o.late_percent),
                mean(|o| o.violated_percent),
                mean(|o| o.replica_hours),
                mean(|o| o.actions_per_day),
                mean(|o| o.flaps_per_day),
                mean(|o| o.moves_per_day),
                of.iter().map(|x| x.1).sum::<f64>() / of.len() as f64
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<Trace> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name
        .trim_end_matches(".gz")
        .trim_end_matches(".csv")
        .to_owned();
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let input: Box<dyn Read> = if path.extension().is_some_and(|e| e == "gz") {
        Box::new(flate2::read::GzDecoder::new(BufReader::new(file)))
    } else {
        Box::new(BufReader::new(file))
    };
    Trace::read(name, input).with_context(|| path.display().to_string())
}

fn faults(path: &Path) -> Vec<Fault> {
    use crate::simulation::faults::FaultKind;
    if !path.display().to_string().contains("faults_12p") {
        return Vec::new();
    }
    vec![
        Fault::new(16.0, 16.3333, FaultKind::Downstream { per_second: 60.0 }),
        Fault::new(18.0, 19.0, FaultKind::SlowReplica { ratio: 0.3 }),
        Fault::new(20.0, 20.1, FaultKind::Crash),
        Fault::new(22.0, 22.5, FaultKind::Stuck { partition: 2 }),
    ]
}
