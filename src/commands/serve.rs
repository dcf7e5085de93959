//! `serve`: the service.

use std::process::ExitCode;

use crate::cli::ServeArgs;

/// Runs until a signal ends it.
///
/// # Errors
/// The config is wrong or an address cannot be bound.
pub async fn run(_args: ServeArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("wired by the lead")
}
