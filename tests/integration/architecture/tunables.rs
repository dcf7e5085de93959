//! What a layer is tuned by stands in one file.

use super::{SourceFile, check, files};

/// Layers whose tunables stand in `tuning.rs`, or in its folder.
const TUNED: &[&str] = &["model", "policy"];

/// Numbers that no one tunes: the calendar, formats, and what stands for "none".
const FIXED: &[&str] = &[
    "BINS_PER_DAY",
    "DAY",
    "DAY_HOURS",
    "DAY_MILLIS",
    "EXPONENT_BITS",
    "HOUR",
    "HOUR_MILLIS",
    "LAST_MILLI",
    "UNSEEN",
    "VERSION",
    "WEEK",
    "WEEK_HOURS",
];

/// The value that a line of code sets by itself: a constant, by its name, or a time within an expression.
fn set_here(line: &str) -> Option<&str> {
    const NUMBERS: &[&str] = &[
        "Duration", "f32", "f64", "u8", "u16", "u32", "u64", "i64", "usize",
    ];
    let line = line.trim_start();
    let declared = match line.strip_prefix("pub") {
        Some(rest) => rest.split_once("const ").map(|(_, declared)| declared),
        None => line.strip_prefix("const "),
    };
    let constant = declared
        .filter(|rest| !rest.starts_with("fn "))
        .and_then(|rest| rest.split_once(": "));
    if let Some((name, kind)) = constant {
        let kind = kind.trim_start_matches('[');
        let is_number = NUMBERS.iter().any(|number| kind.starts_with(number));
        return (is_number && !FIXED.contains(&name)).then_some(name);
    }
    let is_time = |unit: &str| {
        let written = line.split(unit).nth(1);
        written.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let units = ["Duration::from_secs(", "Duration::from_millis("];
    units.into_iter().any(is_time).then_some(line)
}

#[test]
fn what_a_layer_is_tuned_by_stands_in_one_file() {
    let is_apart = |file: &SourceFile| {
        let mut parts = file.path.iter().map(|part| part.to_string_lossy());
        parts.any(|part| part.starts_with("tuning") || part.starts_with("tests"))
    };
    let mut faults = Vec::new();
    for file in files() {
        if is_apart(&file) || !TUNED.contains(&file.layer.as_str()) {
            continue;
        }
        let code = file.text.split("#[cfg(test)]").next().unwrap_or_default();
        let set = code.lines().filter_map(set_here);
        faults.extend(set.map(|value| format!("{}: {value}", file.path.display())));
    }
    check(faults);
}
