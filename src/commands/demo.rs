//! `demo`: everything in one process.

use std::process::ExitCode;

use crate::cli::DemoArgs;

/// Runs until a signal or `--seconds` ends it.
///
/// # Errors
/// An address cannot be bound or Redis cannot be reached.
pub async fn run(_args: DemoArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("wired by the lead")
}
