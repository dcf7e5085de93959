//! What `serve` records is what `simulate` reads.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use streamgauge::clock::Clock;
use streamgauge::collector::{Outlets, keep_collecting};
use streamgauge::config::types::RecordingConfig;
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::identity::{GroupKey, PartitionId};
use streamgauge::model::sample::{
    Failure, FailureKind, PartitionObservation, PartitionSample, Sample,
};
use streamgauge::model::stream::StreamSelector;
use streamgauge::policy::spec::PolicySettings;
use streamgauge::publish::{Group, GroupDefinition};
use streamgauge::recording::Recording;
use streamgauge::resilience::breaker::BreakerSettings;
use streamgauge::simulation::trace::Trace;
use streamgauge::sources::guarded::GuardedSource;
use streamgauge::sources::{BoxFuture, GroupReader, Source};
use tokio::time::Instant;

use crate::support::eventually;
use crate::support::redis::{Flavour, RedisServer, run};
use crate::support::service::Service;

const POLL: Duration = Duration::from_secs(5);
const PLAYED_FOR: Duration = Duration::from_secs(400);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Two partitions, 4 and 2 messages a second; the second takes 10 a second after 200 s. Nothing can be read from 100 s to 130 s, the
/// second partition not from 300 s to 320 s.
#[derive(Clone, Copy)]
struct Played(Instant);

impl Source for Played {
    fn reader(&self, _: &StreamSelector, _: &str, _: Duration) -> Box<dyn GroupReader> {
        Box::new(*self)
    }

    fn reconnect(&self) {}
}

impl GroupReader for Played {
    fn poll(&mut self) -> BoxFuture<'_, Result<Sample, Failure>> {
        let seconds = self.0.elapsed().as_secs_f64();
        let present = |log_end: f64| {
            PartitionObservation::Present(PartitionSample {
                log_end: Some(log_end as u64),
                ..PartitionSample::default()
            })
        };
        let failure = || Failure::new(FailureKind::Throttled, "later");
        let second = match seconds {
            300.0..320.0 => PartitionObservation::Failed(failure()),
            _ => present(seconds * 2.0 + (seconds - 200.0).max(0.0) * 8.0),
        };
        let sample = Sample {
            partitions: [
                (PartitionId::new("a"), present(seconds * 4.0)),
                (PartitionId::new("b"), second),
            ]
            .into(),
            ..Sample::default()
        };
        let seen = match seconds {
            100.0..130.0 => Err(failure()),
            _ => Ok(sample),
        };
        Box::pin(std::future::ready(seen))
    }
}

fn group() -> Arc<Group> {
    let definition = GroupDefinition {
        name: "orders".into(),
        key: GroupKey {
            source: "main".into(),
            stream: "orders".into(),
            consumer_group: "g".into(),
        },
        selector: StreamSelector::parse("orders").unwrap(),
        poll_interval: POLL,
        settings: PolicySettings::default(),
        signals: Default::default(),
        granularity: Default::default(),
        configured: true,
    };
    Arc::new(Group::new(definition, CapacityRules::default()))
}

#[tokio::test(start_paused = true)]
async fn a_recording_gives_back_what_arrived_and_no_false_zero() {
    let folder = tempfile::tempdir().unwrap();
    let config = RecordingConfig {
        dir: folder.path().join("traces"),
        keep_files: 2,
    };
    let (recording, ended) = Recording::start(&config).unwrap();
    let settings = BreakerSettings::for_poll_interval(POLL);
    let clock = Clock::start();
    let of_the_day = Duration::from_millis(clock.now().as_millis() % DAY.as_millis() as u64);
    if DAY - of_the_day <= 2 * PLAYED_FOR {
        // A day has its own file: play on the next one.
        tokio::time::advance(2 * PLAYED_FOR).await;
    }
    let source = GuardedSource::new("main", Box::new(Played(Instant::now())), settings);
    let outlets = Outlets {
        recording: Some(recording.clone()),
        ..Outlets::default()
    };
    let polls = keep_collecting(group(), Arc::new(source), outlets, clock);
    let played = tokio::time::timeout(PLAYED_FOR, polls).await;
    assert!(played.is_err(), "collecting never ends by itself");
    assert_eq!(recording.failures(), 0);
    drop(recording);
    let _ = ended.await;

    let mut files = std::fs::read_dir(&config.dir).unwrap();
    let path = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none(), "one file: no gap was too long");
    let trace = Trace::read("orders", File::open(path).unwrap()).unwrap();
    let names: Vec<&str> = trace.partitions().iter().map(PartitionId::as_str).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(trace.ticks().len() >= 76, "{} ticks", trace.ticks().len());
    // The first row may cover another time than five seconds, the last tick ends after the last row.
    let whole = trace.ticks().len() - 1;
    for (tick, row) in trace.ticks().enumerate().take(whole).skip(1) {
        let expect = if tick < 38 { 10 } else { 50 };
        assert!(row[0].abs_diff(20) <= 1, "tick {tick}: {row:?}");
        let turning = (38..=41).contains(&tick);
        assert!(
            turning || row[1].abs_diff(expect) <= 1,
            "tick {tick}: {row:?}"
        );
    }
}

/// What gives a program mounts of its own: as root, or in a user namespace. `None` where neither is allowed.
fn own_mounts() -> Option<&'static str> {
    let is_allowed = |flag: &&str| {
        let tried = Command::new("unshare").args([flag, "true"]).status();
        tried.is_ok_and(|status| status.success())
    };
    ["-m", "-rm"].into_iter().find(is_allowed)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
    let mut names: Vec<String> = entries.map(|entry| name(entry).unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_takes_no_old_recording_and_recording_goes_on_when_there_is_room() {
    let Some(own_mounts) = own_mounts() else {
        return eprintln!("not tested: nothing can be mounted here");
    };
    let redis = RedisServer::start(Flavour::Redis70);
    run::<()>(
        &mut redis.connect(),
        "XGROUP CREATE orders billing $ MKSTREAM",
    );
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display();
    let mount = format!("mount -t tmpfs -o size=32k tmpfs {dir} && exec \"$0\" \"$@\"");
    let config = format!(
        "server: {{ grpc: 127.0.0.1:0, http: 127.0.0.1:0 }}\npoll_interval: 1s\nrecording: {{ dir: \"{dir}\", keep_files: 3 }}\n\
         sources: [ {{ name: main, redis: {{ url: \"redis://{}\" }} }} ]\n\
         groups: [ {{ name: billing, source: main, stream: orders, consumer_group: billing }} ]\n",
        redis.address(),
    );
    let service = Service::start_under(&["unshare", own_mounts, "sh", "-c", &mount], &config);
    let seen = PathBuf::from(format!("/proc/{}/root{dir}", service.pid()));
    let good = [1, 2, 3].map(|day| format!("billing.2025010{day}T000000Z.csv"));
    for name in &good {
        fs::write(seen.join(name), "time_seconds,orders\n5,1\n10,1\n").unwrap();
    }
    let ballast = seen.join("ballast");
    let full = fs::write(&ballast, vec![0; 32 << 10]).expect_err("full");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);

    // Three attempts, of which the log has one.
    eventually("failed writes", Duration::from_secs(40), async || {
        let metrics = service.get("/metrics").await;
        let mut lines = metrics.lines();
        let failures =
            lines.find_map(|line| line.strip_prefix("streamgauge_recording_failures_total{} "))?;
        (failures.parse::<u32>().ok()? >= 3).then_some(())
    })
    .await;
    let kept = names(&seen);
    assert!(good.iter().all(|name| kept.contains(name)), "{kept:?}");
    let said = "arrivals cannot be recorded; everything else continues: ";
    service.until_logged(said).await;
    let log = service.log();
    let told = log.iter().filter(|line| line.contains(said)).count();
    assert_eq!(told, 1, "{log:?}");

    fs::remove_file(&ballast).unwrap();
    let is_new = |name: &String| name.ends_with(".csv") && !good.contains(name);
    eventually("a new recording", Duration::from_secs(20), async || {
        let now = names(&seen);
        (now.len() == 3 && now.iter().any(is_new)).then_some(())
    })
    .await;
    let now = names(&seen);
    assert_eq!(now[..2], good[1..], "{now:?}");
    let text = fs::read_to_string(seen.join(&now[2])).unwrap();
    Trace::read("billing", text.as_bytes()).unwrap();
}
