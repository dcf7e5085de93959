//! How long it takes to read many partitions; printed, never judged.

use std::time::{Duration, Instant};

use super::bench::{BOTH, Bench, read_all};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures: cargo test --release --test integration event_hub_management:: -- --ignored --nocapture reading_many"]
async fn reading_many_partitions_takes_so_long() {
    for client in BOTH {
        for partitions in [32, 256] {
            let bench = Bench::with_deadline(client, partitions, Duration::from_secs(8)).await;
            let (mut took, mut failed) = (Vec::new(), 0);
            for _ in 0..11 {
                let started = Instant::now();
                for (id, read) in read_all(&*bench.client, partitions).await {
                    match read {
                        Ok(read) => bench.must_be_right(&id, &read),
                        Err(_) => failed += 1,
                    }
                }
                took.push(started.elapsed());
            }
            let cold = took.remove(0);
            took.sort();
            let (best, middle, worst) = (took[0], took[took.len() / 2], took[took.len() - 1]);
            println!(
                "{client:?}, {partitions} partitions: cold {cold:.1?}, then {best:.1?}, {middle:.1?}, {worst:.1?} (best, median, worst of 10), {failed} failed"
            );
        }
    }
}
