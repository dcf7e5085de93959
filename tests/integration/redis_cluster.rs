//! Redis Cluster: streams on every node, slots that move, nodes that die.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use streamgauge::config::types::{RedisConfig, RedisServers, RedisTls, Secret};
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{PartitionObservation, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use super::redis_access::PERMISSIONS;
use crate::support::certificates::Certificates;
use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::redis_sets::{RedisCluster, at};
use crate::support::{eventually, patience};

const TIMEOUT: Duration = patience(Duration::from_secs(2));
const PARTITIONS: usize = 12;

fn source(cluster: &RedisCluster) -> RedisStreams {
    RedisStreams::new(cluster.config(), TIMEOUT)
}

fn reader_of(source: &RedisStreams, stream: &str) -> Box<dyn GroupReader> {
    let selector = StreamSelector::parse(stream).expect("a stream");
    source.reader(&selector, "g", TIMEOUT)
}

fn observed<'s>(sample: &'s Sample, id: &str) -> &'s PartitionObservation {
    let found = sample.partitions.get(&PartitionId::new(id));
    found.unwrap_or_else(|| panic!("{id}: {sample:?}"))
}

fn lag(sample: &Sample, id: &str) -> Option<Quantity> {
    match observed(sample, id) {
        PartitionObservation::Present(partition) => partition.lag,
        other => panic!("{id}: {other:?}"),
    }
}

/// Partition n has n + 1 entries that nobody took.
fn fill(cluster: &RedisCluster) {
    for n in 0..PARTITIONS {
        let key = format!("orders:{n}");
        let mut redis = cluster.of(&key);
        run::<()>(&mut redis, &format!("XGROUP CREATE {key} g $ MKSTREAM"));
        for _ in 0..=n {
            run::<String>(&mut redis, &format!("XADD {key} * d a"));
        }
    }
}

fn all_are_right(sample: &Sample) -> bool {
    sample.partitions.len() == PARTITIONS
        && (0..PARTITIONS)
            .all(|n| lag(sample, &n.to_string()) == Some(Quantity::Exact(n as u64 + 1)))
}

#[tokio::test]
async fn a_pattern_finds_the_streams_of_all_nodes() {
    for flavour in Flavour::ALL {
        let cluster = RedisCluster::start(flavour, 3, 0);
        fill(&cluster);
        let owners = (0..PARTITIONS).map(|n| cluster.owner(&format!("orders:{n}")));
        assert_eq!(owners.collect::<BTreeSet<_>>().len(), 3);
        let source = source(&cluster);
        let by_pattern = reader_of(&source, "orders:*").poll().await;
        assert!(all_are_right(&by_pattern.expect("a sample")), "{flavour:?}");
        let listed = reader_of(&source, "orders:{0..11}").poll().await;
        let sample = listed.expect("a sample");
        assert!(all_are_right(&sample), "{flavour:?}: {sample:?}");
        // A reader is busy on one node, and others on others.
        run::<redis::Value>(
            &mut cluster.of("orders:3"),
            "XREADGROUP GROUP g worker COUNT 1 STREAMS orders:3 >",
        );
        let sample = reader_of(&source, "orders:*").poll().await;
        let sample = sample.expect("a sample");
        assert_eq!(sample.consumers, Some(1), "{flavour:?}");
        assert_eq!(lag(&sample, "3"), Some(Quantity::Exact(3)));
    }
}

/// Moves a key's slot as `redis-cli --cluster reshard` does, with `each` after every step.
pub async fn migrate(
    cluster: &RedisCluster,
    key: &str,
    (from, to): (usize, usize),
    mut each: impl AsyncFnMut(),
) {
    let (source, target) = (&cluster.nodes[from], &cluster.nodes[to]);
    let id = |node: &RedisServer| run::<String>(&mut node.connect(), "CLUSTER MYID");
    let slot: u32 = run(&mut source.connect(), &format!("CLUSTER KEYSLOT {key}"));
    let on = |node: &RedisServer, words: String| run::<()>(&mut node.connect(), &words);
    each().await;
    on(
        target,
        format!("CLUSTER SETSLOT {slot} IMPORTING {}", id(source)),
    );
    on(
        source,
        format!("CLUSTER SETSLOT {slot} MIGRATING {}", id(target)),
    );
    each().await;
    on(
        source,
        format!("MIGRATE 127.0.0.1 {} {key} 0 5000", target.port),
    );
    each().await;
    for node in [target, source] {
        on(node, format!("CLUSTER SETSLOT {slot} NODE {}", id(target)));
        each().await;
    }
}

#[tokio::test]
async fn a_stream_whose_slot_moves_is_followed_and_never_seen_as_gone_or_empty() {
    for flavour in [
        Flavour::Redis62,
        Flavour::Redis70,
        Flavour::Redis82,
        Flavour::Valkey,
    ] {
        let cluster = RedisCluster::start(flavour, 3, 0);
        fill(&cluster);
        let source = source(&cluster);
        let mut reader = reader_of(&source, "orders:*");
        let key = "orders:7";
        let to = (cluster.owner(key) + 1) % 3;
        let mut fresh = 0;
        migrate(&cluster, key, (cluster.owner(key), to), async || {
            let sample = reader.poll().await.expect("a sample");
            for n in 0..PARTITIONS {
                let expect = Some(Quantity::Exact(n as u64 + 1));
                match observed(&sample, &n.to_string()) {
                    PartitionObservation::Present(partition) => {
                        assert_eq!(partition.lag, expect, "{flavour:?} {n}");
                        fresh += usize::from(n == 7);
                    }
                    PartitionObservation::NotAsked if n == 7 => {}
                    other => panic!("{flavour:?} {n}: {other:?}"),
                }
            }
        })
        .await;
        // Between the move of the key and that of its slot nobody can read it at one moment.
        assert!(fresh >= 4, "{flavour:?}: {fresh} of 5");
        let sample = reader.poll().await.expect("a sample");
        assert!(all_are_right(&sample), "{flavour:?}");
    }
}

#[tokio::test]
async fn a_node_that_dies_takes_its_own_partitions_along_until_its_replica_steps_in() {
    let mut cluster = RedisCluster::start(Flavour::Redis70, 3, 1);
    fill(&cluster);
    let source = source(&cluster);
    let mut reader = reader_of(&source, "orders:*");
    assert!(all_are_right(&reader.poll().await.expect("a sample")));
    let victim = cluster.owner("orders:5");
    let theirs: BTreeSet<String> = (0..PARTITIONS)
        .filter(|n| cluster.owner(&format!("orders:{n}")) == victim)
        .map(|n| n.to_string())
        .collect();
    for n in &theirs {
        let copied = |redis: &mut _| run::<u64>(redis, "WAIT 1 5000");
        assert_eq!(copied(&mut cluster.of(&format!("orders:{n}"))), 1);
    }
    cluster.nodes[victim].kill();
    let mut missed = 0;
    let recovered = eventually(
        "the replica steps in",
        Duration::from_secs(30),
        async || {
            let sample = reader.poll().await.expect("the others answer");
            for n in 0..PARTITIONS {
                let (id, expect) = (n.to_string(), Quantity::Exact(n as u64 + 1));
                match observed(&sample, &id) {
                    PartitionObservation::Present(partition) => {
                        assert_eq!(partition.lag, Some(expect))
                    }
                    other => {
                        assert!(theirs.contains(&id), "{id}: {other:?}");
                        let unread = matches!(
                            other,
                            PartitionObservation::NotAsked | PartitionObservation::Failed(_)
                        );
                        assert!(unread, "{id}: {other:?}");
                        missed += 1;
                    }
                }
            }
            all_present(&sample).then_some(())
        },
    );
    recovered.await;
    assert!(missed > 0, "it was missed meanwhile");
}

#[tokio::test]
async fn the_streams_of_the_other_nodes_are_read_also_when_the_keys_are_to_be_looked_up_again() {
    let mut cluster = RedisCluster::start(Flavour::Redis70, 3, 0);
    fill(&cluster);
    let source = source(&cluster);
    let mut reader = reader_of(&source, "orders:*");
    assert!(all_are_right(&reader.poll().await.expect("a sample")));
    let looked_up = Instant::now();
    let victim = cluster.owner("orders:5");
    let others: Vec<u64> = (0..PARTITIONS as u64)
        .filter(|n| cluster.owner(&format!("orders:{n}")) != victim)
        .collect();
    cluster.nodes[victim].kill();
    eventually("look-ups fell due", Duration::from_secs(40), async || {
        let sample = reader.poll().await.expect("the others answer");
        let is_read = |n: &u64| match observed(&sample, &n.to_string()) {
            PartitionObservation::Present(partition) => {
                assert_eq!(partition.lag, Some(Quantity::Exact(n + 1)), "{n}");
                true
            }
            // A busy machine takes the time that the poll has.
            PartitionObservation::NotAsked => false,
            other => panic!("{n}: {other:?}"),
        };
        let read = others.iter().filter(|n| is_read(n)).count();
        (read == others.len() && looked_up.elapsed() > Duration::from_secs(33)).then_some(())
    })
    .await;
}

fn all_present(sample: &Sample) -> bool {
    let is_present = |seen: &PartitionObservation| matches!(seen, PartitionObservation::Present(_));
    sample.partitions.values().all(is_present)
}

#[tokio::test]
async fn news_on_any_node_wakes() {
    let cluster = RedisCluster::start(Flavour::Redis70, 3, 0);
    fill(&cluster);
    let source = source(&cluster);
    let mut reader = reader_of(&source, "orders:*");
    for n in 0..PARTITIONS {
        reader.poll().await.expect("a sample");
        let key = format!("orders:{n}");
        let mut news = reader.until_news();
        let early = tokio::time::timeout(Duration::from_millis(100), news.as_mut()).await;
        assert!(early.is_err(), "nothing is new");
        run::<String>(&mut cluster.of(&key), &format!("XADD {key} * d a"));
        tokio::time::timeout(patience(Duration::from_secs(2)), news)
            .await
            .unwrap_or_else(|_| panic!("{key}"));
    }
}

#[tokio::test]
async fn a_user_with_the_documented_permissions_reads_a_cluster_over_tls() {
    let certificates = Certificates::make();
    let cluster = RedisCluster::with_tls(&certificates, 3);
    fill(&cluster);
    let rule = PERMISSIONS.join(" ");
    for node in &cluster.nodes {
        let user = format!("ACL SETUSER gauge reset on nopass ~* {rule} +cluster|slots");
        run::<()>(&mut node.connect(), &user);
    }
    let config = RedisConfig {
        username: Some("gauge".into()),
        password: Some(Secret::Env("CARGO_MANIFEST_DIR".into())),
        tls: Some(RedisTls {
            ca_file: Some(certificates.authority.clone()),
            ..RedisTls::default()
        }),
        ..cluster.config()
    };
    let source = RedisStreams::new(config, TIMEOUT);
    let sample = reader_of(&source, "orders:*").poll().await;
    assert!(all_are_right(&sample.expect("a sample")));
    for node in &cluster.nodes {
        run::<()>(&mut node.connect(), "ACL SETUSER gauge -cluster|slots");
    }
    source.reconnect();
    let refused = reader_of(&source, "orders:*").poll().await;
    let failure = refused.expect_err("the nodes cannot be found");
    assert!(failure.text.contains("+cluster|slots"), "{failure}");
}

#[tokio::test]
async fn a_server_without_cluster_mode_is_named_as_such() {
    let server = RedisServer::start(Flavour::Redis70);
    let config = RedisConfig {
        servers: RedisServers::Cluster(vec![at(server.port)]),
        ..server.config()
    };
    let source = RedisStreams::new(config, TIMEOUT);
    let failure = reader_of(&source, "x").poll().await.expect_err("refused");
    assert!(failure.text.contains("set mode: standalone"), "{failure}");
}
