//! The real binary as a child process, on free ports, stopped by pid.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Resident memory of a process, in megabytes (10⁶ bytes).
pub fn resident_megabytes(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("VmRSS");
    let kibibytes: f64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .expect("a number");
    kibibytes * 1024.0 / 1e6
}

/// This build's, or another one that a benchmark is to measure.
fn binary() -> OsString {
    let named = std::env::var_os("STREAMGAUGE");
    named.unwrap_or_else(|| env!("CARGO_BIN_EXE_streamgauge").into())
}

/// `streamgauge serve`; killed when dropped.
pub struct Service {
    child: Child,
    /// Where KEDA calls.
    pub grpc: SocketAddr,
    /// Where metrics and API are.
    pub http: SocketAddr,
    /// Where metrics are apart.
    pub metrics: Option<SocketAddr>,
    folder: TempDir,
    log: Arc<Mutex<Vec<String>>>,
}

impl Service {
    /// Starts the binary with that config, which must listen on port 0, and waits until it says that it serves.
    pub fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    /// The same, with more in its environment.
    pub fn start_with(config: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_as(Command::new(binary()), config, variables)
    }

    /// The same, under a program that ends up as this one; no words: under none.
    pub fn start_under(program: &[&str], config: &str) -> Self {
        let binary = binary();
        let mut words = program.iter().map(OsStr::new).chain([binary.as_os_str()]);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words);
        Self::start_as(command, config, &[])
    }

    fn start_as(mut command: Command, config: &str, variables: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let path: PathBuf = folder.path().join("config.yaml");
        std::fs::write(&path, config).expect("a written config");
        let mut child = command
            .args(["serve", "--config"])
            .arg(&path)
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let (said, lines) = mpsc::channel();
        let log = Arc::new(Mutex::new(Vec::new()));
        let stderr = child.stderr.take().expect("its stderr");
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.lock().expect("the log").push(line.clone());
                let _ = said.send(line);
            }
        });
        let (grpc, http, metrics) = serving(&lines);
        Self {
            child,
            grpc,
            http,
            metrics,
            folder,
            log,
        }
    }

    /// Puts another config in the place of the one it was started with.
    pub fn rewrite(&self, config: &str) {
        std::fs::write(self.folder.path().join("config.yaml"), config).expect("a written config");
    }

    /// What it logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("the log").clone()
    }

    /// Waits until it has logged that: a line may come later than what it tells of is seen elsewhere.
    pub async fn until_logged(&self, words: &str) {
        super::eventually(words, Duration::from_secs(20), async || {
            let log = self.log();
            log.iter().any(|line| line.contains(words)).then_some(())
        })
        .await;
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.pid().to_string()])
            .status()
            .expect("kill");
        assert!(sent.success());
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, in megabytes (10⁶ bytes).
    pub fn resident_megabytes(&self) -> f64 {
        resident_megabytes(self.pid())
    }

    /// The body of an answer with status 200.
    pub async fn get(&self, path: &str) -> String {
        let answer = reqwest::get(format!("http://{}{path}", self.http)).await;
        let answer = answer.expect("an answer").error_for_status().expect("200");
        answer.text().await.expect("a body")
    }

    /// The same of an answer in JSON.
    pub async fn get_json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await).expect("JSON")
    }

    /// SIGSTOP: it stands still and keeps its lines.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Waits for the end; its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        let child = &mut self.child;
        super::eventually("the service ends", Duration::from_secs(20), || {
            std::future::ready(child.try_wait().expect("its state"))
        })
        .await
        .code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The addresses from the log line that says so (JSON, as no terminal is attached).
fn serving(lines: &mpsc::Receiver<String>) -> (SocketAddr, SocketAddr, Option<SocketAddr>) {
    let mut all = String::new();
    while let Ok(line) = lines.recv_timeout(super::patience(Duration::from_secs(20))) {
        let fields = serde_json::from_str::<Value>(&line).unwrap_or_default();
        let address = |name: &str| {
            let field = fields
                .get(name)
                .or_else(|| fields.get("fields")?.get(name))?;
            field.as_str()?.parse().ok()
        };
        if let (Some(grpc), Some(http)) = (address("grpc"), address("http")) {
            return (grpc, http, address("metrics"));
        }
        all.push_str(&line);
        all.push('\n');
    }
    panic!("the service never said that it serves:\n{all}");
}
