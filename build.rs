//! Tells the binary which revision it was built from, and by which code it decides.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

/// What a group's state consists of and how it changes. Other code makes another state of the same events, or cannot read it at all.
const DECIDES: [&str; 7] = [
    "src/group",
    "src/group.rs",
    "src/model",
    "src/model.rs",
    "src/policy",
    "src/policy.rs",
    "src/scaled_object.rs",
];

fn main() {
    // Moves with every commit; where it does not exist (a source archive), the revision is unknown anyway.
    println!(
        "cargo:rerun-if-changed={}",
        git(&["rev-parse", "--git-path", "logs/HEAD"]).unwrap_or_default()
    );
    let revision = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=STREAMGAUGE_REVISION={revision}");
    for path in DECIDES {
        println!("cargo:rerun-if-changed={path}");
    }
    println!("cargo:rustc-env=STREAMGAUGE_DECIDES_BY={:016x}", code());
}

/// A hash of that code; tests, which change nothing, apart.
fn code() -> u64 {
    let mut files = BTreeSet::new();
    for path in DECIDES {
        collect(Path::new(path), &mut files);
    }
    let mut hasher = DefaultHasher::new();
    for path in files {
        hasher.write(path.to_string_lossy().as_bytes());
        hasher.write(&fs::read(&path).unwrap_or_default());
    }
    hasher.finish()
}

fn collect(path: &Path, files: &mut BTreeSet<PathBuf>) {
    if path.file_stem().is_some_and(|stem| stem == "tests") {
        return;
    }
    let Ok(entries) = fs::read_dir(path) else {
        files.insert(path.to_owned());
        return;
    };
    for entry in entries.flatten() {
        collect(&entry.path(), files);
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new("git")
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
