//! The table of `check --connect` over a source that answers by heart.

use std::collections::BTreeMap;

use super::super::{report, table, warnings};
use super::*;
use crate::model::identity::PartitionId;
use crate::model::quantity::Quantity;
use crate::model::sample::PartitionSample;
use crate::model::stream::StreamSelector;
use crate::sources::{BoxFuture, GroupReader};

const CONFIG: &str = "
sources: [{ name: main, redis: { url: 'redis://[::1]' } }]
groups:
  - { name: billing, source: main, stream: 'orders:{0..2}', consumer_group: billing }
  - { name: mails, source: main, stream: mails, consumer_group: send, policy: { backlog_threshold: 5 } }
  - { name: slow, source: main, stream: slow, consumer_group: c, policy: { min_replicas: 1, capacity_per_replica: 5 } }
";

/// Answers by the name of the consumer group.
struct ByHeart;

impl Source for ByHeart {
    fn reader(
        &self,
        _: &StreamSelector,
        consumer_group: &str,
        _: Duration,
    ) -> Box<dyn GroupReader> {
        Box::new(ByHeartReader(consumer_group.to_owned()))
    }
}

struct ByHeartReader(String);

impl GroupReader for ByHeartReader {
    fn poll(&mut self) -> BoxFuture<'_, Result<Sample, Failure>> {
        Box::pin(async {
            match self.0.as_str() {
                "billing" => Ok(mixed()),
                "send" => Err(Failure::new(
                    FailureKind::WrongType,
                    "mails holds a list: name a stream",
                )),
                _ => std::future::pending().await,
            }
        })
    }
}

fn mixed() -> Sample {
    let present = PartitionSample {
        lag: Some(Quantity::Exact(7)),
        pending: 5,
        stuck_pending: 2,
        oldest_age_millis: Some(1_540),
        ..PartitionSample::default()
    };
    let partitions = [
        PartitionObservation::Present(present),
        PartitionObservation::StreamMissing,
        PartitionObservation::GroupMissing {
            length: 9,
            log_end: None,
        },
    ];
    let named = partitions
        .into_iter()
        .enumerate()
        .map(|(n, p)| (PartitionId::new(n.to_string()), p));
    Sample {
        partitions: named.collect::<BTreeMap<_, _>>(),
        consumers: Some(3),
        ..Sample::default()
    }
}

fn config() -> Config {
    Config::parse(CONFIG, "c.yaml").expect("valid")
}

#[tokio::test(start_paused = true)]
async fn a_group_that_fails_or_hangs_does_not_hide_the_others() {
    let config = config();
    let reports = read(&ByHeart, subjects(&config, &config.sources[0])).await;
    let expect = "\
GROUP    SOURCE  STREAM         CONSUMER GROUP  PARTITIONS  BACKLOG  LAG  PENDING  OLDEST AGE  CONSUMERS  STATE
billing  main    orders:{0..2}  billing         3           10       7    5        1.5s        3          1 of 3 do not exist yet; 1 of 3 do not have the consumer group, or a commit of it, yet; 2 pending entries are stuck
mails    main    mails          send            -           -        -    -        -           -          wrong_type: mails holds a list: name a stream
slow     main    slow           c               -           -        -    -        -           -          timeout: no answer within 5s: check that the address is correct and reachable
";
    assert_eq!(table::render(&report::rows(&reports)), expect);
    let failed: Vec<bool> = reports.iter().map(GroupReport::failed).collect();
    assert_eq!(failed, [false, true, true]);
}

#[test]
fn a_source_without_groups_is_asked_for_the_streams_that_metadata_may_name() {
    let text = "
sources:
  - { name: a, redis: { url: redis://r }, allow: [{ namespaces: [n], streams: ['x:*'], consumer_groups: [g] }] }
  - { name: b, redis: { url: redis://r } }
";
    let config = Config::parse(text, "c.yaml").expect("valid");
    let asked = |n: usize| subjects(&config, &config.sources[n]).remove(0);
    assert_eq!(
        (asked(0).stream.as_str(), asked(0).selector),
        ("x:*", StreamSelector::parse("x:*").ok())
    );
    assert_eq!(asked(1).selector, None);
}

const HUBS: &str = "
sources:
  - name: clicks
    event_hubs:
      namespace: ns.servicebus.windows.net
      event_hub: clicks
      management_calls_per_second: 10
      connection_string: { env: EH }
      checkpoints: { container: c, connection_string: { env: BLOB } }
    allow: [{ namespaces: [n], streams: ['*'], consumer_groups: ['*'] }]
  - name: views
    event_hubs:
      namespace: NS.servicebus.windows.net
      event_hub: views
      connection_string: { env: EH }
      checkpoints: { container: c, connection_string: { env: BLOB } }
groups:
  - { name: a, source: views, consumer_group: a }
  - { name: b, source: views, consumer_group: b, poll_interval: 4s }
";

/// Polls take as long as they may, and a little less.
struct Slow(Duration);

impl Source for Slow {
    fn reader(&self, _: &StreamSelector, group: &str, every: Duration) -> Box<dyn GroupReader> {
        assert_ne!(group, "", "every event hub has consumer groups");
        Box::new(Self(self.poll_deadline(every).mul_f64(0.99)))
    }

    fn poll_deadline(&self, every: Duration) -> Duration {
        every.mul_f64(0.9)
    }
}

impl GroupReader for Slow {
    fn poll(&mut self) -> BoxFuture<'_, Result<Sample, Failure>> {
        let partition = |n: u32| {
            let failure = Failure::new(FailureKind::Transient, "busy");
            let seen = PartitionObservation::Failed(failure);
            (PartitionId::new(n.to_string()), seen)
        };
        let sample = Sample {
            partitions: (0..200).map(partition).collect(),
            ..Sample::default()
        };
        Box::pin(async move {
            tokio::time::sleep(self.0).await;
            Ok(sample)
        })
    }
}

#[test]
fn a_backlog_that_cannot_be_told_is_not_ok() {
    let present = PartitionSample {
        remark: Some("the group has no checkpoint on any".to_owned()),
        ..PartitionSample::default()
    };
    let seen = PartitionObservation::Present(present);
    let sample = Sample {
        partitions: [(PartitionId::new("0"), seen)].into(),
        ..Sample::default()
    };
    let subject = subjects(&config(), &config().sources[0]).remove(0);
    let result = Ok(sample);
    let report = GroupReport {
        subject,
        result,
        findings: None,
    };
    let row = report::rows(&[report]).remove(1);
    assert_eq!((row[5].as_str(), row[6].as_str()), ("?", "?"));
    assert_eq!(row[10], "partition 0: the group has no checkpoint on any");
}

#[tokio::test(start_paused = true)]
async fn an_event_hub_has_the_time_of_a_poll_and_is_read_without_groups_of_its_own() {
    let config = Config::parse(HUBS, "c.yaml").expect("valid");
    let asked = subjects(&config, &config.sources[0]);
    let named: Vec<_> = asked
        .iter()
        .map(|s| (&*s.stream, &*s.consumer_group))
        .collect();
    assert_eq!(named, [("clicks", "$Default")]);
    let reports = read(&Slow(Duration::ZERO), asked).await;
    assert!(reports[0].result.is_ok(), "{:?}", reports[0].result);
}

#[tokio::test(start_paused = true)]
async fn what_takes_more_management_calls_than_allowed_is_said() {
    let config = Config::parse(HUBS, "c.yaml").expect("valid");
    let reports = read(&Slow(Duration::ZERO), subjects(&config, &config.sources[1])).await;
    assert_eq!(
        warnings::over_budget(&config, &reports),
        [
            "source views: 2 group(s) with up to 200 partitions need 63.3 management calls per second, but the limit is 45: partitions are \
             read in turns, less often than poll_interval; raise poll_interval, or management_calls_per_second where Event Hubs \
             allows it"
        ]
    );
    assert!(warnings::over_budget(&config, &reports[..1]).is_empty());
    // Every third poll of one is in step with a poll of the other.
    let config = Config::parse(&HUBS.replace("4s", "5s"), "c.yaml").expect("valid");
    let reports = read(&Slow(Duration::ZERO), subjects(&config, &config.sources[1])).await;
    assert!(warnings::over_budget(&config, &reports).is_empty());
    assert_eq!(
        warnings::of_namespaces(&config),
        [
            "namespace ns.servicebus.windows.net: its sources (clicks, views) may make 55 management calls per second together, \
             but Event Hubs allows 50: lower management_calls_per_second"
        ]
    );
}

#[test]
fn the_summary_lists_everything_and_warns_of_surprises() {
    let expect = "\
c.yaml: OK, 1 source(s), 3 group(s)
  source main: redis://[::1]:6379/0, polled every 5s
  group billing: main/orders:{0..2}/billing, replicas mode, polled every 5s
  group mails: main/mails/send, backlog mode, polled every 5s
  group slow: main/slow/c, replicas mode, polled every 5s
  memory: about 21 MB for the 5 partitions listed here, 420 MB once limits.partitions (20000) is used up
warning: source main: allow is empty: ScaledObjects can use its configured groups, but inline metadata is rejected
warning: minimum 0 (billing, mails): while a backlog cannot be read, KEDA gets an error instead of a value; a ScaledObject with fallback.replicas: 0 then scales to zero after its cooldown. Set fallback.replicas to what must keep running, with behavior: currentReplicasIfHigher
warning: group billing: capacity_per_replica is not set: it is learned, and until then the replica count is based on the delay
";
    assert_eq!(report::summary("c.yaml", &config()), expect);
}
