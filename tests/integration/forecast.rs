//! What a forecast changes in decisions, and what is shown of it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::exported::{Exported, LAST_POLL, sample};
use serde_json::Value;
use streamgauge::group::GroupState;
use streamgauge::group::event::{Event, TargetKey, What};
use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::identity::{Assignment, PartitionId};
use streamgauge::model::sample::{PartitionObservation, Sample};
use streamgauge::model::time::Timestamp;
use streamgauge::policy::decision::{Decision, Reason};
use streamgauge::policy::forecast::Forecasting;
use streamgauge::policy::rule::Limit;
use streamgauge::policy::rule::Rule;
use streamgauge::policy::spec::PolicySettings;
use streamgauge::policy::steps::Step;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const POLL: Duration = Duration::from_secs(5);
const THREE_HOURS: u32 = 2_160;

fn polled(totals: &[u64]) -> Sample {
    let partitions = totals.iter().enumerate().map(|(n, total)| {
        let kept_up = PartitionObservation::Present(sample(*total, *total, 0));
        (PartitionId::new(n.to_string()), kept_up)
    });
    Sample {
        partitions: partitions.collect(),
        consumers: Some(4),
        ..Sample::default()
    }
}

/// Every decision for consumers of 100/s that keep up with so many messages per poll on one of two partitions, and the same on
/// the other.
fn decisions(forecast: Forecasting, arriving: impl Fn(u32) -> u64) -> Vec<Decision> {
    let key = TargetKey::default();
    let settings = PolicySettings {
        assignment: Some(Assignment::Shared),
        capacity_per_replica: Some(100.0),
        forecast: Some(forecast),
        ..PolicySettings::default()
    };
    let mut state = GroupState::new(CapacityRules::default());
    state.apply(&Event {
        at: START,
        what: What::TargetRegistered(key.clone(), Box::new(settings.resolve())),
    });
    let mut total = 0;
    let decide = |poll| {
        total += arriving(poll);
        state.apply(&Event {
            at: START.plus(POLL * poll),
            what: What::Observed(Ok(polled(&[total, total]))),
        });
        state.targets()[&key].decision.clone()
    };
    (1..THREE_HOURS).filter_map(decide).collect()
}

/// From 200/s to 2,360/s.
fn rising(poll: u32) -> u64 {
    500 + u64::from(poll) * 5 / 2
}

#[test]
fn where_arrivals_keep_rising_replicas_come_sooner_and_the_sentence_says_why() {
    let off = decisions(Forecasting::Off, rising);
    let on = decisions(Forecasting::On, rising);
    let sooner = off
        .iter()
        .zip(&on)
        .filter(|(off, on)| on.desired > off.desired);
    assert!(sooner.count() > 200);
    assert!(
        off.iter()
            .zip(&on)
            .all(|(off, on)| on.desired >= off.desired)
    );
    let foreseen = on.iter().rev().find(|d| d.reason == Reason::Forecast);
    let foreseen = foreseen.expect("a decision of that reason");
    assert_eq!(foreseen.limit, Limit::None);
    let upper = foreseen.inputs.forecast_upper_per_second.expect("known");
    let expected = format!("The forecast expects up to {upper:.0}/s in 1 min 15 s and ");
    assert!(foreseen.text.contains(&expected), "{}", foreseen.text);
}

#[test]
fn switched_off_it_decides_nothing_and_still_says_what_it_would_have_asked_for() {
    let off = decisions(Forecasting::Off, rising);
    assert!(off.iter().all(|d| d.reason != Reason::Forecast));
    let asks_for_more = |d: &&Decision| {
        let says = |step: &Step| matches!(&step.rule, Rule::Forecast(foreseen) if u64::from(foreseen.replicas) > step.after);
        d.steps.iter().any(says)
    };
    assert!(off.iter().filter(asks_for_more).count() > 200);
}

#[test]
fn where_arrivals_stay_the_same_it_changes_nothing() {
    let counts = |decisions: Vec<Decision>| -> Vec<_> {
        decisions
            .into_iter()
            .map(|d| (d.desired, d.reason))
            .collect()
    };
    let steady = |_| 600;
    assert_eq!(
        counts(decisions(Forecasting::On, steady)),
        counts(decisions(Forecasting::Off, steady))
    );
}

/// `billing` with 100/s on its one partition, for five minutes; then one poll of another kind.
fn exported(last: impl Fn(u64) -> Sample) -> Exported {
    let exported = Exported::unobserved();
    for poll in 0..=60_u64 {
        let at = LAST_POLL.minus(POLL * (60 - poll) as u32);
        let total = 500 * poll;
        let seen = if poll < 60 {
            polled(&[total])
        } else {
            last(total)
        };
        exported.observe("billing", at, seen);
    }
    exported
}

async fn group(exported: &Exported) -> Value {
    let answer = exported
        .get("/api/v1/groups/billing", "application/json")
        .await;
    serde_json::from_str(&answer.body).expect("JSON")
}

#[tokio::test]
async fn the_forecast_and_its_error_are_exported() {
    let exported = exported(|total| polled(&[total]));
    let forecast = &group(&exported).await["forecast"];
    assert_eq!(forecast["per_second"], 100.0, "{forecast}");
    assert_eq!(forecast["expert"], "last_value");
    assert_eq!(forecast["error_ratio"], 0.0);
    assert_eq!(forecast["expert_error_ratios"]["holt"], 0.0);
    let text = exported.get("/metrics", "*/*").await.body;
    let samples: BTreeMap<&str, &str> = text
        .lines()
        .filter(|line| line.starts_with("streamgauge_group_forecast_"))
        .filter_map(|line| line.rsplit_once(' '))
        .collect();
    let value = |name: &str, expert: &str| {
        let found = samples
            .iter()
            .find(|(series, _)| series.starts_with(name) && series.contains(expert));
        found.map(|(_, value)| *value)
    };
    let rate = "streamgauge_group_forecast_messages_per_second";
    assert_eq!(value(rate, ""), Some("100.0"), "{samples:?}");
    let error = "streamgauge_group_forecast_error_ratio";
    assert_eq!(value(error, "expert=\"chosen\""), Some("0.0"));
    assert_eq!(value(error, "expert=\"daily\""), None);
    let expert = "streamgauge_group_forecast_expert";
    assert_eq!(value(expert, "expert=\"last_value\""), Some("1"));
    assert_eq!(value(expert, "expert=\"weekly\""), Some("0"));
}

#[tokio::test]
async fn nothing_is_forecast_while_a_partition_cannot_be_read() {
    let failed = streamgauge::model::sample::Failure::new(
        streamgauge::model::sample::FailureKind::WrongType,
        "no stream",
    );
    let exported = exported(|total| {
        let mut seen = polled(&[total]);
        let unread = PartitionObservation::Failed(failed.clone());
        seen.partitions.insert(PartitionId::new("x"), unread);
        seen
    });
    assert_eq!(group(&exported).await["forecast"], Value::Null);
    let text = exported.get("/metrics", "*/*").await.body;
    assert!(!text.contains("streamgauge_group_forecast_"));
}
