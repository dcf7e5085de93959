//! `migrate`: what to use instead of KEDA's own triggers.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::cli::{MigrateArgs, MigratePart};
use crate::config::types::Config;
use crate::files;
use crate::migration::{Migration, MigrationRules, migrate, read};

/// Of a manifest.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// Prints the config and the objects to use; what could not be moved goes to standard error and makes the exit code 1.
///
/// # Errors
/// A file cannot be read, is no YAML, or there is no ScaledObject in any.
pub fn run(args: MigrateArgs) -> Result<ExitCode> {
    let mut manifests = Vec::new();
    for file in &args.files {
        let name = file.display().to_string();
        manifests.extend(read(&name, &text_of(file)?)?);
    }
    let rules = MigrationRules {
        scaler_address: args.scaler_address,
        namespace: args.namespace,
    };
    let migration = migrate(&manifests, &rules);
    if migration.objects.is_empty() {
        bail!("there is no ScaledObject or ScaledJob in these files");
    }
    if let Some(config) = &migration.config {
        Config::parse(config, "the config for these triggers")?;
    }
    match std::io::stdout().write_all(printed(&migration, args.only).as_bytes()) {
        // Who reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written.context("standard output")?,
    }
    for problem in &migration.problems {
        eprintln!("problem: {problem}");
    }
    Ok(match migration.problems.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn text_of(file: &Path) -> Result<String> {
    if file.as_os_str() != "-" {
        return files::read_text(file, MOST_BYTES).with_context(|| file.display().to_string());
    }
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.context("standard input")?;
    Ok(text)
}

fn printed(migration: &Migration, only: Option<MigratePart>) -> String {
    let mut text = String::new();
    if only != Some(MigratePart::Objects)
        && let Some(config) = &migration.config
    {
        text.push_str(
            "# For streamgauge's config. Then run: streamgauge check --config FILE --connect\n",
        );
        for step in &migration.steps {
            let _ = writeln!(text, "# To do: {step}.");
        }
        text.push_str(config);
    }
    if only != Some(MigratePart::Config) {
        for object in &migration.objects {
            if !text.is_empty() {
                text.push_str("---\n");
            }
            text.push_str(object);
        }
    }
    text
}
