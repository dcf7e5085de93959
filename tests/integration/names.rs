//! What the code names: a type name has one meaning, unless the list below says why several types share it; and pages of the docs
//! that comments refer to are there.

use std::collections::BTreeMap;
use std::path::Path;

/// Names of several types, and why they may share one.
const SHARED: &[(&str, &str)] = &[
    (
        "Inner",
        "the state behind a handle, seen only within the file of that handle",
    ),
    (
        "Read",
        "how a metric reads its value from what is exported, seen only within the table of those metrics",
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file outside tests, with its path.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(&root().join("src"), &mut found);
    assert!(found.len() > 100, "the sources were found");
    found
}

fn collect(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let is_test = path.file_stem().is_some_and(|name| name == "tests");
        if path.is_dir() && !is_test {
            collect(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") && !is_test {
            let code = std::fs::read_to_string(&path).expect("readable");
            found.push((path.display().to_string(), code));
        }
    }
}

/// Every type of a file outside its tests.
fn types(code: &str) -> impl Iterator<Item = &str> {
    let code = code.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines().filter_map(|line| {
        let declared = match line.strip_prefix("pub") {
            // `pub(super) struct` as well as `pub struct`.
            Some(rest) => rest.split_once(' ')?.1,
            None => line,
        };
        let (kind, rest) = declared.split_once(' ')?;
        let is_type = ["struct", "enum", "trait", "type"].contains(&kind);
        let end = rest.find(|c: char| !c.is_alphanumeric())?;
        is_type.then_some(&rest[..end])
    })
}

#[test]
fn a_type_name_has_one_meaning() {
    let sources = sources();
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (file, code) in &sources {
        for name in types(code) {
            found.entry(name).or_default().push(file);
        }
    }
    found.retain(|_, files| files.len() > 1);
    let shared = SHARED.iter().map(|(name, _)| *name);
    let outdated: Vec<&str> = shared.filter(|name| found.remove(name).is_none()).collect();
    assert!(outdated.is_empty(), "no longer shared: {outdated:?}");
    assert!(found.is_empty(), "give each its own name:\n{found:#?}");
}

#[test]
fn types_are_found_in_every_form() {
    let code = "pub struct A;\npub(super) enum B {}\ntrait C: X {}\npub type D<T> = T;\n    type E = A;\nstruct F(u8);\n\
                #[cfg(test)]\nmod tests {\nstruct G;\n}";
    assert_eq!(types(code).collect::<String>(), "ABCDF");
}

#[test]
fn every_page_and_section_that_a_comment_names_is_there() {
    for (file, code) in sources() {
        let marks = ['/', '!', ' '];
        let lines = code.lines().map(|line| line.trim_start_matches(marks));
        let text = lines.collect::<Vec<_>>().join(" ");
        for rest in text.split("docs/").skip(1) {
            let Some((page, rest)) = rest.split_once(".md") else {
                continue;
            };
            let missing = format!("{file}: docs/{page}.md");
            let page = std::fs::read_to_string(root().join(format!("docs/{page}.md")));
            let page = page.unwrap_or_else(|_| panic!("{missing} is not there"));
            if let Some((section, _)) = rest.strip_prefix(", \"").and_then(|s| s.split_once('"')) {
                let mut headings = page.lines().filter(|line| line.starts_with('#'));
                let is_there = headings.any(|line| line.contains(section));
                assert!(is_there, "{missing} has no section {section:?}");
            }
        }
    }
}
