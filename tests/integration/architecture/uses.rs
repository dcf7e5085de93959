//! What a file of Rust names: the paths that it writes out, and the names that `use` gives it. A reading of the text, not of the
//! grammar: good enough for code as rustfmt leaves it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A path of modules from the root of the crate.
pub type Name = Vec<String>;

/// A file as far as it names others.
#[derive(Debug, Default)]
pub struct Module {
    /// Names that stand for something else, from `use`.
    pub aliases: BTreeMap<String, Name>,
    /// All paths that are written out.
    pub paths: BTreeSet<Name>,
}

impl Module {
    /// Reads a file.
    pub fn of(text: &str) -> Self {
        let mut module = Self::default();
        let mut body = String::new();
        let code = code(text);
        let mut rest = code.as_str();
        while let Some((at, is_public, tree)) = next_use(rest) {
            body.push_str(&rest[..at]);
            let end = tree.find(';').unwrap_or(tree.len());
            let mut leaves = Vec::new();
            flatten(&tokens(&tree[..end]), &Name::new(), &mut leaves);
            for (path, alias) in leaves {
                module.aliases.insert(alias, path.clone());
                if !is_public {
                    module.paths.insert(path);
                }
            }
            rest = &tree[end..];
        }
        body.push_str(rest);
        module.paths.extend(written_out(&tokens(&body)));
        module
    }
}

/// Where the next `use` starts, whether it passes things on, and what follows it.
fn next_use(text: &str) -> Option<(usize, bool, &str)> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let declared = line.trim_start();
        let (is_public, declared) = match declared.strip_prefix("pub ") {
            Some(rest) => (true, rest),
            None => (false, declared),
        };
        if let Some(tree) = declared.strip_prefix("use ") {
            let at = start + line.len() - tree.len();
            return Some((start, is_public, &text[at..]));
        }
        start += line.len();
    }
    None
}

/// Names and punctuation, `::` in one.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut is_open = false;
    for c in text.chars() {
        let is_name = c.is_ascii_alphanumeric() || c == '_';
        match tokens.last_mut() {
            Some(last) if is_name && is_open => last.push(c),
            Some(last) if c == ':' && last == ":" => last.push(c),
            _ if c.is_whitespace() => {}
            _ => tokens.push(c.to_string()),
        }
        is_open = is_name;
    }
    tokens
}

/// The paths of a `use`, each with the name that it gets.
fn flatten(tree: &[String], before: &Name, leaves: &mut Vec<(Name, String)>) {
    let mut path = before.clone();
    let mut at = 0;
    while at < tree.len() {
        match tree[at].as_str() {
            "::" => {}
            "{" => {
                for item in items(&tree[at + 1..])
                    .into_iter()
                    .filter(|item| !item.is_empty())
                {
                    flatten(item, &path, leaves);
                }
                return;
            }
            "as" => {
                leaves.push((path, tree.get(at + 1).cloned().unwrap_or_default()));
                return;
            }
            "self" if at + 1 == tree.len() && !before.is_empty() => {}
            name => path.push(name.to_owned()),
        }
        at += 1;
    }
    if let Some(last) = path.last().cloned() {
        leaves.push((path, last));
    }
}

/// What stands between the commas of a group whose opening brace was read already.
fn items(group: &[String]) -> Vec<&[String]> {
    let (mut items, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, token) in group.iter().enumerate() {
        match token.as_str() {
            "{" => depth += 1,
            "}" if depth > 0 => depth -= 1,
            "}" => {
                items.push(&group[start..at]);
                return items;
            }
            "," if depth == 0 => {
                items.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

/// Every path of the code, and every name that stands alone: it may be one of `use`.
fn written_out(tokens: &[String]) -> BTreeSet<Name> {
    let mut paths = BTreeSet::new();
    let mut path = Name::new();
    let mut goes_on = false;
    for token in tokens {
        let is_name = token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if is_name && !goes_on {
            paths.insert(std::mem::take(&mut path));
        }
        if is_name {
            path.push(token.clone());
        }
        goes_on = token == "::";
    }
    paths.insert(path);
    paths.remove(&Name::new());
    paths
}

/// The code without comments, what stands in quotes, and tests.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let bare = line.split("//").next().unwrap_or_default();
        let first = bare.trim_start();
        if first.starts_with("#[cfg(test)]") {
            let opens = lines.find(|line| !line.trim_start().starts_with("#["));
            if opens.is_some_and(|line| line.trim_end().ends_with('{')) {
                lines.by_ref().find(|line| *line == "}");
            }
            continue;
        }
        if first.starts_with("mod ") || first.starts_with("pub mod ") {
            continue;
        }
        let outside: String = bare
            .split('"')
            .step_by(2)
            .flat_map(|part| [part, " "])
            .collect();
        code.push_str(&without_scopes(&outside));
        code.push('\n');
    }
    code
}

/// `pub(super)` and its like name no one who is used.
fn without_scopes(line: &str) -> String {
    let mut parts = line.split("pub(");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |line, part| {
        let after = part.split_once(')').map_or("", |(_, after)| after);
        line + "pub " + after.trim_start()
    })
}

/// The module that stands in a file.
pub fn name(path: &Path) -> Name {
    let parts = path.iter().map(|part| part.to_string_lossy());
    parts
        .map(|part| part.trim_end_matches(".rs").to_owned())
        .collect()
}

/// Modules in files of their own that are declared for tests only.
pub fn test_modules(of: &Name, text: &str) -> Vec<Name> {
    let lines: Vec<&str> = text.lines().collect();
    let starts = (0..lines.len()).filter(|at| lines[*at].trim() == "#[cfg(test)]");
    let declared = starts.filter_map(|at| {
        let line = lines[at + 1..].iter().find(|line| !line.starts_with('#'))?;
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    declared
        .map(|child| [of.as_slice(), &[child.to_owned()]].concat())
        .collect()
}
