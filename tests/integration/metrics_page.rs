//! The tables of docs/metrics.md are what the exporter says: `UPDATE=1 cargo test --test integration metrics_page::` writes them anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use crate::support::exported::{Exported, LAST_POLL, sample};
use streamgauge::group::event::What;
use streamgauge::model::identity::PartitionId;
use streamgauge::model::sample::{PartitionObservation, PartitionSample, Sample};
use streamgauge::model::time::Timestamp;
use streamgauge::scaled_object::ReplicasObserved;

const POLL: Duration = Duration::from_secs(15);

/// A group of which everything is known that can be: exclusive, committed in batches, watched for half a day, seen by Kubernetes.
fn all_is_known() -> Exported {
    let exported = Exported::with(
        "  - name: clicks\n    source: clicks\n    policy: { capacity_per_replica: 20, max_replicas: 10 }\n",
    );
    exported.register("clicks", &[("group", "clicks")]);
    let polls = 3_000_u64;
    for poll in 0..=polls {
        let at = LAST_POLL.minus(POLL * (polls - poll) as u32);
        exported.observe("clicks", at, clicks(poll, at));
    }
    let target = exported.registry.targets().remove(0);
    let pods = ReplicasObserved {
        current: Some(4),
        ready: Some(3),
        ..ReplicasObserved::default()
    };
    let seen = What::ReplicasObserved(target.key.clone(), Box::new(Ok(pods)));
    exported.apply("clicks", LAST_POLL, seen);
    exported.observe("clicks", LAST_POLL, clicks(polls, LAST_POLL));
    exported
}

fn clicks(poll: u64, at: Timestamp) -> Sample {
    let partition = |n: u64| {
        let added = 200 + poll * 100;
        // A checkpoint a minute; the last log is trimmed, more and more, and read with a checkpoint a poll.
        let (batch, kept) = if n == 3 {
            (1, 20_000 - poll * 6)
        } else {
            (4, added)
        };
        let committed = (poll / batch * batch).saturating_sub(1);
        let seen = PartitionSample {
            length: added.min(kept),
            oldest_age_millis: Some(5_000),
            committed_at: Some(at.minus(POLL * (poll % 4) as u32)),
            owner: Some(format!("consumer-{n}")),
            ..sample(added, committed * 100, 0)
        };
        (
            PartitionId::new(n.to_string()),
            PartitionObservation::Present(seen),
        )
    };
    Sample {
        partitions: (0..4).map(partition).collect(),
        consumers: Some(4),
        read_limit_per_second: Some(4_096.0),
        source_time: Some(at),
        ..Sample::default()
    }
}

/// One metric, as the exporter tells it.
#[derive(Default)]
struct Told {
    kind: String,
    help: String,
    labels: BTreeMap<String, BTreeSet<String>>,
}

fn read(text: &str, told: &mut BTreeMap<String, Told>) {
    let plain = |name: &str| name.strip_prefix("streamgauge_").unwrap_or(name).to_owned();
    let mut family = String::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' ')) {
            family = plain(name);
            told.entry(family.clone()).or_default().help = help.to_owned();
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' '))
        {
            told.entry(plain(name)).or_default().kind = kind.to_owned();
        } else if let Some((_, labels)) = line.split_once('{') {
            let entry = told.entry(family.clone()).or_default();
            let labels = labels.rsplit_once('}').map_or("", |(labels, _)| labels);
            for (name, value) in labels
                .split(',')
                .filter_map(|label| label.split_once("=\""))
            {
                let values = entry.labels.entry(name.to_owned()).or_default();
                values.insert(value.trim_end_matches('"').to_owned());
            }
        }
    }
}

/// Whose values are all there at any time, and few.
const CLOSED: [&str; 7] = [
    "circuit_state",
    "poll_errors_total",
    "partition_status",
    "partition_oldest_age_method",
    "group_limited",
    "group_breaker_state",
    "group_incident",
];

const OF_GROUP: [&str; 4] = ["group", "source", "stream", "consumer_group"];

/// The table of a metric.
fn section(name: &str, told: &Told) -> &'static str {
    if told.labels.contains_key("scaled_object") {
        "targets"
    } else if told.labels.contains_key("partition") {
        "partitions"
    } else if told.labels.contains_key("group") {
        "groups"
    } else if name.starts_with("process_") {
        "process"
    } else {
        "service"
    }
}

fn row(name: &str, told: &Told) -> String {
    let is_of_group = told.labels.contains_key("group");
    let own = told.labels.iter().filter(|(label, _)| {
        let common = OF_GROUP.contains(&label.as_str())
            || ["partition", "scaled_object"].contains(&label.as_str());
        *label != "le" && !(is_of_group && common)
    });
    let labels: Vec<String> = own
        .map(|(label, values)| {
            let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
            match CLOSED.contains(&name) && label != "source" {
                true => format!("`{label}`: {}", values.join(", ")),
                false => format!("`{label}`"),
            }
        })
        .collect();
    let Told { kind, help, .. } = told;
    format!("| `{name}` | {kind} | {} | {help} |\n", labels.join("; "))
}

#[tokio::test]
async fn the_tables_of_the_page_on_metrics_are_what_the_exporter_says() {
    let mut told = BTreeMap::new();
    for exported in [Exported::observed(), all_is_known()] {
        read(&exported.get("/metrics", "*/*").await.body, &mut told);
    }
    let mut tables: BTreeMap<&str, String> = BTreeMap::new();
    for (name, metric) in &told {
        let table = tables.entry(section(name, metric)).or_default();
        let _ = write!(table, "{}", row(name, metric));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let mut made = page.clone();
    for (name, rows) in &tables {
        let (begin, end) = (format!("<!-- table: {name} -->\n"), "<!-- end -->");
        let start = made.find(&begin).expect(name) + begin.len();
        let stop = start + made[start..].find(end).expect(end);
        let head = "| metric | type | labels | meaning |\n|---|---|---|---|\n";
        made.replace_range(start..stop, &format!("{head}{rows}"));
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &made).expect("written");
    } else {
        assert!(
            made == page,
            "UPDATE=1 cargo test --test integration metrics_page::"
        );
    }
    // What this registry does not show is not forgotten: every name in the exporter's code stands on the page.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/adapters/prometheus");
    for file in std::fs::read_dir(folder).expect("the exporter") {
        let code = std::fs::read_to_string(file.expect("a file").path()).expect("readable");
        for about in code.split("About(").skip(1) {
            let Some(name) = about
                .trim_start()
                .strip_prefix('"')
                .and_then(|n| n.split('"').next())
            else {
                continue;
            };
            let stands = [format!("`{name}`"), format!("`{name}_total`")]
                .iter()
                .any(|n| made.contains(n));
            assert!(stands, "{name} is not on the page: show it in this test");
        }
    }
}
