//! A real Prometheus and its promtool.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::ports::free_port;

const MISSING: &str = "the package prometheus is not installed: run `make test`";

/// What `promtool check metrics` has to say; nothing if all is well.
pub fn promtool_complaints(text: &str) -> String {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool: {error}; {MISSING}"));
    let mut stdin = child.stdin.take().expect("its stdin");
    stdin.write_all(text.as_bytes()).expect("written");
    drop(stdin);
    let said = child.wait_with_output().expect("it ends");
    let mut complaints = String::from_utf8_lossy(&said.stdout).into_owned();
    complaints.push_str(&String::from_utf8_lossy(&said.stderr));
    assert!(
        said.status.success() || !complaints.is_empty(),
        "promtool failed and said nothing"
    );
    complaints
}

/// A running Prometheus that scrapes one target; killed when dropped.
pub struct Prometheus {
    child: Child,
    /// Where it answers.
    pub address: SocketAddr,
    folder: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes `/metrics` there every 200 ms.
    pub fn start(target: SocketAddr) -> Self {
        Self::start_every(target, "200ms")
    }

    /// Starts one that scrapes `/metrics` there so often, `1s`.
    pub fn start_every(target: SocketAddr, interval: &str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Self::start_at(address, target, interval)
    }

    /// Starts one that scrapes nothing but itself.
    pub fn start_alone() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Self::start_at(address, address, "200ms")
    }

    fn start_at(address: SocketAddr, target: SocketAddr, interval: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let config = format!(
            "global: {{ scrape_interval: {interval}, scrape_timeout: {interval} }}\n\
             scrape_configs: [ {{ job_name: streamgauge, static_configs: [ {{ targets: [\"{target}\"] }} ] }} ]\n"
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).expect("a written config");
        Self {
            child: spawn(address, &folder),
            address,
            folder,
        }
    }

    /// Ends it by its pid.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again, at the same address and with what it knew.
    pub fn restart(&mut self) {
        self.stop();
        self.child = spawn(self.address, &self.folder);
    }

    /// The samples of an instant query as (labels, value), once there are any.
    pub fn query(&mut self, promql: &str) -> Vec<(Value, f64)> {
        self.until_query(promql, |_| true)
    }

    /// As [`Self::query`], once the answer is as it should be.
    pub fn until_query(
        &mut self,
        promql: &str,
        is_right: impl Fn(&[(Value, f64)]) -> bool,
    ) -> Vec<(Value, f64)> {
        let path = format!("/api/v1/query?query={}", percent_encoded(promql));
        self.until(promql, &path, |answer| {
            let result = answer["data"]["result"].as_array()?;
            let sample = |sample: &Value| {
                let value = sample["value"][1].as_str()?.parse().ok()?;
                Some((sample["metric"].clone(), value))
            };
            let samples: Vec<(Value, f64)> = result.iter().filter_map(sample).collect();
            (!samples.is_empty() && is_right(&samples)).then_some(samples)
        })
    }

    /// How long a range query takes and how many bytes it brings; times in seconds.
    pub fn time_range(&self, promql: &str, start: u64, end: u64, step: f64) -> (Duration, usize) {
        let query = percent_encoded(promql);
        let path = format!("/api/v1/query_range?query={query}&start={start}&end={end}&step={step}");
        let started = Instant::now();
        let body = http_body(self.address, &path).expect("an answer");
        assert!(
            body.starts_with("{\"status\":\"success\""),
            "{promql}: {body:.300}"
        );
        (started.elapsed(), body.len())
    }

    /// Whether an expression can be computed, be it of nothing.
    pub fn accepts(&mut self, promql: &str) {
        let path = format!("/api/v1/query?query={}", percent_encoded(promql));
        let answer = http_json(self.address, &path);
        let status = answer.as_ref().map(|answer| &answer["status"]);
        assert_eq!(status, Some(&"success".into()), "{promql}: {answer:?}");
    }

    /// What the last scrape of the target came to, once there was one.
    pub fn target(&mut self) -> Value {
        self.until("a scraped target", "/api/v1/targets", |answer| {
            let target = &answer["data"]["activeTargets"][0];
            (target["health"] == "up").then(|| target.clone())
        })
    }

    fn until<T>(&mut self, what: &str, path: &str, found: impl Fn(&Value) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            let answer = http_json(self.address, path);
            if let Some(found) = answer.as_ref().and_then(&found) {
                return found;
            }
            let ended = self.child.try_wait().expect("a child").is_some();
            if ended || started.elapsed() > Duration::from_secs(30) {
                let log = std::fs::read_to_string(self.folder.path().join("log"));
                panic!("Prometheus does not show {what}: {answer:?}\n{log:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(address: SocketAddr, folder: &TempDir) -> Child {
    let log = std::fs::File::create(folder.path().join("log")).expect("a log");
    Command::new("prometheus")
        .current_dir(folder.path())
        .arg("--config.file=prometheus.yml")
        .arg("--storage.tsdb.path=data")
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("prometheus: {error}; {MISSING}"))
}

/// The body of an answer, whatever its status. HTTP 1.0, so that it ends where the connection does. `None` while nobody
/// answers.
pub fn http_body(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some(body.to_owned())
}

/// The same of an answer in JSON.
pub fn http_json(address: SocketAddr, path: &str) -> Option<Value> {
    serde_json::from_str(&http_body(address, path)?).ok()
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
