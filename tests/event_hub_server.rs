//! The servers behind the Event Hubs tests are right: Microsoft's own clients get from them exactly what was set.

#![allow(
    clippy::expect_used,
    reason = "a test that cannot start has to fail loudly"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::azurite::Azurite;

#[test]
fn microsofts_checkpoint_store_writes_to_azurite_and_reads_it_back_after_a_restart() {
    let mut azurite = Azurite::start();
    let written = python("checkpoint.py", &["write", &azurite.connection_string()]);
    assert_eq!(written.trim(), "written");
    azurite.restart();
    let read = python("checkpoint.py", &["read", &azurite.connection_string()]);
    assert_eq!(read.trim(), "offset 4200 sequence 42");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn python(script: &str, args: &[&str]) -> String {
    let program = root().join(".tools/venv/bin/python");
    said(
        Command::new(installed(program))
            .arg(client(script))
            .args(args),
    )
}

fn client(script: &str) -> PathBuf {
    root().join("tests/event_hubs").join(script)
}

fn installed(program: PathBuf) -> PathBuf {
    assert!(
        program.exists(),
        "{} is missing: run `make test` once, it installs it",
        program.display()
    );
    program
}

fn said(command: &mut Command) -> String {
    let output = command.output().expect("the client starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    said
}
