//! The command line.

use std::path::PathBuf;

use crate::simulation::policies::PolicyName;
use clap::{Args, Parser, Subcommand};

/// KEDA external scaler for partitioned streams: certified backlog, measured rates, explained replica targets.
#[derive(Clone, Debug, Parser)]
#[command(name = "streamgauge", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Runs the service that KEDA asks.
    Serve(ServeArgs),
    /// Validates a config; exit code 0: fine, 1: a source or group fails, 2: the config is wrong.
    Check(CheckArgs),
    /// Shows everything in one process: a skewed workload whose consumers scale on the service's own answers.
    Demo(DemoArgs),
    /// Compares policies in virtual time.
    Simulate(SimulateArgs),
}

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// The config file.
    #[arg(long, env = "STREAMGAUGE_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
}

/// Arguments of `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The config file.
    #[arg(long, env = "STREAMGAUGE_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// Also reads every group once and prints a table.
    #[arg(long)]
    pub connect: bool,
}

/// Arguments of `demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Real streams on this Redis instead of simulated ones.
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// Ends after that many seconds instead of running until Ctrl-C.
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
}

/// Arguments of `simulate`.
#[derive(Clone, Debug, Args)]
pub struct SimulateArgs {
    /// CSV.
    #[arg(long, value_name = "FILE")]
    pub trace: Vec<PathBuf>,
    /// Policy.
    #[arg(long, value_name = "NAME")]
    pub policy: Vec<PolicyName>,
    #[arg(long, default_value = "10", value_delimiter = ',')]
    pub commit_interval: Vec<u64>,
    #[arg(long, default_value = "100", value_delimiter = ',')]
    pub capacity: Vec<f64>,
    #[arg(long, default_value_t = 1)]
    pub seeds: u64,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_take_what_the_interface_says() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.command);
        let Ok(Command::Check(check)) = parse("streamgauge check --config c.yaml --connect") else {
            panic!("check");
        };
        assert!(check.connect && check.config.ends_with("c.yaml"));
        let Ok(Command::Demo(demo)) = parse("streamgauge demo --redis redis://r --seconds 5")
        else {
            panic!("demo");
        };
        assert_eq!(
            (demo.redis.as_deref(), demo.seconds),
            (Some("redis://r"), Some(5))
        );
        assert!(
            parse("streamgauge replay j").is_err(),
            "not built yet, so not there"
        );
    }
}
