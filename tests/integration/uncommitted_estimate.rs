//! How far the estimate of what is processed and not yet checkpointed is off, against the truth of consumers in virtual time. Too high
//! would hide work; too low costs replicas.

use std::ops::Range;
use std::time::Duration;

use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::group::GroupModel;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{PartitionObservation, PartitionSample, Position, Sample};
use streamgauge::model::time::Timestamp;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const PARTITIONS: u64 = 8;

/// When a consumer writes a checkpoint of a partition.
#[derive(Clone, Copy, Debug)]
enum Checkpoints {
    EverySeconds(u64),
    EveryEvents(u64),
}

/// One partition of the plant; each starts with its own phase.
#[derive(Clone, Copy, Default)]
struct Partition {
    enqueued: u64,
    processed: u64,
    committed: u64,
    written_at: u64,
}

/// What a poll saw, over all partitions.
#[derive(Clone, Copy)]
struct Seen {
    second: u64,
    estimate: u64,
    truth: u64,
}

/// What the polls of these seconds saw of consumers that do so many events per second together at most.
fn play(
    checkpoints: Checkpoints,
    poll: u64,
    capacity: impl Fn(u64) -> u64,
    arrivals: impl Fn(u64) -> u64,
    seconds: Range<u64>,
) -> Vec<Seen> {
    let mut world = [Partition::default(); PARTITIONS as usize];
    let mut model = GroupModel::new(CapacityRules::default());
    let mut seen = Vec::new();
    for second in 1..seconds.end {
        for (n, p) in (0_u64..).zip(&mut world) {
            p.enqueued += arrivals(second) / PARTITIONS - 2 + n % 5;
            p.processed = p.enqueued.min(p.processed + capacity(second) / PARTITIONS);
            let done = p.processed - p.committed;
            let due = match checkpoints {
                Checkpoints::EverySeconds(every) => {
                    done > 0 && (second + n * every / PARTITIONS).is_multiple_of(every)
                }
                Checkpoints::EveryEvents(every) => done >= every,
            };
            if due {
                p.committed += match checkpoints {
                    Checkpoints::EverySeconds(_) => done,
                    Checkpoints::EveryEvents(every) => done / every * every,
                };
                p.written_at = second;
            }
        }
        if !second.is_multiple_of(poll) {
            continue;
        }
        model.observe(START.plus(Duration::from_secs(second)), &sample(&world));
        if second >= seconds.start {
            let facts = model.facts();
            let estimate = facts
                .partitions
                .values()
                .filter_map(|p| p.uncommitted)
                .sum();
            let truth = world.iter().map(|p| p.processed - p.committed).sum();
            seen.push(Seen {
                second,
                estimate,
                truth,
            });
        }
    }
    seen
}

fn sample(world: &[Partition]) -> Sample {
    let partitions = world.iter().enumerate().map(|(n, p)| {
        let sample = PartitionSample {
            log_end: Some(p.enqueued),
            length: p.enqueued,
            lag: Some(Quantity::Exact(p.enqueued - p.committed)),
            committed_at: Some(START.plus(Duration::from_secs(p.written_at))),
            delivered: Some(Position {
                major: p.committed,
                minor: 0,
            }),
            delivered_count: Some(p.committed),
            owner: Some("c".to_owned()),
            ..PartitionSample::default()
        };
        (
            PartitionId::new(n.to_string()),
            PartitionObservation::Present(sample),
        )
    });
    Sample {
        partitions: partitions.collect(),
        consumers: Some(1),
        ..Sample::default()
    }
}

/// How much of the truth is missing from the estimate, and how much is too much, in percent.
fn low_and_high(seen: &[Seen], seconds: Range<u64>) -> (f64, f64) {
    let seen = seen
        .iter()
        .filter(|s| seconds.contains(&(s.second % PERIOD)));
    let (mut low, mut high, mut truth) = (0, 0, 0);
    for poll in seen {
        low += poll.truth.saturating_sub(poll.estimate);
        high += poll.estimate.saturating_sub(poll.truth);
        truth += poll.truth;
    }
    let percent = |part: u64| 100.0 * part as f64 / truth as f64;
    (percent(low), percent(high))
}

const PERIOD: u64 = 1_800;

/// Half of what consumers do, a burst of three times that, which they work off until 1,330, half again.
fn arrivals(second: u64) -> u64 {
    match second % PERIOD {
        900..1_000 => 1_200,
        _ => 160,
    }
}

const RHYTHMS: [Checkpoints; 4] = [
    Checkpoints::EveryEvents(100),
    Checkpoints::EveryEvents(1_000),
    Checkpoints::EverySeconds(30),
    Checkpoints::EverySeconds(300),
];

/// Checks how low and how high it may be at most, in percent of the truth, in each of these phases.
fn check(capacity: impl Fn(u64) -> u64 + Copy, phases: &[(&str, Range<u64>, (f64, f64))]) {
    for checkpoints in RHYTHMS {
        for poll in [1, 5, 15] {
            let seen = play(checkpoints, poll, capacity, arrivals, 3_600..7_200);
            let mut line = format!("{checkpoints:?}, polls {poll} s apart:");
            for (phase, seconds, most) in phases {
                let (low, high) = low_and_high(&seen, seconds.clone());
                line.push_str(&format!("  {phase} -{low:.0} +{high:.0} %"));
                assert!(low <= most.0 && high <= most.1, "{line}");
            }
            println!("{line}");
        }
    }
}

#[test]
fn under_steady_load_it_is_near_and_in_a_burst_it_is_low_and_not_high() {
    check(
        |_| 400,
        &[
            ("steady", 300..900, (21.0, 1.0)),
            ("burst", 900..1_000, (61.0, 1.0)),
            ("working off", 1_000..1_330, (61.0, 1.0)),
            ("steady again", 1_330..PERIOD, (21.0, 1.0)),
        ],
    );
}

#[test]
fn consumers_that_slow_down_to_a_quarter_do_not_pass_for_much_faster() {
    check(
        |second| {
            if (1_000..1_300).contains(&(second % PERIOD)) {
                100
            } else {
                400
            }
        },
        &[
            ("slow", 1_000..1_300, (21.0, 30.0)),
            ("fast again", 1_300..PERIOD, (61.0, 5.0)),
        ],
    );
}
