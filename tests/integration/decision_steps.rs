//! A decision is its steps: each begins where the one before ended, in the order of the rules, and every number in a sentence is
//! one of the figures beside it. Where a rule is a formula its count is computed again. Over random histories of random groups.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use streamgauge::model::capacity::CapacityRules;
use streamgauge::model::downstream::Breaker;
use streamgauge::model::facts::{GroupFacts, PartitionFacts};
use streamgauge::model::forecast::{ForecastFacts, HORIZON, LOOK_AHEAD};
use streamgauge::model::group::GroupModel;
use streamgauge::model::identity::{Assignment, PartitionId};
use streamgauge::model::quantity::Quantity;
use streamgauge::model::quiet::{SETTLES_OWNED, SETTLES_UNTOLD};
use streamgauge::model::time::Timestamp;
use streamgauge::policy::decide::decide;
use streamgauge::policy::decision::{Decision, Limit};
use streamgauge::policy::explain;
use streamgauge::policy::forecast::Forecasting;
use streamgauge::policy::replicas::{ObjectSettings, Pause, ReplicasObserved};
use streamgauge::policy::rule::{Rule, Work};
use streamgauge::policy::spec::{Measure, Mode, PolicySettings, TargetSpec};
use streamgauge::policy::state::TargetState;
use streamgauge::policy::steps::Step;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// What one decision looks at.
#[derive(Clone, Debug)]
struct Moment {
    /// Arrivals per second, how many times that in the newest interval, waiting messages, of these only to be committed; for each
    /// partition.
    partitions: Vec<(f64, f64, u64, u64)>,
    after_seconds: u64,
    certain: bool,
    capacity: Option<f64>,
    proven: Option<f64>,
    pods: Option<(u32, u32)>,
    processing: f64,
    lost: f64,
    outage: u8,
    forecast: Option<f64>,
    without_group: bool,
}

fn moment() -> impl Strategy<Value = Moment> {
    let backlog =
        prop_oneof![3 => Just(0_u64), 1 => 0_u64..3, 3 => 0_u64..2_000, 1 => 0_u64..200_000];
    let arrival = prop_oneof![1 => Just(0.0), 3 => 0.0..300.0];
    let newest = prop_oneof![4 => Just(1.0), 1 => 1.0..8.0];
    let partition = (
        arrival,
        newest,
        backlog,
        prop_oneof![3 => Just(0), 1 => 0_u64..500],
    );
    let rarely = |odds: u32, rate: std::ops::Range<f64>| prop_oneof![odds => Just(None), 1 => rate.prop_map(Some)];
    (
        (prop::collection::vec(partition, 1..7), 5_u64..90),
        (
            prop::bool::weighted(0.8),
            rarely(2, 5.0..200.0),
            rarely(2, 5.0..200.0),
        ),
        (prop::option::of((0_u32..30, 0_u32..5)), 0.0..900.0),
        (
            rarely(6, 1.0..50.0),
            0_u8..12,
            rarely(3, 1.0..3.0),
            prop::bool::weighted(0.1),
        ),
    )
        .prop_map(
            |(
                (partitions, after_seconds),
                (certain, capacity, proven),
                (pods, processing),
                (lost, outage, forecast, without_group),
            )| Moment {
                partitions,
                after_seconds,
                certain,
                capacity,
                proven,
                pods,
                processing,
                lost: lost.unwrap_or(0.0),
                outage,
                forecast,
                without_group,
            },
        )
}

fn spec() -> impl Strategy<Value = TargetSpec> {
    let mode = prop_oneof![
        6 => Just(Mode::Replicas),
        1 => Just(Mode::Jobs),
        1 => Just(Mode::Backlog { threshold: 10, measure: Measure::Backlog }),
        1 => Just(Mode::Backlog { threshold: 64, measure: Measure::UnprocessedEvents }),
    ];
    let assignment = prop_oneof![Just(Assignment::Shared), Just(Assignment::Exclusive)];
    (
        mode,
        assignment,
        0_u32..3,
        3_u32..40,
        1_u32..3,
        prop::bool::ANY,
        prop_oneof![Just(5), Just(300)].prop_map(Duration::from_secs),
    )
        .prop_map(|(mode, assignment, min, max, consumers, foresees, hold)| {
            let forecast = if foresees {
                Forecasting::On
            } else {
                Forecasting::Off
            };
            PolicySettings {
                mode: Some(mode),
                assignment: Some(assignment),
                min_replicas: Some(min),
                max_replicas: Some(max),
                consumers_per_replica: Some(consumers),
                forecast: Some(forecast),
                scale_in_hold: Some(hold),
                ..PolicySettings::default()
            }
            .resolve()
        })
}

impl Moment {
    fn facts(&self, now: Timestamp) -> GroupFacts {
        let partition = |(n, of): (usize, &(f64, f64, u64, u64))| {
            let (arrival, newest, waiting, uncommitted) = *of;
            let facts = PartitionFacts {
                lacks_group: self.without_group && n == 0,
                backlog: Some(Quantity::Exact(waiting + uncommitted)),
                lag: Some(Quantity::Exact(waiting)),
                uncommitted: (uncommitted > 0).then_some(uncommitted),
                arrival_per_second: Some(arrival),
                newest_arrival_per_second: Some(arrival * newest),
                steady_arrival_per_second: Some(arrival),
                peak_arrival_per_second: Some(arrival * 3.0),
                processing_per_second: Some(self.processing / self.partitions.len() as f64),
                oldest_age_seconds: Some(waiting as f64 / 100.0),
                owner: self.outage.is_multiple_of(3).then(|| (n % 3).to_string()),
                owned_since: Some(now.minus(Duration::from_secs(self.after_seconds * 4))),
                stalled_since: (self.outage == 6 && n == 1)
                    .then(|| now.minus(Duration::from_secs(900))),
                ..PartitionFacts::default()
            };
            (PartitionId::new(n.to_string()), facts)
        };
        let partitions: BTreeMap<_, _> =
            self.partitions.iter().enumerate().map(partition).collect();
        let sum = |of: fn(&PartitionFacts) -> Option<Quantity>| {
            let sum = partitions
                .values()
                .filter_map(of)
                .map(Quantity::value)
                .sum();
            let exact = if self.certain {
                Quantity::Exact
            } else {
                Quantity::AtLeast
            };
            Some(exact(sum))
        };
        let arrivals = partitions
            .values()
            .filter_map(|p| p.arrival_per_second)
            .sum();
        let forecast = self.forecast.map(|ratio| ForecastFacts {
            per_second: arrivals,
            upper_per_second: arrivals * ratio,
            largest_per_second: arrivals * ratio * 1.2,
            ..ForecastFacts::default()
        });
        let ages = partitions.values().filter_map(|p| p.oldest_age_seconds);
        GroupFacts {
            backlog: sum(|p| p.backlog),
            backlog_or_length: sum(|p| p.backlog),
            lag: sum(|p| p.lag),
            oldest_age_seconds: Some(ages.fold(0.0, f64::max)),
            waiting_seconds: Some(0.0),
            arrival_per_second: Some(arrivals),
            processing_per_second: Some(self.processing),
            lost_per_second: self.lost,
            read_limit_per_second: (self.outage == 3).then_some(100.0),
            capacity_per_consumer: self.capacity,
            seen_per_consumer: self.proven,
            proven_per_consumer: self.proven,
            capacity_samples: (3, 8),
            breaker: match self.outage {
                0 => Breaker::Open(now.minus(Duration::from_secs(60))),
                1 => Breaker::HalfOpen(now.minus(Duration::from_secs(30))),
                _ => Breaker::Closed,
            },
            forecast,
            consumers: Some(3),
            unknown_partitions: u32::from(!self.certain),
            partitions_without_group: u32::from(self.without_group),
            partitions,
            ..GroupFacts::default()
        }
    }

    fn replicas(&self) -> Option<ReplicasObserved> {
        let (ready, more) = self.pods?;
        Some(ReplicasObserved {
            current: Some(ready + more),
            asked: Some(ready + more),
            ready: Some(ready),
            object: ObjectSettings {
                triggers: if self.outage == 7 { 2 } else { 1 },
                paused: (self.outage == 8).then_some(Pause::At(3)),
                tolerance_up_milli: (self.outage == 9).then_some(0),
                ..ObjectSettings::default()
            },
            ..ReplicasObserved::default()
        })
    }
}

/// Every decision of one history.
fn decisions(spec: TargetSpec, moments: &[Moment]) -> Vec<Decision> {
    let model = GroupModel::new(CapacityRules::default());
    let mut target = TargetState::new(spec, START.minus(Duration::from_secs(60)));
    let mut now = START;
    let decide = |moment: &Moment| {
        now = now.plus(Duration::from_secs(moment.after_seconds));
        if let Some(replicas) = moment.replicas() {
            target.replicas.observed(now, &Ok(replicas));
        }
        let decision = decide(now, &model, &moment.facts(now), &mut target);
        target.last_desired = decision.desired.or(target.last_desired);
        target.last_metric = decision.metric.or(target.last_metric);
        target.last_active = decision.active.or(target.last_active);
        decision
    };
    moments.iter().map(decide).collect()
}

/// The rules as `rule.rs` lists them.
fn rules() -> Vec<String> {
    let source = include_str!("../../src/policy/rule.rs");
    let (_, rules) = source
        .split_once("pub enum Rule {")
        .expect("the list of rules");
    let (rules, _) = rules.split_once("\n}\n").expect("its end");
    let lines = rules
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"));
    let names = lines.filter_map(|line| line.split([',', '(']).next());
    let names = names.filter(|name| !name.is_empty());
    names.map(snake_case).collect()
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn name(step: &Step) -> String {
    let json = serde_json::to_value(step).expect("a step as JSON");
    json["rule"].as_str().expect("a name").to_owned()
}

/// `n` or the whole number that it is a rounding error away from, rounded up.
fn up(n: f64) -> u64 {
    (n - 1e-6).ceil().max(0.0) as u64
}

fn work(figures: &Work) -> f64 {
    figures.counted_per_second / figures.utilization_ratio
        + figures.waiting as f64 / figures.catch_up_seconds
}

/// Why `step` does not follow from its figures; `None` if it does.
fn contradiction(step: &Step, decision: &Decision, spec: &TargetSpec) -> Option<String> {
    let (before, after) = (step.before, step.after);
    let inputs = &decision.inputs;
    let near = |one: f64, two: f64| (one - two).abs() <= 1e-6 * (1.0 + one.abs());
    let holds = match &step.rule {
        Rule::Idle => after == 0,
        Rule::Counted(_) => Some(after) == inputs.backlog.map(Quantity::value),
        Rule::Work(figures) => {
            let replicas = up(work(figures) / figures.capacity_per_second);
            let by_count = spec.assignment == Assignment::Exclusive && spec.mode == Mode::Replicas;
            near(work(figures), figures.work_per_second)
                && (by_count || after == replicas)
                && u64::from(figures.replicas_if_shared) == replicas
        }
        Rule::Busiest(f) | Rule::Relief(f) | Rule::Spread(f) | Rule::Reserve(f) => {
            let capacity = f.consumer_capacity_per_second * f64::from(spec.consumers_per_replica);
            let if_shared = up(f.work_per_second / capacity).max(1);
            after > 0 && u64::from(f.replicas_if_shared) == if_shared
        }
        Rule::Arrivals(figures) => after > 0 && figures.consumer_capacity_per_second > 0.0,
        Rule::Explored(figures) => after > 0 && figures.seen_per_second > 0.0,
        Rule::FirstStep(f) => {
            let meanwhile = f.counted_per_second * f.start_seconds;
            let backlog = (f.waiting as f64 + meanwhile) / f.catch_up_seconds;
            let replicas = up((f.counted_per_second + backlog) / f.supposed_per_second);
            after == replicas.clamp(1, f.largest.into())
        }
        Rule::Delay => after > 0,
        Rule::Kept => after > before,
        Rule::FallsBehind(f) => after > before && f.waits_seconds > f.target_delay_seconds,
        Rule::Slack(f) => {
            near(work(&f.work), f.work.work_per_second)
                && after == before.max(f.needed.min(f.present).into())
        }
        Rule::Enough(f) => {
            after < before
                && f.counted_per_second <= f.does_per_second * f.utilization_ratio
                && f.left / f.does_per_second <= f.within_seconds
        }
        Rule::Forecast(f) if f.decides => after == u64::from(f.replicas) && after > before,
        Rule::Forecast(f) => after == before && u64::from(f.replicas) > before,
        Rule::Activation => (before, after) == (0, 1),
        Rule::Losing => after > before && inputs.lost_per_second > 0.0,
        Rule::OneJobPerMessage => {
            after < before && Some(after) == inputs.backlog.map(Quantity::value)
        }
        Rule::MaxReplicas(f)
        | Rule::PartitionCount(f)
        | Rule::ThroughputUnits(f)
        | Rule::PodsNotReady(f)
        | Rule::NotMeasured(f) => after < before && after == f.bound,
        Rule::HpaTolerance(f) => {
            let ignored = f64::from(f.current) * (1.0 + f.tolerance_ratio);
            after > before && before as f64 <= ignored + 1e-9
        }
        Rule::MinReplicas(f) => after > before && after == f.bound,
        Rule::Downstream => inputs.breaker != Breaker::Closed,
        Rule::Draining | Rule::Uncertain | Rule::HeldArrivals(_) | Rule::HeldMoment(_) => {
            after > before
        }
        Rule::HeldWindow(_) | Rule::Moves | Rule::WarmUp(_) => after > before,
        _ => after == before,
    };
    (!holds).then(|| format!("{step:?} does not follow from its figures"))
}

/// Every number in a text that is no time of day.
fn numbers(text: &str) -> Vec<f64> {
    let words = text.split(|c: char| c.is_whitespace() || "();:×/".contains(c));
    let words = words.map(|word| word.trim_matches(|c: char| !c.is_ascii_digit()));
    let numbers = words.filter_map(|word| word.replace(',', "").parse().ok());
    numbers.collect()
}

/// A figure by its name.
type Figure = (String, f64);

/// Every number in a JSON value, with the name of its field.
fn figures(name: &str, value: &Value, into: &mut Vec<Figure>) {
    match value {
        Value::Number(number) => into.extend(number.as_f64().map(|n| (name.to_owned(), n))),
        Value::Array(values) => {
            for value in values {
                figures(name, value, into);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                figures(name, value, into);
            }
        }
        _ => {}
    }
}

/// Whether the figure may be written so: as it is, from 10 on rounded, a ratio as percent, a time in minutes and seconds.
fn is_written_from(number: f64, (name, figure): &Figure) -> bool {
    let rounded = (figure - number).abs() <= 0.05 + 1e-9
        || number >= 10.0 && (figure - number).abs() <= 0.5 + 1e-9;
    let percent = name.ends_with("_ratio") && (figure * 100.0 - number).abs() <= 0.5 + 1e-9;
    let is_time = name.ends_with("seconds") || name == "secs";
    let parts = [(figure / 60.0).floor() % 60.0, figure.round() % 60.0];
    rounded || percent || is_time && parts.contains(&number)
}

/// A number of the sentence that no figure explains.
fn unexplained(decision: &Decision) -> Option<f64> {
    let mut known = Vec::new();
    let steps = serde_json::to_value(&decision.steps).expect("JSON");
    figures("", &steps, &mut known);
    let inputs = serde_json::to_value(&decision.inputs).expect("JSON");
    figures("", &inputs, &mut known);
    let inputs = &decision.inputs;
    let mut add = |name: &str, figure: f64| known.push((name.to_owned(), figure));
    if let Some((mean, ratio)) = inputs.arrival_per_second.zip(inputs.surge_ratio) {
        add("newest_per_second", mean * ratio);
    }
    if let Some((asked, ready)) = inputs.asked.zip(inputs.ready) {
        add("not_ready", f64::from(asked.saturating_sub(ready)));
    }
    // The window that arrivals are measured over, how far a forecast looks, how long a rest takes to settle.
    for fixed in [
        HORIZON,
        LOOK_AHEAD,
        SETTLES_OWNED,
        SETTLES_UNTOLD,
        Duration::from_secs(15),
    ] {
        add("seconds", fixed.as_secs_f64());
    }
    // Moments are no figures.
    let text = match decision.text.find("not ready since") {
        Some(at) => format!("{}{}", &decision.text[..at], &decision.text[at + 37..]),
        None => decision.text.clone(),
    };
    let steps = decision.steps.iter();
    let sentences = steps.filter(|step| !matches!(step.rule, Rule::PodsNotReady(_)));
    let sentences = sentences.map(|step| explain::sentence(step, inputs));
    let mut all = sentences.chain([text]).flat_map(|text| numbers(&text));
    all.find(|number| !known.iter().any(|figure| is_written_from(*number, figure)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_step_begins_where_the_one_before_ended_and_follows_from_its_figures(
        spec in spec(), moments in prop::collection::vec(moment(), 1..12),
    ) {
        let order = rules();
        for decision in decisions(spec.clone(), &moments) {
            let steps: Vec<&Step> = decision.steps.iter().collect();
            let mut count = 0;
            let mut place = 0;
            for step in &steps {
                prop_assert_eq!(step.before, count, "{:?}", steps);
                count = step.after;
                let at = order.iter().position(|rule| *rule == name(step));
                prop_assert!(at >= Some(place), "{} is out of order in {:?}", name(step), steps);
                place = at.unwrap_or(place);
                let wrong = contradiction(step, &decision, &spec);
                prop_assert_eq!(wrong, None, "{}", decision.text);
            }
            if let Some(desired) = decision.desired {
                prop_assert_eq!(count, u64::from(desired), "{:?}", steps);
            }
            let limits = steps.iter().any(|step| step.rule.limit() != Limit::None);
            let is_answer = decision.metric.is_some();
            prop_assert!(!is_answer || limits == (decision.limit != Limit::None));
        }
    }

    #[test]
    fn every_number_in_a_sentence_is_a_figure_beside_it(
        spec in spec(), moments in prop::collection::vec(moment(), 1..12),
    ) {
        for decision in decisions(spec, &moments).iter().filter(|d| d.steps.deciding().is_some()) {
            prop_assert_eq!(unexplained(decision), None, "{}", decision.text);
        }
    }
}

#[test]
fn the_random_histories_meet_the_rules() {
    let mut runner = TestRunner::deterministic();
    let history = (spec(), prop::collection::vec(moment(), 1..12));
    let mut met = BTreeSet::new();
    for _ in 0..600 {
        let (spec, moments) = history.new_tree(&mut runner).expect("a history").current();
        for decision in decisions(spec, &moments) {
            met.extend(decision.steps.iter().map(name));
        }
    }
    let mut rules = rules();
    rules.retain(|rule| !met.contains(rule));
    // These rest on a past of which only a model tells; their own tests meet them.
    let rest = ["relief", "reserve", "not_measured", "stuck", "ineffective"];
    assert_eq!(rules, rest, "not met");
}

#[test]
fn the_list_of_rules_is_read_from_the_file_that_lists_them() {
    let rules = rules();
    assert_eq!(rules.first().map(String::as_str), Some("idle"));
    assert_eq!(rules.last().map(String::as_str), Some("paused"));
    assert!(
        rules.contains(&"one_job_per_message".to_owned()),
        "{rules:?}"
    );
}

#[test]
fn the_documentation_names_every_rule_in_order() {
    let policy = include_str!("../../docs/policy.md");
    let (_, table) = policy
        .split_once("## The rules")
        .expect("a section of that name");
    let (table, _) = table.split_once("\n## ").expect("its end");
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = cells.filter_map(|cell| cell.split(" | ").next());
    let names: Vec<&str> = names.flat_map(|cell| cell.split("`, `")).collect();
    let names: Vec<&str> = names.iter().map(|name| name.trim_matches('`')).collect();
    assert_eq!(names, rules());
}
