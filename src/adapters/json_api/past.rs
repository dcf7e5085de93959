//! The near past of a group as JSON: columns over time.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::adapters::natural_order;
use crate::adapters::packed::PackedJson;
use crate::adapters::views::HttpState;
use crate::clock::on_the_wall;
use crate::model::time::Timestamp;
use crate::publish::past::{Column, GroupMeasure, PastMeasure};

use super::answer::ApiError;
use super::looking_back::{PastTime, answer};
use super::values::{Thousandths, rfc3339};

/// How far it goes back, unless the query says otherwise.
pub(super) const USUAL_REACH: Duration = Duration::from_secs(1_800);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PastQuery {
    seconds: Option<u64>,
    /// Whether partitions are wanted, and what of them.
    measure: Option<MeasureWord>,
    /// Only columns later than this, milliseconds since 1970.
    after: Option<u64>,
    at: Option<PastTime>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MeasureWord {
    Backlog,
    OldestAgeSeconds,
    ArrivalPerSecond,
}

impl From<MeasureWord> for PastMeasure {
    fn from(word: MeasureWord) -> Self {
        match word {
            MeasureWord::Backlog => Self::Backlog,
            MeasureWord::OldestAgeSeconds => Self::Age,
            MeasureWord::ArrivalPerSecond => Self::Rate,
        }
    }
}

/// Every list has one value per time.
#[derive(Serialize)]
pub(super) struct PastShape {
    group: String,
    step_seconds: f64,
    times: Vec<String>,
    backlog: Vec<Option<u64>>,
    oldest_age_seconds: Vec<Option<Thousandths>>,
    arrival_per_second: Vec<Option<Thousandths>>,
    processing_per_second: Vec<Option<Thousandths>>,
    desired: Vec<Option<u32>>,
    current: Vec<Option<u32>>,
    /// In natural order; those of the newest time.
    #[serde(skip_serializing_if = "Option::is_none")]
    partitions: Option<Vec<PartitionPast>>,
}

#[derive(Serialize)]
struct PartitionPast {
    partition: String,
    values: Vec<Option<Thousandths>>,
}

pub(super) async fn history(
    State(state): State<HttpState>,
    Path(name): Path<String>,
    query: Result<Query<PastQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query?;
    let reach = query.seconds.map_or(USUAL_REACH, Duration::from_secs);
    answer(state, query.at, reach.max(USUAL_REACH), move |shown| {
        let group = shown.group(&name)?;
        let (step, mut columns) = group.columns(reach.as_secs());
        if let Some(after) = query.after.map(Timestamp::from_millis) {
            let at = |column: &Column| on_the_wall(column.at);
            // A column that is yet to come was seen before the wall clock was set back: none of its times is true any more.
            if columns.last().is_some_and(|newest| at(newest) >= after) {
                columns.retain(|column| at(column) > after);
            }
        }
        let shape = shape(name, step.as_secs_f64(), &columns, query.measure);
        Ok(PackedJson(shape).into_response())
    })
    .await
}

fn shape(
    group: String,
    step_seconds: f64,
    columns: &[Column],
    measure: Option<MeasureWord>,
) -> PastShape {
    let told = |measure| {
        columns
            .iter()
            .map(move |column| column.group.value(measure))
    };
    let rounded = |measure| told(measure).map(|value| value.map(Thousandths)).collect();
    let replicas = |measure| {
        told(measure)
            .map(|count| count.map(|count| count as u32))
            .collect()
    };
    PastShape {
        group,
        step_seconds,
        times: columns.iter().map(|column| rfc3339(column.at)).collect(),
        backlog: told(GroupMeasure::Backlog)
            .map(|backlog| backlog.map(|backlog| backlog as u64))
            .collect(),
        oldest_age_seconds: rounded(GroupMeasure::OldestAge),
        arrival_per_second: rounded(GroupMeasure::Arrival),
        processing_per_second: rounded(GroupMeasure::Processing),
        desired: replicas(GroupMeasure::Desired),
        current: replicas(GroupMeasure::Current),
        partitions: measure.map(|measure| partitions(columns, measure.into())),
    }
}

fn partitions(columns: &[Column], measure: PastMeasure) -> Vec<PartitionPast> {
    let Some(newest) = columns.last() else {
        return Vec::new();
    };
    let mut all: Vec<PartitionPast> = newest
        .names
        .iter()
        .enumerate()
        .map(|(row, id)| {
            let value = |column: &Column| {
                // Nearly always every column is of the same partitions.
                let same = column.names.get(row) == Some(id);
                let row = if same {
                    Some(row)
                } else {
                    column.names.binary_search(id).ok()
                };
                column.cells.get(row?)?.value(measure).map(Thousandths)
            };
            PartitionPast {
                partition: id.as_str().to_owned(),
                values: columns.iter().map(value).collect(),
            }
        })
        .collect();
    all.sort_by(|a, b| natural_order::compare(&a.partition, &b.partition));
    all
}
