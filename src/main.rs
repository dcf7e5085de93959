//! Parses the command line, starts logging, dispatches; the exit code.

use std::process::ExitCode;

use clap::Parser;
use streamgauge::cli::{Cli, Command};
use streamgauge::{commands, telemetry};
use tikv_jemallocator::Jemalloc;

/// Large polls, scrapes and answers leave less behind in it than in the C library's (docs/operations.md, Memory).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    // Sends what is left when it ends.
    let _telemetry = telemetry::start();
    // Several libraries bring TLS; the process has one provider for them all. It is installed here once, so it cannot fail.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let done = match cli.command {
        Command::Serve(args) => commands::serve::run(args).await,
        Command::Check(args) => commands::check::run(args).await,
        Command::Migrate(args) => commands::migrate::run(args),
        Command::Simulate(args) => commands::simulate::run(*args),
        Command::Detect(args) => commands::detect::run(args),
        Command::Replay(args) => commands::replay::run(&args),
        Command::Top(args) => commands::top::run(args).await,
        Command::Demo(args) => commands::demo::run(args).await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
