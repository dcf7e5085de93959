//! Docs, JSON Schema and examples of the config are those of the table of keys that the program reads by.

mod form;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use boon::{Compiler, Schemas};
use serde_json::Value as Json;
use serde_yaml::Value;
use streamgauge::config::reference::{
    KeyInfo, Standard, json_schema_text, sections, shown, trigger_keys,
};
use streamgauge::config::types::Config;

const REWRITE: &str = "UPDATE_DOCS=1 cargo test --test integration config_reference::";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// Compares a file with what it has to be, or writes it where that is asked for.
fn check_file(path: &Path, expect: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, expect).expect("written");
        return;
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    let path = path.display();
    assert!(
        found == expect,
        "{path} differs from the table of keys. Rewrite it: {REWRITE}"
    );
}

fn table<'k>(keys: impl Iterator<Item = (String, &'k KeyInfo)>) -> String {
    let mut text = "| key | default | meaning |\n|---|---|---|\n".to_owned();
    for (name, key) in keys {
        let default = match &key.standard {
            Standard::Required => "required".to_owned(),
            Standard::Value(value) => format!("`{}`", shown(value)),
            Standard::Words(words) => (*words).to_owned(),
            Standard::Nothing => "–".to_owned(),
        };
        let limits = key.limits.as_ref().map(|limits| format!(" {limits}"));
        let meaning = format!("{}{}", key.about, limits.unwrap_or_default());
        let meaning = meaning.replace('|', "\\|");
        writeln!(text, "| `{name}` | {default} | {meaning} |").expect("written");
    }
    text
}

/// The tables of the docs by the name that their marker has.
fn tables() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = sections()
        .iter()
        .map(|section| {
            let name = match section.path.as_str() {
                "" => "the file",
                path => path,
            };
            let keys = section.keys.iter();
            (
                name.to_owned(),
                table(keys.map(|key| (key.name.to_owned(), key))),
            )
        })
        .collect();
    let keys = trigger_keys();
    let rows = keys.iter().map(|(name, key)| (name.clone(), key));
    all.push(("trigger metadata".to_owned(), table(rows)));
    all
}

const END: &str = "<!-- end of keys -->";

/// The page with each marked table replaced by that of the keys, and the names of the tables.
fn filled(page: &str) -> (String, Vec<String>) {
    let (mut text, mut names) = (String::new(), Vec::new());
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("<!-- keys of ") {
        let (name, after) = after.split_once(" -->").expect("a marker that ends");
        let (_, after) = after.split_once(END).expect("a table that ends");
        let tables = tables();
        let table = tables.iter().find(|(known, _)| known == name);
        let (_, table) = table.unwrap_or_else(|| panic!("there are no keys of {name}"));
        write!(text, "{before}<!-- keys of {name} -->\n\n{table}\n{END}").expect("written");
        names.push(name.to_owned());
        rest = after;
    }
    text.push_str(rest);
    (text, names)
}

#[test]
fn the_docs_have_every_key_as_the_program_reads_it() {
    let mut documented = Vec::new();
    for page in ["configuration.md", "event-hubs.md"] {
        let path = docs().join(page);
        let (expect, names) = filled(&std::fs::read_to_string(&path).expect("readable"));
        check_file(&path, &expect);
        documented.extend(names);
    }
    let mut known: Vec<String> = tables().into_iter().map(|(name, _)| name).collect();
    known.sort();
    documented.sort();
    assert_eq!(documented, known, "each table stands in one page, once");
}

#[test]
fn the_schema_is_that_of_the_table() {
    check_file(&docs().join("config.schema.json"), &json_schema_text());
}

/// What the schema says of a config; `None` if nothing.
fn schema_fault(text: &str) -> Option<String> {
    const PLACE: &str = "http://streamgauge.example/config.schema.json";
    let schema: Json = serde_json::from_str(&json_schema_text()).expect("JSON");
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource(PLACE, schema).expect("a schema");
    let index = compiler.compile(PLACE, &mut schemas).expect("a schema");
    let value: Json = serde_yaml::from_str(text).expect("YAML");
    let found = schemas.validate(&value, index);
    found.err().map(|error| format!("{error:#}"))
}

/// The whole configs of docs, README and manifests: those that name sources.
fn examples() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(docs()).expect("docs");
    let pages = pages.map(|entry| entry.expect("a file").path());
    let pages = pages.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let mut found = Vec::new();
    for path in pages.chain([root.join("README.md")]) {
        let text = std::fs::read_to_string(&path).expect("readable");
        for rest in text.split("```yaml\n").skip(1) {
            let block = rest.split("```").next().unwrap_or_default();
            let documents = block.split("---\n");
            let configs = documents
                .filter(|text| text.contains("\nsources:") || text.starts_with("sources:"));
            found.extend(configs.map(|text| (path.display().to_string(), text.to_owned())));
        }
    }
    let map = root.join("manifests/configmap.yaml");
    let map: Value =
        serde_yaml::from_str(&std::fs::read_to_string(map).expect("readable")).expect("YAML");
    let text = map["data"]["config.yaml"].as_str().expect("a config");
    found.push(("configmap.yaml".into(), text.to_owned()));
    found
}

#[test]
fn the_examples_are_valid_by_the_schema_and_editors_are_led_to_it() {
    let all = examples();
    for (place, text) in &all {
        assert_eq!(schema_fault(text), None, "{place}");
    }
    let line = "# yaml-language-server: $schema=config.schema.json\n";
    for name in ["configuration.md", "configmap.yaml"] {
        let led =
            |(place, text): &&(String, String)| place.ends_with(name) && text.starts_with(line);
        assert!(all.iter().any(|example| led(&example)), "{name}");
    }
}

#[test]
fn every_default_is_what_holds_without_the_key() {
    let text = "sources: [{ name: m, redis: { url: 'redis://r' } }]\n\
                groups: [{ name: g, source: m, stream: s, consumer_group: c }]";
    let config = Config::parse(text, "c.yaml").expect("valid").to_yaml();
    let at = |path: &str, key: &str| {
        let mut value = &config;
        for part in path.split('.').filter(|part| !part.is_empty()) {
            let (name, is_list) = match part.strip_suffix("[]") {
                Some(name) => (name, true),
                None => (part, false),
            };
            value = value.get(name)?;
            if is_list {
                value = value.get(0)?;
            }
        }
        value.get(key).cloned()
    };
    let mut compared = 0;
    for section in sections() {
        for key in &section.keys {
            let Standard::Value(value) = &key.standard else {
                continue;
            };
            if let Some(found) = at(&section.path, key.name) {
                assert_eq!(found, *value, "{}.{}", section.path, key.name);
                compared += 1;
            }
        }
    }
    assert!(compared >= 15, "{compared}");
}
