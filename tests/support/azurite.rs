//! Azurite, Microsoft's emulator of Blob Storage, on loopback with a directory of its own, ended by pid when dropped.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::ports::free_port;

/// The account that the emulator always has.
pub const ACCOUNT: &str = "devstoreaccount1";

/// Its key, the same in every installation and printed in Microsoft's documentation.
pub const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const START_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A running blob service.
pub struct Azurite {
    pub port: u16,
    https: bool,
    args: Vec<String>,
    folder: TempDir,
    child: Option<Child>,
}

impl Azurite {
    /// Over plain HTTP; takes the account key and SAS.
    pub fn start() -> Self {
        Self::start_with(false, Vec::new())
    }

    /// Over HTTPS with that certificate and key (PEM files); takes bearer tokens too. Azurite looks at a token's
    /// dates, issuer and audience, never at its signature.
    pub fn start_with_oauth(certificate: &Path, key: &Path) -> Self {
        let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
        let mut args: Vec<String> = ["--oauth", "basic", "--cert"].map(String::from).into();
        args.extend([path(certificate), "--key".to_owned(), path(key)]);
        Self::start_with(true, args)
    }

    fn start_with(https: bool, args: Vec<String>) -> Self {
        let mut server = Self {
            port: free_port(),
            https,
            args,
            folder: TempDir::new().expect("a temporary directory"),
            child: None,
        };
        server.restart();
        server
    }

    /// Starts again on the same port with the same blobs.
    pub fn restart(&mut self) {
        self.stop();
        self.child = Some(self.command().spawn().expect("Azurite starts"));
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let deadline = Instant::now() + START_WITHIN;
        while TcpStream::connect(address).is_err() {
            let child = self.child.as_mut().expect("it was started");
            if let Some(status) = child.try_wait().expect("its status") {
                panic!("Azurite ended with {status}: {}", self.log());
            }
            assert!(
                Instant::now() < deadline,
                "Azurite does not listen: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn command(&self) -> Command {
        let program = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(".tools/node/node_modules/.bin/azurite-blob");
        assert!(
            program.exists(),
            "{} is missing: run `make test` once, it installs it",
            program.display()
        );
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a log");
        let mut command = Command::new(program);
        command
            .args(["--blobHost", "127.0.0.1", "--blobPort"])
            .arg(self.port.to_string())
            .arg("-l")
            .arg(self.folder.path())
            .args(["--silent", "--skipApiVersionCheck", "--disableTelemetry"])
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Ends it in order, so that it writes down what it knows; the blobs stay for [`Self::restart`].
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let _ = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        let deadline = Instant::now() + STOP_WITHIN;
        while child.try_wait().expect("its status").is_none() {
            if Instant::now() > deadline {
                let _ = child.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The URL of the account, without a slash at the end.
    pub fn account_url(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}/{ACCOUNT}", self.port)
    }

    /// Does the steps of `tests/event_hubs/checkpoints.py` and gives their results.
    pub fn prepare(&self, steps: &Value) -> Vec<Value> {
        prepare(&self.connection_string(), None, steps)
    }

    /// What Azure's portal would give for the account.
    pub fn connection_string(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!(
            "DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};BlobEndpoint={};",
            self.account_url()
        )
    }
}

/// Runs steps of tests/event_hubs/checkpoints.py; gives what each returned.
pub fn prepare(connection_string: &str, ca: Option<&Path>, steps: &Value) -> Vec<Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new(root.join(".tools/venv/bin/python"))
        .arg(root.join("tests/event_hubs/checkpoints.py"))
        .arg(connection_string)
        .args(ca)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python of .tools: run `make test` once");
    let mut stdin = child.stdin.take().expect("piped");
    stdin
        .write_all(steps.to_string().as_bytes())
        .expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "the steps failed: {steps}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

impl Drop for Azurite {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
