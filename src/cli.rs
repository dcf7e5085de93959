//! The command line.

mod policy_choice;
mod replay;
mod simulate;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use url::Url;

pub use policy_choice::{PolicyChoice, THRESHOLDS};
pub use replay::{PointInTime, ReplayArgs};
pub use simulate::{RebalanceStyle, ScenarioChoice, SharingStyle, SimulateArgs, scenario_list};

/// KEDA external scaler for partitioned streams: verified backlog, measured rates, explained replica counts.
#[derive(Clone, Debug, Parser)]
#[command(name = "streamgauge", version, about)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run the service that KEDA queries.
    Serve(ServeArgs),
    /// Validate a config. Exit codes: 0 = valid, 1 = a source or group failed, 2 = invalid config.
    Check(CheckArgs),
    /// Move KEDA's own Redis Streams triggers to streamgauge: print the config and the ScaledObjects to use.
    Migrate(MigrateArgs),
    /// Show the groups of a running service in the terminal, worst first.
    Top(TopArgs),
    /// Run a demo in one process: a skewed workload, scaled by streamgauge's answers.
    Demo(DemoArgs),
    /// Compare scaling policies in virtual time, on traces or built-in scenarios.
    Simulate(Box<SimulateArgs>),
    /// Explain decisions of the past from the journal in state.dir, check them, or try other settings on what was seen. Exit codes: 0 =
    /// done, 1 = unequal to what was decided, or unreadable.
    Replay(ReplayArgs),
    /// Find anomalies in a recorded time series with the same baselines as the service.
    Detect(DetectArgs),
}

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Config file.
    #[arg(long, env = "STREAMGAUGE_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
}

/// Arguments of `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Config file.
    #[arg(
        long,
        env = "STREAMGAUGE_CONFIG",
        value_name = "FILE",
        required_unless_present = "schema"
    )]
    pub config: Option<PathBuf>,
    /// Print the JSON Schema of the config file, for editors, and check nothing.
    #[arg(long, conflicts_with = "connect")]
    pub schema: bool,
    /// Also connect to every source, read every group once, and print a table.
    #[arg(long)]
    pub connect: bool,
}

/// Arguments of `migrate`.
#[derive(Clone, Debug, Args)]
pub struct MigrateArgs {
    /// Manifests with ScaledObjects or ScaledJobs, and those of their TriggerAuthentications and Deployments, which tell where
    /// credentials and variables come from; `-` reads standard input.
    #[arg(value_name = "FILE.yaml", required = true)]
    pub files: Vec<PathBuf>,
    /// The address at which KEDA reaches streamgauge.
    #[arg(
        long,
        default_value = "streamgauge.streamgauge.svc:9090",
        value_name = "HOST:PORT"
    )]
    pub scaler_address: String,
    /// The namespace of objects that name none.
    #[arg(long, short, default_value = "default", value_name = "NAME")]
    pub namespace: String,
    /// Print only the config, or only the objects.
    #[arg(long, value_name = "PART")]
    pub only: Option<MigratePart>,
}

/// A part of what `migrate` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MigratePart {
    /// The sources, for streamgauge's config.
    Config,
    /// The ScaledObjects and ScaledJobs.
    Objects,
}

/// Arguments of `top`.
#[derive(Clone, Debug, Args)]
pub struct TopArgs {
    /// HTTP address of the service (server.http).
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub url: Url,
    /// File with the token of server.login.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// PEM file of certificate authorities to trust in addition to the system's.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Print the groups once and exit; the default when standard output is not a terminal.
    #[arg(long)]
    pub once: bool,
}

/// Arguments of `demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Use real streams on this Redis instead of simulated ones: one server, a node of a cluster, or the primary behind sentinels.
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// Stop after N seconds. Without it, the demo runs until Ctrl-C.
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
}

/// Arguments of `detect`.
#[derive(Clone, Debug, Args)]
pub struct DetectArgs {
    /// CSV file with the columns timestamp and value, plain or `.gz`; `-` reads standard input.
    #[arg(value_name = "FILE.csv")]
    pub file: PathBuf,
    /// Learn a daily season only, no weekly one.
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
        let Ok(Command::Migrate(migrate)) =
            parse("streamgauge migrate a.yaml b.yaml --only config")
        else {
            panic!("migrate");
        };
        assert_eq!(
            (migrate.files.len(), migrate.only),
            (2, Some(MigratePart::Config))
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
        let Ok(Command::Replay(replay)) =
            parse("streamgauge replay /state --from 03:00 --policy maxReplicas=20")
        else {
            panic!("replay");
        };
        assert!(replay.from.is_some() && replay.at.is_none() && !replay.verify);
        assert_eq!(replay.policy.and_then(|p| p.max_replicas), Some(20));
        for conflict in [
            "streamgauge replay",
            "streamgauge replay /state --at 03:14 --from 03:00",
            "streamgauge replay /state --verify --policy maxReplicas=20",
            "streamgauge replay /state --at noon",
        ] {
            assert!(parse(conflict).is_err(), "{conflict}");
        }
    }
}
