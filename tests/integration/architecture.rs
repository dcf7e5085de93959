//! The layers and habits of the code, checked by reading it: who may import whom, what the pure parts never name.

mod cycles;
mod tunables;
mod uses;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Layer, and what of ours it may import beside itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("scaled_object", &[]),
    ("resilience", &["model"]),
    ("clock", &["model"]),
    ("codec", &[]),
    ("trace", &[]),
    ("web", &["model", "files"]),
    ("tls", &[]),
    ("files", &[]),
    ("inbound", &["files"]),
    ("autoscaler", &["model"]),
    ("policy", &["model", "scaled_object"]),
    ("group", &["model", "scaled_object", "policy"]),
    ("config", &["model", "policy", "files"]),
    (
        "publish",
        &[
            "model",
            "scaled_object",
            "policy",
            "group",
            "journal",
            "config",
            "trace",
        ],
    ),
    (
        "registry",
        &[
            "model",
            "scaled_object",
            "policy",
            "group",
            "config",
            "publish",
        ],
    ),
    (
        "replication",
        &[
            "model", "group", "journal", "config", "publish", "registry", "cluster", "clock",
        ],
    ),
    (
        "sources",
        &["model", "config", "resilience", "web", "tls", "trace"],
    ),
    (
        "signals",
        &["model", "config", "resilience", "clock", "web"],
    ),
    (
        "cluster",
        &["model", "scaled_object", "config", "resilience", "clock"],
    ),
    ("state", &["model", "group", "files"]),
    (
        "journal",
        &["model", "scaled_object", "policy", "group", "files"],
    ),
    ("recording", &["model", "config"]),
    (
        "simulation",
        &[
            "model",
            "scaled_object",
            "policy",
            "group",
            "autoscaler",
            "files",
        ],
    ),
    (
        "collector",
        &[
            "model",
            "scaled_object",
            "policy",
            "group",
            "journal",
            "config",
            "sources",
            "cluster",
            "signals",
            "state",
            "publish",
            "registry",
            "replication",
            "recording",
            "resilience",
            "clock",
        ],
    ),
    (
        "adapters",
        &[
            "model",
            "scaled_object",
            "policy",
            "group",
            "publish",
            "registry",
            "replication",
            "config",
            "clock",
            "shutdown",
            "inbound",
            "web",
            "trace",
        ],
    ),
    ("migration", &["policy", "config"]),
    ("shutdown", &[]),
    ("cli", &["model", "policy", "config", "simulation"]),
];

/// They wire everything together and may import everything.
const WIRING: &[&str] = &["commands", "lib", "main", "telemetry"];

/// What makes code depend on the moment it runs at, or on a runtime.
const IMPURE: &[&str] = &["tokio", "Instant::now", "SystemTime::now"];

const PURE: &[&str] = &[
    "model",
    "scaled_object",
    "policy",
    "group",
    "autoscaler",
    "simulation",
];

const MAX_LINES: usize = 400;

struct SourceFile {
    path: PathBuf,
    layer: String,
    text: String,
}

impl SourceFile {
    /// The lines of code, without comments.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default())
    }
}

fn files() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    assert!(paths.len() > 10, "the sources were found");
    let file = |path: PathBuf| {
        let inside = path.strip_prefix(&root).expect("under src");
        let first = inside.iter().next().expect("a name").to_string_lossy();
        SourceFile {
            layer: first.trim_end_matches(".rs").to_owned(),
            text: std::fs::read_to_string(&path).expect("readable"),
            path: inside.to_owned(),
        }
    };
    paths.into_iter().map(file).collect()
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    paths.sort();
}

/// The modules at the top of the crate that a text names as `crate::x` or within `crate::{x, y::z}`.
fn imports(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, start) in text.match_indices("crate::") {
        let rest = &text[at + start.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.extend(head(rest)),
        }
    }
    found
}

fn head(path: &str) -> Option<String> {
    let name: String = path
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

/// The first names of the items of a group whose opening brace was read already.
fn group_heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut start) = (Vec::new(), 1, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            heads.extend(head(group[start..at].trim_start()));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn check(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn layers_import_only_what_the_table_allows() {
    let mut faults = Vec::new();
    for file in files()
        .iter()
        .filter(|file| !WIRING.contains(&file.layer.as_str()))
    {
        let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == file.layer) else {
            faults.push(format!(
                "{}: layer {} is not in the table",
                file.path.display(),
                file.layer
            ));
            continue;
        };
        let code: Vec<&str> = file.code().collect();
        for import in imports(&code.join("\n")) {
            if import != file.layer && !allowed.contains(&import.as_str()) {
                faults.push(format!(
                    "{}: {} must not import {import}",
                    file.path.display(),
                    file.layer
                ));
            }
        }
    }
    check(faults);
}

#[test]
fn the_table_allows_nothing_that_no_layer_needs() {
    let files = files();
    let mut faults = Vec::new();
    for (layer, allowed) in LAYERS {
        let of_layer = files.iter().filter(|file| file.layer == *layer);
        let code: String = of_layer
            .flat_map(SourceFile::code)
            .flat_map(|line| [line, "\n"])
            .collect();
        let used = imports(&code);
        let unused = allowed.iter().filter(|import| !used.contains(**import));
        faults.extend(unused.map(|import| format!("{layer} does not import {import}")));
    }
    check(faults);
}

#[test]
fn pure_layers_name_no_runtime_and_no_clock() {
    let mut faults = Vec::new();
    for file in files()
        .iter()
        .filter(|file| PURE.contains(&file.layer.as_str()))
    {
        for (number, line) in file.code().enumerate() {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                faults.push(format!(
                    "{}:{}: names {word}",
                    file.path.display(),
                    number + 1
                ));
            }
        }
    }
    check(faults);
}

#[test]
fn every_file_says_in_its_first_line_what_it_is() {
    let silent = files()
        .into_iter()
        .filter(|file| !file.text.starts_with("//! "));
    check(
        silent
            .map(|file| format!("{}: opens without `//! `", file.path.display()))
            .collect(),
    );
}

#[test]
fn modules_stand_in_files_of_their_own_name() {
    let named = files()
        .into_iter()
        .filter(|file| file.path.ends_with("mod.rs"));
    check(
        named
            .map(|file| format!("{}: name it after its module", file.path.display()))
            .collect(),
    );
}

#[test]
fn files_stay_short_enough_to_be_read() {
    let mut paths = Vec::new();
    for folder in ["src", "tests", "benches"] {
        collect(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut paths,
        );
    }
    let is_long = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("readable");
        text.lines().count() > MAX_LINES
    };
    let long = paths.iter().filter(|path| is_long(path));
    check(
        long.map(|path| format!("{}: more than {MAX_LINES} lines", path.display()))
            .collect(),
    );
}

#[test]
fn imports_are_found_in_every_form() {
    let check = |text: &str, expect: &[&str]| {
        let expect: BTreeSet<String> = expect.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(imports(text), expect, "{text}");
    };
    check("use crate::model::sample::Sample;", &["model"]);
    check(
        "use crate::{model::{a, b::c}, policy, config::x};",
        &["config", "model", "policy"],
    );
    check("let x = crate::policy::spec::Mode::default();", &["policy"]);
    check("use std::fmt;", &[]);
}
