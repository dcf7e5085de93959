//! The report as one page that needs nothing else: `report.html` with its style, script and data put in.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::jobs::CellDone;
use super::plan::{Cell, Plan, WorkloadSource};
use super::report::Report;
use super::table;
use crate::simulation::course::{Course, Series, load};
use crate::simulation::plant::PlantSpec;

const PAGE: &str = include_str!("report.html");
const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// More drawings than this make the page too heavy to open.
const MOST_DRAWN: usize = 30;

#[derive(Serialize)]
struct PageData<'r> {
    /// Those in the report, in its order.
    policies: Vec<&'r str>,
    report: &'r Report,
    /// What the table on stdout says below its figures.
    sentences: Vec<String>,
    drawings: Vec<Drawing<'r>>,
}

#[derive(Serialize)]
struct Drawing<'r> {
    /// The cell's place in the report.
    cell: usize,
    tick_seconds: f64,
    ticks: usize,
    arrivals_per_second: Series,
    spans: Vec<NamedSpan>,
    /// One per policy.
    courses: Vec<&'r Course>,
}

/// Something that happens for a while.
#[derive(Serialize)]
struct NamedSpan {
    from: usize,
    to: usize,
    name: String,
}

/// The cells whose course is drawn: all, or if these are too many the first of those under the usual conditions.
pub(super) fn cells_to_draw(plan: &Plan) -> Vec<usize> {
    let usual = PlantSpec::default();
    let mut numbers: Vec<usize> = (0..plan.cells.len()).collect();
    if numbers.len() > MOST_DRAWN {
        let is_unusual = |n: &usize| {
            let spec = &plan.cells[*n].spec;
            spec.commits != usual.commits || spec.capacity_per_second != usual.capacity_per_second
        };
        numbers.sort_by_key(is_unusual);
        numbers.truncate(MOST_DRAWN);
        numbers.sort_unstable();
    }
    numbers
}

/// The page.
///
/// # Errors
/// The data cannot be written as JSON.
pub(super) fn render(plan: &Plan, report: &Report, done: &[CellDone]) -> Result<String> {
    let policies = shown(report);
    let all: Vec<String> = plan.policies.iter().map(ToString::to_string).collect();
    let kept = |n: &usize| policies.contains(&all[*n].as_str());
    let kept: Vec<usize> = (0..all.len()).filter(kept).collect();
    let drawings = cells_to_draw(plan).into_iter();
    let data = PageData {
        policies,
        report,
        sentences: table::sentences(report),
        drawings: drawings
            .map(|n| draw(n, &plan.cells[n], &done[n], &kept))
            .collect(),
    };
    // Nothing in the data may end the element that it stands in.
    let json = serde_json::to_string(&data)?.replace('<', "\\u003c");
    Ok(PAGE
        .replace("STYLE_HASH", &hash(STYLE))
        .replace("SCRIPT_HASH", &hash(SCRIPT))
        .replacen("/*STYLE*/", STYLE, 1)
        .replacen("/*SCRIPT*/", SCRIPT, 1)
        .replacen("/*DATA*/", &json, 1))
}

/// The policies of the report: of thresholds tried only to choose one, that one alone.
fn shown(report: &Report) -> Vec<&str> {
    let cell = report.cells.first();
    let entries = cell.iter().flat_map(|cell| &cell.policies);
    entries.map(|entry| entry.policy.as_str()).collect()
}

fn draw<'r>(n: usize, cell: &Cell, done: &'r CellDone, kept: &[usize]) -> Drawing<'r> {
    let workload = cell.workload(0);
    let step = workload.trace.step();
    let mut spans: Vec<NamedSpan> = workload
        .faults
        .iter()
        .map(|fault| NamedSpan {
            from: fault.from,
            to: fault.to,
            name: fault.kind.to_string(),
        })
        .collect();
    if let WorkloadSource::BuiltIn(scenario) = &cell.subject {
        spans.extend(scenario.events().map(|(from, to, what)| NamedSpan {
            from: step.ticks(from),
            to: step.ticks(to),
            name: what.to_owned(),
        }));
    }
    spans.sort_by_key(|span| span.from);
    Drawing {
        cell: n,
        tick_seconds: step.seconds(),
        ticks: workload.trace.ticks().len(),
        arrivals_per_second: load(&workload.trace),
        spans,
        courses: kept.iter().map(|n| &done.courses[*n]).collect(),
    }
}

/// As a content security policy names what it allows.
fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::SimulateArgs;
    use crate::commands::simulate::jobs;

    /// A page about a short workload.
    fn page() -> String {
        let scenario = crate::simulation::scenarios::Scenario::named("stuck-partition").unwrap();
        let args = SimulateArgs {
            scenario: vec![crate::cli::ScenarioChoice(vec![scenario])],
            policy: vec!["streamgauge".parse().unwrap(), "static:5".parse().unwrap()],
            max_replicas: 100,
            min_replicas: 1,
            poll_interval: std::time::Duration::from_secs(5),
            ..SimulateArgs::default()
        };
        let plan = Plan::of(&args).unwrap();
        let done = jobs::run(&plan, &cells_to_draw(&plan));
        render(&plan, &Report::of(&plan, &done), &done).unwrap()
    }

    #[test]
    fn the_page_holds_its_data_and_refers_to_nothing_outside() {
        let page = page();
        let (_, rest) = page
            .split_once("<script type=\"application/json\" id=\"data\">")
            .unwrap();
        let (json, _) = rest.split_once("</script>").unwrap();
        let data: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(
            data["drawings"][0]["spans"][0]["name"],
            "partition no. 2 stuck"
        );
        assert_eq!(
            data["policies"],
            serde_json::json!(["streamgauge", "static:5"])
        );
        let decision = &data["drawings"][0]["courses"][0]["changes"][0]["text"];
        assert!(decision.as_str().unwrap().len() > 10, "{decision}");
        let namespace = "http://www.w3.org/2000/svg";
        let outside = page.replace(namespace, "");
        for reference in ["http:", "https:", "src=", "href=\"/", "url(", "@import"] {
            assert!(!outside.contains(reference), "{reference}");
        }
        assert!(page.contains("default-src 'none'"));
        assert!(page.contains(&hash(SCRIPT)) && page.contains(&hash(STYLE)));
    }
}
