//! Whether every number of a sentence is one of the figures beside it.

use std::time::Duration;

use serde_json::Value;

use streamgauge::model::tuning::forecast::{HORIZON, LOOK_AHEAD};
use streamgauge::model::tuning::quiet::{SETTLES_OWNED, SETTLES_UNTOLD};
use streamgauge::policy::decision::Decision;
use streamgauge::policy::explain;
use streamgauge::policy::rule::Rule;

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
pub fn unexplained(decision: &Decision) -> Option<f64> {
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
    let text = match decision.text.find("not been ready since") {
        Some(at) => format!("{}{}", &decision.text[..at], &decision.text[at + 42..]),
        None => decision.text.clone(),
    };
    let steps = decision.steps.iter();
    let sentences = steps.filter(|step| !matches!(step.rule, Rule::PodsNotReady(_)));
    let sentences = sentences.map(|step| explain::sentence(step, inputs));
    let mut all = sentences.chain([text]).flat_map(|text| numbers(&text));
    all.find(|number| !known.iter().any(|figure| is_written_from(*number, figure)))
}

#[test]
fn a_number_that_is_no_figure_is_found() {
    let known = [
        ("replicas".to_owned(), 9.0),
        ("share_ratio".to_owned(), 0.9),
    ];
    let explained = |number| known.iter().any(|figure| is_written_from(number, figure));
    assert!(explained(9.0) && explained(90.0));
    assert!(!explained(8.0) && !explained(91.0));
    assert_eq!(
        numbers("12,345 wait; 0.5 s, 2.7× the mean (9)."),
        [12_345.0, 0.5, 2.7, 9.0]
    );
}
