//! The command line.

mod simulate;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use url::Url;

pub use simulate::{RebalanceStyle, ScenarioChoice, SharingStyle, SimulateArgs, scenario_list};

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
    /// Shows the groups of a running service in the terminal, worst first.
    Top(TopArgs),
    /// Shows everything in one process: a skewed workload whose consumers scale on the service's own answers.
    Demo(DemoArgs),
    /// Compares policies in virtual time.
    Simulate(Box<SimulateArgs>),
    /// Tells what is unusual in a recorded series, as the service's baselines would have.
    Detect(DetectArgs),
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
    #[arg(
        long,
        env = "STREAMGAUGE_CONFIG",
        value_name = "FILE",
        required_unless_present = "schema"
    )]
    pub config: Option<PathBuf>,
    /// Prints the JSON Schema of the config file, for editors, and checks nothing.
    #[arg(long, conflicts_with = "connect")]
    pub schema: bool,
    /// Also reads every group once and prints a table.
    #[arg(long)]
    pub connect: bool,
}

/// Arguments of `top`.
#[derive(Clone, Debug, Args)]
pub struct TopArgs {
    /// Where the service's HTTP address is.
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub url: Url,
    /// Prints the groups once and ends, as it does where nobody looks at a terminal.
    #[arg(long)]
    pub once: bool,
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

/// Arguments of `detect`.
#[derive(Clone, Debug, Args)]
pub struct DetectArgs {
    /// CSV with the columns timestamp and value; `.gz` too; `-` is standard input.
    #[arg(value_name = "FILE.csv")]
    pub file: PathBuf,
    /// Learns the hours of the day only.
    #[arg(long)]
    pub no_weekly_season: bool,
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
        let config = check.config.expect("a file");
        assert!(check.connect && config.ends_with("c.yaml"));
        let Ok(Command::Demo(demo)) = parse("streamgauge demo --redis redis://r --seconds 5")
        else {
            panic!("demo");
        };
        assert_eq!(
            (demo.redis.as_deref(), demo.seconds),
            (Some("redis://r"), Some(5))
        );
        let Ok(Command::Top(top)) = parse("streamgauge top --url http://streamgauge:8080 --once")
        else {
            panic!("top");
        };
        assert_eq!(
            (top.url.as_str(), top.once),
            ("http://streamgauge:8080/", true)
        );
        let Ok(Command::Simulate(simulate)) = parse(
            "streamgauge simulate --trace a.csv --trace b.csv.gz --commit-interval 10s,after:100 --policy keda-lag:64",
        ) else {
            panic!("simulate");
        };
        assert_eq!(
            (simulate.trace.len(), simulate.commit_interval.len()),
            (2, 2)
        );
        let Ok(Command::Detect(detect)) = parse("streamgauge detect -") else {
            panic!("detect");
        };
        assert!(detect.file.ends_with("-") && !detect.no_weekly_season);
        assert!(
            parse("streamgauge replay").is_err(),
            "not built yet, so not there"
        );
    }
}
