//! The demo's live table: a line now and then, and the decision in words whenever it changes.

use crate::commands::table::grouped;
use crate::model::facts::GroupFacts;
use crate::model::quantity::Quantity;
use crate::policy::decision::Decision;

/// Columns that everything printed fits into.
const WIDTH: usize = 120;

/// What one line shows.
pub struct TableRow<'a> {
    /// Seconds since the start.
    pub second: u64,
    /// What the story is at.
    pub phase: &'a str,
    /// What the service knows.
    pub facts: &'a GroupFacts,
    /// What it decided; `None` before the first observation.
    pub decision: Option<&'a Decision>,
    /// Replicas wanted by KEDA and the HPA, and how many of them are ready.
    pub replicas: (u32, u32),
}

/// The names of the columns.
pub fn header() -> String {
    format!(
        "{:>5}  {:<13}  {:>8}  {:>6}  {:>9}  {:>7}  {:>7}  {:>12}  {:<14}  {}",
        "time",
        "phase",
        "backlog",
        "oldest",
        "arrival/s",
        "hottest",
        "desired",
        "actual/ready",
        "limit",
        "reason"
    )
}

/// One line, at most [`WIDTH`] columns.
pub fn line(row: &TableRow<'_>) -> String {
    let (desired, limit, reason) = match row.decision {
        Some(d) => (
            d.desired.map_or_else(unknown, |n| n.to_string()),
            d.limit.as_str(),
            d.reason.as_str(),
        ),
        None => (unknown(), "", ""),
    };
    format!(
        "{:>4}s  {:<13}  {:>8}  {:>6}  {:>9}  {:>7}  {:>7}  {:>12}  {:<14}  {}",
        row.second,
        row.phase,
        row.facts
            .backlog
            .map_or_else(unknown, |backlog| match backlog {
                Quantity::Exact(n) => grouped(n),
                Quantity::AtLeast(n) => format!("≥{}", grouped(n)),
            }),
        row.facts
            .oldest_age_seconds
            .map_or_else(unknown, |age| format!("{age:.1}s")),
        row.facts
            .arrival_per_second
            .map_or_else(unknown, |rate| format!("{rate:.0}")),
        hottest(row.facts).map_or_else(unknown, |share| format!("{:.0} %", share * 100.0)),
        desired,
        format!("{}/{}", row.replicas.0, row.replicas.1),
        limit,
        reason,
    )
}

/// A decision in words, under its line, wrapped to the width of the table.
pub fn words(text: &str) -> String {
    let mut lines = vec![String::from("       →")];
    for word in text.split_whitespace() {
        let fits = lines
            .last()
            .is_some_and(|line| line.chars().count() + 1 + word.chars().count() <= WIDTH);
        if !fits {
            lines.push(" ".repeat(8));
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n")
}

/// The hottest partition's share of all arrivals.
fn hottest(facts: &GroupFacts) -> Option<f64> {
    let total = facts.arrival_per_second.filter(|rate| *rate > 0.0)?;
    let rates = facts
        .partitions
        .values()
        .filter_map(|p| p.arrival_per_second);
    Some(rates.fold(0.0, f64::max) / total)
}

fn unknown() -> String {
    "?".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_a_question_mark_and_never_a_zero() {
        let row = TableRow {
            second: 3,
            phase: "quiet",
            facts: &GroupFacts::default(),
            decision: None,
            replicas: (2, 1),
        };
        let line = line(&row);
        assert_eq!(line.matches('?').count(), 5, "{line}");
        assert!(
            line.contains("2/1") && line.chars().count() <= WIDTH,
            "{line}"
        );
    }

    #[test]
    fn words_wrap_under_their_line_and_none_is_lost() {
        let text =
            "3 replicas: 50 messages/s arrive and 559 wait, the oldest for 4.8 s; ".repeat(4);
        let wrapped = words(&text);
        assert!(wrapped.lines().count() > 2, "{wrapped}");
        assert!(wrapped.lines().all(|line| line.chars().count() <= WIDTH));
        let said: Vec<&str> = wrapped.split_whitespace().skip(1).collect();
        assert_eq!(said, text.split_whitespace().collect::<Vec<_>>());
        assert_eq!(words("0 replicas"), "       → 0 replicas");
    }
}
