//! An object's text with its new triggers: the lines of the old one, comments included, wherever they can be kept.
//!
//! Only text laid out in block style is edited line by line. Whether the result says what it must is checked by reading it again;
//! where it does not, the object is written anew and its comments are lost.

use serde::Deserialize as _;
use serde_yaml::{Deserializer, Mapping, Value};

use super::emit;
use super::manifest::{Manifest, at};

const LOST: &str = "# The comments of this object are lost: it is not laid out line by line.\n";

/// The text of the object as `moved` says.
pub(super) fn text_of(manifest: &Manifest, moved: &Value) -> String {
    let edited = edited(&manifest.text, &manifest.value, moved);
    if let Some(text) = edited.filter(|text| parse(text).as_ref() == Some(moved)) {
        return text;
    }
    let text = emit::yaml(moved);
    match manifest.text.contains('#') {
        true => format!("{LOST}{text}"),
        false => text,
    }
}

fn parse(text: &str) -> Option<Value> {
    let mut value = Value::deserialize(Deserializer::from_str(text)).ok()?;
    value.apply_merge().ok()?;
    Some(value)
}

fn edited(text: &str, old: &Value, new: &Value) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let (old, new) = (triggers(old)?, triggers(new)?);
    let items = items(&lines)?;
    if items.len() != new.len() {
        return None;
    }
    let mut edited: Vec<String> = Vec::new();
    let mut done = 0;
    for (item, (old, new)) in items.iter().zip(old.iter().zip(new)) {
        edited.extend(
            lines
                .get(done..item.start)?
                .iter()
                .map(|line| (*line).to_owned()),
        );
        let own = lines.get(item.start..item.end)?;
        match old == new {
            true => edited.extend(own.iter().map(|line| (*line).to_owned())),
            false => edited.extend(edited_item(own, item.dash, new.as_mapping()?)?),
        }
        done = item.end;
    }
    edited.extend(lines.get(done..)?.iter().map(|line| (*line).to_owned()));
    Some(edited.join("\n") + "\n")
}

fn triggers(object: &Value) -> Option<&Vec<Value>> {
    match at(object, &["spec", "triggers"])? {
        Value::Sequence(triggers) => Some(triggers),
        _ => None,
    }
}

/// The lines of one trigger, the last one excluded, and the column of its dash.
struct TriggerLines {
    start: usize,
    end: usize,
    dash: usize,
}

/// The triggers, if the text has one `triggers:` with a list below it.
fn items(lines: &[&str]) -> Option<Vec<TriggerLines>> {
    let is_head =
        |line: &&str| indent(line).and_then(|column| key_at(line, column)) == Some("triggers");
    let mut heads = (0..lines.len()).filter(|n| lines.get(*n).is_some_and(is_head));
    let head = heads.next().filter(|_| heads.next().is_none())?;
    let mut found: Vec<TriggerLines> = Vec::new();
    for (n, line) in lines.iter().enumerate().skip(head + 1) {
        let Some(column) = indent(line) else {
            continue;
        };
        let starts = line.trim_start().starts_with("- ");
        match found.last_mut() {
            None if starts => {}
            None => return None,
            Some(last) if column == last.dash && starts => last.end = n,
            Some(last) if column <= last.dash => {
                last.end = n;
                break;
            }
            Some(last) => {
                last.end = n + 1;
                continue;
            }
        }
        found.push(TriggerLines {
            start: n,
            end: n + 1,
            dash: column,
        });
    }
    Some(found)
}

/// The lines of a trigger as `new` says: keys that are gone without theirs, `type` and `metadata` with their new values.
fn edited_item(lines: &[&str], dash: usize, new: &Mapping) -> Option<Vec<String>> {
    let (first, rest) = lines.split_first()?;
    let first = format!("{} {}", first.get(..dash)?, first.get(dash + 1..)?);
    let column = indent(&first)?;
    let mut edited = Vec::new();
    let mut lines = Lines::new(std::iter::once(first.as_str()).chain(rest.iter().copied()));
    while let Some(line) = lines.next() {
        match key_at(line, column) {
            Some("type") => edited.push(with_value(line, new.get("type")?)?),
            Some("metadata") => {
                edited.push(line.to_owned());
                edited.extend(edited_metadata(lines.below(column), new.get("metadata")?)?);
            }
            Some(key) if !new.contains_key(key) => {
                lines.below(column);
            }
            Some(_) | None => edited.push(line.to_owned()),
        }
    }
    let first = edited.iter_mut().find(|line| indent(line).is_some())?;
    first.replace_range(dash..=dash, "-");
    Some(edited)
}

/// The lines below `metadata:`: what is new comes first, what is gone is left out.
fn edited_metadata(lines: Vec<&str>, new: &Value) -> Option<Vec<String>> {
    let column = lines.iter().find_map(|line| indent(line))?;
    let has = |key: &str| lines.iter().any(|line| key_at(line, column) == Some(key));
    let new = new.as_mapping()?;
    let mut edited = Vec::new();
    for (key, value) in new {
        let key = key.as_str()?;
        if !has(key) {
            let line = format!("{}{key}:", " ".repeat(column));
            edited.push(with_value(&line, value)?);
        }
    }
    let mut lines = Lines::new(lines.into_iter());
    while let Some(line) = lines.next() {
        match key_at(line, column) {
            Some(key) if !new.contains_key(key) => {
                lines.below(column);
            }
            Some(_) | None => edited.push(line.to_owned()),
        }
    }
    Some(edited)
}

/// The line of a key with that value, its comment kept.
fn with_value(line: &str, value: &Value) -> Option<String> {
    let (key, rest) = line.split_once(':')?;
    let comment = rest.find(" #").and_then(|at| rest.get(at..));
    let value = emit::yaml(value);
    Some(format!(
        "{key}: {}{}",
        value.trim_end(),
        comment.unwrap_or("")
    ))
}

/// Lines, of which those that belong to a key can be taken together.
struct Lines<'t, I: Iterator<Item = &'t str>>(std::iter::Peekable<I>);

impl<'t, I: Iterator<Item = &'t str>> Lines<'t, I> {
    fn new(lines: I) -> Self {
        Self(lines.peekable())
    }

    fn next(&mut self) -> Option<&'t str> {
        self.0.next()
    }

    /// Those that stand deeper than a key in that column, which was the last one taken.
    fn below(&mut self, column: usize) -> Vec<&'t str> {
        let deeper = |line: &&str| line.len() - line.trim_start().len() > column;
        std::iter::from_fn(|| self.0.next_if(deeper)).collect()
    }
}

/// The column in which a line starts; `None` for an empty line and a comment.
fn indent(line: &str) -> Option<usize> {
    let text = line.trim_start();
    (!text.is_empty() && !text.starts_with('#')).then(|| line.len() - text.len())
}

/// The key of a line, if one starts in that column.
fn key_at(line: &str, column: usize) -> Option<&str> {
    (indent(line) == Some(column)).then_some(())?;
    let (key, _) = line.trim_start().split_once(':')?;
    Some(key.trim_end().trim_matches(['"', '\'']))
}
