//! The examples of the documentation are accepted by the program, and its links lead somewhere.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_yaml::Value;
use streamgauge::config::metadata::TriggerRequest;
use streamgauge::config::types::Config;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<(PathBuf, String)> {
    let docs = std::fs::read_dir(root().join("docs")).expect("docs");
    let mut paths: Vec<PathBuf> = docs.map(|entry| entry.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.push(root().join("README.md"));
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("readable");
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// What stands between "```yaml" and "```".
fn yaml_blocks(text: &str) -> Vec<&str> {
    let starts = text.split("```yaml\n").skip(1);
    starts
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block)
        .collect()
}

#[test]
fn every_example_is_accepted() {
    let (mut configs, mut objects) = (0, 0);
    for (path, text) in pages() {
        let blocks = yaml_blocks(&text);
        for block in blocks.iter().flat_map(|block| block.split("---\n")) {
            let place = path.display().to_string();
            let value: Value = serde_yaml::from_str(block).expect("YAML");
            let trigger = &value["spec"]["triggers"][0];
            match (value["kind"].as_str(), trigger["type"].as_str()) {
                (Some("ScaledObject"), Some("external" | "external-push")) => {
                    let metadata: HashMap<String, String> =
                        serde_yaml::from_value(trigger["metadata"].clone()).expect("texts");
                    TriggerRequest::parse(&metadata)
                        .unwrap_or_else(|errors| panic!("{place}: {errors}"));
                    objects += 1;
                }
                // Of KEDA's own triggers, and what belongs to them.
                (Some(_), _) => {}
                (None, _) => {
                    Config::parse(block, &place).unwrap_or_else(|errors| panic!("{errors}"));
                    configs += 1;
                }
            }
        }
    }
    assert!(
        configs >= 3 && objects >= 1,
        "{configs} configs and {objects} ScaledObjects found"
    );
}

#[test]
fn every_link_to_a_file_leads_somewhere() {
    for (path, text) in pages() {
        for rest in text.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            if target.starts_with("http") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => path.clone(),
                file => path.parent().expect("a folder").join(file),
            };
            let missing = format!("{}: {target} is not there", path.display());
            assert!(file.exists(), "{missing}");
            if !heading.is_empty() {
                let text = std::fs::read_to_string(file).expect("a page");
                assert!(headings(&text).any(|found| found == heading), "{missing}");
            }
        }
    }
}

/// The headings of a page as links name them: lower case, hyphens for spaces, without other marks.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}
