//! `check`: is the config right, and with `--connect`, can everything in it be read?

mod connect;
mod report;
mod signals;
mod warnings;

use std::process::ExitCode;

use crate::cli::CheckArgs;
use crate::config::reference::json_schema_text;
use crate::config::types::Config;
use crate::sources::unguarded;

use super::table;
use connect::GroupReport;
use signals::SignalReport;

/// Validates the config and prints what it holds; exit codes as in the interface: 0, 1, 2.
///
/// # Errors
/// None of its own: what is wrong with config or groups is printed and becomes the exit code.
pub async fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    if args.schema {
        print!("{}", json_schema_text());
        return Ok(ExitCode::SUCCESS);
    }
    // The command line has it wherever there is no `--schema`.
    let file = args.config.unwrap_or_default();
    let config = match Config::load(&file) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::from(2));
        }
    };
    print!("{}", report::summary(&file.display().to_string(), &config));
    if !args.connect {
        return Ok(ExitCode::SUCCESS);
    }
    let (reports, servers) = read_all(&config).await;
    print!("\n{}", table::render(&report::rows(&reports)));
    for line in servers {
        println!("{line}");
    }
    for line in report::findings(&reports) {
        println!("{line}");
    }
    let signals = signals::read(&config, &reports).await;
    if !signals.is_empty() {
        print!("\n{}", table::render(&signals::rows(&signals)));
    }
    for warning in warnings::over_budget(&config, &reports) {
        println!("warning: {warning}");
    }
    let failed =
        reports.iter().any(GroupReport::failed) || signals.iter().any(SignalReport::failed);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Reads every source once, one after the other: a check is not a load test. Also what their servers are, a line each.
async fn read_all(config: &Config) -> (Vec<GroupReport>, Vec<String>) {
    let (mut reports, mut servers) = (Vec::new(), Vec::new());
    for source in &config.sources {
        let subjects = connect::subjects(config, source);
        let opened = unguarded(source);
        reports.extend(connect::read(opened.as_ref(), subjects).await);
        servers.extend(
            opened
                .described()
                .map(|text| format!("source {}: {text}", source.name)),
        );
    }
    (reports, servers)
}
