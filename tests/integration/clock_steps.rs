//! The wall clock is set while the real binary runs (libfaketime; the monotonic clock is left alone): what it shows, writes and
//! signs is right again, and nothing that it computes with time notices.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::redis::{Flavour, RedisServer, run, try_run};
use crate::support::service::Service;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use streamgauge::group::GroupState;
use streamgauge::group::event::{Event, What};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{PartitionObservation, PartitionSample, Sample};
use streamgauge::model::time::{Timestamp, WallOffset};

const HOUR: i64 = 3_600;
/// What stamps may be off while they are right.
const OFF: f64 = 60.0;
const A_MINUTE: Duration = Duration::from_secs(60);

/// A wall clock that can be set, for one process.
struct WallClock(PathBuf);

impl WallClock {
    fn ahead_by(seconds: i64, folder: &Path) -> Self {
        let clock = Self(folder.join("clock"));
        clock.set(seconds);
        clock
    }

    /// At once: a file that is half written would be another time.
    fn set(&self, ahead_seconds: i64) {
        let beside = self.0.with_extension("new");
        std::fs::write(&beside, format!("{ahead_seconds:+}")).unwrap();
        std::fs::rename(&beside, &self.0).unwrap();
    }

    fn variables(&self) -> [(&'static str, String); 5] {
        let name = "faketime/libfaketimeMT.so.1";
        let arch = std::env::consts::ARCH;
        let places = [
            format!("/usr/lib/{arch}-linux-gnu/{name}"),
            format!("/usr/lib/{name}"),
        ];
        let library = places.into_iter().find(|path| Path::new(path).exists());
        let library = library.expect("libfaketime: run scripts/install-test-tools");
        [
            ("LD_PRELOAD", library),
            ("FAKETIME_TIMESTAMP_FILE", self.0.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("NO_FAKE_STAT", "1".into()),
        ]
    }
}

fn true_time() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs_f64()
}

fn seconds(rfc3339: &Value) -> Option<f64> {
    let time = humantime::parse_rfc3339(rfc3339.as_str()?).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
}

/// Every stamp of the service: metrics, groups, sources, history.
async fn stamps(service: &Service) -> Option<Vec<f64>> {
    let metrics = service.get("/metrics").await;
    let metric = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    let group = service.get_json("/api/v1/groups/billing").await;
    let history = service.get_json("/api/v1/groups/billing/history").await;
    let times = history["times"].as_array()?;
    let times: Vec<f64> = times.iter().filter_map(seconds).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_ne!(group["freshness"], "unknown", "{group:#}");
    Some(vec![
        metric("streamgauge_source_last_success_timestamp_seconds{")?,
        metric("streamgauge_state_last_success_timestamp_seconds{")?,
        seconds(&group["observed_at"])?,
        seconds(&service.get_json("/api/v1/sources").await["sources"][0]["last_success_at"])?,
        *times.last()?,
    ])
}

/// Waits until every stamp is of a clock that is so far ahead.
async fn until_stamped(service: &Service, ahead: i64) {
    crate::support::eventually("right stamps", A_MINUTE, async || {
        let stamps = stamps(service).await?;
        let off = |stamp: &f64| (stamp - true_time() - ahead as f64).abs();
        stamps.iter().all(|stamp| off(stamp) < OFF).then_some(())
    })
    .await;
}

/// Hours of the day that the baseline of the backlog has learned, as far as that was saved.
fn learned_hours(state: &Path) -> Option<BTreeSet<i64>> {
    let file = std::fs::read_dir(state).ok()?.flatten();
    let mut file = file.filter(|entry| entry.path().extension().is_some_and(|end| end == "gz"));
    let file = std::fs::File::open(file.next()?.path()).ok()?;
    let saved: Value = serde_json::from_reader(flate2::read::GzDecoder::new(file)).ok()?;
    let normal = &saved["sections"]["normal"]["state"];
    let baseline = &normal["signals"]["backlog"]["baseline"]["saved"]["state"];
    let hours = baseline["seasons"]["day"].as_array()?;
    let seen = |value: &Value| value.as_f64().is_some_and(|value| value < 1e30);
    let hours = (0..).zip(hours).filter(|(_, value)| seen(value));
    Some(hours.map(|(hour, _)| hour).collect())
}

/// Waits until the baseline has learned at the hour of a clock that is so far ahead.
async fn until_learned(state: &Path, ahead: i64) {
    crate::support::eventually("the hour is learned", A_MINUTE, async || {
        let hour = (true_time() as i64 + ahead) / HOUR % 24;
        learned_hours(state)?.contains(&hour).then_some(())
    })
    .await;
}

/// The recorded files by how many hours their clock was ahead, once so many are there.
async fn recorded(folder: &Path, clocks: &[i64]) {
    crate::support::eventually("a recording by each clock", A_MINUTE, async || {
        let files = std::fs::read_dir(folder).ok()?.flatten();
        let mut seen = Vec::new();
        for file in files {
            let text = std::fs::read_to_string(file.path()).ok()?;
            let times = text.lines().skip(1).map(|row| row.split(',').next());
            let times: Vec<f64> = times
                .map(|time| time?.parse().ok())
                .collect::<Option<_>>()?;
            assert!(times.is_sorted_by(|a, b| b - a > 4.0 && b - a < 60.0));
            let ahead = times.last()? - true_time();
            seen.push((ahead / HOUR as f64).round() as i64);
        }
        seen.sort_unstable();
        (seen == clocks).then_some(())
    })
    .await;
}

/// Adds to a stream, while it is not told to rest, ten messages a second.
fn produce(redis: &RedisServer) -> (Arc<AtomicBool>, Arc<AtomicBool>) {
    let on = Arc::new(AtomicBool::new(true));
    let over = Arc::new(AtomicBool::new(false));
    let mut connection = redis.connect();
    let told = (Arc::clone(&on), Arc::clone(&over));
    std::thread::spawn(move || {
        while !told.1.load(Ordering::Relaxed) {
            if told.0.load(Ordering::Relaxed) {
                // The server may end first.
                let _ = try_run::<String>(&mut connection, "XADD orders * a b");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    (on, over)
}

/// Every news that a receiver took, with what its signature says of the time.
type News = Arc<Mutex<Vec<(f64, Value)>>>;

async fn receiver() -> (String, News) {
    let news = News::default();
    let kept = Arc::clone(&news);
    let take = move |headers: HeaderMap, body: String| {
        let at = headers["webhook-timestamp"].to_str().unwrap();
        let told = (at.parse().unwrap(), serde_json::from_str(&body).unwrap());
        kept.lock().unwrap().push(told);
        async { StatusCode::NO_CONTENT }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/", post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, news)
}

/// Waits for that news; its times must be of a clock that is so far ahead, and in order.
async fn until_told(news: &News, what: &str, ahead: i64) {
    let (signed_at, event) = crate::support::eventually(what, A_MINUTE * 3, async || {
        let news = news.lock().unwrap();
        let wanted = |(_, event): &&(f64, Value)| {
            event["data"]["kind"] == "producer_stop"
                && event["type"] == format!("io.streamgauge.incident.{what}")
        };
        news.iter().find(wanted).cloned()
    })
    .await;
    let now = true_time() + ahead as f64;
    assert!((signed_at - now).abs() < OFF, "{signed_at} at {now}");
    let data = &event["data"];
    let times = [
        &data["started_at"],
        &data["noticed_at"],
        &data["ended_at"],
        &event["time"],
    ];
    let times: Vec<f64> = times.into_iter().filter_map(seconds).collect();
    assert!(times.is_sorted() && times.len() >= 3, "{event:#}");
    assert!(times[0] > now - 300.0, "{event:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wall_clock_that_is_set_is_followed_within_a_minute_and_nothing_else_notices() {
    let redis = RedisServer::start(Flavour::Redis70);
    let mut connection = redis.connect();
    let () = run(&mut connection, "XGROUP CREATE orders billing $ MKSTREAM");
    let (producing, over) = produce(&redis);
    let (webhook, news) = receiver().await;
    let folder = tempfile::tempdir().unwrap();
    let (state, recordings) = (folder.path().join("state"), folder.path().join("traces"));
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0").unwrap();
    let config = format!(
        "server: {{ grpc: 127.0.0.1:0, http: 127.0.0.1:0 }}\n\
         poll_interval: 200ms\n\
         state: {{ dir: \"{}\", interval: 1s }}\n\
         recording: {{ dir: \"{}\" }}\n\
         incidents: {{ webhook: {{ url: \"{webhook}\", secret: {{ file: \"{}\" }} }} }}\n\
         sources: [ {{ name: main, redis: {{ url: \"redis://{}\" }} }} ]\n\
         groups: [ {{ name: billing, source: main, stream: orders, consumer_group: billing }} ]\n",
        state.display(),
        recordings.display(),
        secret.display(),
        redis.address(),
    );

    // NTP has not answered yet.
    let clock = WallClock::ahead_by(-2 * HOUR, folder.path());
    let variables = clock.variables();
    let variables = variables
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let mut service = Service::start_with(&config, &variables);
    until_stamped(&service, -2 * HOUR).await;
    until_learned(&state, -2 * HOUR).await;
    recorded(&recordings, &[-2]).await;

    clock.set(0);
    producing.store(false, Ordering::Relaxed);
    until_stamped(&service, 0).await;
    until_learned(&state, 0).await;
    until_told(&news, "noticed", 0).await;
    recorded(&recordings, &[-2, 0]).await;

    clock.set(-2 * HOUR);
    producing.store(true, Ordering::Relaxed);
    until_stamped(&service, -2 * HOUR).await;
    recorded(&recordings, &[-2, -2, 0]).await;
    // An incident is over after a minute, whatever the wall clock did meanwhile.
    until_told(&news, "ended", -2 * HOUR).await;

    // What was learned is from the future of a process that starts behind.
    clock.set(-10 * HOUR);
    service.terminate();
    assert_eq!(service.ended().await, Some(0));
    let mut service = Service::start_with(&config, &variables);
    service.until_logged("goes on where the journal ends").await;
    until_stamped(&service, -10 * HOUR).await;

    // As after an upgrade.
    service.terminate();
    assert_eq!(service.ended().await, Some(0));
    std::fs::remove_dir_all(state.join("journal")).expect("a journal");
    let service = Service::start_with(&config, &variables);
    service.until_logged("saved state read").await;
    until_stamped(&service, -10 * HOUR).await;
    over.store(true, Ordering::Relaxed);
}

/// A group after nine days of day and night, seen by a clock that is so far behind the wall clock. What it knows but for times.
fn after_nine_days(behind: Duration) -> impl PartialEq + std::fmt::Debug {
    const POLL: Duration = Duration::from_secs(60);
    let mut state = GroupState::new(CapacityRules::default());
    let first = Timestamp::from_millis(1_700_000_000_000);
    let wall = WallOffset::from_millis(behind.as_millis() as i64);
    let what = What::WallClockSet(wall);
    let at = first.minus(behind);
    state.apply(&Event { at, what });
    let mut total = 0;
    for poll in 0..9 * 1_440_u32 {
        let now = first.plus(POLL * poll);
        let day = (now.as_millis() % 86_400_000) as f64 / 86_400_000.0;
        total += (1_000.0 * (1.0 + 0.6 * (day * std::f64::consts::TAU).sin())) as u64;
        let partition = PartitionSample {
            log_end: Some(total),
            lag: Some(Quantity::Exact(total % 50)),
            ..PartitionSample::default()
        };
        let seen = PartitionObservation::Present(partition);
        let sample = Sample {
            partitions: [(PartitionId::new("0"), seen)].into(),
            ..Sample::default()
        };
        let what = What::Observed(Ok(sample));
        let at = now.minus(behind);
        state.apply(&Event { at, what });
    }
    let facts = state.facts();
    (facts.forecast.clone(), facts.normal.clone())
}

#[test]
fn what_is_usual_at_an_hour_goes_by_the_wall_clock() {
    let right = after_nine_days(Duration::ZERO);
    assert!(format!("{right:?}").contains("Daily"), "{right:?}");
    assert_eq!(after_nine_days(Duration::from_secs(7_200)), right);
    assert_eq!(after_nine_days(Duration::from_secs(100 * 3_600)), right);
}
