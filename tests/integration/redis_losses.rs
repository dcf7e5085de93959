//! Streams that are trimmed where the group reads, on real servers: what was processed, what was lost, and what a target makes of it.

use std::time::Duration;

use redis::Connection;
use streamgauge::group::GroupState;
use streamgauge::group::event::{Event, TargetKey, What};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::facts::{GroupFacts, PartitionFacts, PartitionStatus};
use streamgauge::model::group::GroupModel;
use streamgauge::model::stream::StreamSelector;
use streamgauge::model::time::Timestamp;
use streamgauge::policy::spec::PolicySettings;
use streamgauge::sources::redis_streams::RedisStreams;
use streamgauge::sources::{GroupReader, Source};

use crate::support::patience;
use crate::support::redis::{Flavour, RedisServer, run};

const TIMEOUT: Duration = patience(Duration::from_secs(2));
const POLL: Duration = Duration::from_secs(5);
/// Per round: messages that are added, and read.
const ADDED: u64 = 200;
const READ: usize = 20;
const ROUNDS: u64 = 15;

/// A stream and the entries that were read of it.
type Read = (String, Vec<(String, Vec<String>)>);

/// A producer that keeps the stream short, and a consumer that does not keep up.
struct Scene {
    redis: Connection,
    trim: &'static str,
    added: u64,
    read: u64,
}

impl Scene {
    fn start(server: &RedisServer, trim: &'static str) -> Self {
        let mut redis = server.connect();
        run::<()>(&mut redis, "FLUSHALL");
        run::<()>(&mut redis, "XGROUP CREATE x g 0 MKSTREAM");
        let mut scene = Self {
            redis,
            trim,
            added: 0,
            read: 0,
        };
        // Redis 6.2 does not tell how many came to an empty stream.
        scene.add(1);
        scene.consume(1);
        scene
    }

    fn add(&mut self, n: u64) {
        if n == 0 {
            return;
        }
        let mut pipe = redis::pipe();
        for _ in 0..n {
            self.added += 1;
            let id = format!("{}-0", self.added);
            let add = pipe.cmd("XADD").arg("x").arg("MAXLEN").arg(self.trim);
            add.arg(500).arg(id).arg("d").arg("a");
        }
        pipe.exec(&mut self.redis).expect("added");
    }

    fn consume(&mut self, n: usize) {
        let read: Option<Vec<Read>> = run(
            &mut self.redis,
            &format!("XREADGROUP GROUP g c COUNT {n} STREAMS x >"),
        );
        let read = read.unwrap_or_default();
        let Some((_, read)) = read.first() else {
            return;
        };
        let ids: Vec<&str> = read.iter().map(|(id, _)| id.as_str()).collect();
        self.read += ids.len() as u64;
        run::<u64>(&mut self.redis, &format!("XACK x g {}", ids.join(" ")));
    }

    /// Messages that neither were read nor can be any more.
    fn lost(&mut self) -> u64 {
        let undelivered = self.added - self.read;
        let groups: Vec<Vec<redis::Value>> = run(&mut self.redis, "XINFO GROUPS x");
        let at = groups[0]
            .chunks(2)
            .find(|pair| pair[0] == redis::Value::BulkString(b"last-delivered-id".to_vec()));
        let at: String = redis::from_redis_value(at.expect("told")[1].clone()).expect("an id");
        let kept: Vec<redis::Value> = run(&mut self.redis, &format!("XRANGE x ({at} +"));
        undelivered - kept.len() as u64
    }
}

fn reader(server: &RedisServer) -> Box<dyn GroupReader> {
    let source = RedisStreams::new(server.config(), TIMEOUT);
    source.reader(&StreamSelector::parse("x").expect("a key"), "g", TIMEOUT)
}

/// A group that is polled every five seconds by its own clock.
struct Watch {
    reader: Box<dyn GroupReader>,
    model: GroupModel,
    at: Timestamp,
}

impl Watch {
    fn start(server: &RedisServer) -> Self {
        Self {
            reader: reader(server),
            model: GroupModel::new(CapacityRules::default()),
            at: Timestamp::from_millis(1_700_000_000_000),
        }
    }

    async fn poll(&mut self) -> GroupFacts {
        let sample = self.reader.poll().await.expect("a sample");
        self.at = self.at.plus(POLL);
        self.model.observe(self.at, &sample);
        self.model.facts()
    }
}

fn only(facts: &GroupFacts) -> &PartitionFacts {
    facts.partitions.values().next().expect("the partition")
}

#[tokio::test]
async fn what_was_processed_and_lost_is_the_truth_or_said_to_be_open_at_any_phase_of_the_poll() {
    println!("| server | trim | phase | processed: truth / told | lost: truth / told / possibly |");
    println!("|---|---|---|---|---|");
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        for (trim, phase) in [
            ("=", 0),
            ("~", 0),
            ("=", 100),
            ("~", 100),
            ("=", 200),
            ("~", 200),
        ] {
            let mut scene = Scene::start(&server, trim);
            let mut watch = Watch::start(&server);
            scene.add(phase);
            watch.poll().await;
            let (read, lost) = (scene.read, scene.lost());
            for _ in 0..ROUNDS {
                scene.add(ADDED - phase);
                scene.consume(READ);
                scene.add(phase);
                watch.poll().await;
            }
            let facts = watch.model.facts();
            let told = only(&facts);
            let (read, lost) = (scene.read - read, scene.lost() - lost);
            println!(
                "| {flavour:?} | {trim} | {phase} after the read | {read} / {} | {lost} / {} / {} |",
                told.processed_total, told.lost_total, told.possibly_lost_total
            );
            let open = told.possibly_lost_total;
            let what = format!("{flavour:?} {trim} {phase}: {told:?}");
            // In the round in which the log fills, 6.2 leaves open whether it was trimmed at all.
            let once = ADDED;
            assert!(told.processed_total <= read + once, "{what}");
            assert!(read <= told.processed_total + open, "{what}");
            assert!(told.lost_total <= lost, "{what}");
            assert!(lost <= told.lost_total + open + once, "{what}");
            if flavour == Flavour::Redis70 {
                let told = (told.processed_total, told.lost_total, open);
                assert_eq!(told, (read, lost, 0), "{what}");
            } else {
                assert!(told.processed_total <= read + once, "{what}");
            }
            assert_eq!(told.status, PartitionStatus::Behind, "{what}");
            assert!(facts.lost_per_second > 10.0, "{what}");
            let believed = told.processing_per_second.unwrap_or(0.0);
            let truth = READ as f64 / POLL.as_secs_f64();
            assert!(believed <= truth * 1.01, "{believed}/s is learned: {what}");
        }
    }
}

#[tokio::test]
async fn bursts_that_overrun_a_group_between_two_polls_are_no_work_it_did() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut scene = Scene::start(&server, "=");
        scene.add(500);
        scene.consume(500);
        let mut watch = Watch::start(&server);
        watch.poll().await;
        let (read, lost) = (scene.read, scene.lost());
        for _ in 0..ROUNDS {
            scene.add(1_000);
            scene.consume(1_000);
            watch.poll().await;
        }
        let (read, lost) = (scene.read - read, scene.lost() - lost);
        let facts = watch.model.facts();
        let told = only(&facts);
        assert!(told.processed_total <= read, "{flavour:?}: {told:?}");
        assert!(told.lost_total <= lost, "{flavour:?}: {told:?}");
        let believed = told.processing_per_second.unwrap_or(0.0);
        assert!(believed <= 500.0 / POLL.as_secs_f64(), "{believed}/s");
        if flavour != Flavour::Redis62 {
            // That one does not tell how many came where all that was seen is gone.
            let all = told.processed_total + told.lost_total + told.possibly_lost_total;
            assert_eq!(all, read + lost, "{flavour:?}: {told:?}");
        }
    }
}

#[tokio::test]
async fn a_group_that_keeps_up_on_a_stream_that_is_trimmed_loses_nothing() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        for trim in ["=", "~"] {
            let mut scene = Scene::start(&server, trim);
            let mut watch = Watch::start(&server);
            watch.poll().await;
            for _ in 0..ROUNDS {
                scene.add(ADDED);
                scene.consume(ADDED as usize);
                watch.poll().await;
            }
            let facts = watch.model.facts();
            let told = only(&facts);
            let counts = (
                told.lost_total,
                told.possibly_lost_total,
                told.processed_total,
            );
            assert_eq!(
                counts,
                (0, 0, ADDED * ROUNDS),
                "{flavour:?} {trim}: {told:?}"
            );
            assert_eq!(told.status, PartitionStatus::Ok, "{flavour:?}");
        }
    }
}

/// What happens to messages between two polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deletion {
    /// Ahead of a group that stands still.
    Standing,
    /// Ahead of a group that reads, and that has not come there by the next poll.
    Ahead,
    /// Ahead of a group that has read past them by the next poll.
    Passed,
    /// By consumers that delete what they have done.
    Done,
    /// The same, by two that take turns in another order than they read.
    DoneOutOfOrder,
}

impl Scene {
    fn delete(&mut self, ids: std::ops::Range<u64>) {
        let ids: Vec<String> = ids.map(|id| format!("{id}-0")).collect();
        run::<u64>(&mut self.redis, &format!("XDEL x {}", ids.join(" ")));
    }

    /// Of 100 messages 50 were read before.
    fn play(&mut self, deletion: Deletion) {
        match deletion {
            Deletion::Standing => self.delete(61..71),
            Deletion::Ahead => {
                self.consume(20);
                self.delete(81..91);
            }
            Deletion::Passed => {
                self.delete(56..66);
                self.consume(20);
            }
            Deletion::Done => {
                for from in [51, 61, 71] {
                    self.consume(10);
                    self.delete(from..from + 10);
                }
            }
            Deletion::DoneOutOfOrder => {
                self.consume(20);
                self.delete(61..71);
                self.consume(10);
                self.delete(71..81);
                self.delete(51..61);
            }
        }
    }
}

#[tokio::test]
async fn a_deletion_ahead_of_a_group_is_a_loss_where_it_can_be_told_from_consumers_that_delete_what_is_done()
 {
    println!("| server | deleted | processed: truth / told | lost: truth / told / possibly |");
    println!("|---|---|---|---|");
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        for deletion in [
            Deletion::Standing,
            Deletion::Ahead,
            Deletion::Passed,
            Deletion::Done,
            Deletion::DoneOutOfOrder,
        ] {
            let mut scene = Scene::start(&server, "=");
            scene.add(99);
            scene.consume(49);
            let mut watch = Watch::start(&server);
            watch.poll().await;
            let read = scene.read;
            scene.play(deletion);
            let facts = watch.poll().await;
            let told = only(&facts);
            let (read, lost) = (scene.read - read, scene.lost());
            let (least, open) = (told.lost_total, told.possibly_lost_total);
            println!(
                "| {flavour:?} | {deletion:?} | {read} / {} | {lost} / {least} / {open} |",
                told.processed_total
            );
            // As docs/policy.md tells it.
            let is_hidden = match deletion {
                Deletion::Passed => flavour != Flavour::Redis70,
                Deletion::Ahead => flavour == Flavour::Redis62,
                Deletion::Standing | Deletion::Done | Deletion::DoneOutOfOrder => false,
            };
            let what = format!("{flavour:?} {deletion:?}: {told:?}");
            if is_hidden {
                assert_eq!((least, open), (0, 0), "{what}");
            } else {
                assert!(least <= lost && lost <= least + open, "{what}");
                assert!(lost > 0 || open == 0, "no false alarm: {what}");
            }
        }
    }
}

/// 400 messages/s arrive on a stream of 500, a consumer does 50/s: played a second per poll, with as many consumers as are asked for.
#[tokio::test]
async fn a_group_that_loses_messages_is_scaled_out_until_none_is_lost() {
    for flavour in Flavour::ALL {
        let server = RedisServer::start(flavour);
        let mut scene = Scene::start(&server, "~");
        let mut reader = reader(&server);
        let key = TargetKey {
            namespace: "shop".into(),
            name: "worker".into(),
            metadata_hash: 1,
        };
        let start = Timestamp::from_millis(1_700_000_000_000);
        let mut state = GroupState::new(CapacityRules::default());
        let settings = PolicySettings {
            max_replicas: Some(40),
            ..PolicySettings::default()
        };
        state.apply(&Event {
            at: start,
            what: What::TargetRegistered(key.clone(), Box::new(settings.resolve())),
        });
        let (mut replicas, mut said, mut lost_by) = (1_u32, false, Vec::new());
        for second in 1..=300 {
            // A slice at a time, so that consumers and producer take turns.
            for _ in 0..10 {
                scene.add(40);
                scene.consume(5 * replicas as usize);
            }
            let mut sample = reader.poll().await.expect("a sample");
            sample.consumers = Some(replicas);
            state.apply(&Event {
                at: start.plus(Duration::from_secs(second)),
                what: What::Observed(Ok(sample)),
            });
            let decision = state.targets()[&key].decision.clone().expect("decided");
            said |= decision.text.contains("leave the log unread");
            replicas = decision.desired.unwrap_or(replicas).max(1);
            lost_by.push(scene.lost());
        }
        let lately = lost_by[299] - lost_by[239];
        println!(
            "{flavour:?}: {replicas} replicas after 300 s, {} lost, {lately} of them in the last minute",
            lost_by[299]
        );
        assert!(said, "{flavour:?}: it is not said");
        assert_eq!(
            lately, 0,
            "{flavour:?}: {replicas} replicas still lose messages"
        );
        assert!((8..=20).contains(&replicas), "{flavour:?}: {replicas}");
    }
}
