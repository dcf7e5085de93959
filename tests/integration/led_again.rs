//! A replica that leads a group again writes behind what it wrote when it led it before.

use std::sync::Arc;
use std::time::Duration;

use streamgauge::files::FolderLock;
use streamgauge::group::event::{Event, What};
use streamgauge::journal::{JournalRules, Journals};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::identity::{GroupKey, PartitionId};
use streamgauge::model::quantity::Quantity;
use streamgauge::model::sample::{PartitionObservation, PartitionSample, Sample};
use streamgauge::model::stream::StreamSelector;
use streamgauge::model::time::{Moment, Timestamp, WallOffset};
use streamgauge::policy::spec::PolicySettings;
use streamgauge::publish::{Group, GroupDefinition};

const START: u64 = 1_700_000_000_000;

fn moment(second: u64) -> Moment {
    Moment {
        at: Timestamp::from_millis(START + second * 1_000),
        wall: WallOffset::default(),
    }
}

fn group() -> Group {
    let definition = GroupDefinition {
        name: "billing".into(),
        key: GroupKey {
            source: "main".into(),
            stream: "orders".into(),
            consumer_group: "billing".into(),
        },
        selector: StreamSelector::Whole,
        poll_interval: Duration::from_secs(5),
        settings: PolicySettings::default(),
        signals: Default::default(),
        granularity: Default::default(),
        configured: false,
    };
    Group::new(definition, CapacityRules::default())
}

fn poll(second: u64, backlog: u64) -> Event {
    let sample = PartitionSample {
        log_end: Some(second * 100 + backlog),
        length: backlog,
        lag: Some(Quantity::Exact(backlog)),
        ..PartitionSample::default()
    };
    let partition = (PartitionId::new("0"), PartitionObservation::Present(sample));
    let sample = Sample {
        partitions: [partition].into(),
        consumers: Some(1),
        ..Sample::default()
    };
    Event {
        at: moment(second).at,
        what: What::Observed(Ok(sample)),
    }
}

#[tokio::test]
async fn what_a_replica_writes_when_it_leads_again_stands_behind_what_it_wrote_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = JournalRules {
        keep: Duration::from_secs(86_400),
        max_bytes: 1 << 20,
    };
    let lock = Arc::new(FolderLock::new(folder.path()));
    let (journals, _ended) = Journals::start(lock, rules).expect("a thread");
    let (mine, other) = (group().led_elsewhere(), group());
    for round in 0..3_u64 {
        let begin = 100 * (round + 1);
        other.apply(&poll(begin, 50 + round));
        let (state, _events) = other.followed().expect("it leads");
        mine.adopt(state, WallOffset::default());
        assert!(mine.lead(Some(&journals), moment(begin + 1)));
        for n in 0..20 {
            mine.apply(&poll(begin + 5 + n, 1_000 + n));
        }
        mine.step_back(moment(begin + 30));
        journals.flush().await;
        let GroupDefinition { key, name, .. } = mine.definition();
        let kept = journals.recover(key, name, moment(begin + 31));
        let kept = kept.state.expect("a state");
        assert_eq!(
            kept.decided_at(),
            Some(moment(begin + 24).at),
            "round {round}"
        );
    }
}
