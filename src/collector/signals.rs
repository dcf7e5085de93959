//! Per group with signals in PromQL: ask Prometheus → observe, for as long as the group is watched.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::config::signals::SignalSource;
use crate::group::event::{Event, What};
use crate::model::signal::{Signal, SignalReading};
use crate::publish::Group;
use crate::publish::contained::contained;
use crate::registry::Registry;
use crate::signals::Prometheus;

use super::keep_going::RESTS_FOR;

/// How often it is looked whether an expression is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Questions at a time.
const IN_FLIGHT: usize = 8;

/// Who is asked for: a group and one of its signals.
type SignalId = (String, Signal);

/// Follows every expression of every group. Never ends on its own.
pub async fn watch_signals(registry: Arc<Registry>, prometheus: Arc<Prometheus>, clock: Clock) {
    let mut due: BTreeMap<SignalId, Instant> = BTreeMap::new();
    let mut said: BTreeMap<SignalId, Option<String>> = BTreeMap::new();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let Some(interval) = prometheus.interval() else {
            due.clear();
            continue;
        };
        let asking = asking(&registry);
        due.retain(|asker, _| asking.contains_key(asker));
        said.retain(|asker, _| asking.contains_key(asker));
        let now = Instant::now();
        let is_due = |asker: &SignalId| due.get(asker).is_none_or(|at| *at <= now);
        let questions = asking
            .into_iter()
            .filter(|(asker, _)| is_due(asker))
            .map(|(asker, asked)| read(&prometheus, clock, asker, asked));
        let answered: Vec<(SignalId, Option<SignalReading>)> =
            futures_util::stream::iter(questions)
                .buffer_unordered(IN_FLIGHT)
                .collect()
                .await;
        for (asker, reading) in answered {
            let rests_for = match reading {
                Some(reading) => {
                    say_once(&mut said, &asker, reading.problem);
                    interval
                }
                None => interval.max(RESTS_FOR),
            };
            due.insert(asker, now + rests_for);
        }
    }
}

/// An expression, and the group that wants to know.
struct SignalQuery {
    group: Arc<Group>,
    expression: String,
}

fn asking(registry: &Registry) -> BTreeMap<SignalId, SignalQuery> {
    let mut found = BTreeMap::new();
    for group in registry.groups() {
        for (signal, source) in &group.definition().signals {
            if let SignalSource::PromQl(expression) = source {
                let asked = SignalQuery {
                    group: Arc::clone(&group),
                    expression: expression.clone(),
                };
                found.insert((group.definition().name.clone(), *signal), asked);
            }
        }
    }
    found
}

/// What was read, unless the group failed with it.
async fn read(
    prometheus: &Prometheus,
    clock: Clock,
    asker: SignalId,
    asked: SignalQuery,
) -> (SignalId, Option<SignalReading>) {
    let reading = prometheus.read(&asked.expression).await;
    let what = What::SignalObserved(asker.1, reading.clone());
    // Now, for times never go back within a group; the reading has its own.
    let at = clock.now();
    let group = asked.group.as_ref();
    let told = contained([group], at, || group.apply(&Event { at, what }));
    (asker, told.map(|_| reading))
}

/// Logs why there is no value when that is new or another reason than before, and when there is one again.
fn say_once(
    said: &mut BTreeMap<SignalId, Option<String>>,
    asker: &SignalId,
    problem: Option<String>,
) {
    let (group, signal) = (&asker.0, asker.1.as_str());
    let before = said.insert(asker.clone(), problem.clone());
    match (before.flatten(), problem) {
        (before, Some(problem)) if before.as_ref() != Some(&problem) => {
            tracing::warn!(group, signal, "the signal is unknown: {problem}");
        }
        (Some(_), None) => tracing::info!(group, signal, "the signal is known again"),
        _ => {}
    }
}
