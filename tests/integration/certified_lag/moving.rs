//! The same histories in a cluster, while the stream's slot moves from node to node.

use std::time::Duration;

use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::PartitionObservation;
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use super::{fresh, histories, mk, operate, read, truth};
use crate::redis_cluster::migrate;
use crate::support::redis::{Flavour, run};
use crate::support::redis_sets::RedisCluster;
use crate::support::{Rng, eventually, patience};

const POLL: Duration = patience(Duration::from_secs(2));
/// Moves of a history, and polls before each.
const MOVES: usize = 5;
const POLLS: usize = 20;

/// How long nodes may take to agree on who has the slot, and polls be too slow to tell anything.
const AGREE: Duration = Duration::from_secs(20);

/// What a poll told: nothing of a key that is between two nodes.
async fn told(reader: &mut dyn GroupReader) -> Option<Quantity> {
    let sample = reader.poll().await.expect("a sample");
    match sample.partitions.get(&PartitionId::new("x")) {
        Some(PartitionObservation::Present(partition)) => partition.lag,
        Some(PartitionObservation::NotAsked) => None,
        other => panic!("{other:?}"),
    }
}

/// What the first poll told that told anything.
async fn told_at_last(reader: &mut dyn GroupReader) -> Option<Quantity> {
    let told = eventually("a poll that tells", AGREE, async || told(reader).await);
    Some(told.await)
}

#[tokio::test]
async fn random_histories_in_a_cluster_whose_slots_move_never_give_a_wrong_lag() {
    println!("| cluster | polls | between two nodes, so left out | wrong |");
    println!("|---|---|---|---|");
    for flavour in [Flavour::Redis62, Flavour::Redis82, Flavour::Valkey] {
        let cluster = RedisCluster::start(flavour, 3, 0);
        let (mut polls, mut left_out) = (0, 0);
        // Nodes that have no part in a move hear of it later.
        let mut from = cluster.owner("x");
        for seed in 1..=histories() {
            let (mut rng, mut last_id) = (Rng(seed), 0);
            let mut redis = cluster.nodes[from].connect();
            fresh(&mut redis);
            mk(&mut redis, "0");
            let source = RedisStreams::new(cluster.config(), POLL);
            let mut reader = source.reader(&StreamSelector::parse("x").expect("a key"), "g", POLL);
            for _ in 0..MOVES {
                let to = (from + 1 + rng.below(2) as usize) % 3;
                let mut redis = cluster.nodes[from].connect();
                for _ in 0..POLLS {
                    operate(&mut redis, &mut rng, &mut last_id);
                    let truth = Some(Quantity::Exact(truth(&mut redis)));
                    let told = told_at_last(&mut *reader).await;
                    assert_eq!(told, truth, "{flavour:?} seed {seed}");
                    polls += 1;
                }
                let mut step = 0;
                let mut waiting = truth(&mut redis);
                migrate(&cluster, "x", (from, to), async || {
                    step += 1;
                    let is_between = step == 3;
                    if !is_between {
                        let at = if step < 3 { from } else { to };
                        let mut redis = cluster.nodes[at].connect();
                        last_id += 1;
                        run::<String>(&mut redis, &format!("XADD x {last_id}-0 d a"));
                        read(&mut redis, 1 + rng.below(2));
                        waiting = truth(&mut redis);
                    }
                    let told = match is_between {
                        true => told(&mut *reader).await,
                        false => told_at_last(&mut *reader).await,
                    };
                    polls += 1;
                    left_out += usize::from(told.is_none());
                    let is_right = told == Some(Quantity::Exact(waiting));
                    assert!(
                        is_right || told.is_none() && is_between,
                        "{flavour:?} seed {seed}, step {step}: {told:?}, {waiting}"
                    );
                })
                .await;
                from = to;
            }
        }
        println!("| {flavour:?} | {polls} | {left_out} | 0 |");
    }
}
