//! What Prometheus gets: both text forms, held against promtool and a real Prometheus.

use std::collections::{BTreeMap, HashSet};
use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

use crate::support::eventually;
use crate::support::exported::{Exported, LAST_POLL, sample};
use crate::support::ports::free_port;
use crate::support::prometheus::{Prometheus, http_body, promtool_complaints};
use crate::support::service::Service;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::sample::{PartitionObservation, Sample};

const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0";

async fn metrics(exported: &Exported, accept: &str) -> String {
    let answer = exported.get("/metrics", accept).await;
    assert_eq!(answer.status.as_u16(), 200);
    answer.body
}

/// Without what changes with every commit, and with every scrape.
fn steady(text: &str) -> String {
    let revision = concat!("revision=\"", env!("STREAMGAUGE_REVISION"), "\"");
    let text = text.replace(revision, "revision=\"REVISION\"");
    let line = |line: &str| match line.split_once(' ') {
        Some((name, _)) if name.starts_with("process_") => format!("{name} VALUE\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

fn sample_lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

#[tokio::test]
async fn every_metric_stands_there_with_its_help_in_the_text_form() {
    let text = metrics(&Exported::observed(), "*/*").await;
    insta::assert_snapshot!(steady(&text));
}

#[tokio::test]
async fn both_forms_hold_the_same_samples() {
    let exported = Exported::observed();
    let text = steady(&metrics(&exported, "text/plain").await);
    let open = steady(&metrics(&exported, OPENMETRICS).await);
    assert_eq!(sample_lines(&text), sample_lines(&open));
    assert!(open.ends_with("# EOF\n"));
    assert!(!text.contains("# EOF"));
}

#[tokio::test]
async fn the_content_type_says_which_form_it_is() {
    let exported = Exported::observed();
    let check = async |accept: &str, expect: &str| {
        let answer = exported.get("/metrics", accept).await;
        assert_eq!(answer.headers["content-type"], expect, "{accept}");
        assert_eq!(answer.headers["vary"], "accept");
    };
    check("*/*", "text/plain; version=0.0.4; charset=utf-8").await;
    check(
        OPENMETRICS,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    )
    .await;
}

#[tokio::test]
async fn who_can_decode_gzip_gets_it_and_the_same_text() {
    let exported = Exported::observed();
    let (_, headers, packed) = exported.get_bytes("/metrics", "*/*", "gzip").await;
    assert_eq!(headers["content-encoding"], "gzip");
    let vary: Vec<_> = headers.get_all("vary").iter().collect();
    assert_eq!(vary, ["accept", "accept-encoding"]);
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(packed.as_slice());
    decoder.read_to_string(&mut text).expect("gzip");
    let plain = metrics(&exported, "*/*").await;
    assert_eq!(steady(&text), steady(&plain));
    assert!(
        packed.len() * 5 < plain.len(),
        "{} of {}",
        packed.len(),
        plain.len()
    );
    let (_, headers, _) = exported.get_bytes("/metrics", "*/*", "gzip;q=0").await;
    assert!(!headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn the_process_is_measured_under_the_names_that_everybody_knows() {
    let text = metrics(&Exported::observed(), "*/*").await;
    let value = |name: &str| -> f64 {
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix("{} "));
        line.expect(name).parse().expect("a number")
    };
    assert!(value("process_cpu_seconds_total") > 0.0);
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("process_open_fds") >= 3.0 && value("process_max_fds") >= 3.0);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a time");
    let age = now.as_secs_f64() - value("process_start_time_seconds");
    assert!((-2.0..3_600.0).contains(&age), "{age}");
}

#[tokio::test]
async fn the_largest_groups_are_exported_without_partitions_where_there_is_no_room_for_all() {
    let more = "  - { name: coarse, source: main, stream: coarse, consumer_group: c, granularity: group }\nmetrics: { max_series: 100 }\n";
    let exported = Exported::with(more);
    let with = |partitions: u64| {
        let seen = |n: u64| {
            let seen = PartitionObservation::Present(sample(10, 5, 1));
            (PartitionId::new(n.to_string()), seen)
        };
        Sample {
            partitions: (0..partitions).map(seen).collect(),
            ..Sample::default()
        }
    };
    exported.observe("billing", LAST_POLL, with(100));
    exported.observe("odd \"name\"", LAST_POLL, with(2));
    exported.observe("coarse", LAST_POLL, with(2));
    let text = metrics(&exported, "*/*").await;
    let has = |metric: &str, group: &str| {
        let begin = format!("streamgauge_{metric}{{group=\"{group}");
        text.lines().any(|line| line.starts_with(&begin))
    };
    for group in ["billing", "odd", "coarse"] {
        assert!(has("group_backlog_messages", group), "{group}");
        assert_eq!(
            has("partition_backlog_messages", group),
            group == "odd",
            "{group}"
        );
    }
    let dropped = "streamgauge_series_dropped_total{reason=\"max_series\"} 3000";
    assert!(
        text.lines().any(|line| line == dropped),
        "30 of each partition"
    );
}

#[tokio::test]
async fn a_family_stands_together_and_no_series_comes_twice() {
    let text = metrics(&Exported::observed(), "*/*").await;
    let described: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("# TYPE"))
        .collect();
    let unique: HashSet<&&str> = described.iter().collect();
    assert_eq!(described.len(), unique.len());
    let samples = sample_lines(&text);
    let series: HashSet<&str> = samples
        .iter()
        .filter_map(|line| Some(line.rsplit_once(' ')?.0))
        .collect();
    assert_eq!(samples.len(), series.len());
}

#[tokio::test]
async fn promtool_has_nothing_to_complain_about() {
    for exported in [Exported::observed(), Exported::unobserved()] {
        let text = metrics(&exported, "*/*").await;
        assert_eq!(promtool_complaints(&text), "");
    }
    assert_ne!(
        promtool_complaints("a_total 1\na_total 1\n"),
        "",
        "promtool looks"
    );
}

#[tokio::test]
async fn what_is_unknown_or_too_old_has_no_sample_and_counters_stay() {
    let exported = Exported::observed();
    exported.wait(Duration::from_secs(31));
    let text = metrics(&exported, "*/*").await;
    let of_group: Vec<&str> = sample_lines(&text)
        .into_iter()
        .filter(|line| line.contains("group=\"billing\""))
        .collect();
    for line in of_group {
        let counts = line.contains("_total{");
        let says_unknown = line.starts_with("streamgauge_partition_backlog_known{")
            && line.ends_with(" 0")
            || line.starts_with("streamgauge_partition_status_code{") && line.ends_with(" 5")
            || line.starts_with("streamgauge_partition_status{")
                && line.ends_with(if line.contains("\"unknown\"") {
                    " 1"
                } else {
                    " 0"
                });
        assert!(counts || says_unknown, "{line}");
    }
    let arrived = "streamgauge_partition_arrived_messages_total{group=\"billing\",source=\"main\",stream=\"orders:*\",\
                   consumer_group=\"billing\",partition=\"2\"} 3600";
    assert!(text.lines().any(|line| line == arrived), "{text}");
    assert!(!text.contains("NaN") && !text.replace("le=\"+Inf\"", "").contains("Inf"));
}

#[tokio::test]
async fn every_metric_has_one_sample_per_partition_be_they_ten_or_ten_thousand() {
    let check = async |partitions: u64| {
        let exported = Exported::unobserved();
        for (poll, at) in [LAST_POLL.minus(Duration::from_secs(5)), LAST_POLL]
            .into_iter()
            .enumerate()
        {
            let seen = |n: u64| {
                let seen = PartitionObservation::Present(sample(10_000 + poll as u64, 9_000, 10));
                (PartitionId::new((10_000 + n).to_string()), seen)
            };
            let partitions: BTreeMap<_, _> = (0..partitions).map(seen).collect();
            exported.observe(
                "billing",
                at,
                Sample {
                    partitions,
                    consumers: Some(1),
                    ..Sample::default()
                },
            );
        }
        let text = metrics(&exported, "*/*").await;
        let mut series_per_partition = BTreeMap::new();
        for line in text.lines().filter(|line| {
            line.starts_with("streamgauge_partition_") && line.contains("group=\"billing\"")
        }) {
            let name = line.split_once('{').map(|(name, _)| name.to_owned());
            *series_per_partition.entry(name).or_insert(0) += 1;
        }
        assert!(series_per_partition.len() > 10);
        assert!(
            series_per_partition.iter().all(|(name, series)| {
                let statuses = name.as_deref() == Some("streamgauge_partition_status");
                *series == if statuses { 6 * partitions } else { partitions }
            }),
            "{series_per_partition:?}"
        );
    };
    check(10).await;
    check(10_000).await;
}

/// Serves on a port of the system's choice until the test ends.
async fn serve(router: axum::Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn check_scrape(router: axum::Router) {
    let address = serve(router).await;
    let checks = tokio::task::spawn_blocking(move || {
        let mut prometheus = Prometheus::start(address);
        let target = prometheus.target();
        assert_eq!(
            (&target["health"], &target["lastError"]),
            (&"up".into(), &"".into())
        );
        let mut check = |promql: &str, expect: f64| {
            // On a busy machine one scrape may come too late, and the next does not.
            prometheus.until_query(promql, |samples| match samples {
                [(_, value)] => *value == expect,
                _ => false,
            });
        };
        check("up", 1.0);
        check("streamgauge_build_info", 1.0);
        check(
            "streamgauge_partition_backlog_messages{partition=\"2\"}",
            1240.0,
        );
        check("streamgauge_partition_backlog_known{partition=\"x\"}", 0.0);
        check(
            "streamgauge_partition_backlog_at_least{partition=\"3\"}",
            1.0,
        );
        check(
            "streamgauge_partition_arrived_messages_total{partition=\"10\"}",
            1200.0,
        );
        check(
            "streamgauge_group_arrival_messages_per_second{group=\"billing\"}",
            80.0,
        );
        check("streamgauge_group_capacity_messages_per_second", 20.0);
        check("streamgauge_group_utilization_ratio", 1.0);
        check(
            "streamgauge_group_desired_replicas{scaled_object=\"shop/worker\"}",
            5.0,
        );
        check(
            "streamgauge_group_active{scaled_object=\"shop/worker\"}",
            1.0,
        );
        check("streamgauge_group_limited{limit=\"none\"}", 1.0);
        check("streamgauge_poll_errors_total{reason=\"timeout\"}", 2.0);
        check(
            "streamgauge_poll_duration_seconds_bucket{le=\"+Inf\"}",
            13.0,
        );
        check("streamgauge_poll_duration_seconds_count", 13.0);
        check("streamgauge_circuit_state == 1", 1.0);
        check(
            "count(streamgauge_group_decisions_total{group=~\"odd.*\"}) > bool 0",
            1.0,
        );
        // What is unknown is absent: the query below finds the other partitions only.
        let known = prometheus.query("streamgauge_partition_backlog_messages");
        assert_eq!(known.len(), 3);
        let odd =
            prometheus.query("streamgauge_group_decisions_total{group=~\"odd.*\",reason=\"idle\"}");
        assert_eq!(odd[0].0["consumer_group"], "line\nbreak");
        assert_eq!(odd[0].0["stream"], "back\\slash");
        assert_eq!(odd[0].0["group"], "odd \"name\"");
    });
    checks.await.expect("every check holds");
}

/// Prometheus asks for OpenMetrics first.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_reads_openmetrics() {
    check_scrape(Exported::observed().router()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_reads_the_text_form() {
    let exported = Exported::observed();
    let text = metrics(&exported, "*/*").await;
    let content_type = [("content-type", "text/plain; version=0.0.4; charset=utf-8")];
    let only_text = axum::routing::get(async move || (content_type, text));
    check_scrape(axum::Router::new().route("/metrics", only_text)).await;
}

#[tokio::test]
async fn the_binary_counts_the_polls_of_a_source_that_is_not_there() {
    let service = Service::start(&format!(
        "server: {{ grpc: 127.0.0.1:0, http: 127.0.0.1:0 }}\n\
         poll_interval: 50ms\n\
         sources: [ {{ name: main, redis: {{ url: \"redis://127.0.0.1:{}/0\" }} }} ]\n\
         groups: [ {{ name: billing, source: main, stream: orders, consumer_group: g }} ]\n",
        free_port()
    ));
    let text = eventually("a failed poll", Duration::from_secs(20), async || {
        let text = http_body(service.http, "/metrics")?;
        text.contains("streamgauge_source_up{source=\"main\"} 0")
            .then_some(text)
    })
    .await;
    let value = |series: &str| -> Option<f64> {
        let line = text.lines().find(|line| line.starts_with(series))?;
        line.rsplit_once(' ')?.1.parse().ok()
    };
    let polls = value("streamgauge_poll_duration_seconds_count").expect("polls");
    assert!(polls > 0.0);
    assert_eq!(
        value("streamgauge_poll_duration_seconds_bucket{le=\"+Inf\""),
        Some(polls)
    );
    let errors = "streamgauge_poll_errors_total{source=\"main\",reason=\"unreachable\"}";
    assert!(value(errors).expect("errors") > 0.0, "{text}");
    assert_eq!(value("streamgauge_source_last_success"), None);
    assert_eq!(value("streamgauge_partition_backlog_known"), Some(0.0));
    assert_eq!(http_body(service.http, "/readyz").as_deref(), Some("ok\n"));
    assert_eq!(promtool_complaints(&text), "");
}
