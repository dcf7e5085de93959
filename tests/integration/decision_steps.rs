//! A decision is its steps: each begins where the one before ended, in the order of the rules, and every number in a sentence is
//! one of the figures beside it. Where a rule is a formula its count is computed again. Over random histories of random groups.

mod history;
mod numbers;

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use streamgauge::model::downstream::Breaker;
use streamgauge::model::identity::Assignment;
use streamgauge::model::quantity::Quantity;
use streamgauge::policy::decision::Decision;
use streamgauge::policy::rule::Limit;
use streamgauge::policy::rule::{Rule, Work};
use streamgauge::policy::spec::{Mode, TargetSpec};
use streamgauge::policy::steps::Step;

use history::{decisions, moment, spec};
use numbers::unexplained;

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
        Rule::Explored(figures) => after > 0 && figures.consumer_seen_per_second > 0.0,
        Rule::FirstStep(f) => {
            let meanwhile = f.counted_per_second * f.start_seconds;
            let backlog = (f.waiting as f64 + meanwhile) / f.catch_up_seconds;
            let replicas = up((f.counted_per_second + backlog) / f.supposed_per_second);
            after == replicas.clamp(1, f.largest.into())
        }
        Rule::Delay => after > 0,
        Rule::Kept => after > before,
        Rule::Started(f) => {
            let enough = f64::from(f.replicas) * (1.0 + f.larger_by_ratio);
            after < before && before as f64 <= enough
        }
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
    for _ in 0..1_500 {
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
