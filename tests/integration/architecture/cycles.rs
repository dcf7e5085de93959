//! Modules that use each other in a circle, found by reading paths: none may, within any folder.
//!
//! In a folder each module stands with all that is below it, and the file that bears the folder's name stands beside them as one
//! more. So a module may not use what that file declares if the file uses the module. What a file only passes on (`pub use`) it
//! does not use, and whoever gets it there uses the module that declares it. Methods are not looked at: a module may add some to a
//! type of the file above as long as that file does not name the module. Tests do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::uses::{Module, Name, name, test_modules};
use super::{check, files};

/// Who uses whom.
type Edges = BTreeMap<String, BTreeSet<String>>;

/// The file that bears the folder's name, among the modules of the folder.
const ITSELF: &str = "(itself)";

struct Crate(BTreeMap<Name, Module>);

impl Crate {
    fn read() -> Self {
        let files = files();
        let tests: BTreeSet<Name> = files
            .iter()
            .flat_map(|file| test_modules(&name(&file.path), &file.text))
            .collect();
        let is_test = |name: &Name| tests.iter().any(|test| name.starts_with(test));
        let modules = files.iter().map(|file| (name(&file.path), &file.text));
        Self(
            modules
                .filter(|(name, _)| !is_test(name))
                .map(|(name, text)| (name, Module::of(text)))
                .collect(),
        )
    }

    /// The module that declares what `path` names, as `from` writes it; none if it is not of this crate.
    fn owner(&self, from: &Name, path: &[String], depth: usize) -> Option<Name> {
        let (mut at, mut rest) = match path.first()?.as_str() {
            "crate" => (Name::new(), &path[1..]),
            "self" => (from.clone(), &path[1..]),
            "super" => (from[..from.len().checked_sub(1)?].to_vec(), &path[1..]),
            first if path.len() > 1 && self.child(from, first).is_some() => (from.clone(), path),
            first => {
                let alias = self.0.get(from)?.aliases.get(first)?;
                let whole = [alias, &path[1..]].concat();
                return (depth > 0).then(|| self.owner(from, &whole, depth - 1))?;
            }
        };
        while let Some((next, after)) = rest.split_first() {
            if next == "super" {
                at.pop();
            } else if let Some(child) = self.child(&at, next) {
                at = child;
            } else {
                let alias = self.0.get(&at).and_then(|module| module.aliases.get(next));
                let passed_on = alias.filter(|_| depth > 0).and_then(|alias| {
                    let whole = [alias, after].concat();
                    self.owner(&at, &whole, depth - 1)
                });
                return Some(passed_on.unwrap_or(at));
            }
            rest = after;
        }
        Some(at)
    }

    fn child(&self, of: &Name, name: &str) -> Option<Name> {
        let child = [of.as_slice(), &[name.to_owned()]].concat();
        self.0.contains_key(&child).then_some(child)
    }

    /// For each folder, which of its modules use which.
    fn folders(&self) -> BTreeMap<Name, Edges> {
        let mut folders: BTreeMap<Name, Edges> = BTreeMap::new();
        for (from, module) in &self.0 {
            for path in &module.paths {
                let Some(to) = self.owner(from, path, 8).filter(|to| to != from) else {
                    continue;
                };
                let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                let node = |name: &Name| name.get(same).cloned().unwrap_or(ITSELF.to_owned());
                let edges = folders.entry(from[..same].to_vec()).or_default();
                edges.entry(node(from)).or_default().insert(node(&to));
            }
        }
        folders
    }
}

/// All that is reached from `start`.
fn reached<'a>(edges: &'a Edges, start: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start];
    while let Some(from) = open.pop() {
        for to in edges.get(from).into_iter().flatten() {
            if reached.insert(to.as_str()) {
                open.push(to);
            }
        }
    }
    reached
}

/// The sets of modules that reach each other.
fn cycles(edges: &Edges) -> BTreeSet<BTreeSet<&str>> {
    let all: BTreeMap<&str, BTreeSet<&str>> = edges
        .keys()
        .map(|from| (from.as_str(), reached(edges, from)))
        .collect();
    all.iter()
        .filter(|(from, reached)| reached.contains(*from))
        .map(|(from, reached)| {
            let back = reached
                .iter()
                .filter(|to| all.get(*to).is_some_and(|back| back.contains(from)));
            back.copied().collect()
        })
        .collect()
}

#[test]
fn no_modules_of_a_folder_use_each_other_in_a_circle() {
    let folders = Crate::read().folders();
    let mut faults = Vec::new();
    for (folder, edges) in folders.iter().filter(|(folder, _)| !folder.is_empty()) {
        let folder = folder.join("/");
        for cycle in cycles(edges) {
            faults.push(format!("{folder}:"));
            for from in &cycle {
                let within = edges[*from].iter().filter(|to| cycle.contains(to.as_str()));
                let to: Vec<&str> = within.map(String::as_str).collect();
                faults.push(format!("    {from} uses {}", to.join(", ")));
            }
        }
    }
    check(faults);
}

#[test]
fn uses_are_found_in_every_form() {
    let read = |of: &[(&str, &str)]| {
        let modules = of
            .iter()
            .map(|(path, text)| (name(Path::new(path)), Module::of(text)));
        Crate(modules.collect())
    };
    let check = |a: &str, expect: &[&str]| {
        let found = read(&[
            (
                "x.rs",
                "pub use b::Thing;\npub mod a;\nmod b;\npub const N: u32 = 1;",
            ),
            ("x/a.rs", a),
            ("x/a/deep.rs", ""),
            ("x/b.rs", "pub struct Thing;"),
            ("x/c.rs", ""),
        ]);
        let folders = found.folders();
        let edges = folders
            .get(&name(Path::new("x")))
            .and_then(|edges| edges.get("a"));
        let found: Vec<&str> = edges.into_iter().flatten().map(String::as_str).collect();
        assert_eq!(found, expect, "{a}");
    };
    check("use super::b::Thing;", &["b"]);
    check("use super::{b, c as d};\nfn f() { d::g() }", &["b", "c"]);
    check(
        "use crate::x::{\n    b::{self, Thing},\n    c::*,\n};",
        &["b", "c"],
    );
    check("fn f() { super::c::g(crate::x::b::Thing) }", &["b", "c"]);
    // Passed on by the file above: used from where it is declared.
    check("use super::Thing;", &["b"]);
    check("use super::N;", &[ITSELF]);
    // None of these is a use of a neighbour.
    check("pub use super::b::Thing;", &[]);
    check("pub(super) fn f(c: u32) -> u32 { c } // super::c::g()", &[]);
    check(
        "#[cfg(test)]\nmod tests {\n    use super::super::c;\n}\n",
        &[],
    );
    check("mod deep;\nuse deep::D;\nuse std::fmt;", &[]);
}
