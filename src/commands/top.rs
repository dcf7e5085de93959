//! `top`: the groups of a running service in a terminal, worst first, read from its API.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::adapters::condition::Condition;
use crate::cli::TopArgs;
use crate::config::secret::Secret;
use crate::shutdown;
use crate::web;

use super::table;

const EVERY: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(5);

/// Cursor to the corner and everything below it gone, so that it does not flicker as if cleared.
const HOME: &str = "\x1b[H\x1b[J";

/// Prints once, or until Ctrl-C on a terminal.
///
/// # Errors
/// The service cannot be reached, or answers something else than it should.
pub async fn run(args: TopArgs) -> Result<ExitCode> {
    let service = WatchedService::open(args.url, args.token_file, args.ca_file)?;
    if args.once || !std::io::stdout().is_terminal() {
        print!("{}", render(&service.groups().await?, None));
        return Ok(ExitCode::SUCCESS);
    }
    let mut tick = tokio::time::interval(EVERY);
    let stop = shutdown::requested()?;
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(ExitCode::SUCCESS),
            _ = tick.tick() => {}
        }
        // Looked at through restarts: what went wrong is shown in the place of the groups.
        let shown = match service.groups().await {
            Ok(groups) => render(&groups, screen()),
            Err(error) => format!("{error:#}\n"),
        };
        print!(
            "{HOME}{} every {} s, Ctrl-C ends\n\n{shown}",
            service.url,
            EVERY.as_secs()
        );
        std::io::stdout().flush()?;
    }
}

#[derive(Deserialize)]
struct ShownGroups {
    groups: Vec<ShownGroup>,
}

#[derive(Clone, Deserialize)]
struct ShownGroup {
    name: String,
    condition: Condition,
    failure: Option<ShownFailure>,
    backlog: Option<Backlog>,
    oldest_age_seconds: Option<f64>,
    arrival_per_second: Option<f64>,
    processing_per_second: Option<f64>,
    targets: Vec<ShownTarget>,
}

#[derive(Clone, Deserialize)]
struct ShownFailure {
    text: String,
}

#[derive(Clone, Deserialize)]
struct Backlog {
    value: u64,
    certainty: String,
}

#[derive(Clone, Deserialize)]
struct ShownTarget {
    scaled_object: String,
    desired: Option<u32>,
    current: Option<u32>,
    limit: Option<String>,
    text: String,
}

/// The service that is looked at.
struct WatchedService {
    client: reqwest::Client,
    url: Url,
    token: Option<Secret>,
}

impl WatchedService {
    fn open(url: Url, token_file: Option<PathBuf>, ca_file: Option<PathBuf>) -> Result<Self> {
        let ca = match &ca_file {
            Some(path) => Some((path.as_path(), web::read_ca(path)?)),
            None => None,
        };
        let ca = ca.as_ref().map(|(path, pem)| (*path, pem.as_slice()));
        Ok(Self {
            client: web::client(ca, PATIENCE)?,
            url,
            token: token_file.map(Secret::File),
        })
    }

    async fn groups(&self) -> Result<Vec<ShownGroup>> {
        let path = self.url.join("api/v1/groups?partitions=false");
        let mut request = self.client.get(path.context("--url")?).timeout(PATIENCE);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.read().context("--token-file")?);
        }
        groups(request, &self.url).await
    }
}

async fn groups(request: reqwest::RequestBuilder, url: &Url) -> Result<Vec<ShownGroup>> {
    let answer = request.send().await.with_context(|| {
        format!(
            "{url} cannot be reached: check that it is the HTTP address of a running service (server.http)"
        )
    })?;
    if answer.status() == StatusCode::UNAUTHORIZED {
        bail!(
            "{url} wants the token of server.login: put it into a file and name that with --token-file"
        );
    }
    if !answer.status().is_success() {
        bail!(
            "{url} returned {}: check that it is a streamgauge service",
            answer.status()
        );
    }
    let body = answer
        .bytes()
        .await
        .with_context(|| format!("{url} closed the connection during the response"))?;
    let answer: ShownGroups = serde_json::from_slice(&body)
        .with_context(|| format!("{url} returned something other than streamgauge's groups"))?;
    Ok(answer.groups)
}

/// What stands above the groups, and the line that says how many more there are.
const HEAD_LINES: usize = 4;

const HEADER: [&str; 9] = [
    "GROUP", "STATE", "BACKLOG", "OLDEST", "ARRIVE/S", "DONE/S", "REPLICAS", "FOR", "WHY",
];

/// A line per group and target, worst first; of what does not fit on a screen of so many columns and lines, the least bad is left
/// out.
fn render(groups: &[ShownGroup], screen: Option<(usize, usize)>) -> String {
    let mut groups = groups.to_vec();
    // Stable: the service gives them by name.
    groups.sort_by_key(|group| group.condition);
    let mut rows = vec![HEADER.map(str::to_owned).to_vec()];
    rows.extend(groups.iter().flat_map(rows_of));
    let shown = table::render(&rows);
    let Some((columns, lines)) = screen else {
        return shown;
    };
    let cut = |line: &str| match line.char_indices().nth(columns) {
        Some((at, _)) => line[..at].trim_end().to_owned() + "\n",
        None => format!("{line}\n"),
    };
    let fits = lines.saturating_sub(HEAD_LINES);
    let mut out: String = shown.lines().take(fits).map(cut).collect();
    if rows.len() > fits {
        out += &format!("… and {} more\n", rows.len() - fits);
    }
    out
}

fn rows_of(group: &ShownGroup) -> Vec<Vec<String>> {
    let word = serde_json::to_value(group.condition).unwrap_or_default();
    let word = word.as_str().unwrap_or_default().replace('_', " ");
    let figures = [
        group.name.clone(),
        word,
        group.backlog.as_ref().map_or_else(unknown, shown),
        group
            .oldest_age_seconds
            .map_or_else(unknown, |age| format!("{age:.1}s")),
        group.arrival_per_second.map_or_else(unknown, rate),
        group.processing_per_second.map_or_else(unknown, rate),
    ];
    let failure = group.failure.as_ref().map(|failure| failure.text.clone());
    if group.targets.is_empty() {
        let rest = [unknown(), String::new(), failure.unwrap_or_default()];
        return vec![figures.into_iter().chain(rest).collect()];
    }
    let mut rows = Vec::new();
    for (n, target) in group.targets.iter().enumerate() {
        // Further targets of a group stand below it, without its figures.
        let figures = if n == 0 {
            figures.clone()
        } else {
            Default::default()
        };
        let why = failure.as_ref().unwrap_or(&target.text).clone();
        let rest = [replicas(target), target.scaled_object.clone(), why];
        rows.push(figures.into_iter().chain(rest).collect());
    }
    rows
}

fn unknown() -> String {
    "?".to_owned()
}

fn rate(per_second: f64) -> String {
    if per_second < 10.0 {
        format!("{per_second:.1}")
    } else {
        format!("{per_second:.0}")
    }
}

fn shown(backlog: &Backlog) -> String {
    let at_least = if backlog.certainty == "at_least" {
        "≥"
    } else {
        ""
    };
    format!("{at_least}{}", table::grouped(backlog.value))
}

/// `3→7 max_replicas`: what runs, what is wanted, what limits that.
fn replicas(target: &ShownTarget) -> String {
    let wanted = target.desired.map_or_else(unknown, |n| n.to_string());
    let count = match target.current.map(|n| n.to_string()) {
        Some(current) if current != wanted => format!("{current}→{wanted}"),
        _ => wanted,
    };
    match target.limit.as_deref() {
        None | Some("none") => count,
        Some(limit) => format!("{count} {limit}"),
    }
}

/// Columns and lines of the terminal.
fn screen() -> Option<(usize, usize)> {
    let (columns, lines) = terminal_size::terminal_size()?;
    Some((columns.0.into(), lines.0.into()))
}

#[cfg(test)]
mod tests;
