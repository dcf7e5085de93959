//! The demo as a child process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// The demo and where it exports; killed when dropped.
pub struct Demo(Child, SocketAddr);

impl Demo {
    pub fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
            .args(["demo", "--seconds", "600"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its stdout")).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("curl http://")?;
            rest.strip_suffix("/metrics")?.parse().ok()
        });
        // Read on, so that the demo never waits for a full pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self(child, address.expect("an address"))
    }

    /// Where metrics, API and page are.
    pub fn address(&self) -> SocketAddr {
        self.1
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
